// Preloaded into a process, makes a directory fail as one on an NFS server that forgot it: while the file
// STALE_FLAG exists, every call on a file below STALE_PATH, by name or by descriptor, gives ESTALE.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_below(const char *path) {
  const char *root = getenv("STALE_PATH");
  return root && strncmp(path, root, strlen(root)) == 0;
}

static int is_flagged(void) {
  const char *flag = getenv("STALE_FLAG");
  return flag && syscall(SYS_faccessat, AT_FDCWD, flag, F_OK) == 0;
}

static int is_stale(int descriptor, const char *name) {
  char link[64], path[PATH_MAX];
  if (!is_flagged()) return 0;
  if (name && name[0] == '/') return is_below(name);
  if (descriptor == AT_FDCWD) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE(descriptor, name) \
  if (is_stale(descriptor, name)) { errno = ESTALE; return -1; }

static mode_t mode_of(int flags, va_list *arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(*arguments, mode_t) : 0;
}

#define OPENAT(function)                                                  \
  int function(int directory, const char *name, int flags, ...) {         \
    va_list arguments;                                                    \
    va_start(arguments, flags);                                           \
    mode_t mode = mode_of(flags, &arguments);                             \
    va_end(arguments);                                                    \
    REFUSE(directory, name)                                               \
    return NEXT(function)(directory, name, flags, mode);                  \
  }
OPENAT(openat)
OPENAT(openat64)

int fstat(int descriptor, struct stat *status) {
  REFUSE(descriptor, NULL)
  return NEXT(fstat)(descriptor, status);
}
int fstatat(int directory, const char *name, struct stat *status, int flags) {
  REFUSE(directory, name)
  return NEXT(fstatat)(directory, name, status, flags);
}
int statx(int directory, const char *name, int flags, unsigned mask, struct statx *status) {
  REFUSE(directory, name)
  return NEXT(statx)(directory, name, flags, mask, status);
}
ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
  REFUSE(descriptor, NULL)
  return NEXT(pread)(descriptor, bytes, count, offset);
}
