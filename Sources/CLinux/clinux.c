#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int status(int directory, const char *path, int flags, struct clinux_status *result) {
  struct statx x;
  memset(&x, 0, sizeof x);
  if (statx(directory, path, flags, STATX_BASIC_STATS | STATX_BTIME, &x) != 0) return -1;
  memset(result, 0, sizeof *result);
  result->device = makedev(x.stx_dev_major, x.stx_dev_minor);
  result->inode = x.stx_ino;
  result->size = x.stx_size;
  result->links = x.stx_nlink;
  result->owner = x.stx_uid;
  result->group = x.stx_gid;
  result->mode = x.stx_mode;
  result->modified_seconds = x.stx_mtime.tv_sec;
  result->modified_nanoseconds = x.stx_mtime.tv_nsec;
  result->changed_seconds = x.stx_ctime.tv_sec;
  result->changed_nanoseconds = x.stx_ctime.tv_nsec;
  if (x.stx_mask & STATX_BTIME) {
    result->has_born = 1;
    result->born_seconds = x.stx_btime.tv_sec;
    result->born_nanoseconds = x.stx_btime.tv_nsec;
  }
  return 0;
}

int clinux_status_at(int directory, const char *path, struct clinux_status *result) {
  return status(directory, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, result);
}

int clinux_status_of(int descriptor, struct clinux_status *result) {
  return status(descriptor, "", AT_EMPTY_PATH, result);
}

static void copy_file_system(const struct statfs *s, struct clinux_file_system *result) {
  uint32_t words[2];
  _Static_assert(sizeof words == sizeof s->f_fsid, "f_fsid is two words");
  memcpy(words, &s->f_fsid, sizeof words);
  result->magic = (uint32_t)s->f_type;
  result->identifier = (uint64_t)words[1] << 32 | words[0];
  result->block_size = s->f_frsize > 0 ? (uint64_t)s->f_frsize : (uint64_t)s->f_bsize;
  result->blocks = s->f_blocks;
  result->blocks_available = s->f_bavail;
  result->files = s->f_files;
  result->files_free = s->f_ffree;
}

int clinux_file_system_at(const char *path, struct clinux_file_system *result) {
  struct statfs s;
  if (statfs(path, &s) != 0) return -1;
  copy_file_system(&s, result);
  return 0;
}

int clinux_file_system_of(int descriptor, struct clinux_file_system *result) {
  struct statfs s;
  if (fstatfs(descriptor, &s) != 0) return -1;
  copy_file_system(&s, result);
  return 0;
}

int clinux_openat(int directory, const char *path, int flags, uint32_t mode) {
  return openat(directory, path, flags, (mode_t)mode);
}

int clinux_rename_no_replace(
    int from_directory, const char *from, int to_directory, const char *to) {
  return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int clinux_rename_exchange(
    int from_directory, const char *from, int to_directory, const char *to) {
  return renameat2(from_directory, from, to_directory, to, RENAME_EXCHANGE);
}

int clinux_try_lock(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB); }

int clinux_begin_writeback(int descriptor, int64_t offset, int64_t count) {
  return sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

int clinux_allocate(int descriptor, int64_t size) { return fallocate(descriptor, 0, 0, size); }

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

ssize_t clinux_getrandom(void *buffer, size_t count) { return getrandom(buffer, count, 0); }

int clinux_name_thread(pthread_t thread, const char *name) {
  return pthread_setname_np(thread, name);
}

/* <linux/ioprio.h> is not in every libc-dev: class 3 is idle, the class stands above bit 13, and
 * 1 is IOPRIO_WHO_PROCESS, which is one thread. */
int clinux_ioprio_idle(pid_t thread) {
  return (int)syscall(SYS_ioprio_set, 1, thread, 3 << 13);
}

int clinux_schedule_idle(void) {
  struct sched_param parameters = {.sched_priority = 0};
  return sched_setscheduler(0, SCHED_IDLE, &parameters);
}

int clinux_nice(pid_t thread, int nice) {
  errno = 0;
  int now = getpriority(PRIO_PROCESS, (id_t)thread);
  if (now == -1 && errno != 0) return -1;
  if (now >= nice) return 0;
  return setpriority(PRIO_PROCESS, (id_t)thread, nice);
}

int clinux_disable_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int clinux_tune_malloc(int mmap_threshold_bytes, int trim_threshold_bytes, int arenas_max) {
  int threshold = mallopt(M_MMAP_THRESHOLD, mmap_threshold_bytes);
  int trim = mallopt(M_TRIM_THRESHOLD, trim_threshold_bytes);
  int arenas = mallopt(M_ARENA_MAX, arenas_max);
  return threshold == 1 && trim == 1 && arenas == 1;
}

/* In the child, between fork and exec: async-signal-safe calls only, since other threads may have held
 * locks. Tells why it failed through `report`. */
static void become(
    const char *path, char *const *arguments, char *const *environment, const char *directory,
    int output, int report, pid_t parent) {
  int failure = 0;
  sigset_t none;
  sigemptyset(&none);
  int input = open("/dev/null", O_RDONLY);
  if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
      chdir(directory) != 0 || input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
      dup2(output, 2) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
      signal(SIGPIPE, SIG_DFL) == SIG_ERR)
    failure = errno;
  /* The parent may have ended before the kernel knew whose death to watch. */
  if (failure == 0 && getppid() != parent) failure = ESRCH;
  if (failure == 0) {
    /* Ours are close-on-exec; a library's may not be. 4 is CLOSE_RANGE_CLOEXEC: what reports must stay
     * open until exec. An old kernel lacks the call. */
    syscall(SYS_close_range, 3, ~0U, 4);
    execve(path, arguments, environment);
    failure = errno;
  }
  while (write(report, &failure, sizeof failure) < 0 && errno == EINTR) {}
  _exit(127);
}

pid_t clinux_spawn(
    const char *path, char *const *arguments, char *const *environment, const char *directory,
    int output) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -1;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0)
    become(path, arguments, environment, directory, output, report[1], parent);
  int failure = child < 0 ? errno : 0;
  close(report[1]);
  if (child > 0) {
    setpgid(child, child); /* Whoever is first: a kill of the group must find it. */
    ssize_t count;
    do {
      count = read(report[0], &failure, sizeof failure);
    } while (count < 0 && errno == EINTR);
    if (count != (ssize_t)sizeof failure) failure = 0;
    if (failure != 0) {
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
  }
  close(report[0]);
  if (failure == 0) return child;
  errno = failure;
  return -1;
}
