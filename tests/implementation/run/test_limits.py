"""The limits of a run, one step either side: watch, start, slot, extension (A25)."""

from __future__ import annotations

import pytest

from changemgmt.tick import tick
from tests.implementation.road import SLOT, Road, Sit, later, told, why

pytestmark = pytest.mark.django_db
WINDOW_ENDS = "2026-10-06T04:00:00Z"


# --- the 30-minute watch --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["rolling", "blue_green", "canary", "database", "manual"])
def test_the_watch_takes_thirty_minutes(desk: Sit, road: Road, strategy: str) -> None:
    """R71, R82, A25: at 29:59 it still runs, at 30:00 it is over, whatever the strategy."""
    number = road.verifying(strategy=strategy, estimated_minutes=10, rollback_minutes=10)
    road.at("2026-10-06T02:29:59Z")
    refusal = desk("devops").post(f"/changes/{number}/complete", {"reason": "  "}, expect=409)
    (reason,) = refusal["reasons"]
    assert (reason["code"], reason["rule"]) == ("monitoring", "30-minute watch")
    assert reason["until"] == reason["next_allowed_at"] == "2026-10-06T02:30:00Z"
    road.at("2026-10-06T02:30:00Z")
    change = desk("devops").post(f"/changes/{number}/complete", {"reason": "All is well"})
    assert (change["state"], change["completed_at"]) == ("completed", "2026-10-06T02:30:00Z")
    expected = {"from": "verifying", "to": "completed", "outcome": "completed", "skipped": 0}
    assert road.events(number, "change.complete")[0][3] == expected, "nothing was shortened"


def test_the_watch_begins_when_the_steps_are_through(desk: Sit, road: Road) -> None:
    """R71, A9: half an hour from the finish, not from the start."""
    number = road.implementing()
    desk("devops").tick_off(number, "start", "during", "post")
    road.at("2026-10-06T02:20:00Z")
    assert desk("devops").post(f"/changes/{number}/finish")["finished_at"] == "2026-10-06T02:20:00Z"
    road.at("2026-10-06T02:49:59Z")
    desk("devops").post(f"/changes/{number}/complete", expect=409)
    road.at("2026-10-06T02:50:00Z")
    desk("devops").post(f"/changes/{number}/complete")


@pytest.mark.parametrize(("finished", "minutes"), [(0, 30), (1, 29), (29, 1)])
def test_shortening_the_watch_needs_a_reason_and_is_in_the_trail(
    desk: Sit,
    road: Road,
    finished: int,
    minutes: int,
) -> None:
    """R71, contract.md (exceptions.monitoring_shortened): by how many minutes, and why."""
    number = road.verifying()
    road.at(later(SLOT, minutes=finished))
    desk("devops").post(f"/changes/{number}/complete", expect=409)
    desk("devops").post(f"/changes/{number}/complete", {"reason": "The index is fresh"})
    ((_, actor, at, data),) = road.events(number, "change.complete")
    assert (actor, at) == ("devops", later(SLOT, minutes=finished))
    assert data == {
        "from": "verifying",
        "to": "completed",
        "outcome": "completed",
        "skipped": 0,
        "monitoring_shortened_minutes": minutes,
        "reason": "The index is fresh",
    }


def test_the_page_counts_the_watch_down_to_its_end(road: Road) -> None:
    """R71, R82, promise 8: the clock of the watch ends half an hour after the finish."""
    shown = road.page(road.verifying())
    clock = shown.split("Monitoring left")[1].split("</section>")[0]
    assert 'data-at="2026-10-06T02:30:00Z"' in clock
    assert "Monitoring runs until 02:30 UTC, 30 min more; to shorten it, give a reason." in shown


# --- from the slot's start on, while the plan still fits -----------------------------------------

OPENS = {"2026-10-06T02:00:00Z": "Primary", "2026-10-08T02:00:00Z": "Secondary"}


@pytest.mark.parametrize("opens", OPENS)
def test_a_start_is_possible_from_the_slots_begin_on(desk: Sit, road: Road, opens: str) -> None:
    """R72, R73, contract.md: a second before is too early, and says when."""
    number = road.scheduled(start=opens)
    road.at(later(opens, seconds=-1))
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    (reason,) = refusal["reasons"]
    assert (reason["code"], reason["rule"]) == ("too_early", OPENS[opens])
    assert reason["until"] == reason["next_allowed_at"] == opens
    road.at(opens)
    change = desk("devops").post(f"/changes/{number}/start")
    assert (change["state"], change["started_at"]) == ("implementing", opens)


#: minutes of work and of rollback, strategy → the last second in which the plan fits before 04:00
FITS = [
    (30, 15, "rolling", "2026-10-06T03:15:00Z"),
    (30, 15, "blue_green", "2026-10-06T03:15:00Z"),
    (30, 0, "rolling", "2026-10-06T03:30:00Z"),
    (1, 1, "rolling", "2026-10-06T03:58:00Z"),
    (10, 10, "canary", "2026-10-06T02:10:00Z"),
]


@pytest.mark.parametrize(("work", "back", "strategy", "last"), FITS)
def test_a_start_is_refused_when_the_plan_no_longer_fits(
    desk: Sit,
    road: Road,
    work: int,
    back: int,
    strategy: str,
    last: str,
) -> None:
    """A25, R85, R86, R87: work, 3 x 30 min of canary, rollback end by 04:00; the watch need not."""
    plan = {"estimated_minutes": work, "rollback_minutes": back, "strategy": strategy}
    number = road.scheduled(**plan)
    road.at(later(last, seconds=1))
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    assert why(refusal) == ["does_not_fit"]
    road.at(last)
    change = desk("devops").post(f"/changes/{number}/start")
    assert (change["state"], change["slot"]["end"]) == ("implementing", WINDOW_ENDS)


def test_a_start_is_refused_a_second_into_the_next_booking(desk: Sit, road: Road) -> None:
    """A25: the plan of 45 minutes must end by the component's next booking at 02:45."""
    number = road.scheduled(implementer=None)
    other = road.scheduled(start="2026-10-06T02:45:00Z", implementer=None)
    road.at("2026-10-06T02:00:01Z")
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    assert why(refusal, "rule") == [("does_not_fit", "Next booking")]
    assert other in refusal["detail"]
    road.at(SLOT)
    desk("devops").post(f"/changes/{number}/start")


def test_a_slot_is_missed_at_its_windows_end(desk: Sit, road: Road) -> None:
    """A7, A25: at 03:59:59 the plan does not fit any more; at 04:00:00 the slot is gone."""
    number = road.scheduled("P2")
    road.at("2026-10-06T03:59:59Z")
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    assert why(refusal) == ["does_not_fit"]
    assert tick()["missed_slots"] == 0
    assert road.state(number) == "scheduled"
    road.at(WINDOW_ENDS)
    refusal = desk("devops").post(f"/changes/{number}/start", expect=409)
    assert why(refusal, "until") == [("slot_missed", WINDOW_ENDS)]
    assert tick()["missed_slots"] == 1
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)


# --- past the slot, and extended -------------------------------------------------------------


def test_work_past_the_slots_end_is_an_overrun_and_told_once(desk: Sit, road: Road) -> None:
    """A25: a running change may finish past the end, with the overrun recorded."""
    number = road.implementing()
    road.at("2026-10-06T02:44:59Z")
    assert tick()["overruns"] == 0
    road.at("2026-10-06T02:45:01Z")
    assert (tick()["overruns"], tick()["overruns"]) == (1, 0)
    at, ended = "2026-10-06T02:45:01Z", {"slot_end": "2026-10-06T02:45:00Z"}
    assert road.events(number, "change.overrun") == [("change.overrun", None, at, ended)]
    assert told("overrun") == ["change-manager", "devops", "engineer"]
    desk("devops").tick_off(number, "start", "during")
    assert desk("devops").post(f"/changes/{number}/finish")["state"] == "verifying"
    assert len(road.events(number, "change.overrun")) == 1


@pytest.mark.parametrize(("minute", "overruns"), [("02:44:59", 0), ("02:45:01", 1)])
@pytest.mark.parametrize("verb", ["finish", "roll-back", "fail"])
def test_an_overrun_that_no_tick_saw_is_recorded_by_the_verb(
    desk: Sit,
    road: Road,
    verb: str,
    minute: str,
    overruns: int,
) -> None:
    """A25: whoever ends the work a second past the slot has overrun it."""
    number = road.implementing()
    desk("devops").tick_off(number, "start", "during")
    road.at(f"2026-10-06T{minute}Z")
    desk("devops").post(f"/changes/{number}/{verb}", {"reason": "Done"})
    assert len(road.events(number, "change.overrun")) == overruns


def test_the_watch_past_the_slots_end_is_no_overrun(desk: Sit, road: Road) -> None:
    """A25: the final half hour may run past it."""
    number = road.verifying()
    road.at("2026-10-06T03:00:00Z")
    assert tick()["overruns"] == 0
    desk("devops").post(f"/changes/{number}/complete")
    assert road.events(number, "change.overrun") == []


@pytest.mark.parametrize(
    ("goes", "refused", "left"),
    [
        ([], 61, 60),
        ([], 0, 60),
        ([], -1, 60),
        ([1], 60, 59),
        ([60], 1, 0),
        ([30, 29], 2, 1),
        ([30, 30], 1, 0),
    ],
)
def test_a_slot_is_extended_by_sixty_minutes_at_most(
    desk: Sit,
    road: Road,
    goes: list[int],
    refused: int,
    left: int,
) -> None:
    """A25: at most 60 minutes, in one go or in several; what is too much says how many are left."""
    number = road.implementing()
    for minutes in goes:
        body = {"minutes": minutes, "reason": "Slow disks"}
        desk("oncall").post(f"/changes/{number}/extend", body)
    end = desk("auditor").get(f"/changes/{number}")["slot"]["end"]
    assert end == later("2026-10-06T02:45:00Z", minutes=sum(goes))
    body = {"minutes": refused, "reason": "Slow disks"}
    refusal = desk("oncall").post(f"/changes/{number}/extend", body, expect=422)
    said = f"Minutes: a slot is extended by at most 60 minutes in all; {left} are left."
    assert refusal["errors"] == [{"field": "minutes", "message": said}]
    if left:
        body["minutes"] = left
        change = desk("oncall").post(f"/changes/{number}/extend", body)
        assert change["slot"]["end"] == "2026-10-06T03:45:00Z"


@pytest.mark.parametrize("kind", ["freeze", "blackout"])
def test_a_slot_is_never_extended_into_a_freeze(desk: Sit, road: Road, kind: str) -> None:
    """A25, R75, R76: up to its first second, not a minute into it."""
    number = road.implementing()
    audit = {"name": "the audit", "kind": kind, "starts": "2026-10-06T03:00Z"}
    audit |= {"ends": "2026-10-07T00:00Z"}
    rule = {"edits": [{"kind": "closure", "values": audit}], "reason": "The auditors come at three"}
    desk("change-manager").post("/calendar/rules", rule)
    body = {"minutes": 16, "reason": "Slow disks"}
    refusal = desk("oncall").post(f"/changes/{number}/extend", body, expect=409)
    assert why(refusal, "rule") == [(kind, "the audit")]
    change = desk("oncall").post(f"/changes/{number}/extend", body | {"minutes": 15})
    assert change["slot"]["end"] == "2026-10-06T03:00:00Z"


def test_a_slot_is_never_extended_into_another_booking(desk: Sit, road: Road) -> None:
    """A25: up to the next booking of its component, not a minute into it."""
    number = road.scheduled(implementer=None)
    other = road.scheduled(start="2026-10-06T03:00:00Z", implementer=None)
    road.at(SLOT)
    desk("devops").post(f"/changes/{number}/start")
    body = {"minutes": 16, "reason": "Slow disks"}
    refusal = desk("oncall").post(f"/changes/{number}/extend", body, expect=409)
    assert why(refusal) == ["same_component"]
    end = desk("auditor").get(f"/changes/{number}")["slot"]["end"]
    assert end == "2026-10-06T02:45:00Z", "what is refused moves nothing"
    change = desk("oncall").post(f"/changes/{number}/extend", body | {"minutes": 15})
    assert change["slot"]["end"] == "2026-10-06T03:00:00Z"
    assert desk("auditor").get(f"/changes/{other}")["slot"]["start"] == "2026-10-06T03:00:00Z"


def test_an_extended_slot_is_overrun_at_its_new_end(desk: Sit, road: Road) -> None:
    """A25: the overrun counts from the end as extended; a run past that is one more."""
    number = road.implementing()
    road.at("2026-10-06T02:46:00Z")
    assert tick()["overruns"] == 1
    desk("oncall").post(f"/changes/{number}/extend", {"minutes": 20, "reason": "Slow disks"})
    road.at("2026-10-06T03:04:59Z")
    assert tick()["overruns"] == 0
    road.at("2026-10-06T03:05:01Z")
    assert tick()["overruns"] == 1


def test_the_gate_is_open_until_the_windows_end_or_the_extended_one(desk: Sit, road: Road) -> None:
    """A25, contract.md: while implementing; to the second, half-open."""
    number = road.implementing(start="2026-10-06T03:15:00Z")

    def gate(at: str) -> tuple[bool, list[str], str | None]:
        found = desk("devops").get(f"/gate/{number}?at={at}")
        return found["allow"], why(found), found["until"]

    assert gate("2026-10-06T03:59:59Z") == (True, [], WINDOW_ENDS)
    assert gate(WINDOW_ENDS) == (False, ["window_over"], None)
    desk("oncall").post(f"/changes/{number}/extend", {"minutes": 30, "reason": "Slow disks"})
    assert gate("2026-10-06T04:29:59Z") == (True, [], "2026-10-06T04:30:00Z")
    assert gate("2026-10-06T04:30:00Z") == (False, ["window_over"], None)


def test_the_gate_of_a_running_emergency_has_no_end(desk: Sit, road: Road) -> None:
    """R74, contract.md: at any hour, also where it had a slot."""
    number = road.authorised()
    desk("devops").post(f"/changes/{number}/schedule", {"start": "2026-10-01T09:00Z"})
    desk("devops").post(f"/changes/{number}/start")
    for at in ("2026-10-01T09:45:00Z", "2026-10-03T23:00:00Z", "2026-11-27T12:00:00Z"):
        found = desk("devops").get(f"/gate/{number}?at={at}")
        assert (found["allow"], found["until"]) == (True, None)
