import CLinux
import Glibc

/// One thread sleeps here until it is woken or the time is over. It is a condition variable on the monotonic
/// clock. A wake-up before the wait is not lost.
///
/// `@unchecked Sendable`: `isSet` is touched only between `lock` and `unlock` of `mutex`.
package final class WaitPoint: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var isSet = false

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func signal() {
    pthread_mutex_lock(mutex)
    isSet = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Blocks the calling thread, which must belong to a `BlockingPool` or to the caller.
  package func wait(milliseconds: Int64) {
    var deadline = Glibc.timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let nanoseconds = Int64(deadline.tv_nsec) + milliseconds % 1000 * 1_000_000
    deadline.tv_sec += Int(milliseconds / 1000 + nanoseconds / 1_000_000_000)
    deadline.tv_nsec = Int(nanoseconds % 1_000_000_000)
    pthread_mutex_lock(mutex)
    while !isSet {
      if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
    }
    isSet = false
    pthread_mutex_unlock(mutex)
  }
}
