import Glibc

/// Whether the mutation of that name is switched on. `scripts/mutants` makes one build with all mutations of
/// Tests/Mutants/switched. `LIFEBOAT_MUTANT` selects one of them.
package func isMutated(_ name: String) -> Bool { active == name }

private let active = getenv("LIFEBOAT_MUTANT").map { String(cString: $0) }
