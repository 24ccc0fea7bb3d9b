"""Issues of a run: severity, link, two instants, and what resolves them (A9, A10, R117, R155)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.implementation.road import EVERYBODY, SLOT, Road, Sit, tried, why

pytestmark = pytest.mark.django_db
BODY = {"severity": "P2", "summary": "Search is slow"}
SEEN = "2026-10-06T02:04:00Z"


def issue(desk: Sit, number: str, **more: Any) -> dict[str, Any]:
    address = f"/changes/{number}/issues"
    found: dict[str, Any] = desk("devops").post(address, BODY | more, expect=201)
    return found


def listed(desk: Sit, number: str) -> list[tuple[Any, ...]]:
    found = desk("auditor").get(f"/changes/{number}/issues")["items"]
    names = ("n", "severity", "link", "detected_at", "resolved_at")
    return [tuple(item[name] for name in names) for item in found]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({}, "caused_by"), ({"link": "caused_by"}, "caused_by"), ({"link": "fixed_by"}, "fixed_by")],
)
def test_an_issue_is_caused_by_the_change_unless_said_otherwise(
    desk: Sit,
    road: Road,
    sent: dict[str, str],
    kept: str,
) -> None:
    """A9, contract.md: the default is `caused_by`; `fixed_by` stays what it is."""
    number = road.implementing()
    assert issue(desk, number, **sent)["link"] == kept
    assert listed(desk, number) == [(1, "P2", kept, SLOT, None)]


def test_issues_are_numbered_within_their_change(desk: Sit, road: Road) -> None:
    """contract.md: 1, 2, 3 of each change, whatever others have."""
    first = road.implementing()
    numbers = [issue(desk, first, severity=severity)["n"] for severity in ("P3", "P0")]
    second = road.implementing("P0")
    assert [*numbers, issue(desk, second)["n"], issue(desk, first, link="fixed_by")["n"]] == [
        1,
        2,
        1,
        3,
    ]
    desk("devops").patch(f"/changes/{second}/issues/2", {"severity": "P0"}, expect=404)


FIRST = {
    "n": 1,
    "severity": "P2",
    "summary": "Search is slow",
    "link": "caused_by",
    "detected_at": "2026-10-06T02:04:00Z",
    "resolved_at": None,
}
AFTER = {"severity": "P1", "link": "fixed_by", "resolved_at": "2026-10-06T02:19:00Z"}


def test_an_issue_is_in_the_trail_with_all_that_it_says(desk: Sit, road: Road) -> None:
    """R149, R155, A9: the whole of it, and after an edit what it was before."""
    number = road.implementing()
    road.at("2026-10-06T02:10:00Z")
    issue(desk, number, detected_at=SEEN)
    road.at("2026-10-06T02:20:00Z")
    edit = AFTER | {"resolved_at": "2026-10-06T02:19:00Z"}
    desk("oncall").patch(f"/changes/{number}/issues/1", edit)
    edited = FIRST | AFTER | {"was": FIRST}
    assert road.events(number, "implementation.issue", "implementation.issue_edit") == [
        ("implementation.issue", "devops", "2026-10-06T02:10:00Z", FIRST),
        ("implementation.issue_edit", "oncall", "2026-10-06T02:20:00Z", edited),
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"severity": "P4"}, "severity"),
        ({"severity": "high"}, "severity"),
        ({"link": "near"}, "link"),
        ({"summary": "  "}, "summary"),
        ({"summary": "x" * 301}, "summary"),
        ({"resolved_at": "2026-10-06T02:03:59Z"}, "resolved_at"),
        ({"resolved_at": "2026-10-06T02:15:01Z"}, "resolved_at"),
        ({"detected_at": "soon"}, "detected_at"),
    ],
)
def test_a_wrong_issue_is_refused_at_its_field(
    desk: Sit,
    road: Road,
    wrong: dict[str, str],
    field: str,
) -> None:
    """A10, contract.md: opened or edited; not resolved before it was detected, nor tomorrow."""
    number = road.implementing()
    road.at("2026-10-06T02:10:00Z")
    address, body = f"/changes/{number}/issues", BODY | {"detected_at": SEEN}
    refusal = desk("devops").post(address, body | wrong, expect=422)
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert listed(desk, number) == []
    desk("devops").post(address, body, expect=201)
    refusal = desk("devops").patch(f"{address}/1", wrong, expect=422)
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert listed(desk, number) == [(1, "P2", "caused_by", SEEN, None)]


def test_an_issue_may_be_resolved_in_the_second_in_which_it_was_seen(desk: Sit, road: Road) -> None:
    """A9: resolved no earlier than detected; what was resolved too early is opened again."""
    number = road.implementing()
    road.at("2026-10-06T02:10:00Z")
    issue(desk, number, detected_at=SEEN, resolved_at=SEEN)
    assert listed(desk, number) == [(1, "P2", "caused_by", SEEN, SEEN)]
    desk("devops").patch(f"/changes/{number}/issues/1", {"resolved_at": None})
    assert listed(desk, number) == [(1, "P2", "caused_by", SEEN, None)]


@pytest.mark.parametrize("state", ["scheduled", "authorised"])
def test_an_issue_belongs_to_an_implementation(desk: Sit, road: Road, state: str) -> None:
    """A9: none before its start."""
    number = getattr(road, state)()
    assert why(desk("devops").post(f"/changes/{number}/issues", BODY, expect=409)) == ["state"]


@pytest.mark.parametrize("state", ["verifying", "completed", "rolling_back", "failed"])
def test_an_issue_is_opened_from_the_start_on(desk: Sit, road: Road, state: str) -> None:
    """A9, A30: also days after it was completed and closed."""
    number = getattr(road, state)()
    issue(desk, number)
    if state == "completed":
        desk("devops").put(f"/changes/{number}/review", {"summary": "As planned"})
        road.at("2026-10-12T09:00:00Z")
        assert issue(desk, number)["n"] == 2


# --- what resolves them ------------------------------------------------------------------------


def test_finishing_the_rollback_resolves_the_open_issues(desk: Sit, road: Road) -> None:
    """A9, contract.md: all open ones, of either link, at its instant; a resolved one stays."""
    number = road.implementing()
    road.at("2026-10-06T02:10:00Z")
    issue(desk, number, severity="P0", detected_at=SEEN)
    issue(desk, number, link="fixed_by", detected_at=SLOT)
    issue(desk, number, detected_at=SEEN, resolved_at="2026-10-06T02:06:00Z")
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Errors"})
    desk("devops").tick_off(number, "rollback")
    before = [None, None, "2026-10-06T02:06:00Z"]
    assert [resolved for *_, resolved in listed(desk, number)] == before
    road.at("2026-10-06T02:25:00Z")
    desk("devops").post(f"/changes/{number}/finish-rollback")
    assert listed(desk, number) == [
        (1, "P0", "caused_by", SEEN, "2026-10-06T02:25:00Z"),
        (2, "P2", "fixed_by", SLOT, "2026-10-06T02:25:00Z"),
        (3, "P2", "caused_by", SEEN, "2026-10-06T02:06:00Z"),
    ]
    ((*_, data),) = road.events(number, "change.finish_rollback")
    assert data["resolved"] == [1, 2]


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_no_other_end_resolves_an_issue(desk: Sit, road: Road, state: str) -> None:
    """A9: what is completed or failed leaves its issues open until somebody resolves them."""
    number = road.verifying()
    issue(desk, number)
    verb = "complete" if state == "completed" else "fail"
    desk("devops").post(f"/changes/{number}/{verb}", {"reason": "It is as it is"})
    assert listed(desk, number) == [(1, "P2", "caused_by", SLOT, None)]
    road.at("2026-10-06T03:00:00Z")
    assert road.press(number, "resolve-issue", "devops", n=1) == 302
    assert listed(desk, number) == [(1, "P2", "caused_by", SLOT, "2026-10-06T03:00:00Z")]


def test_an_open_issue_does_not_block_the_completion(desk: Sit, road: Road) -> None:
    """domain.md (complete): checklist, checks and watch; a P3 issue is fixed forward (R103)."""
    number = road.verifying()
    issue(desk, number, severity="P3")
    desk("devops").post(f"/changes/{number}/complete", {"reason": "Fixed forward tomorrow"})


# --- who ----------------------------------------------------------------------------------------

READERS = {"manager", "auditor", "admin"}
RECORDERS = {"devops", "devops2", "senior-devops", "devops-lead", "oncall"}


def test_everybody_who_writes_may_say_that_something_is_wrong(desk: Sit, road: Road) -> None:
    """R117, R96: whoever notices it; by table of the demo users."""
    number, may = road.implementing(), set()
    for person in EVERYBODY:
        with tried():
            desk(person).call("POST", f"/changes/{number}/issues", BODY)
            assert desk(person).status in (201, 403)
            may |= {person} if desk(person).status == 201 else set()
    assert may == set(EVERYBODY) - READERS


def test_the_run_alone_edits_an_issue(desk: Sit, road: Road) -> None:
    """R145, A28: implementer and DevOps roles."""
    number, may = road.implementing(), set()
    issue(desk, number)
    for person in EVERYBODY:
        with tried():
            desk(person).call("PATCH", f"/changes/{number}/issues/1", {"severity": "P0"})
            assert desk(person).status in (200, 403)
            may |= {person} if desk(person).status == 200 else set()
    assert may == RECORDERS
