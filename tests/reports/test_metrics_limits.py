"""The figures of a period from values alone, each expectation by hand (A8, A9)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from reports import metrics
from reports.metrics import Ended, Resolved

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
START = datetime(2026, 10, 6, 2, tzinfo=UTC)


def ended(
    outcome: str,
    priority: str = "P2",
    *,
    lead: timedelta | None = DAY,
    took: timedelta | None = HOUR,
    **more: Any,
) -> Ended:
    """A change that began at START, that long after its submission, and took so long."""
    begun = None if took is None else START
    submitted = None if lead is None else START - lead
    return Ended(
        "CR-2026-10-01-001", priority, outcome, submitted, begun, START + (took or HOUR), **more
    )


def resolved(after: timedelta, priority: str = "P2") -> Resolved:
    return Resolved(START, START + after, priority)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.04, 0.0), (0.05, 0.1), (0.25, 0.3), (2.449, 2.4), (2.45, 2.5), (7, 7.0)],
)
def test_halves_are_rounded_up_as_people_do(value: float, rounded: float) -> None:
    """R124, R131: one decimal; a binary fraction that looks like a half is one."""
    assert metrics.one_decimal(value) == rounded


@pytest.mark.parametrize(
    ("part", "total", "share"),
    [
        (0, 0, None),
        (0, 1, 0.0),
        (1, 1, 100.0),
        (1, 3, 33.3),
        (2, 3, 66.7),
        (1, 8, 12.5),
        (1, 16, 6.3),
    ],
)
def test_a_percentage_is_of_the_total_and_of_nothing_there_is_none(
    part: int, total: int, share: float | None
) -> None:
    """R118, R124, R125."""
    assert metrics.percent(part, total) == share
    assert metrics.share(part, total) == {"count": part, "percent": share}


def test_an_average_is_in_its_unit_and_of_nothing_there_is_none() -> None:
    """R119, R131, R132: days and minutes with one decimal, from microseconds."""
    assert metrics.average([], DAY) is None
    assert metrics.average([DAY, 2 * DAY], DAY) == 1.5
    assert metrics.average([DAY, DAY, 2 * DAY], DAY) == 1.3
    assert metrics.average([MINUTE, 90 * MINUTE], MINUTE) == 45.5
    assert metrics.average([timedelta(seconds=2)], MINUTE) == 0.0
    assert metrics.average([timedelta(seconds=3)], MINUTE) == 0.1
    assert metrics.average([timedelta(seconds=3) - timedelta(microseconds=1)], MINUTE) == 0.0


def test_clocks_run_only_between_instants_that_there_are() -> None:
    """R121, R132: a change recorded without its submission, or never begun, has no lead time; nor
    time of work, if never begun.
    """
    changes = [
        ended("completed", lead=2 * DAY),
        ended("failed", lead=None, took=3 * HOUR),
        ended("failed", lead=DAY, took=None),
    ]
    assert metrics.lead_times(changes) == [2 * DAY]
    assert metrics.implementation_times(changes) == [HOUR, 3 * HOUR]


def test_the_parts_add_up_to_the_total() -> None:
    """R123, R124, R125: completed without rollback, rolled back, failed without rollback."""
    changes = [ended("completed"), ended("completed"), ended("rolled_back"), ended("failed")]
    assert metrics.by_outcome(changes) == {
        "total": 4,
        "successful": {"count": 2, "percent": 50.0},
        "rolled_back": {"count": 1, "percent": 25.0},
        "failed": {"count": 1, "percent": 25.0},
    }


def test_the_figures_of_a_period() -> None:
    """R118, R119, R121, R123, R124, R125, R126, R127, R128, R129, R130, R131, R132, R133: P0 once
    more by itself.
    """
    changes = [
        ended("completed", "P0", lead=HOUR, took=30 * MINUTE, caused_issue=True),
        ended("rolled_back", "P0", lead=DAY, took=None, frozen=9 * DAY),
        ended("completed", "P1", lead=4 * DAY, took=HOUR, frozen=DAY),
        ended("failed", "P2", lead=None, took=2 * HOUR, caused_issue=True, frozen=9 * DAY),
        ended("completed", "P3", lead=8 * DAY, took=3 * HOUR, frozen=3 * DAY, caused_issue=True),
    ]
    issues = [resolved(10 * MINUTE, "P0"), resolved(50 * MINUTE, "P1"), resolved(HOUR, "P0")]
    assert metrics.figures(changes, issues) == {
        "total": 5,
        "successful": {"count": 3, "percent": 60.0},
        "rolled_back": {"count": 1, "percent": 20.0},
        "failed": {"count": 1, "percent": 20.0},
        "caused_issue": 2,
        "emergency": 2,
        "by_priority": {"P0": 2, "P1": 1, "P2": 1, "P3": 1},
        "average_lead_time_days": 4.0,  # 1 h, 4 d and 8 d
        "average_lead_time_in_freeze_days": 1.3,  # 0, 1 and 3 d
        "average_implementation_minutes": 97.5,  # 30, 60, 120 and 180 min
        "mttr_minutes": 40.0,  # 10, 50 and 60 min
        "emergencies": {
            "total": 2,
            "successful": {"count": 1, "percent": 50.0},
            "rolled_back": {"count": 1, "percent": 50.0},
            "failed": {"count": 0, "percent": 0.0},
            "average_lead_time_days": 0.0,
            "average_lead_time_in_freeze_days": 0.0,
            "average_implementation_minutes": 30.0,
            "mttr_minutes": 35.0,
        },
    }


@pytest.mark.parametrize(
    ("month", "first", "following", "before", "after"),
    [
        ("2026-10-01", "2026-10-01", "2026-11-01", "2026-09-01", "2026-11-01"),
        ("2026-11-01", "2026-11-01", "2026-12-01", "2026-10-01", "2026-12-01"),
        ("2026-12-01", "2026-12-01", "2027-01-01", "2026-11-01", "2027-01-01"),
        ("2026-01-01", "2026-01-01", "2026-02-01", "2025-12-01", "2026-02-01"),
        ("2026-02-01", "2026-02-01", "2026-03-01", "2026-01-01", "2026-03-01"),
    ],
)
def test_a_month_runs_from_its_first_to_the_nexts(
    month: str, first: str, following: str, before: str, after: str
) -> None:
    """R122, R123: half-open, in UTC, over the year's edge too."""
    day = date.fromisoformat(month)
    assert metrics.month_span(day) == (
        datetime.fromisoformat(f"{first}T00:00Z"),
        datetime.fromisoformat(f"{following}T00:00Z"),
    )
    assert metrics.month_span(day.replace(day=28)) == metrics.month_span(day)
    assert (metrics.previous_month(day), metrics.next_month(day)) == (
        date.fromisoformat(before),
        date.fromisoformat(after),
    )


@pytest.fixture
def machine_in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own clock is 5 h 45 min ahead."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


def test_an_instant_belongs_to_its_month_in_utc(machine_in_kathmandu: None) -> None:
    """R123: 31 October, 22:30 in New York, is in November, wherever the machine stands."""
    new_york = timezone(timedelta(hours=-4))
    assert metrics.month_of(datetime(2026, 10, 31, 19, 59, 59, 999999, new_york)) == date(
        2026, 10, 1
    )
    assert metrics.month_of(datetime(2026, 10, 31, 20, 0, tzinfo=new_york)) == date(2026, 11, 1)
    assert metrics.month_of(datetime(2026, 10, 31, 22, 30, tzinfo=new_york)) == date(2026, 11, 1)
