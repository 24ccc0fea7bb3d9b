"""What a run leaves behind: stamps, outcome, and its events to the letter (R149, R150)."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.implementation.road import MORNING, SLOT, Road, Sit

pytestmark = pytest.mark.django_db
RUN = (
    "change.start",
    "change.finish",
    "change.complete",
    "change.roll_back",
    "change.finish_rollback",
    "change.fail",
    "change.close",
    "change.take_over",
    "change.extend",
)
RATE = {"reason": "Errors at 7 %", "trigger": "error_rate"}
REVIEW = {"summary": "As planned", "lessons": "Two at night is calm"}


def stamps(desk: Sit, number: str) -> tuple[Any, ...]:
    """State, outcome and the four instants."""
    change = desk("auditor").get(f"/changes/{number}")
    names = ("state", "outcome", "started_at", "finished_at", "completed_at", "closed_at")
    return tuple(change[name] for name in names)


def clock(minute: str) -> str:
    return f"2026-10-06T{minute}Z"


def walked_to_closed(desk: Sit, road: Road) -> tuple[str, list[tuple[Any, ...]]]:
    """A P2 on the straight road, and its stamps after each verb."""
    number, devops = road.scheduled("P2"), desk("devops")
    seen = []
    for minute, verb in (("02:01:05", "start"), ("02:21:10", "finish"), ("02:52:15", "complete")):
        road.at(clock(minute))
        devops.post(f"/changes/{number}/{verb}")
        seen.append(stamps(desk, number))
        devops.tick_off(number, "start", "during", "post")
    road.at(clock("03:10:20"))
    devops.put(f"/changes/{number}/review", REVIEW)
    return number, [*seen, stamps(desk, number)]


def test_the_straight_road_is_stamped_verb_by_verb(desk: Sit, road: Road) -> None:
    """R149, A9: to the second, each instant for good; the outcome from the completion on."""
    _, seen = walked_to_closed(desk, road)
    begun, through, done = clock("02:01:05"), clock("02:21:10"), clock("02:52:15")
    assert seen == [
        ("implementing", None, begun, None, None, None),
        ("verifying", None, begun, through, None, None),
        ("completed", "completed", begun, through, done, None),
        ("closed", "completed", begun, through, done, clock("03:10:20")),
    ]


def test_the_straight_road_in_the_trail(desk: Sit, road: Road) -> None:
    """R149, R148: who, when, from where to where; closing is nobody's act."""
    number, _ = walked_to_closed(desk, road)
    assert road.events(number, *RUN) == [
        (
            "change.start",
            "devops",
            clock("02:01:05"),
            {"from": "scheduled", "to": "implementing", "priority": "P2"},
        ),
        (
            "change.finish",
            "devops",
            clock("02:21:10"),
            {"from": "implementing", "to": "verifying", "skipped": 0},
        ),
        (
            "change.complete",
            "devops",
            clock("02:52:15"),
            {"from": "verifying", "to": "completed", "outcome": "completed", "skipped": 0},
        ),
        ("change.close", None, clock("03:10:20"), {"from": "completed", "to": "closed"}),
    ]


BACK = [
    (
        "change.roll_back",
        "oncall",
        clock("02:10:30"),
        {
            "from": "implementing",
            "to": "rolling_back",
            "reason": "Errors at 7 %",
            "trigger": "error_rate",
            "after_completion": False,
            "skipped": 0,
        },
    ),
    (
        "change.finish_rollback",
        "devops",
        clock("02:25:40"),
        {
            "from": "rolling_back",
            "to": "rolled_back",
            "outcome": "rolled_back",
            "resolved": [1, 2],
            "skipped": 0,
            "reason": "3.1 serves again",
        },
    ),
]


def test_a_rollback_is_in_the_trail_with_its_reason_and_trigger(desk: Sit, road: Road) -> None:
    """R150, R149: its begin with reason and trigger, its end with the issues that it resolved."""
    number = road.implementing()
    for severity in ("P1", "P2"):
        body = {"severity": severity, "summary": "Errors", "detected_at": clock("02:00:00")}
        desk("devops").post(f"/changes/{number}/issues", body, expect=201)
    road.at(clock("02:10:30"))
    desk("oncall").post(f"/changes/{number}/roll-back", RATE)
    assert stamps(desk, number) == ("rolling_back", None, SLOT, None, None, None)
    desk("devops").tick_off(number, "rollback")
    road.at(clock("02:25:40"))
    desk("devops").post(f"/changes/{number}/finish-rollback", {"reason": "3.1 serves again"})
    assert stamps(desk, number) == ("rolled_back", "rolled_back", SLOT, None, None, None)
    assert road.events(number, "change.roll_back", "change.finish_rollback") == BACK


@pytest.mark.parametrize("state", ["completed", "closed"])
def test_a_rollback_after_completion_says_so(desk: Sit, road: Road, state: str) -> None:
    """A30, R150: from where it came, by whom and why."""
    number = road.completed()
    if state == "closed":
        desk("devops").put(f"/changes/{number}/review", REVIEW)
    road.at("2026-10-08T10:00:00Z")
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Prices are wrong"})
    ((_, actor, at, data),) = road.events(number, "change.roll_back")
    assert (actor, at) == ("devops", "2026-10-08T10:00:00Z")
    assert data == {
        "from": state,
        "to": "rolling_back",
        "reason": "Prices are wrong",
        "trigger": "manual",
        "after_completion": True,
        "skipped": 0,
    }


def test_the_outcome_changes_when_the_late_rollback_is_through(desk: Sit, road: Road) -> None:
    """A30: until then it was completed; the completion keeps its instant, the closing does not."""
    number, done = road.completed(), clock("02:30:00")
    desk("devops").put(f"/changes/{number}/review", REVIEW)
    road.at("2026-10-08T10:00:00Z")
    desk("devops").post(f"/changes/{number}/roll-back", {"reason": "Prices are wrong"})
    assert stamps(desk, number) == ("rolling_back", "completed", SLOT, SLOT, done, None)
    desk("devops").tick_off(number, "rollback")
    desk("devops").post(f"/changes/{number}/finish-rollback")
    assert stamps(desk, number) == ("rolled_back", "rolled_back", SLOT, SLOT, done, None)
    assert road.events(number, "change.overrun") == [], "a late rollback is no overrun"


#: From where it fails → its stamps afterwards.
FAILURES = {
    "implementing": ("failed", "failed", SLOT, None, None, None),
    "verifying": ("failed", "failed", SLOT, SLOT, None, None),
    "rolling_back": ("failed", "failed", SLOT, None, None, None),
    "completed": ("failed", "failed", SLOT, SLOT, clock("02:30:00"), None),
}


@pytest.mark.parametrize("state", FAILURES)
@pytest.mark.parametrize("who", ["devops", "change-manager"])
def test_a_failure_is_in_the_trail_with_its_reason(
    desk: Sit,
    road: Road,
    state: str,
    who: str,
) -> None:
    """A4, R149: neither completed nor rolled back; from where, by whom, and why."""
    number = getattr(road, state)()
    road.at(clock("02:40:00"))
    desk(who).post(f"/changes/{number}/fail", {"reason": "The index is torn"})
    assert stamps(desk, number) == FAILURES[state]
    expected = {
        "from": state,
        "to": "failed",
        "outcome": "failed",
        "reason": "The index is torn",
        "skipped": 0,
    }
    assert road.events(number, "change.fail") == [("change.fail", who, clock("02:40:00"), expected)]


def test_a_takeover_is_in_the_trail_with_whom_it_was_taken_from(desk: Sit, road: Road) -> None:
    """A28, R149: from nobody, from `devops`, from `oncall`, each time with its instant."""
    number = road.scheduled("P2", implementer=None)
    keys = dict(User.objects.values_list("username", "pk"))
    for minute, who in enumerate(("devops", "oncall", "devops-lead"), start=1):
        road.at(clock(f"02:0{minute}:00"))
        desk(who).post(f"/changes/{number}/take-over")
    assert road.events(number, "change.take_over") == [
        ("change.take_over", "devops", clock("02:01:00"), {"from": None}),
        ("change.take_over", "oncall", clock("02:02:00"), {"from": keys["devops"]}),
        ("change.take_over", "devops-lead", clock("02:03:00"), {"from": keys["oncall"]}),
    ]


def test_an_extension_is_in_the_trail_with_its_reason_and_end(desk: Sit, road: Road) -> None:
    """A25, R149: each by itself."""
    number = road.implementing()
    road.at(clock("02:40:00"))
    for who, minutes in (("oncall", 10), ("change-manager", 20)):
        body = {"minutes": minutes, "reason": f"{minutes} more"}
        desk(who).post(f"/changes/{number}/extend", body)
    assert road.events(number, "change.extend") == [
        (
            "change.extend",
            "oncall",
            clock("02:40:00"),
            {"minutes": 10, "reason": "10 more", "end": "2026-10-06T02:55:00Z"},
        ),
        (
            "change.extend",
            "change-manager",
            clock("02:40:00"),
            {"minutes": 20, "reason": "20 more", "end": "2026-10-06T03:15:00Z"},
        ),
    ]


def test_an_emergency_in_the_trail_is_told_from_the_rest(desk: Sit, road: Road) -> None:
    """R4, R149: started from `approved`, without a slot, at any hour."""
    number = road.authorised()
    desk("devops").tick_off(number, "pre")
    desk("devops").post(f"/changes/{number}/start")
    expected = {"from": "approved", "to": "implementing", "priority": "P0"}
    assert road.events(number, "change.start") == [("change.start", "devops", MORNING, expected)]
    assert stamps(desk, number) == ("implementing", None, MORNING, None, None, None)


def test_people_read_the_reasons_of_a_run_on_its_page(desk: Sit, road: Road) -> None:
    """R150, R145: reason and trigger of the rollback stand in the change's activity."""
    number = road.implementing()
    desk("oncall").post(f"/changes/{number}/roll-back", RATE)
    before, entry = road.page(number, "engineer2", "").split("began the rollback (error rate)")
    assert before.rstrip().endswith("<b>Rosa Jimenez</b>")
    assert "Errors at 7 %" in entry.split("</li>")[0]
