"""The lines of a checklist as values: phase, words, command, requirement, depth and heading (A21,
A39).
"""

from __future__ import annotations

from implementation.evidence.checklist import Item, items_for

HEALTH = "./scripts/operations/health-check.ps1 -Detailed"
STEPS = """# Search

- Deploy 3.2

      deploy.ps1 -Tag pre-$changeId

  - Only node 1
"""


def test_the_whole_checklist_line_by_line() -> None:
    """R54, R55, R56, R57, R58, R59, R60, R61, R62, R63, R64, R65, R66, R67, R68, R69, R70, R71: in
    this order, each with its number.
    """
    assert items_for(
        number="CR-2024-01-15-001",
        implementation_steps=STEPS,
        rollback_plan="## Back\n- Redeploy $changeId\n  - On node 1",
    ) == [
        Item("pre", "Verify prerequisites: detailed health check", HEALTH, "R55"),
        Item("pre", "Back up the full system", "./scripts/backup/full-system-backup.ps1", "R56"),
        Item("pre", "Tag the state to come back to", 'git tag "pre-CR-2024-01-15-001"', "R57"),
        Item(
            "pre",
            "Note the images to come back to",
            'docker images | grep ecommerce > "rollback-images-CR-2024-01-15-001.txt"',
            "R58",
        ),
        Item("start", "Notify stakeholders", "", "R59"),
        Item("start", "Verify system health", HEALTH, "R60"),
        Item("start", "Begin implementation", "", "R61"),
        Item("during", "Deploy 3.2", "deploy.ps1 -Tag pre-CR-2024-01-15-001", "R62", 1, "Search"),
        Item("during", "Only node 1", "", "R62", 2, "Search"),
        Item("during", "Monitor system health continuously", "", "R63"),
        Item("during", "Document any deviations", "", "R64"),
        Item("post", "Verify functionality", HEALTH, "R65, R69"),
        Item("post", "Run smoke tests", "./scripts/testing/smoke-tests.ps1", "R66, R70"),
        Item(
            "post",
            "Monitor for issues",
            "./scripts/monitoring/check-metrics.ps1 -Duration 30",
            "R67, R71",
        ),
        Item("post", "Update documentation", "", "R68"),
        Item("rollback", "Redeploy $changeId", "", "", 1, "Back"),
        Item("rollback", "On node 1", "", "", 2, "Back"),
    ]


def test_a_rollbacks_commands_have_the_number_too() -> None:
    """R54, R97, R98: what is copied at night is complete."""
    *_, last = items_for(
        number="CR-2026-10-06-1000",
        implementation_steps="Deploy",
        rollback_plan="Go back\n\n```\nback.ps1 $changeId $changeId\n```",
    )
    assert last == Item("rollback", "Go back", "back.ps1 CR-2026-10-06-1000 CR-2026-10-06-1000")
