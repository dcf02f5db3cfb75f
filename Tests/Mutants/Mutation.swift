import Glibc

/// Whether this run has the mutation of that name. All mutations of Tests/Mutants/switched are in one build,
/// which `scripts/mutants` makes; `LIFEBOAT_MUTANT` chooses one.
package func isMutated(_ name: String) -> Bool { active == name }

private let active = getenv("LIFEBOAT_MUTANT").map { String(cString: $0) }
