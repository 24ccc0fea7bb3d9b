"""The calendar verdict against an oracle written differently: minute by minute, by hand-made dates,
without the product's code.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from changemgmt.process import CLOSURES, WINDOWS
from tests.tries import tries
from windows.calendar.verdict import (
    Calendar,
    Closure,
    Day,
    Window,
    closure_occurrences,
    decide,
    next_transition,
    open_stretches,
    window_occurrences,
)

DEFAULT = Calendar(
    windows=tuple(
        Window(
            name=row["name"],
            rule=row["rule"],
            begins=row["begins"].replace(tzinfo=None),
            minutes=row["minutes"],
            zone=row["zone"],
        )
        for row in WINDOWS
    ),
    closures=tuple(
        Closure(
            name=row["name"], kind=row["kind"], first=Day(**row["first"]), last=Day(**row["last"])
        )
        for row in CLOSURES
    ),
)
# Thanksgiving (fourth Thursday of November), written by hand.
THANKSGIVING = {
    2024: 28,
    2025: 27,
    2026: 26,
    2027: 25,
    2028: 23,
    2029: 22,
    2030: 28,
    2031: 27,
    2032: 25,
    2033: 24,
    2034: 23,
    2035: 22,
}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def oracle_shut(at: datetime) -> bool:
    """Whether a planned change is frozen at that instant, from first principles."""
    day = at.date()
    for year in (day.year - 1, day.year, day.year + 1):
        holidays = [date(year, 12, 25), date(year, 1, 1)]
        first = date(year, 11, 1)
        thanksgiving = first + timedelta(days=(3 - first.weekday()) % 7 + 21)
        holidays.append(thanksgiving)
        if any(holiday - timedelta(days=14) <= day <= holiday for holiday in holidays):
            return True
        black_friday = thanksgiving + timedelta(days=1)
        if black_friday <= day <= date(year, 12, 31):
            return True
    return False


def oracle_open(at: datetime) -> bool:
    return at.weekday() in (1, 3) and 2 <= at.hour < 4 and not oracle_shut(at)


@pytest.mark.parametrize("year", sorted(THANKSGIVING))
def test_freezes_and_blackouts_fall_on_the_right_days(year: int) -> None:
    """R75, R76, A5: Black Friday, Cyber Monday, shopping season and code freezes of 2024-2035
    against dates written by hand.
    """
    found = {
        c.name: (c.start, c.end)
        for c in closure_occurrences(DEFAULT, utc(f"{year}-10-01"), utc(f"{year}-12-31T23:00"))
    }
    feast = date(year, 11, THANKSGIVING[year])
    midnight = {"tzinfo": UTC}

    def at(day: date) -> datetime:
        return datetime(day.year, day.month, day.day, **midnight)

    one = timedelta(days=1)
    assert found["the code freeze for Thanksgiving"] == (at(feast - 14 * one), at(feast + one))
    assert found["the Black Friday blackout"] == (at(feast + one), at(feast + 2 * one))
    assert found["the Cyber Monday blackout"] == (at(feast + 4 * one), at(feast + 5 * one))
    assert found["the holiday shopping season"] == (at(feast + one), at(date(year + 1, 1, 1)))
    assert found["the code freeze for Christmas"] == (
        at(date(year, 12, 11)),
        at(date(year, 12, 26)),
    )
    assert found["the code freeze for New Year"] == (
        at(date(year, 12, 18)),
        at(date(year + 1, 1, 2)),
    )


def test_2026_has_105_windows_and_nothing_but_p0_from_november_to_january() -> None:
    """R72, R73, R77: the facts that the process gives for checking."""
    assert len(window_occurrences(DEFAULT, utc("2026-01-01"), utc("2027-01-01"))) == 105
    stretches = list(open_stretches("P2", utc("2026-11-10"), utc("2027-01-06"), DEFAULT))
    assert [start for start, _ in stretches] == [utc("2026-11-10T02:00"), utc("2027-01-05T02:00")]


def test_a_refusal_names_rule_end_next_start_and_who_may_override() -> None:
    """Promise 8, in the words of the design."""
    verdict = decide("P1", utc("2026-11-24T02:00"), utc("2026-11-24T03:00"), DEFAULT)
    (reason,) = verdict.reasons
    assert (verdict.allowed, verdict.next_allowed_start) == (False, utc("2027-01-05T02:00"))
    assert (reason.code, reason.until, reason.override_roles) == (
        "freeze",
        utc("2026-11-27T00:00"),
        ("cto", "change-manager"),
    )
    assert (
        reason.message
        == "P1 on Tue 24 Nov is inside the code freeze for Thanksgiving until Thu 26 Nov, 24:00"
        " UTC; next: Tue 5 Jan 2027, 02:00 UTC."
    )
    blackout = decide("P1", utc("2026-11-27T02:00"), utc("2026-11-27T02:00"), DEFAULT)
    assert {r.code for r in blackout.reasons} == {"blackout"}
    assert all(not r.override_roles for r in blackout.reasons), "nobody overrides a blackout"


def test_p0_may_at_any_time() -> None:
    """R74, R77."""
    for at in ("2026-11-27T14:00", "2026-10-06T02:00", "2026-12-31T23:59"):
        assert decide("P0", utc(at), utc(at) + timedelta(hours=9), DEFAULT).allowed


@settings(max_examples=tries(everyday=40, build=300, faults=4000), deadline=None)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)),
    minutes=st.integers(0, 180),
    priority=st.sampled_from(["P1", "P2", "P3"]),
)
def test_the_verdict_agrees_with_the_oracle(start: datetime, minutes: int, priority: str) -> None:
    """R72, R73, R74, R75, R76, R77: allowed exactly when every minute of the plan is open; the next
    start is the first that is.
    """
    start = start.replace(second=0, microsecond=0, tzinfo=UTC)
    verdict = decide(priority, start, start + timedelta(minutes=minutes), DEFAULT)
    every_minute = all(oracle_open(start + timedelta(minutes=m)) for m in range(max(1, minutes)))
    assert verdict.allowed == every_minute
    if minutes > 120:
        assert verdict.next_allowed_start is None
        return
    following = verdict.next_allowed_start
    assert following is not None
    assert following >= start
    assert all(oracle_open(following + timedelta(minutes=m)) for m in range(max(1, minutes)))
    day = start
    while (
        day < following
    ):  # nothing earlier would have done: look at each window's first minute in between
        candidate = max(start, day.replace(hour=2, minute=0))
        fits = all(oracle_open(candidate + timedelta(minutes=m)) for m in range(max(1, minutes)))
        assert not fits or candidate >= following
        day = (day + timedelta(days=1)).replace(hour=0, minute=0)


@settings(max_examples=tries(everyday=20, build=100), deadline=None)
@given(at=st.datetimes(datetime(2025, 1, 1), datetime(2028, 12, 31)))
def test_the_answer_changes_exactly_at_the_next_transition(at: datetime) -> None:
    at = at.replace(second=0, microsecond=0, tzinfo=UTC)
    change = next_transition("P2", at, DEFAULT)
    assert change is not None
    assert oracle_open(change) != oracle_open(change - timedelta(minutes=1))
    assert oracle_open(change - timedelta(minutes=1)) == oracle_open(at)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        (
            "America/New_York",
            "2026-03-08",
            "2026-03-08T07:30",
        ),  # 02:30 does not exist: the offset from before the gap
        ("America/New_York", "2026-11-01", "2026-11-01T07:30"),
        ("Europe/London", "2026-10-25", "2026-10-25T02:30"),
        ("Australia/Lord_Howe", "2026-10-03", "2026-10-02T16:00"),
    ],
)
def test_windows_in_local_time_follow_the_zone(zone: str, day: str, expected: str) -> None:
    """RFC 5545, 3.3.5: a local time in a gap takes the offset before it; the length is measured in
    UTC.
    """
    clock = datetime.fromisoformat(f"{day}T02:30")
    window = Window(
        name="Local", rule="FREQ=DAILY", begins=datetime(2020, 1, 1, 2, 30), minutes=60, zone=zone
    )
    found = list(
        window_occurrences(
            Calendar((window,)), utc(day) - timedelta(days=1), utc(day) + timedelta(days=2)
        )
    )
    starts = [o.start for o in found]
    assert utc(expected) in starts, (clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), starts)
    assert all(o.end - o.start == timedelta(minutes=60) for o in found)


def test_windows_that_touch_are_one_stretch_and_deny_beats_allow() -> None:
    early = Window(name="A", rule="FREQ=DAILY", begins=datetime(2020, 1, 1, 2), minutes=60)
    late = Window(name="B", rule="FREQ=DAILY", begins=datetime(2020, 1, 1, 3), minutes=60)
    shut = Closure(
        name="the audit", kind="freeze", first=Day(on="2026-05-02"), last=Day(on="2026-05-02")
    )
    calendar = Calendar((early, late), (shut,))
    assert decide("P1", utc("2026-05-01T02:30"), utc("2026-05-01T03:30"), calendar).allowed
    assert not decide("P1", utc("2026-05-02T02:30"), utc("2026-05-02T03:30"), calendar).allowed


def test_scopes_open_and_shut_for_their_components_alone() -> None:
    window = Window(
        name="Search only",
        rule="FREQ=DAILY",
        begins=datetime(2020, 1, 1, 2),
        minutes=60,
        scope=frozenset({"search"}),
    )
    freeze = Closure(
        name="payments freeze",
        kind="freeze",
        first=Day(month=5, day=1),
        last=Day(month=5, day=3),
        scope=frozenset({"payments"}),
    )
    at = utc("2026-05-02T02:10")
    assert decide("P2", at, at, Calendar((window,), (freeze,)), frozenset({"search"})).allowed
    assert not decide(
        "P2", at, at, Calendar((window,), (freeze,)), frozenset({"search", "checkout"})
    ).allowed
    everywhere = Window(name="All", rule="FREQ=DAILY", begins=datetime(2020, 1, 1, 2), minutes=60)
    assert not decide(
        "P2", at, at, Calendar((everywhere,), (freeze,)), frozenset({"payments"})
    ).allowed
    assert decide("P2", at, at, Calendar((everywhere,), (freeze,)), frozenset({"search"})).allowed


FREQUENT = st.one_of(
    st.builds(lambda n: f"FREQ=DAILY;INTERVAL={n}", st.integers(1, 366)),
    st.builds(lambda n, days,
        wkst: f"FREQ=WEEKLY;INTERVAL={n};BYDAY={','.join(sorted(days))};WKST={wkst}",
        st.integers(1, 53), st.sets(st.sampled_from(["MO", "WE", "SU"]), min_size=1),
        st.sampled_from(["MO", "SU"])),
    st.builds(lambda n: f"FREQ=WEEKLY;INTERVAL={n}", st.integers(1, 53)),
    st.builds(lambda n, day: f"FREQ=MONTHLY;INTERVAL={n};BYDAY={day}", st.integers(1, 12),
        st.sampled_from(["1MO", "-1FR", "5TH", "MO"])),
    st.builds(lambda n: f"FREQ=MONTHLY;INTERVAL={n}", st.integers(1, 12)),
    st.builds(lambda n, rest: f"FREQ=YEARLY;INTERVAL={n}{rest}", st.integers(1, 4),
        st.sampled_from(["", ";BYMONTH=2;BYMONTHDAY=29", ";BYMONTH=11;BYDAY=4TH", ";BYDAY=1MO",
        ";BYMONTH=3"])),
)  # fmt: skip


@settings(max_examples=tries(everyday=30, build=300), deadline=None)
@given(
    rule=FREQUENT,
    begins=st.datetimes(datetime(2000, 1, 1), datetime(2026, 12, 31)),
    year=st.integers(2024, 2040),
)
def test_a_rule_that_runs_since_long_falls_where_it_would_counted_from_its_first_day(
    rule: str, begins: datetime, year: int
) -> None:
    """R72, R73: the jump to the years that are looked at changes nothing, whatever the interval."""
    begins = begins.replace(second=0, microsecond=0)
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    whole = rrulestr(rule, dtstart=begins).between(
        begins - timedelta(days=1), datetime(year + 1, 1, 1), inc=True
    )
    counted = [at.replace(tzinfo=UTC) for at in whole if at < datetime(year + 1, 1, 1)]
    found = [
        o.start
        for o in Window("Night", rule, begins, 60).occurrences(start, end)
        if o.start >= start
    ]
    assert found == [at for at in counted if at >= start]


def test_a_closure_of_nearly_a_year_is_not_lost_at_its_end() -> None:
    """A5: what belongs to the year before last still holds."""
    freeze = Closure(
        name="the long freeze",
        kind="freeze",
        first=Day(month=12, day=28, offset=10),
        last=Day(month=12, day=25, offset=10),
    )
    found = closure_occurrences(Calendar(closures=(freeze,)), utc("2026-01-01"), utc("2026-01-04"))
    assert [(c.start, c.end) for c in found] == [(utc("2025-01-07"), utc("2026-01-05"))]
