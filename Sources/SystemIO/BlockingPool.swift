package import BackupTypes
import CLinux
import Glibc

/// A fixed number of threads for work that blocks: file and network I/O, compression, hashing.
///
/// Use it with `withTaskExecutorPreference(pool) { … }`. Structured child tasks inherit the preference, but
/// actors with their own executor do not. Switch to it once per piece of work, since switching there and back
/// costs about as much as hashing 100 KiB.
///
/// The queue has one entry per runnable task, so limiting the tasks limits the queue. After the last
/// reference is released, queued work still runs, and then the threads exit.
package final class BlockingPool: TaskExecutor, Sendable {
  private let queue = JobQueue()

  /// - Parameters:
  ///   - name: the name of the threads. A number is appended, and the result is cut to 15 bytes.
  ///   - threads: at least 1.
  ///   - isIdle: whether the threads only run when no other program wants to, if the system allows it. Such a
  ///     thread can hold a lock for long, so it must not do work that takes locks of a file system.
  package init(name: String, threads: Int, isIdle: Bool = false) throws(LifeboatError) {
    precondition(threads >= 1, "a pool of \(threads) threads")
    for number in 0..<threads {
      let thread = try SystemThread(name: "\(name)-\(number)") { [queue] in
        if isIdle { _ = clinux_schedule_idle() }
        while let job = queue.next() { job.run() }
      }
      thread.detach()
    }
  }

  deinit { queue.close() }

  package func enqueue(_ job: consuming ExecutorJob) {
    queue.append(JobQueue.Job(job: UnownedJob(job), executor: asUnownedTaskExecutor()))
  }
}

/// First in, first out.
///
/// `@unchecked Sendable`: `jobs`, `head` and `isClosed` are touched only between `lock` and
/// `unlock` of `mutex`, by the four methods below.
private final class JobQueue: @unchecked Sendable {
  struct Job: Sendable {
    let job: UnownedJob
    let executor: UnownedTaskExecutor
    func run() { job.runSynchronously(on: executor) }
  }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let arrival = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var jobs: [Job] = []
  private var head = 0
  private var isClosed = false

  init() {
    mutex.initialize(to: pthread_mutex_t())
    arrival.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(arrival, nil)
  }

  deinit {
    pthread_cond_destroy(arrival)
    pthread_mutex_destroy(mutex)
    arrival.deallocate()
    mutex.deallocate()
  }

  func append(_ job: Job) {
    pthread_mutex_lock(mutex)
    jobs.append(job)
    pthread_cond_signal(arrival)
    pthread_mutex_unlock(mutex)
  }

  /// Waits for the next job; nil if the queue is closed and empty.
  func next() -> Job? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while head == jobs.count {
      if isClosed { return nil }
      pthread_cond_wait(arrival, mutex)
    }
    let job = jobs[head]
    head += 1
    if head == jobs.count || head == 64 {
      jobs.removeFirst(head)
      head = 0
    }
    return job
  }

  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_broadcast(arrival)
    pthread_mutex_unlock(mutex)
  }
}
