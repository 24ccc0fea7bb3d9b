"""The checklist of a run, item by item: texts, and commands as the document has them (R54)."""

from __future__ import annotations

import re

import pytest

from implementation.evidence.checklist import items_for
from tests.implementation.road import MORNING, Road, Sit

pytestmark = pytest.mark.django_db
HEALTH = "./scripts/operations/health-check.ps1 -Detailed"
#: (phase, text, command) for the document's example, CR-2024-01-15-001; commands to the letter.
BEFORE = [
    ("pre", "Verify prerequisites: detailed health check", HEALTH),
    ("pre", "Back up the full system", "./scripts/backup/full-system-backup.ps1"),
    ("pre", "Tag the state to come back to", 'git tag "pre-CR-2024-01-15-001"'),
    (
        "pre",
        "Note the images to come back to",
        'docker images | grep ecommerce > "rollback-images-CR-2024-01-15-001.txt"',
    ),
    ("start", "Notify stakeholders", ""),
    ("start", "Verify system health", HEALTH),
    ("start", "Begin implementation", ""),
]
ALONGSIDE = [
    ("during", "Monitor system health continuously", ""),
    ("during", "Document any deviations", ""),
]
AFTER = [
    ("post", "Verify functionality", HEALTH),
    ("post", "Run smoke tests", "./scripts/testing/smoke-tests.ps1"),
    (
        "post",
        "Monitor for issues",
        "./scripts/monitoring/check-metrics.ps1 -Duration 30",
    ),
    ("post", "Update documentation", ""),
]


Line = tuple[str, str, str]


def checklist(steps: str, back: str, number: str = "CR-2024-01-15-001") -> list[Line]:
    found = items_for(number=number, implementation_steps=steps, rollback_plan=back)
    return [(item.phase, item.text, item.command) for item in found]


def test_the_checklist_of_a_change_is_the_documents() -> None:
    """R54, R55, R56, R57, R58, R59, R60, R61, R62, R63, R64, R65, R66, R67, R68, R69, R70, R71."""
    forth, back = "1. Deploy search 3.2\n2. Switch the interval", "Set it back\nRedeploy 3.1"
    assert checklist(forth, back) == [
        *BEFORE,
        ("during", "Deploy search 3.2", ""),
        ("during", "Switch the interval", ""),
        *ALONGSIDE,
        *AFTER,
        ("rollback", "Set it back", ""),
        ("rollback", "Redeploy 3.1", ""),
    ]


def test_the_commands_carry_the_number_of_their_own_change() -> None:
    """R57, R58, A14, A21: also one that has grown past 999."""
    found = checklist("x", "y", "CR-2026-12-31-1000")
    assert [command for phase, _, command in found if phase == "pre"] == [
        "./scripts/operations/health-check.ps1 -Detailed",
        "./scripts/backup/full-system-backup.ps1",
        'git tag "pre-CR-2026-12-31-1000"',
        'docker images | grep ecommerce > "rollback-images-CR-2026-12-31-1000.txt"',
    ]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Restart the gateway", ["Restart the gateway"]),
        ("1. Drain\n2. Deploy\n3. Fill", ["Drain", "Deploy", "Fill"]),
        ("1) Drain\n2) Deploy", ["Drain", "Deploy"]),
        ("- Drain\n- Deploy", ["Drain", "Deploy"]),
        ("* Drain\n* Deploy", ["Drain", "Deploy"]),
        ("Drain\n\n\nDeploy\n", ["Drain", "Deploy"]),
        ("  Drain  \r\n  Deploy  \r\n", ["Drain", "Deploy"]),
        ("10. Deploy 3.2\n11. Set -1 as the limit", ["Deploy 3.2", "Set -1 as the limit"]),
    ],
)
def test_each_step_and_each_line_of_the_way_back_is_an_item(text: str, steps: list[str]) -> None:
    """R22, R23, R62, R145: without number or bullet; empty lines are none, nothing merges."""
    assert checklist(text, "Back") == [
        *BEFORE,
        *[("during", step, "") for step in steps],
        *ALONGSIDE,
        *AFTER,
        ("rollback", "Back", ""),
    ]
    assert checklist("Forth", text)[-len(steps) - 1 :] == [
        AFTER[-1],
        *[("rollback", step, "") for step in steps],
    ]


#: The checklist of `tests.world.FULL`, as the API tells it.
OF_THE_INDEX = [
    ("pre", "Verify prerequisites: detailed health check", HEALTH, "open", ""),
    ("pre", "Back up the full system", "./scripts/backup/full-system-backup.ps1", "open", ""),
    ("pre", "Tag the state to come back to", 'git tag "pre-NUMBER"', "open", ""),
    (
        "pre",
        "Note the images to come back to",
        'docker images | grep ecommerce > "rollback-images-NUMBER.txt"',
        "open",
        "",
    ),
    ("start", "Notify stakeholders", "", "open", ""),
    ("start", "Verify system health", HEALTH, "open", ""),
    ("start", "Begin implementation", "", "open", ""),
    ("during", "Deploy search 3.2", "", "open", ""),
    ("during", "Switch the refresh interval to 5 s", "", "open", ""),
    ("during", "Monitor system health continuously", "", "open", ""),
    ("during", "Document any deviations", "", "open", ""),
    ("post", "Verify functionality", HEALTH, "open", ""),
    ("post", "Run smoke tests", "./scripts/testing/smoke-tests.ps1", "open", ""),
    (
        "post",
        "Monitor for issues",
        "./scripts/monitoring/check-metrics.ps1 -Duration 30",
        "open",
        "",
    ),
    ("post", "Update documentation", "", "open", ""),
    ("rollback", "Set the interval back to 20 min", "", "open", ""),
    ("rollback", "Redeploy search 3.1", "", "open", ""),
]


def told(desk: Sit, number: str) -> list[tuple[str, ...]]:
    names = ("phase", "text", "command", "state", "note")
    found = desk("auditor").get(f"/changes/{number}/checklist")["items"]
    return [tuple(item[name] for name in names) for item in found]


@pytest.mark.parametrize("priority", ["P0", "P2", "P3"])
def test_a_change_has_its_checklist_from_approval_on(desk: Sit, road: Road, priority: str) -> None:
    """R54, R145, contract.md: for every priority, with its own number in its commands."""
    road.at(MORNING)
    number = str(desk("engineer").submit(priority)["id"])
    assert told(desk, number) == []
    if priority == "P0":
        desk("cto").decide(number, "emergency")
    else:
        road.approve(number, priority)
    expected = [tuple(part.replace("NUMBER", number) for part in line) for line in OF_THE_INDEX]
    assert told(desk, number) == expected


def test_an_edited_plan_has_a_new_checklist_when_approved_again(desk: Sit, road: Road) -> None:
    """R54, R62: the steps are those that were approved; what was ticked before is open again."""
    road.at(MORNING)
    number = str(desk("engineer").submit("P3")["id"])
    road.approve(number, "P3")
    desk("devops").tick_off(number, "pre")
    version = desk("engineer").get(f"/changes/{number}")["version"]
    edit = {"version": version, "implementation_steps": "Deploy search 3.3"}
    desk("engineer").patch(f"/changes/{number}", edit)
    road.approve(number, "P3")
    assert [(item["text"], item["state"]) for item in road.items(number, "during")] == [
        ("Deploy search 3.3", "open"),
        ("Monitor system health continuously", "open"),
        ("Document any deviations", "open"),
    ]
    assert {item["state"] for item in road.items(number, "pre")} == {"open"}


def test_the_page_shows_the_commands_and_copies_what_it_shows(road: Road) -> None:
    """R55, R56, R57, R58, R60, R69, R70, R71, A21: to copy, with nothing left to fill in."""
    number = road.scheduled()
    commands = [
        "./scripts/operations/health-check.ps1 -Detailed",
        "./scripts/backup/full-system-backup.ps1",
        f'git tag "pre-{number}"',
        f'docker images | grep ecommerce > "rollback-images-{number}.txt"',
        "./scripts/operations/health-check.ps1 -Detailed",
        "./scripts/operations/health-check.ps1 -Detailed",
        "./scripts/testing/smoke-tests.ps1",
        "./scripts/monitoring/check-metrics.ps1 -Duration 30",
    ]
    shown = road.page(number)
    assert re.findall(r'<div class="cmd"><code>(.*?)</code>', shown) == commands
    assert re.findall(r'data-copy="(.*?)">', shown) == commands


def test_an_item_of_ones_own_stands_at_the_end_of_its_phase(desk: Sit, road: Road) -> None:
    """R54, contract.md: anybody of the run adds one; it counts as the others do."""
    number = road.scheduled()
    own = {"phase": "pre", "text": "Warm the cache", "command": "./warm.sh"}
    added = desk("devops2").post(f"/changes/{number}/checklist", own, expect=201)
    assert added == added | own | {"state": "open", "note": "", "output": ""}
    assert [item["text"] for item in road.items(number, "pre")] == [
        "Verify prerequisites: detailed health check",
        "Back up the full system",
        "Tag the state to come back to",
        "Note the images to come back to",
        "Warm the cache",
    ]
    assert desk("devops").post(f"/changes/{number}/start", expect=409)["code"] == "checklist"


WRONG = [({"phase": "after"}, "phase"), ({"text": " "}, "text")]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
def test_an_item_of_no_phase_or_without_words_is_refused(
    desk: Sit,
    road: Road,
    wrong: dict[str, str],
    field: str,
) -> None:
    """R54: 422 at its field."""
    number = road.scheduled()
    body = {"phase": "post", "text": "Warm the cache"} | wrong
    refusal = desk("devops").post(f"/changes/{number}/checklist", body, expect=422)
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert [item["text"] for item in road.items(number, "post")][4:] == []
