/*
 * The Linux calls that Swift's Glibc module does not import: variadic functions, GNU extensions
 * and raw system calls. One thin, typed function each; no policy. Unless it says otherwise, a
 * function returns 0, or -1 with errno set, exactly like the call it stands for.
 */
#ifndef LIFEBOAT_CLINUX_H
#define LIFEBOAT_CLINUX_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/* What statx(2) says about a file, in fixed-width fields. */
struct clinux_status {
  uint64_t device;   /* makedev(stx_dev_major, stx_dev_minor) */
  uint64_t inode;
  uint64_t size;     /* bytes */
  uint64_t links;
  uint32_t owner;
  uint32_t group;
  uint32_t mode;     /* file type and permission bits, as in st_mode */
  uint32_t has_born; /* 1 when the file system reported a birth time */
  int64_t modified_seconds, changed_seconds, born_seconds;
  uint32_t modified_nanoseconds, changed_nanoseconds, born_nanoseconds;
};

/* What statfs(2) says about a file system. */
struct clinux_file_system {
  uint64_t magic;        /* f_type */
  uint64_t identifier;   /* the two words of f_fsid */
  uint64_t block_size;   /* bytes: f_frsize, the unit of the block counts */
  uint64_t blocks;
  uint64_t blocks_available; /* to a process that is not privileged */
  uint64_t files;        /* 0 where the file system does not count inodes */
  uint64_t files_free;
};

/* statx(2) of `path` relative to `directory`, never following a final symbolic link. */
int clinux_status_at(int directory, const char *path, struct clinux_status *status);
/* statx(2) of an open descriptor. */
int clinux_status_of(int descriptor, struct clinux_status *status);
int clinux_file_system_at(const char *path, struct clinux_file_system *result);
int clinux_file_system_of(int descriptor, struct clinux_file_system *result);

/* openat(2), with its optional argument always given. Returns a descriptor. */
int clinux_openat(int directory, const char *path, int flags, uint32_t mode);
/* renameat2(2) with RENAME_NOREPLACE. */
int clinux_rename_no_replace(
    int from_directory, const char *from, int to_directory, const char *to);

/* renameat2(2) with RENAME_EXCHANGE. */
int clinux_rename_exchange(
    int from_directory, const char *from, int to_directory, const char *to);

/* flock(2), exclusive and without waiting: EWOULDBLOCK when another holds it. */
int clinux_try_lock(int descriptor);

/* fallocate(2) of the first `size` bytes, without the emulation of posix_fallocate(3). */
int clinux_allocate(int descriptor, int64_t size);
/* sync_file_range(2) with SYNC_FILE_RANGE_WRITE: begins the writing, and does not wait for its end. */
int clinux_begin_writeback(int descriptor, int64_t offset, int64_t count);

/* eventfd(2), non-blocking, close-on-exec. Returns a descriptor. */
int clinux_eventfd(void);
/* getrandom(2) without flags. Returns the count of bytes written, which can be short. */
ssize_t clinux_getrandom(void *buffer, size_t count);
/* pthread_setname_np(3): returns an error number; the name has at most 15 bytes. */
int clinux_name_thread(pthread_t thread, const char *name);

/* ioprio_set(2): puts one thread (0: the calling one) into the idle I/O class. */
int clinux_ioprio_idle(pid_t thread);
/* sched_setscheduler(2): puts the calling thread into SCHED_IDLE, which runs when nothing else wants to. */
int clinux_schedule_idle(void);
/* setpriority(2) for one thread (0: the calling one), unless it is already as nice. */
int clinux_nice(pid_t thread, int nice);
/* prctl(PR_SET_DUMPABLE, 0): no core dumps, and no ptrace by others of the same user. */
int clinux_disable_dumps(void);
/* mallopt(3). Returns 1 when all settings were taken. */
int clinux_tune_malloc(int mmap_threshold_bytes, int trim_threshold_bytes, int arenas_max);

/* Starts a program as the leader of a process group of its own, with null as its standard input, `output`
 * as its two others and none of our other descriptors, in `directory`. It is killed when the calling
 * THREAD ends, however that comes about: call it on one that lives as long as the process. Returns its
 * process id. */
pid_t clinux_spawn(
    const char *path, char *_Nullable const *_Nonnull arguments,
    char *_Nullable const *_Nonnull environment,
    const char *directory, int output);

#pragma clang assume_nonnull end
#endif
