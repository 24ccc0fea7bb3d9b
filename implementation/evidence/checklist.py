"""What the implementation checklist of a change consists of (R54-R71): pure, from the change's own
words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from implementation.run.steps import Step, steps_of

PRE, START, DURING, POST, ROLLBACK = "pre", "start", "during", "post", "rollback"


@dataclass(frozen=True)
class Item:
    """One line to tick off: its phase, what to do or see, the command, and the requirement behind
    it.
    """

    phase: str
    text: str
    command: str = ""
    requirement: str = ""
    level: int = 1
    group: str = ""


BEFORE = (
    Item(
        PRE,
        "Verify prerequisites: detailed health check",
        "./scripts/operations/health-check.ps1 -Detailed",
        "R55",
    ),
    Item(PRE, "Back up the full system", "./scripts/backup/full-system-backup.ps1", "R56"),
    Item(PRE, "Tag the state to come back to", 'git tag "pre-$changeId"', "R57"),
    Item(
        PRE,
        "Note the images to come back to",
        'docker images | grep ecommerce > "rollback-images-$changeId.txt"',
        "R58",
    ),
    Item(START, "Notify stakeholders", "", "R59"),
    Item(START, "Verify system health", "./scripts/operations/health-check.ps1 -Detailed", "R60"),
    Item(START, "Begin implementation", "", "R61"),
)
ALONGSIDE = (
    Item(DURING, "Monitor system health continuously", "", "R63"),
    Item(DURING, "Document any deviations", "", "R64"),
)
AFTER = (
    Item(
        POST, "Verify functionality", "./scripts/operations/health-check.ps1 -Detailed", "R65, R69"
    ),
    Item(POST, "Run smoke tests", "./scripts/testing/smoke-tests.ps1", "R66, R70"),
    Item(
        POST,
        "Monitor for issues",
        "./scripts/monitoring/check-metrics.ps1 -Duration 30",
        "R67, R71",
    ),
    Item(POST, "Update documentation", "", "R68"),
)


def _item(phase: str, step: Step, requirement: str = "") -> Item:
    return Item(phase, step.words, step.command, requirement, step.level, step.group)


def items_for(*, number: str, implementation_steps: str, rollback_plan: str) -> list[Item]:
    """The whole checklist, by phase, with the change's number in the commands (R54, A21)."""
    steps = [_item(DURING, step, "R62") for step in steps_of(implementation_steps)]
    back = [_item(ROLLBACK, step) for step in steps_of(rollback_plan)]
    return [
        replace(item, command=item.command.replace("$changeId", number))
        for item in (*BEFORE, *steps, *ALONGSIDE, *AFTER, *back)
    ]
