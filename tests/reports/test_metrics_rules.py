"""What is counted, in which month, and between which two instants (A8, A9): all by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from changemgmt.tick import tick
from reports import metrics
from tests.reports import month, pages
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]
NOTHING = {
    "total": 0,
    "successful": {"count": 0, "percent": None},
    "rolled_back": {"count": 0, "percent": None},
    "failed": {"count": 0, "percent": None},
    "caused_issue": 0,
    "emergency": 0,
    "by_priority": {"P0": 0, "P1": 0, "P2": 0, "P3": 0},
    "average_lead_time_days": None,
    "average_lead_time_in_freeze_days": None,
    "average_implementation_minutes": None,
    "mttr_minutes": None,
    "rejected": 0,
    "cancelled": 0,
    "issues": [],
    "improvements": [],
    "lessons": [],
    "changes": [],
}


def figures(desk: Sit, period: str) -> dict[str, Any]:
    return dict(desk("auditor").get(f"/reports/monthly/{period}.json"))


def p3(desk: Sit, at: Any, submitted: str, start: str, **more: Any) -> str:
    """A P3, asked for at the one instant and begun at the other."""
    at(submitted)
    wanted = {"requested_date": submitted[:10], "requested_window": {"start": start}}
    number = month.decided(desk, str(desk("engineer").submit("P3", **wanted, **more)["id"]))
    month.started(desk, at, number, start)
    return number


def failed(desk: Sit, number: str) -> None:
    desk("devops").post(f"/changes/{number}/fail", {"reason": "It did not help"})


def issue_of(desk: Sit, number: str, detected: str, resolved: str, **more: str) -> None:
    times = {"detected_at": detected, "resolved_at": resolved}
    month.issue(desk, number, "P2", "Slow", **times, **more)


# --- which month ------------------------------------------------------------------------------


def test_a_month_begins_at_its_first_instant_and_ends_before_the_next_ones(
    desk: Sit,
    at: Any,
) -> None:
    """R123, R120, A8: UTC, half-open: a microsecond before midnight is in, midnight is out."""
    ends = (
        ("2026-09-30T22:00Z", "2026-09-30T23:59:59.999999Z"),
        ("2026-09-30T23:59:59.999999Z", "2026-10-01T00:00:00Z"),
        ("2026-10-31T22:00Z", "2026-10-31T23:59:59.999999Z"),
        ("2026-10-31T23:59:59.999999Z", "2026-11-01T00:00:00Z"),
    )
    made = [month.failed_emergency(desk, at, begin, end) for begin, end in ends]
    counted = {m: figures(desk, m) for m in ("2026-09", "2026-10", "2026-11")}
    assert {m: told["changes"] for m, told in counted.items()} == {
        "2026-09": made[:1],
        "2026-10": made[1:3],
        "2026-11": made[3:],
    }
    assert [told["total"] for told in counted.values()] == [1, 2, 1]


@pytest.mark.parametrize(
    ("verdict", "line", "other"),
    [("reject", "rejected", "cancelled"), ("cancel", "cancelled", "rejected")],
)
def test_rejected_and_cancelled_stand_beside_the_total_in_the_month_in_which_it_was_done(
    desk: Sit,
    at: Any,
    verdict: str,
    line: str,
    other: str,
) -> None:
    """R123, A8: outside the total, in no average; the month's edges as for all others."""
    at("2026-09-10T09:00Z")
    numbers = [str(desk("engineer").submit("P3")["id"]) for _ in range(3)]
    instants = (
        "2026-09-30T23:59:59.999999Z",
        "2026-10-31T23:59:59.999999Z",
        "2026-11-01T00:00:00Z",
    )
    for number, instant in zip(numbers, instants, strict=True):
        at(instant)
        if verdict == "reject":
            desk("tech-lead").decide(number, "technical", "reject", comment="Nobody needs it")
        else:
            desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not needed"})
    for period in ("2026-09", "2026-10", "2026-11"):
        told = figures(desk, period)
        assert {name: told[name] for name in NOTHING} == NOTHING | {line: 1, other: 0}


def test_the_weeks_around_new_year_begin_on_monday_at_midnight(desk: Sit, at: Any) -> None:
    """R120, A9: per ISO week, Monday 00:00 UTC: 31 December and 1 January lie in the same one."""
    for begin, end in (
        ("2026-12-27T22:00Z", "2026-12-27T23:59:59.999999Z"),
        ("2026-12-27T22:00Z", "2026-12-28T00:00:00Z"),
        ("2026-12-31T22:00Z", "2026-12-31T23:59:59.999999Z"),
        ("2027-01-01T00:00Z", "2027-01-01T01:00:00Z"),
        ("2027-01-03T22:00Z", "2027-01-03T23:59:59.999999Z"),
        ("2027-01-03T22:00Z", "2027-01-04T00:00:00Z"),
    ):
        month.failed_emergency(desk, at, begin, end)
    at("2027-01-10T23:59:59Z")
    bars = [title.text for title in pages.read(desk("manager"), "/reports/").all("title")]
    assert [text for text in bars if "week of" in text] == [
        "P0, week of 21 Dec: 1",
        "P0, week of 28 Dec: 4",
        "P0, week of 4 Jan: 1",
    ]
    assert [figures(desk, period)["total"] for period in ("2026-12", "2027-01")] == [3, 3]


# --- what is counted --------------------------------------------------------------------------


def test_the_parts_add_up_to_the_total(desk: Sit, at: Any) -> None:
    """R118, R123, R124, R125, A8: 1 completed, 2 rolled back, 3 failed of 6."""
    completed = p3(desk, at, "2026-10-01T09:00Z", "2026-10-06T02:00Z", components=["cdn"])
    month.finished(desk, at, completed, "2026-10-06T02:10Z")
    at("2026-10-06T02:40Z")
    desk("devops").post(f"/changes/{completed}/complete")
    for day in ("2026-10-07", "2026-10-08"):
        back = month.started_emergency(desk, at, f"{day}T09:00Z")
        desk("oncall").post(f"/changes/{back}/roll-back", {"reason": "Errors"})
        desk("oncall").tick_off(back, "rollback")
        desk("oncall").post(f"/changes/{back}/finish-rollback")
    for day in ("2026-10-09", "2026-10-10", "2026-10-11"):
        month.failed_emergency(desk, at, f"{day}T10:00Z", f"{day}T11:00Z")
    told = figures(desk, "2026-10")
    assert told["total"] == 6
    assert told["successful"] == {"count": 1, "percent": 16.7}
    assert told["rolled_back"] == {"count": 2, "percent": 33.3}
    assert told["failed"] == {"count": 3, "percent": 50.0}
    assert told["by_priority"] == {"P0": 5, "P1": 0, "P2": 0, "P3": 1}


def test_a_change_rolled_back_later_moves_the_figures_of_the_month_in_which_it_ended(
    desk: Sit,
    at: Any,
) -> None:
    """R118, R125, A8, A30, A31: completed on 31 October, rolled back on 4 November."""
    number = month.started_emergency(desk, at, "2026-10-31T10:00Z")
    month.finished(desk, at, number, "2026-10-31T10:10Z", "oncall")
    at("2026-10-31T10:40Z")
    desk("oncall").post(f"/changes/{number}/complete")
    at("2026-11-03T00:00Z")
    tick()
    outcomes = ("version", "total", "successful", "rolled_back", "average_implementation_minutes")
    all_of, none_of = {"count": 1, "percent": 100.0}, {"count": 0, "percent": 0.0}
    assert [figures(desk, "2026-10")[name] for name in outcomes] == [1, 1, all_of, none_of, 40.0]
    desk("oncall").post(f"/changes/{number}/roll-back", {"reason": "Orders are lost"})
    desk("oncall").tick_off(number, "rollback")
    at("2026-11-04T00:00Z")
    desk("oncall").post(f"/changes/{number}/finish-rollback")
    tick()
    assert [figures(desk, "2026-10")[name] for name in outcomes] == [2, 1, none_of, all_of, 40.0]
    assert figures(desk, "2026-11")["total"] == 0


def test_a_change_that_runs_or_waits_is_in_no_total(desk: Sit, at: Any) -> None:
    """R123, A8: what counts is that its implementation has ended."""
    running = p3(desk, at, "2026-10-01T09:00Z", "2026-10-06T02:00Z")
    assert figures(desk, "2026-10")["total"] == 0
    month.finished(desk, at, running, "2026-10-06T02:10Z")
    assert figures(desk, "2026-10")["total"] == 0, "verifying is not ended"
    desk("oncall").post(f"/changes/{running}/roll-back", {"reason": "Errors"})
    assert figures(desk, "2026-10")["total"] == 0, "rolling back is not ended"


def test_the_priority_is_the_one_at_the_start(desk: Sit, at: Any) -> None:
    """R126, R127, R128, R129, R130, A8: raised before the start, and not to be moved after it."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    raised = str(engineer.submit("P2")["id"])
    body = {"reason": "The index is down", "emergency_kind": "outage", "emergency_reference": "I-7"}
    engineer.post(f"/changes/{raised}/escalate", body)
    desk("cto").decide(raised, "emergency")
    desk("oncall").post(f"/changes/{raised}/start")
    edited = str(engineer.submit("P2", components=["cdn"])["id"])
    version = engineer.get(f"/changes/{edited}")["version"]
    engineer.patch(f"/changes/{edited}", {"version": version, "priority": "P3"})
    month.decided(desk, edited)
    slot = engineer.get(f"/changes/{edited}")["slot"]["start"]
    month.started(desk, at, edited, slot)
    for number in (raised, edited):
        version = engineer.get(f"/changes/{number}")["version"]
        wish = {"version": version, "priority": "P1"}
        engineer.patch(f"/changes/{number}", wish, expect=409)
    desk("oncall").post(f"/changes/{raised}/fail", {"reason": "No"})
    failed(desk, edited)
    told = figures(desk, "2026-10")
    assert (told["by_priority"], told["emergency"]) == ({"P0": 1, "P1": 0, "P2": 0, "P3": 1}, 1)


def test_a_month_in_which_nothing_happened_is_nought_and_null(desk: Sit, at: Any) -> None:
    """R123, R131, R132, R133, A8: counts are 0, percentages and averages null, lists empty."""
    at("2026-10-01T00:00Z")
    told = figures(desk, "2026-09")
    assert {name: told[name] for name in NOTHING} == NOTHING
    assert told["open_issues"] == {"count": 0, "oldest_days": None}


# --- clocks -----------------------------------------------------------------------------------


def test_lead_time_runs_from_the_first_submission(desk: Sit, at: Any) -> None:
    """R121, R131, A9: sent back and submitted again, 2 Oct 02:00 to 6 Oct 02:00 is still 4 days."""
    at("2026-10-01T02:00Z")
    number = str(desk("engineer").create("P3", requested_date="2026-10-06")["id"])
    at("2026-10-02T02:00Z")
    desk("engineer").post(f"/changes/{number}/submit")
    desk("senior-devops").decide(number, "technical", "request_changes", comment="Say how long")
    at("2026-10-03T14:00Z")
    version = desk("engineer").get(f"/changes/{number}")["version"]
    wanted = {"version": version, "requested_window": {"start": "2026-10-06T02:00Z"}}
    desk("engineer").patch(f"/changes/{number}", wanted | {"rollback_plan": "Two minutes"})
    desk("engineer").post(f"/changes/{number}/submit")
    month.decided(desk, number)
    month.started(desk, at, number, "2026-10-06T02:00Z")
    at("2026-10-06T02:30Z")
    failed(desk, number)
    assert figures(desk, "2026-10")["average_lead_time_days"] == 4.0


def test_implementation_time_ends_with_the_verification_or_the_rollback(
    desk: Sit,
    at: Any,
) -> None:
    """R132, A9: not when the steps are through (10 min), nor when the rollback begins (5 min)."""
    completed = p3(desk, at, "2026-10-01T09:00Z", "2026-10-06T02:00Z", components=["cdn"])
    month.finished(desk, at, completed, "2026-10-06T02:10Z")
    at("2026-10-06T02:40Z")
    desk("devops").post(f"/changes/{completed}/complete")
    assert figures(desk, "2026-10")["average_implementation_minutes"] == 40.0
    back = p3(desk, at, "2026-10-06T09:00Z", "2026-10-08T02:00Z", components=["search"])
    month.rolled_back(desk, at, back, "2026-10-08T02:05Z", "2026-10-08T02:21Z")
    assert figures(desk, "2026-10")["average_implementation_minutes"] == 30.5


def test_emergencies_are_told_apart(desk: Sit, at: Any) -> None:
    """R126, R127, A9: a P0 of 60 minutes and 0.0 days beside a P3 of 20 minutes and 4.0 days."""
    month.failed_emergency(desk, at, "2026-10-01T10:00Z", "2026-10-01T11:00Z")
    number = p3(desk, at, "2026-10-02T02:00Z", "2026-10-06T02:00Z", components=["cdn"])
    at("2026-10-06T02:20Z")
    failed(desk, number)
    told = figures(desk, "2026-10")
    clocks = ("average_lead_time_days", "average_implementation_minutes")
    assert [told[name] for name in clocks] == [2.0, 40.0]
    assert told["emergencies"] == {
        "total": 1,
        "successful": {"count": 0, "percent": 0.0},
        "rolled_back": {"count": 0, "percent": 0.0},
        "failed": {"count": 1, "percent": 100.0},
        "average_lead_time_days": 0.0,
        "average_lead_time_in_freeze_days": 0.0,
        "average_implementation_minutes": 60.0,
        "mttr_minutes": None,
    }


# --- mean time to recovery --------------------------------------------------------------------


@pytest.fixture
def ended(desk: Sit, at: Any) -> str:
    """A P0 of 20 September, whose issues are told on 2 October."""
    number = month.failed_emergency(desk, at, "2026-09-20T10:00Z", "2026-09-20T11:00Z")
    at("2026-10-02T00:00Z")
    return number


def mttr(desk: Sit) -> list[float | None]:
    return [figures(desk, period)["mttr_minutes"] for period in ("2026-09", "2026-10")]


def test_recovery_counts_in_the_month_in_which_the_issue_was_resolved(
    desk: Sit,
    ended: str,
) -> None:
    """R119, R133, A9: detected to resolved; a second before midnight September, then October."""
    issue_of(desk, ended, "2026-09-30T23:49:59Z", "2026-09-30T23:59:59Z")
    assert mttr(desk) == [10.0, None]
    issue_of(desk, ended, "2026-09-30T23:40:00Z", "2026-10-01T00:00:00Z")
    assert mttr(desk) == [10.0, 20.0]


def test_an_issue_that_the_change_fixed_is_in_no_recovery_time(desk: Sit, ended: str) -> None:
    """R119, R133, A9: fixed by it is not caused by it, also where that is said later."""
    issue_of(desk, ended, "2026-09-20T10:30Z", "2026-09-20T10:50Z")
    issue_of(desk, ended, "2026-09-20T08:00Z", "2026-09-20T11:00Z", link="fixed_by")
    assert mttr(desk) == [20.0, None]
    told = figures(desk, "2026-09")
    assert [issue["n"] for issue in told["issues"]] == [1]
    desk("oncall").patch(f"/changes/{ended}/issues/1", {"link": "fixed_by"})
    assert mttr(desk) == [None, None]
    assert figures(desk, "2026-09")["issues"] == []


def test_open_issues_are_in_no_average_and_stand_beside_with_their_age(
    desk: Sit,
    ended: str,
) -> None:
    """A9: detected on the 20th at 12:00, 10.5 days before October; resolved at its first second."""
    month.issue(desk, ended, "P2", "Slow", detected_at="2026-09-20T12:00Z")
    assert mttr(desk) == [None, None]
    assert figures(desk, "2026-09")["open_issues"] == {"count": 1, "oldest_days": 10.5}
    desk("oncall").patch(f"/changes/{ended}/issues/1", {"resolved_at": "2026-10-01T00:00:00Z"})
    assert figures(desk, "2026-09")["open_issues"] == {"count": 1, "oldest_days": 10.5}
    desk("oncall").patch(f"/changes/{ended}/issues/1", {"resolved_at": "2026-09-30T23:59:59Z"})
    assert figures(desk, "2026-09")["open_issues"] == {"count": 0, "oldest_days": None}


def test_the_end_of_a_rollback_resolves_what_it_answers(desk: Sit, at: Any) -> None:
    """R119, A9: detected 02:05, back at 02:21; an emergency's recovery is not in that of a P3."""
    back = p3(desk, at, "2026-10-01T09:00Z", "2026-10-08T02:00Z")
    at("2026-10-08T02:05Z")
    month.issue(desk, back, "P1", "Nothing is found")
    month.rolled_back(desk, at, back, "2026-10-08T02:07Z", "2026-10-08T02:21Z")
    told = figures(desk, "2026-10")
    assert (told["mttr_minutes"], told["emergencies"]["mttr_minutes"]) == (16.0, None)
    assert told["caused_issue"] == 0, "it stands under the successful ones, and this is none"


# --- one decimal ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "total", "expected"),
    [
        (0, 0, None), (0, 5, 0.0), (5, 5, 100.0), (1, 3, 33.3), (2, 3, 66.7), (1, 6, 16.7),
        (1, 7, 14.3), (1, 8, 12.5), (1, 16, 6.3), (3, 16, 18.8), (1, 1000, 0.1), (1, 2001, 0.0),
        (999, 1000, 99.9), (1999, 2000, 100.0), (43, 47, 91.5),
    ],
)  # fmt: skip
def test_a_percentage_has_one_decimal(part: int, total: int, expected: float | None) -> None:
    """R118, R124, R125, A8: of the total; null of nothing; a half is rounded up."""
    assert metrics.percent(part, total) == expected


@pytest.mark.parametrize(
    ("minutes", "days"),
    [
        ([], None), ([0], 0.0), ([71], 0.0), ([72], 0.1), ([215], 0.1), ([216], 0.2),
        ([1440], 1.0), ([1440, 720], 0.8), ([1440, 721], 0.8), ([7200, 10080, 4320, 720], 3.9),
    ],
)  # fmt: skip
def test_an_average_of_days_has_one_decimal(minutes: list[int], days: float | None) -> None:
    """R131, A9: calendar days of 1,440 minutes; a tenth of a day begins at 72 minutes."""
    lengths = [timedelta(minutes=length) for length in minutes]
    assert metrics.average(lengths, timedelta(days=1)) == days
