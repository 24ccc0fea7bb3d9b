"""Days, windows and closures on the time line, each by dates from a printed calendar and one step
either side of its limits.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from windows.calendar.recurrence import Closure, Day, Occurrence, Window, _anchored, rule_parts

TICK = timedelta(microseconds=1)
ALL_YEAR = ("2026-01-01T00:00", "2027-01-01T00:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def falls(rule: Window | Closure, start: str, end: str) -> list[tuple[str, str]]:
    """Start and end of each occurrence, to the minute."""
    found = rule.occurrences(utc(start), utc(end))
    return [(f"{o.start:%Y-%m-%dT%H:%M}", f"{o.end:%Y-%m-%dT%H:%M}") for o in found]


def starts(rule: Window, start: str = ALL_YEAR[0], end: str = ALL_YEAR[1]) -> list[str]:
    return [f"{o.start:%m-%d %H:%M}" for o in rule.occurrences(utc(start), utc(end))]


def window(rule: str, begins: str, minutes: int = 120, zone: str = "UTC") -> Window:
    return Window("Night", rule, datetime.fromisoformat(begins), minutes, zone)


# --- days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "year", "expected"),
    [
        (Day(month=12, day=25), 2026, "2026-12-25"),
        (Day(month=1, day=1, offset=-14), 2027, "2026-12-18"),
        (Day(month=12, day=28, offset=10), 2025, "2026-01-07"),
        (Day(month=2, day=29), 2028, "2028-02-29"),
        (Day(month=2, day=29), 2027, None),
        (Day(month=2, day=29, offset=1), 2027, None),
        (Day(on="2026-05-02"), 2026, "2026-05-02"),
        (Day(on="2026-05-02"), 2025, None),
        (Day(on="2026-05-02"), 2027, None),
        (Day(on="2026-01-01", offset=-1), 2026, "2025-12-31"),
        (Day(month=11, weekday=3, nth=4), 2026, "2026-11-26"),
        (Day(month=11, weekday=3, nth=4, offset=1), 2026, "2026-11-27"),
        (Day(month=11, weekday=3, nth=5), 2026, None),
        (Day(month=12, weekday=3, nth=5), 2026, "2026-12-31"),
        (Day(month=6, weekday=0, nth=1), 2026, "2026-06-01"),
        (Day(month=6, weekday=6, nth=1), 2026, "2026-06-07"),
        (Day(month=5, weekday=0, nth=-1), 2026, "2026-05-25"),
        (Day(month=12, weekday=3, nth=-1), 2026, "2026-12-31"),
        (Day(month=12, weekday=4, nth=-1), 2026, "2026-12-25"),
        (Day(month=12, weekday=3, nth=-2), 2026, "2026-12-24"),
        (Day(month=11, weekday=3, nth=-1), 2026, "2026-11-26"),
        (Day(month=2, weekday=1, nth=-1), 2028, "2028-02-29"),
        (Day(country="US", holiday="Thanksgiving Day"), 2026, "2026-11-26"),
        (Day(country="US", holiday="Thanksgiving Day", offset=-14), 2026, "2026-11-12"),
        (Day(country="US", holiday="Independence Day"), 2026, "2026-07-04"),
        (Day(country="US", holiday="Juneteenth National Independence Day"), 2020, None),
    ],
)
def test_a_day_of_a_year_is_the_one_in_the_calendar_on_the_wall(
    day: Day, year: int, expected: str | None
) -> None:
    """R75, R76: fixed, once, the nth or last weekday, a holiday on its own day; none where the year
    has none.
    """
    assert day.of(year) == (date.fromisoformat(expected) if expected else None)


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "begins", "day"),
    [("UTC", "2020-01-07T02:00", "TU"), ("UTC", "2020-01-02T02:00", "TH")],
)
def test_the_documents_windows(zone: str, begins: str, day: str) -> None:
    """R72, R73: two hours, from 02:00 to 04:00; half-open on either side."""
    night = window(f"FREQ=WEEKLY;BYDAY={day}", begins, zone=zone)
    date_ = "2026-10-06" if day == "TU" else "2026-10-08"
    whole = [(f"{date_}T02:00", f"{date_}T04:00")]
    assert falls(night, f"{date_}T00:00", f"{date_}T23:00") == whole
    assert list(night.occurrences(utc(f"{date_}T00:00"), utc(f"{date_}T02:00"))) == []
    assert len(list(night.occurrences(utc(f"{date_}T00:00"), utc(f"{date_}T02:00") + TICK))) == 1
    assert len(list(night.occurrences(utc(f"{date_}T04:00") - TICK, utc(f"{date_}T23:00")))) == 1
    assert list(night.occurrences(utc(f"{date_}T04:00"), utc(f"{date_}T23:00"))) == []


def test_a_window_over_midnight_and_new_year_is_found_from_its_end() -> None:
    """R72: the longest lasts a day, and the year in which it began is looked at too."""
    assert falls(
        window("FREQ=DAILY", "2020-01-01T23:30"), "2027-01-01T00:30", "2027-01-01T01:00"
    ) == [("2026-12-31T23:30", "2027-01-01T01:30")]
    longest = window("FREQ=WEEKLY", "2026-12-31T06:00", 1440)
    assert falls(longest, "2027-01-01T05:59", "2027-01-01T06:30") == [
        ("2026-12-31T06:00", "2027-01-01T06:00")
    ]
    assert falls(longest, "2027-01-01T06:00", "2027-01-01T06:30") == []
    assert falls(window("", "2026-12-31T23:00"), "2026-12-31T00:00", "2027-01-02T00:00") == [
        ("2026-12-31T23:00", "2027-01-01T01:00")
    ]
    assert falls(
        window("FREQ=WEEKLY", "2026-12-31T06:00"), "2026-12-31T00:00", "2027-01-08T00:00"
    ) == [
        ("2026-12-31T06:00", "2026-12-31T08:00"),
        ("2027-01-07T06:00", "2027-01-07T08:00"),
    ]


@pytest.mark.parametrize(
    ("rule", "begins", "expected"),
    [
        ("", "2026-10-06T02:00", ["10-06 02:00"]),
        ("", "2025-10-06T02:00", []),
        (
            "FREQ=DAILY;INTERVAL=100",
            "2025-12-24T02:00",
            ["04-03 02:00", "07-12 02:00", "10-20 02:00"],
        ),
        ("FREQ=DAILY;INTERVAL=100", "2026-07-01T02:00", ["07-01 02:00", "10-09 02:00"]),
        ("FREQ=DAILY", "2026-12-30T02:00", ["12-30 02:00", "12-31 02:00"]),
        ("FREQ=DAILY;INTERVAL=366", "2020-01-01T02:00", ["01-05 02:00"]),
        (
            "FREQ=WEEKLY;INTERVAL=20",
            "2020-01-07T02:00",
            ["02-24 02:00", "07-14 02:00", "12-01 02:00"],
        ),
        (
            "FREQ=WEEKLY;INTERVAL=20;BYDAY=TH",
            "2020-01-07T02:00",
            ["02-26 02:00", "07-16 02:00", "12-03 02:00"],
        ),
        ("FREQ=WEEKLY;INTERVAL=30", "2026-06-02T02:00", ["06-02 02:00", "12-29 02:00"]),
        (
            "FREQ=MONTHLY;INTERVAL=4",
            "2020-03-15T02:00",
            ["03-15 02:00", "07-15 02:00", "11-15 02:00"],
        ),
        ("FREQ=MONTHLY;INTERVAL=4", "2020-12-31T02:00", ["08-31 02:00", "12-31 02:00"]),
        (
            "FREQ=MONTHLY;INTERVAL=5",
            "2026-02-15T02:00",
            ["02-15 02:00", "07-15 02:00", "12-15 02:00"],
        ),
        ("FREQ=MONTHLY", "2026-11-15T02:00", ["11-15 02:00", "12-15 02:00"]),
        ("FREQ=MONTHLY", "2026-11-01T02:00", ["11-01 02:00", "12-01 02:00"]),
        (
            "FREQ=MONTHLY;INTERVAL=4;BYDAY=2TU",
            "2020-03-15T02:00",
            ["03-10 02:00", "07-14 02:00", "11-10 02:00"],
        ),
        (
            "FREQ=MONTHLY;INTERVAL=4;BYMONTHDAY=20",
            "2020-03-15T02:00",
            ["03-20 02:00", "07-20 02:00", "11-20 02:00"],
        ),
        (
            "FREQ=MONTHLY;INTERVAL=4;BYMONTHDAY=10",
            "2026-03-15T02:00",
            ["07-10 02:00", "11-10 02:00"],
        ),
        ("FREQ=YEARLY", "2020-03-15T02:00", ["03-15 02:00"]),
        ("FREQ=YEARLY", "2026-03-15T02:00", ["03-15 02:00"]),
        ("FREQ=YEARLY", "2026-01-15T02:00", ["01-15 02:00"]),
        ("FREQ=YEARLY", "2026-01-01T02:00", ["01-01 02:00"]),
        ("FREQ=YEARLY;INTERVAL=3", "2020-03-15T02:00", ["03-15 02:00"]),
        ("FREQ=YEARLY;INTERVAL=4", "2020-03-15T02:00", []),
        ("FREQ=YEARLY;INTERVAL=2", "2024-12-15T02:00", ["12-15 02:00"]),
        ("FREQ=YEARLY;BYMONTH=3", "2020-05-10T02:00", ["03-10 02:00"]),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2020-05-10T02:00", ["11-26 02:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28", "2020-05-10T02:00", ["02-28 02:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28", "2026-05-10T02:00", []),
    ],
)
def test_a_rule_falls_on_these_days_of_2026(rule: str, begins: str, expected: list[str]) -> None:
    """R72, R73: counted from its first day, however long ago; nothing before it."""
    assert starts(window(rule, begins)) == expected


@pytest.mark.parametrize(
    ("rule", "counted_from"),
    [
        ("FREQ=DAILY", "2025-12-30"),  # the very day that is asked about
        ("FREQ=DAILY;INTERVAL=7", "2025-12-25"),  # every Thursday, as 2 March 2000 was one
        ("FREQ=WEEKLY", "2025-12-25"),
        ("FREQ=WEEKLY;INTERVAL=2", "2025-12-18"),
        ("FREQ=MONTHLY", "2025-11-01"),  # the whole month before
        ("FREQ=MONTHLY;INTERVAL=4", "2025-11-01"),
        ("FREQ=MONTHLY;INTERVAL=5", "2025-08-01"),
        ("FREQ=YEARLY", "2024-01-01"),  # the whole year before
        ("FREQ=YEARLY;INTERVAL=3", "2024-01-01"),
        ("FREQ=YEARLY;INTERVAL=4", "2024-01-01"),
    ],
)
def test_a_rule_that_runs_since_2000_is_not_counted_from_2000(rule: str, counted_from: str) -> None:
    """R72: a page of the calendar costs the same after twenty years: what is counted begins at most
    one interval before what is asked.
    """
    counted, _ = _anchored(window(rule, "2000-03-02T02:00"), datetime(2025, 12, 30, 2))
    assert counted == datetime.fromisoformat(f"{counted_from}T02:00")


def test_what_begins_in_the_old_year_by_the_local_clock_belongs_to_the_new_one_in_utc() -> None:
    """R72: 31 December, 20:00 in New York, is 1 January, 01:00 UTC, whatever the frequency."""
    for rule in (
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=YEARLY",
        "FREQ=MONTHLY",
        "FREQ=WEEKLY",
        "FREQ=DAILY",
        "",
    ):
        begins = "2025-12-31T20:00" if rule in ("", "FREQ=WEEKLY") else "2019-12-31T20:00"
        night = window(rule, begins, zone="America/New_York")
        assert starts(night, "2026-01-01T00:00", "2026-01-01T12:00") == ["01-01 01:00"], rule


def test_the_parts_of_a_rule() -> None:
    """What follows a name's first sign is its value; what has none is no part."""
    assert rule_parts("freq=weekly;byday=tu,th") == {"FREQ": "WEEKLY", "BYDAY": "TU,TH"}
    assert rule_parts("FREQ=DAILY;;ALONE;X=A=B") == {"FREQ": "DAILY", "X": "A=B"}


def test_a_window_opens_for_its_priorities_on_its_components() -> None:
    """R72, R77: no scope means every component; None is one that no rule names."""
    everywhere = window("FREQ=DAILY", "2026-10-06T02:00")
    assert everywhere.opens("P1", "search")
    assert everywhere.opens("P3", None)
    assert not everywhere.opens("P0", None)
    search = Window(
        "S",
        "FREQ=DAILY",
        datetime(2026, 10, 6, 2),
        60,
        priorities=frozenset({"P3"}),
        scope=frozenset({"search"}),
    )
    assert search.opens("P3", "search")
    assert not search.opens("P1", "search")
    assert not search.opens("P3", "cdn")
    assert not search.opens("P3", None)


# --- versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "till", "expected"),
    [
        (None, None, [("02:00", "04:00")]),
        ("02:00", None, [("02:00", "04:00")]),
        ("03:00", None, [("03:00", "04:00")]),
        ("04:00", None, []),
        (None, "04:00", [("02:00", "04:00")]),
        (None, "03:00", [("02:00", "03:00")]),
        (None, "02:00", []),
        ("01:00", "05:00", [("02:00", "04:00")]),
        ("03:00", "03:00", []),
    ],
)
def test_a_version_counts_from_since_to_till(
    since: str | None, till: str | None, expected: list[tuple[str, str]]
) -> None:
    """Promise 7: what was open before an edit is known as it was."""
    on = "2026-10-06T"
    night = Window(
        "N",
        "FREQ=YEARLY",
        datetime(2026, 10, 6, 2),
        120,
        since=utc(on + since) if since else None,
        till=utc(on + till) if till else None,
    )
    shut = Closure(
        "C",
        "freeze",
        starts=utc(on + "02:00"),
        ends=utc(on + "04:00"),
        since=night.since,
        till=night.till,
    )
    for rule in (night, shut):
        found = rule.occurrences(utc("2026-10-01T00:00"), utc("2026-10-31T00:00"))
        assert [(f"{o.start:%H:%M}", f"{o.end:%H:%M}") for o in found] == expected
        assert all(
            (o.name, o.kind, o.rule) == (rule.name, rule.kind, rule)
            for o in rule.occurrences(utc(on + "00:00"), utc(on + "23:00"))
        )


# --- closures -------------------------------------------------------------------------------------


CHRISTMAS = Closure(
    "the code freeze for Christmas",
    "freeze",
    Day(month=12, day=25, offset=-14),
    Day(month=12, day=25),
)
NEW_YEAR = Closure(
    "the code freeze for New Year", "freeze", Day(month=1, day=1, offset=-14), Day(month=1, day=1)
)


def test_a_code_freeze_is_two_weeks_and_the_day() -> None:
    """R75: from 14 days before to the end of the holiday, half-open; over the year's edge from
    either side.
    """
    assert falls(CHRISTMAS, "2026-12-25T23:59", "2026-12-26T00:00") == [
        ("2026-12-11T00:00", "2026-12-26T00:00")
    ]
    assert falls(CHRISTMAS, "2026-12-10T00:00", "2026-12-11T00:01") == [
        ("2026-12-11T00:00", "2026-12-26T00:00")
    ]
    assert falls(CHRISTMAS, "2026-12-10T00:00", "2026-12-11T00:00") == []
    assert falls(CHRISTMAS, "2026-12-26T00:00", "2026-12-27T00:00") == []
    assert falls(NEW_YEAR, "2026-12-18T00:00", "2026-12-18T00:01") == [
        ("2026-12-18T00:00", "2027-01-02T00:00")
    ]
    assert falls(NEW_YEAR, "2027-01-01T23:59", "2027-01-03T00:00") == [
        ("2026-12-18T00:00", "2027-01-02T00:00")
    ]
    assert falls(NEW_YEAR, "2025-12-31T00:00", "2026-12-31T00:00") == [
        ("2025-12-18T00:00", "2026-01-02T00:00"),
        ("2026-12-18T00:00", "2027-01-02T00:00"),
    ]


def test_a_closure_that_somebody_ends_by_hand() -> None:
    """R76: once, from its instant to its end, or until further notice."""
    once = Closure(
        "the audit", "blackout", starts=utc("2026-05-02T10:00"), ends=utc("2026-05-02T12:00")
    )
    assert falls(once, "2026-05-02T00:00", "2026-05-03T00:00") == [
        ("2026-05-02T10:00", "2026-05-02T12:00")
    ]
    assert (
        falls(once, "2026-05-02T12:00", "2026-05-03T00:00")
        == falls(once, "2026-05-02T00:00", "2026-05-02T10:00")
        == []
    )
    (lockdown,) = Closure("L", "lockdown", starts=utc("2026-05-02T10:00")).occurrences(
        utc("2030-01-01T00:00"), utc("2030-01-02T00:00")
    )
    assert lockdown.is_open_ended
    assert lockdown.start == utc("2026-05-02T10:00")


def test_a_closure_keeps_out_all_but_whom_it_admits_on_its_components() -> None:
    """R77: P0 alone by default; one component of the change is enough."""
    assert [CHRISTMAS.shuts(priority, frozenset()) for priority in ("P0", "P1", "P2", "P3")] == [
        False,
        True,
        True,
        True,
    ]
    payments = Closure(
        "P",
        "freeze",
        CHRISTMAS.first,
        CHRISTMAS.last,
        admits=frozenset({"P0", "P1"}),
        scope=frozenset({"payments"}),
    )
    assert payments.shuts("P2", frozenset({"payments", "search"}))
    assert not payments.shuts("P2", frozenset({"search"}))
    assert not payments.shuts("P2", frozenset())
    assert not payments.shuts("P1", frozenset({"payments"}))


def test_an_occurrence_knows_whom_it_admits_and_whom_it_shuts_out() -> None:
    """R72, R75, R77: a window shuts nobody out, and a freeze opens to nobody."""
    night = Window(
        "N", "FREQ=DAILY", datetime(2026, 12, 1, 2), 120, capacity=2, scope=frozenset({"search"})
    )
    (opened,) = night.occurrences(utc("2026-12-24T00:00"), utc("2026-12-24T23:00"))
    (shut,) = CHRISTMAS.occurrences(utc("2026-12-24T00:00"), utc("2026-12-24T23:00"))
    assert opened.admits("P1", "search")
    assert not opened.admits("P1", "cdn")
    assert not opened.admits("P0", "search")
    assert not opened.shuts("P1", frozenset({"search"}))
    assert shut.shuts("P1")
    assert shut.shuts("P1", frozenset({"search"}))
    assert not shut.shuts("P0")
    assert not shut.admits("P1", "search")
    assert not shut.admits("P0", None)
    assert (opened.capacity, shut.capacity, opened.admitted, shut.admitted) == (
        2,
        None,
        "P1, P2, P3",
        "P0",
    )
    payments = Closure(
        "P",
        "freeze",
        starts=utc("2026-12-24T00:00"),
        admits=frozenset(),
        scope=frozenset({"payments"}),
    )
    (held,) = payments.occurrences(utc("2026-12-24T00:00"), utc("2026-12-24T23:00"))
    assert held.admitted == "nobody"
    assert held.shuts("P0", frozenset({"payments"}))
    assert not held.shuts("P1")
    assert not held.shuts("P1", frozenset({"search"}))
    assert sorted([shut, opened]) == [shut, opened]
    assert Occurrence(shut.start, shut.end, "other", "freeze", CHRISTMAS) == shut, (
        "the time line alone orders them"
    )
