#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "csimulation.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct csim_machine machine;
static int active;

/* What glibc would do. */
#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

static int is_ours(const char *path) {
  return strncmp(path, "/sim", 4) == 0 || strncmp(path, "/proc", 5) == 0 ||
         strncmp(path, "/sys", 4) == 0 || strcmp(path, "/etc/machine-id") == 0;
}
static int takes(int descriptor) { return active && descriptor >= CSIM_FIRST_DESCRIPTOR; }
static int takes_at(int directory, const char *path) {
  return active && (path[0] == '/' ? is_ours(path) : directory >= CSIM_FIRST_DESCRIPTOR);
}

static int64_t result(int64_t value) {
  if (value >= 0) return value;
  errno = (int)-value;
  return -1;
}

/* Files. */

int openat(int directory, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (takes_at(directory, path)) return (int)result(machine.open(directory, path, flags, mode));
  return REAL(openat)(directory, path, flags, mode);
}

int close(int descriptor) {
  if (!takes(descriptor)) return REAL(close)(descriptor);
  machine.close(descriptor);
  return 0;
}

ssize_t pread(int descriptor, void *buffer, size_t count, off_t offset) {
  if (takes(descriptor)) return result(machine.read(descriptor, buffer, count, offset));
  return REAL(pread)(descriptor, buffer, count, offset);
}

ssize_t pwrite(int descriptor, const void *buffer, size_t count, off_t offset) {
  if (takes(descriptor)) return result(machine.write(descriptor, buffer, count, offset));
  return REAL(pwrite)(descriptor, buffer, count, offset);
}

int fsync(int descriptor) {
  if (takes(descriptor)) return (int)result(machine.synchronize(descriptor));
  return REAL(fsync)(descriptor);
}

int ftruncate(int descriptor, off_t size) {
  if (takes(descriptor)) return (int)result(machine.truncate(descriptor, size));
  return REAL(ftruncate)(descriptor, size);
}

int fchmod(int descriptor, mode_t mode) {
  if (takes(descriptor)) return (int)result(machine.set_mode(descriptor, mode));
  return REAL(fchmod)(descriptor, mode);
}

int fchown(int descriptor, uid_t owner, gid_t group) {
  if (takes(descriptor)) return 0;
  return REAL(fchown)(descriptor, owner, group);
}

int futimens(int descriptor, const struct timespec times[2]) {
  if (!takes(descriptor)) return REAL(futimens)(descriptor, times);
  return (int)result(
      machine.set_modified(descriptor, times[1].tv_sec * 1000000000 + times[1].tv_nsec));
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  if (takes(descriptor)) return (int)result(-EOPNOTSUPP);
  return REAL(fallocate)(descriptor, mode, offset, size);
}

int sync_file_range(int descriptor, off64_t offset, off64_t count, unsigned int flags) {
  if (takes(descriptor)) return 0;
  return REAL(sync_file_range)(descriptor, offset, count, flags);
}

int posix_fadvise(int descriptor, off_t offset, off_t count, int advice) {
  if (takes(descriptor)) return 0;
  return REAL(posix_fadvise)(descriptor, offset, count, advice);
}

int flock(int descriptor, int operation) {
  if (takes(descriptor)) return (int)result(machine.lock(descriptor));
  return REAL(flock)(descriptor, operation);
}

/* Names. */

int renameat2(int from, const char *name, int to, const char *new_name, unsigned int flags) {
  if (!takes_at(from, name)) return REAL(renameat2)(from, name, to, new_name, flags);
  if (flags & RENAME_EXCHANGE) { /* As on NFS. */
    errno = EINVAL;
    return -1;
  }
  return (int)result(machine.rename(from, name, to, new_name, flags == RENAME_NOREPLACE));
}

int renameat(int from, const char *name, int to, const char *new_name) {
  if (!takes_at(from, name)) return REAL(renameat)(from, name, to, new_name);
  return (int)result(machine.rename(from, name, to, new_name, 0));
}

int linkat(int from, const char *name, int to, const char *new_name, int flags) {
  if (!takes_at(from, name)) return REAL(linkat)(from, name, to, new_name, flags);
  return (int)result(machine.link(from, name, to, new_name));
}

int unlinkat(int directory, const char *name, int flags) {
  if (!takes_at(directory, name)) return REAL(unlinkat)(directory, name, flags);
  return (int)result(machine.remove(directory, name, flags == AT_REMOVEDIR));
}

int mkdirat(int directory, const char *name, mode_t mode) {
  if (!takes_at(directory, name)) return REAL(mkdirat)(directory, name, mode);
  return (int)result(machine.make_directory(directory, name, mode));
}

static int look(int directory, const char *path, struct csim_status *status) {
  return (int)result(machine.status(directory, path, status));
}

static struct statx_timestamp stamp(int64_t nanoseconds) {
  struct statx_timestamp time = {0};
  time.tv_sec = nanoseconds / 1000000000;
  time.tv_nsec = (uint32_t)(nanoseconds % 1000000000);
  return time;
}

int statx(int directory, const char *path, int flags, unsigned int mask, struct statx *answer) {
  if (path[0] == 0 ? !takes(directory) : !takes_at(directory, path))
    return REAL(statx)(directory, path, flags, mask, answer);
  struct csim_status status;
  if (look(directory, path, &status) != 0) return -1;
  memset(answer, 0, sizeof *answer);
  answer->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
  answer->stx_dev_major = major(status.device);
  answer->stx_dev_minor = minor(status.device);
  answer->stx_ino = status.inode;
  answer->stx_size = status.size;
  answer->stx_nlink = (uint32_t)status.links;
  answer->stx_uid = status.owner;
  answer->stx_gid = status.group;
  answer->stx_mode = (uint16_t)status.mode;
  answer->stx_mtime = stamp(status.modified);
  answer->stx_ctime = stamp(status.changed);
  answer->stx_btime = stamp(status.born);
  return 0;
}

static void fill(struct stat *answer, const struct csim_status *status) {
  memset(answer, 0, sizeof *answer);
  answer->st_dev = status->device;
  answer->st_ino = status->inode;
  answer->st_size = (off_t)status->size;
  answer->st_nlink = status->links;
  answer->st_mode = status->mode;
}

int fstatat(int directory, const char *restrict path, struct stat *restrict answer, int flags) {
  if (!takes_at(directory, path)) return REAL(fstatat)(directory, path, answer, flags);
  struct csim_status status;
  if (look(directory, path, &status) != 0) return -1;
  fill(answer, &status);
  return 0;
}

int stat(const char *restrict path, struct stat *restrict answer) {
  if (!takes_at(AT_FDCWD, path)) return REAL(stat)(path, answer);
  struct csim_status status;
  if (look(AT_FDCWD, path, &status) != 0) return -1;
  fill(answer, &status);
  return 0;
}

int access(const char *path, int mode) {
  if (!takes_at(AT_FDCWD, path)) return REAL(access)(path, mode);
  struct csim_status status;
  return look(AT_FDCWD, path, &status);
}

/* A volume of 1 GiB, half of it free, of the kind of ext4. */
static int space(int64_t identifier, struct statfs *answer) {
  if (identifier < 0) return (int)result(identifier);
  memset(answer, 0, sizeof *answer);
  answer->f_type = 0xef53;
  answer->f_bsize = answer->f_frsize = 4096;
  answer->f_blocks = 1 << 18;
  answer->f_bfree = answer->f_bavail = 1 << 17;
  memcpy(&answer->f_fsid, &identifier, sizeof answer->f_fsid);
  return 0;
}

int statfs(const char *path, struct statfs *answer) {
  if (!takes_at(AT_FDCWD, path)) return REAL(statfs)(path, answer);
  return space(machine.volume(AT_FDCWD, path), answer);
}

int fstatfs(int descriptor, struct statfs *answer) {
  if (!takes(descriptor)) return REAL(fstatfs)(descriptor, answer);
  return space(machine.volume(descriptor, ""), answer);
}

/* Directories. */

#define STREAM_MARK 0x5157eau
struct stream {
  uint32_t mark;
  int descriptor;
  int index;
  struct dirent entry;
};
/* The first word of glibc's own is a descriptor, which is never that large. */
static struct stream *ours(DIR *stream) {
  struct stream *found = (struct stream *)stream;
  return found->mark == STREAM_MARK ? found : NULL;
}

DIR *fdopendir(int descriptor) {
  if (!takes(descriptor)) return REAL(fdopendir)(descriptor);
  struct stream *made = calloc(1, sizeof *made);
  if (made == NULL) abort();
  made->mark = STREAM_MARK;
  made->descriptor = descriptor;
  return (DIR *)made;
}

struct dirent *readdir(DIR *directory) {
  struct stream *stream = ours(directory);
  if (stream == NULL) return REAL(readdir)(directory);
  int type = machine.entry(stream->descriptor, stream->index, stream->entry.d_name);
  if (type < 0) errno = -type;
  if (type <= 0) return NULL;
  stream->index++;
  stream->entry.d_type = (unsigned char)type;
  return &stream->entry;
}

int closedir(DIR *directory) {
  struct stream *stream = ours(directory);
  if (stream == NULL) return REAL(closedir)(directory);
  machine.close(stream->descriptor);
  free(stream);
  return 0;
}

/* The rest of the machine. */

/* No inotify: the product polls, as on a network file system. */
int inotify_init1(int flags) {
  if (!active) return REAL(inotify_init1)(flags);
  errno = ENOSYS;
  return -1;
}

int gethostname(char *name, size_t size) {
  if (!active) return REAL(gethostname)(name, size);
  strncpy(name, "simulated", size);
  return 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (!active) return (int)syscall(SYS_clock_gettime, clock, time);
  int64_t now = machine.clock(clock == CLOCK_REALTIME);
  time->tv_sec = now / 1000000000;
  time->tv_nsec = now % 1000000000;
  return 0;
}

static ssize_t fill_random(unsigned char *buffer, size_t count) {
  for (size_t i = 0; i < count; i += 8) {
    uint64_t word = machine.random();
    memcpy(buffer + i, &word, count - i < 8 ? count - i : 8);
  }
  return (ssize_t)count;
}

ssize_t getrandom(void *buffer, size_t count, unsigned int flags) {
  if (active) return fill_random(buffer, count);
  return syscall(SYS_getrandom, buffer, count, flags);
}

/* Swift's standard library asks for random numbers in this way. */
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
  long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
  va_end(rest);
  if (active && number == SYS_getrandom) return fill_random((unsigned char *)a, (size_t)b);
  return ((long (*)(long, ...))real("syscall"))(number, a, b, c, d, e, f);
}

/* Swift's concurrency. */

#define SWIFTCALL __attribute__((swiftcall))

static SWIFTCALL void enqueue(void *job, void *original) {
  (void)original;
  machine.enqueue(job, 0);
}

static SWIFTCALL void enqueue_delayed(unsigned long long delay, void *job, void *original) {
  (void)original;
  machine.enqueue(job, (int64_t)delay);
}

static void enqueue_at(int64_t time, void *job) {
  int64_t now = machine.clock(0);
  machine.enqueue(job, time > now ? time - now : 0);
}

static SWIFTCALL void enqueue_deadline(
    long long seconds, long long nanoseconds, long long tolerance_seconds,
    long long tolerance_nanoseconds, int clock, void *job, void *original) {
  (void)tolerance_seconds, (void)tolerance_nanoseconds, (void)clock, (void)original;
  enqueue_at(seconds * 1000000000 + nanoseconds, job);
}

/* How the default executor sleeps. The two highest bits say which clock; the job is the context. */
void dispatch_after_f(uint64_t when, void *queue, void *context, void (*work)(void *)) {
  (void)queue, (void)work;
  enqueue_at((int64_t)(when & ((1ull << 62) - 1)), context);
}

/* Of the concurrency runtime: what it calls instead of its own pool of threads. */
extern void *swift_task_enqueueGlobal_hook, *swift_task_enqueueMainExecutor_hook;
extern void *swift_task_enqueueGlobalWithDelay_hook, *swift_task_enqueueGlobalWithDeadline_hook;

void csim_install(const struct csim_machine *given) {
  machine = *given;
  swift_task_enqueueGlobal_hook = (void *)enqueue;
  swift_task_enqueueMainExecutor_hook = (void *)enqueue;
  swift_task_enqueueGlobalWithDelay_hook = (void *)enqueue_delayed;
  swift_task_enqueueGlobalWithDeadline_hook = (void *)enqueue_deadline;
}

void csim_activate(int is_active) { active = is_active; }

struct executor {
  void *identity, *implementation;
};
extern SWIFTCALL void swift_job_run(void *job, struct executor executor);

void csim_run(void *job) {
  struct executor generic = {NULL, NULL};
  swift_job_run(job, generic);
}

int64_t csim_real_time(void) {
  struct timespec time;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

static char crash_text[512];

static void crashed(int number) {
  if (write(2, crash_text, strlen(crash_text)) < 0) _exit(70);
  signal(number, SIG_DFL);
  raise(number);
}

void csim_guard(const char *text, unsigned int seconds, uint64_t bytes) {
  struct rlimit limit = {bytes, bytes};
  setrlimit(RLIMIT_DATA, &limit);
  // Of the processor, so that a busy machine changes nothing.
  const struct itimerval end = {{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &end, NULL);
  strncpy(crash_text, text, sizeof crash_text - 1);
  const int numbers[] = {SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGPROF};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], crashed);
}
