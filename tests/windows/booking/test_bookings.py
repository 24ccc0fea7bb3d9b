"""Slots, fit, conflicts, notice (A7, A12, A25, A27)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from changemgmt.tick import tick
from tests.journeys.test_api_walk import approve_p2
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def approved(desk: Sit, **more: Any) -> str:
    number = desk("engineer").submit("P2", **more)["id"]
    approve_p2(desk, number)
    return str(number)


def book(
    desk: Sit, number: str, start: str, expect: int = 200, who: str = "devops", **more: Any
) -> Any:
    return desk(who).post(f"/changes/{number}/schedule", {"start": start, **more}, expect=expect)


def codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


def test_the_plan_must_fit_before_the_windows_end(desk: Sit) -> None:
    """A25: work + canary stages + rollback; the final watch may run past."""
    exact = approved(desk, strategy="canary", estimated_minutes=5, rollback_minutes=25)
    assert book(desk, exact, "2026-10-06T02:00Z")["slot"]["end"] == "2026-10-06T04:00:00Z"
    longer = approved(
        desk, components=["cdn"], strategy="canary", estimated_minutes=6, rollback_minutes=25
    )
    assert codes(book(desk, longer, "2026-10-06T02:00Z", 409)) == ["does_not_fit"]


def test_same_and_dependent_components_conflict(desk: Sit) -> None:
    """Each kind a reason of its own, naming the other change; the change manager overrides with a
    reason, and it is reported.
    """
    first = approved(desk, components=["catalogue"])
    book(desk, first, "2026-10-06T02:00Z")
    same, dependent = (
        approved(desk, components=["catalogue"]),
        approved(desk, components=["search"]),
    )
    assert codes(book(desk, same, "2026-10-06T02:30Z", 409)) == ["same_component"]
    refused = book(desk, dependent, "2026-10-06T02:30Z", 409)
    assert codes(refused) == ["dependent_component"]
    assert first in refused["reasons"][0]["message"]
    book(desk, dependent, "2026-10-06T02:30Z", 403, override_reason="They do not touch each other")
    change = book(
        desk,
        dependent,
        "2026-10-06T02:30Z",
        who="change-manager",
        override_reason="They do not touch each other",
    )
    assert change["slot"]["start"] == "2026-10-06T02:30:00Z"
    free = desk("devops").get(f"/changes/{same}/slots?limit=1")["items"][0]
    assert free["start"] == "2026-10-06T03:15:00Z"


def test_less_than_24_hours_needs_a_reason(desk: Sit, at: Any) -> None:
    """A12; but the calendar speaks first."""
    number = approved(desk)
    at("2026-10-05T20:00Z")
    assert codes(book(desk, number, "2026-10-06T05:00Z", 409)) == ["outside_window"]
    answer = book(desk, number, "2026-10-06T02:00Z", 422)
    assert answer["errors"][0]["field"] == "short_notice_reason"
    book(desk, number, "2026-10-06T02:00Z", short_notice_reason="The certificate ends at noon.")


def test_the_requested_date_is_a_lower_bound(desk: Sit) -> None:
    number = approved(desk, requested_date="2026-10-20")
    assert book(desk, number, "2026-10-13T02:00Z", 422)["errors"][0]["field"] == "start"
    assert (
        desk("devops").get(f"/changes/{number}/slots?limit=1")["items"][0]["start"]
        == "2026-10-20T02:00:00Z"
    )


def test_a_dependency_is_booked_or_completed_before(desk: Sit) -> None:
    needed = approved(desk, components=["cdn"])
    number = approved(desk, components=["build-farm"], dependencies=[needed])
    assert codes(book(desk, number, "2026-10-06T02:00Z", 409)) == ["dependency_order"]
    book(desk, needed, "2026-10-06T02:00Z")
    book(desk, number, "2026-10-06T03:00Z")


def test_the_implementer_is_in_one_place(desk: Sit) -> None:
    numbers = [
        approved(desk, components=[name], implementer="devops") for name in ("cdn", "monitoring")
    ]
    book(desk, numbers[0], "2026-10-06T02:00Z")
    assert codes(book(desk, numbers[1], "2026-10-06T02:10Z", 409)) == ["implementer_busy"]


def test_start_is_refused_when_the_plan_no_longer_fits_and_after_the_window(
    desk: Sit, at: Any
) -> None:
    """A25: from the slot's start on while it fits; missed at the window's end, tick or no tick."""
    number = approved(desk, estimated_minutes=60, rollback_minutes=30)
    book(desk, number, "2026-10-06T02:00Z")
    devops = desk("devops")
    devops.tick_off(number, "pre")
    at("2026-10-06T02:31Z")
    assert codes(devops.post(f"/changes/{number}/start", expect=409)) == ["does_not_fit"]
    at("2026-10-08T02:00Z")
    assert codes(devops.post(f"/changes/{number}/start", expect=409)) == ["slot_missed"]
    assert devops.get(f"/gate/{number}?at=2026-10-08T02:00Z")["allow"] is False


def test_a_missed_p2_waits_for_its_people(desk: Sit, at: Any) -> None:
    number = approved(desk)
    book(desk, number, "2026-10-06T02:00Z")
    at("2026-10-08T12:00Z")  # two days of downtime later
    assert tick()["missed_slots"] == 1
    assert tick()["missed_slots"] == 0
    change = desk("engineer").get(f"/changes/{number}")
    assert (change["state"], change["slot"]) == ("approved", None)


def test_an_unused_approval_lapses_but_freeze_weeks_do_not_count(desk: Sit, at: Any) -> None:
    """A7: 90 days."""
    number = approved(desk)
    at("2027-01-10T00:00Z")
    assert tick()["lapses"] == 0, "101 days, of which 52 lay in freezes"
    at("2027-02-22T00:00Z")
    assert tick()["lapses"] == 1
    assert desk("engineer").get(f"/changes/{number}")["state"] == "changes_requested"


def test_the_calendar_lists_windows_also_those_that_a_freeze_shuts(desk: Sit) -> None:
    found = desk("engineer").get("/calendar?from=2026-11-01&to=2026-12-01")
    shut = [w["start"] for w in found["windows"] if w["shut_by"]]
    assert (len(found["windows"]), shut[0]) == (8, "2026-11-12T02:00:00Z")
    assert (
        desk("engineer").get("/calendar/state?at=2026-11-24T02:30Z&priority=P2")["next_open_at"]
        == "2027-01-05T02:00:00Z"
    )
    assert desk("engineer").get("/calendar/state?at=2026-11-24T02:30Z&priority=P0")["open"] is True
