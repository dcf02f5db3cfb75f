/*
 * Answers the system calls of this process from a simulated machine, so that real code runs in a world that
 * a seed decides. Linked into the simulator only: its definitions take the place of glibc's in that one
 * program.
 *
 * While a simulation is active, paths below /sim, /proc and /sys, descriptors from CSIM_FIRST_DESCRIPTOR
 * on, the clocks, random numbers, and everything that Swift's concurrency would give to threads or timers
 * go to `struct csim_machine`. All else goes to the kernel. One thread only.
 */
#ifndef LIFEBOAT_CSIMULATION_H
#define LIFEBOAT_CSIMULATION_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#define CSIM_FIRST_DESCRIPTOR (1 << 24)

struct csim_status {
  uint64_t device, inode, size, links;
  uint32_t owner, group, mode;
  int64_t modified, changed, born; /* nanoseconds since 1970 */
};

/* Each call returns what the system call returns, or a negative errno. */
struct csim_machine {
  int (*open)(int directory, const char *path, int flags, uint32_t mode);
  void (*close)(int descriptor);
  /* An empty path means the descriptor itself. */
  int (*status)(int directory, const char *path, struct csim_status *result);
  int64_t (*read)(int descriptor, void *buffer, uint64_t count, int64_t offset);
  int64_t (*write)(int descriptor, const void *buffer, uint64_t count, int64_t offset);
  int (*truncate)(int descriptor, int64_t size);
  int (*synchronize)(int descriptor);
  int (*set_mode)(int descriptor, uint32_t mode);
  int (*set_modified)(int descriptor, int64_t nanoseconds);
  int (*lock)(int descriptor);
  int (*rename)(int from, const char *name, int to, const char *new_name, int no_replace);
  int (*link)(int from, const char *name, int to, const char *new_name);
  int (*remove)(int directory, const char *name, int is_directory);
  int (*make_directory)(int directory, const char *name, uint32_t mode);
  /* The entry of that index: its name into `name` (256 bytes), its type returned (DT_REG, DT_DIR); 0 behind
   * the last. */
  int (*entry)(int descriptor, int index, char *name);
  /* f_fsid of the volume. */
  int64_t (*volume)(int descriptor, const char *path);
  int64_t (*clock)(int is_wall); /* nanoseconds */
  uint64_t (*random)(void);
  /* A job of Swift's concurrency is ready after that time. */
  void (*enqueue)(void *job, int64_t nanoseconds);
};

/* Takes over Swift's global executor and timers for the rest of the process. */
void csim_install(const struct csim_machine *machine);
/* From now on the calls above are answered by the machine, or no longer. */
void csim_activate(int is_active);
/* Runs a job that `enqueue` was given. */
void csim_run(void *job);
/* The real monotonic clock, in nanoseconds. */
int64_t csim_real_time(void);
/* Writes `text` to standard error if the process is killed by a fault of its own: a trap, more memory than
 * so many bytes, or a run that is not over after so many seconds of the processor. */
void csim_guard(const char *text, unsigned int seconds, uint64_t bytes);

#pragma clang assume_nonnull end
#endif
