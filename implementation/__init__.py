"""From start to close: checklists, evidence, issues, rollback, post-implementation review."""
