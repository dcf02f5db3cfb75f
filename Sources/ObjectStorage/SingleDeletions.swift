package import BackupTypes

/// How the deletion of one object ended.
package enum SingleDeletion: Sendable {
  /// The object is gone; false: it was not there before.
  case done(wasThere: Bool)
  /// The store works, but does not delete this object.
  case refused(LifeboatError)
  /// Another try may succeed.
  case failed(LifeboatError)
}

/// Deletes objects of a store that needs one request for each.
///
/// It repeats what failed as long as each pass deletes something. On a connection that loses one request in a
/// hundred, a thousand deletions never succeed in one pass, and the layer that retries would begin with the first
/// again.
package struct SingleDeletions: Sendable {
  package typealias Object = (name: String, key: String)
  /// The number of requests at the same time.
  private let concurrency: Int
  private let delete: @Sendable (Object) async throws -> SingleDeletion

  package init(
    concurrency: Int, delete: @escaping @Sendable (Object) async throws -> SingleDeletion
  ) {
    self.concurrency = concurrency
    self.delete = delete
  }

  /// - Returns: the refused ones by name, and whether any object was not there.
  /// - Throws: if a whole pass deletes nothing.
  package func run(_ objects: [Object]) async throws
    -> (refused: [String: LifeboatError], wasAbsent: Bool)
  {
    var refused: [String: LifeboatError] = [:]
    var wasAbsent = false
    var left = objects
    while !left.isEmpty {
      let pass = try await pass(over: left)
      refused.merge(pass.refused) { first, _ in first }
      wasAbsent = wasAbsent || pass.wasAbsent
      if let error = pass.error, pass.left.count == left.count { throw error }
      left = pass.left
    }
    return (refused, wasAbsent)
  }

  private struct Pass {
    var refused: [String: LifeboatError] = [:]
    var wasAbsent = false
    /// What has to be tried again, and the first error.
    var left: [Object] = []
    var error: LifeboatError?
  }

  private func pass(over objects: [Object]) async throws -> Pass {
    var pass = Pass()
    var answers = 0
    var rest = objects[...]
    try await withThrowingTaskGroup(of: (Object, SingleDeletion).self) { group in
      func start() {
        // If the store does nothing at all, the others are not tried.
        guard answers > 0 || pass.left.count < concurrency, let object = rest.popFirst() else {
          return
        }
        group.addTask { (object, try await delete(object)) }
      }
      for _ in 0..<concurrency { start() }
      while let (object, deletion) = try await group.next() {
        switch deletion {
        case .done(let wasThere):
          answers += 1
          if !wasThere { pass.wasAbsent = true }
        case .refused(let error):
          answers += 1
          pass.refused[object.name] = error
        case .failed(let error):
          pass.left.append(object)
          pass.error = pass.error ?? error
        }
        start()
      }
    }
    pass.left += rest
    return pass
  }
}
