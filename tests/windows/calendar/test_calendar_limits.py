"""The verdict one step either side of every limit, with its whole sentences; spans of time by hand
(A5-A7).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from language.refusal import Reason
from windows.calendar.recurrence import Day
from windows.calendar.verdict import (
    Calendar,
    Closure,
    Span,
    Verdict,
    Window,
    closed_time,
    closure_occurrences,
    closures_over,
    common,
    decide,
    excepted,
    next_transition,
    open_stretches,
    united,
    window_at,
    window_occurrences,
    without,
)

TICK, MINUTE, HOUR, DAY = (
    timedelta(microseconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
SEARCH, CDN = frozenset({"search"}), frozenset({"cdn"})
PRIMARY = Window("Primary", "FREQ=WEEKLY;BYDAY=TU", datetime(2020, 1, 7, 2), 120, key=1)
SECONDARY = Window("Secondary", "FREQ=WEEKLY;BYDAY=TH", datetime(2020, 1, 2, 2), 120, key=2)
THANKSGIVING = Closure(
    "the code freeze for Thanksgiving",
    "freeze",
    Day(month=11, weekday=3, nth=4, offset=-14),
    Day(month=11, weekday=3, nth=4),
    key=7,
)
SHOPPING = Closure(
    "the holiday shopping season",
    "blackout",
    Day(month=11, weekday=3, nth=4, offset=1),
    Day(month=12, day=31),
    key=8,
)
CALENDAR = Calendar((PRIMARY, SECONDARY), (THANKSGIVING, SHOPPING))
ALWAYS = Window("Always", "FREQ=DAILY", datetime(2020, 1, 1), 1440)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def h(hour: int) -> datetime:
    """That hour of Tuesday 6 October 2026."""
    return utc("2026-10-06T00:00") + hour * HOUR


def spans(*hours: tuple[int, int]) -> list[Span]:
    return [(h(begin), h(end)) for begin, end in hours]


def once(kind: str, start: datetime, end: datetime | None, **more: Any) -> Closure:
    return Closure(f"the {kind}", kind, starts=start, ends=end, **more)


# --- spans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([(1, 2)], [(1, 2)]),
        ([(1, 2), (2, 3)], [(1, 3)]),
        ([(1, 2), (3, 4)], [(1, 2), (3, 4)]),
        ([(3, 4), (1, 2)], [(1, 2), (3, 4)]),
        ([(1, 5), (2, 3), (4, 6)], [(1, 6)]),
        ([(1, 5), (2, 3)], [(1, 5)]),
        ([(1, 2), (4, 6), (5, 7)], [(1, 2), (4, 7)]),
    ],
)
def test_spans_that_touch_or_overlap_are_one(
    given: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    """R72, R73."""
    assert united(spans(*given)) == spans(*expected)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([(1, 3)], [(2, 4)], [(2, 3)]),
        ([(1, 4)], [(2, 3)], [(2, 3)]),
        ([(1, 2)], [(2, 3)], []),
        ([(1, 2)], [], []),
        ([(1, 3)], [(1, 3)], [(1, 3)]),
        ([(1, 3), (5, 7)], [(2, 6)], [(2, 3), (5, 6)]),
        ([(1, 10)], [(0, 2), (3, 4), (9, 11)], [(1, 2), (3, 4), (9, 10)]),
        ([(1, 2), (3, 5), (8, 9)], [(4, 5), (6, 7), (8, 10)], [(4, 5), (8, 9)]),
    ],
)
def test_a_change_on_two_components_has_the_time_that_both_have(
    one: Any, other: Any, expected: Any
) -> None:
    """R20, R72: nothing where they only touch; the same whichever is asked first."""
    assert common(spans(*one), spans(*other)) == spans(*expected)
    assert common(spans(*other), spans(*one)) == spans(*expected)


@pytest.mark.parametrize(
    ("given", "taken", "expected"),
    [
        ([(2, 4)], [], [(2, 4)]),
        ([(2, 4)], [(0, 2)], [(2, 4)]),
        ([(2, 4)], [(4, 6)], [(2, 4)]),
        ([(2, 4)], [(1, 3)], [(3, 4)]),
        ([(2, 4)], [(3, 5)], [(2, 3)]),
        ([(2, 4)], [(2, 3)], [(3, 4)]),
        ([(2, 4)], [(3, 4)], [(2, 3)]),
        ([(2, 4)], [(2, 4)], []),
        ([(2, 4)], [(0, 9)], []),
        ([(2, 8)], [(3, 4), (5, 6)], [(2, 3), (4, 5), (6, 8)]),
        ([(6, 8)], [(0, 1), (2, 3), (4, 5), (7, 9)], [(6, 7)]),
        ([(0, 4), (6, 10)], [(1, 2), (3, 7), (8, 9)], [(0, 1), (2, 3), (7, 8), (9, 10)]),
        ([(0, 1), (2, 3), (4, 5), (6, 7)], [(1, 2), (4, 5)], [(0, 1), (2, 3), (6, 7)]),
    ],
)
def test_what_is_shut_is_taken_out(given: Any, taken: Any, expected: Any) -> None:
    """R75, R76: deny beats allow."""
    assert list(without(spans(*given), spans(*taken))) == spans(*expected)


# --- the calendar as a value ----------------------------------------------------------------------


def test_a_calendar_sorts_its_rules_and_leaves_some_out() -> None:
    """R74, R77: without what opens once; without the freezes that an exception lifts, never a
    blackout (A6).
    """
    opening = Window("Once", "", datetime(2026, 10, 7, 2), 60)
    calendar = Calendar.of(rule for rule in (THANKSGIVING, PRIMARY, SHOPPING, opening))
    assert calendar == Calendar((PRIMARY, opening), (THANKSGIVING, SHOPPING))
    assert calendar.without_openings() == Calendar((PRIMARY,), (THANKSGIVING, SHOPPING))
    assert calendar.lifting([7, 8]) == Calendar((PRIMARY, opening), (SHOPPING,))
    assert calendar.lifting([8]) == calendar
    named = Calendar((replace(PRIMARY, scope=SEARCH), SECONDARY), (replace(SHOPPING, scope=CDN),))
    assert named.named_components == SEARCH | CDN


def test_occurrences_come_by_start_whatever_the_order_of_the_rules() -> None:
    """R72, R73, R75: half-open."""
    found = window_occurrences(
        Calendar((SECONDARY, PRIMARY)), utc("2026-10-06T00:00"), utc("2026-10-13T02:00")
    )
    assert [(o.name, o.start) for o in found] == [
        ("Primary", utc("2026-10-06T02:00")),
        ("Secondary", utc("2026-10-08T02:00")),
    ]
    found = closure_occurrences(
        Calendar((), (SHOPPING, THANKSGIVING)), utc("2026-11-01T00:00"), utc("2026-12-01T00:00")
    )
    assert [(c.name, c.start) for c in found] == [
        ("the code freeze for Thanksgiving", utc("2026-11-12T00:00")),
        ("the holiday shopping season", utc("2026-11-27T00:00")),
    ]


@pytest.mark.parametrize(
    ("priority", "scope", "start", "end", "hours"),
    [
        ("P1", SEARCH, 0, 24, 5),
        ("P1", CDN, 0, 24, 3),
        ("P0", SEARCH, 0, 24, 0),
        ("P1", SEARCH, 3, 5, 2),
        ("P1", SEARCH, 6, 9, 0),
        ("P1", SEARCH, 0, 3, 1),
        ("P1", SEARCH, 0, 2, 0),
        ("P1", SEARCH, 5, 11, 2),
    ],
)
def test_the_time_in_a_freeze_counts_once(
    priority: str, scope: frozenset[str], start: int, end: int, hours: int
) -> None:
    """R121: of which in freeze; where two overlap, where it is half in, and for whom it is none."""
    closures = (
        once("freeze", h(2), h(4)),
        once("blackout", h(3), h(5)),
        once("blackout", h(4), h(6), scope=SEARCH),
        once("freeze", h(10), h(11)),
    )
    found = closure_occurrences(Calendar((), closures), h(0), h(24))
    expected = {5: 5 * HOUR, 3: 4 * HOUR, 2: 2 * HOUR, 1: HOUR, 0: timedelta(0)}[hours]
    assert closed_time(priority, scope, h(start), h(end), found) == expected


# --- stretches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before",
    [
        16 * DAY - MINUTE,
        16 * DAY - HOUR,
        16 * DAY,
        16 * DAY - 2 * HOUR,
        16 * DAY + HOUR,
        48 * DAY - HOUR,
        48 * DAY - 2 * HOUR,
    ],
)
def test_a_window_is_whole_however_far_ahead_it_lies(before: timedelta) -> None:
    """R72, R73: also where the time that is looked at together ends within it, or with it; and so
    are those after it.
    """
    start, end = h(2) - before, h(2) + 9 * DAY
    days = (start.replace(hour=2, minute=0) + n * DAY for n in range(-1, 80))
    nights = [
        (max(start, at), at + 2 * HOUR)
        for at in days
        if at.weekday() in (1, 3) and start < at + 2 * HOUR and at < end
    ]
    assert (h(2), h(4)) in nights
    assert list(open_stretches("P1", start, end, CALENDAR)) == nights
    assert [begin for begin, _ in open_stretches("P1", h(0), h(0) + 9 * DAY, CALENDAR)] == [
        h(2),
        h(2) + 2 * DAY,
        h(2) + 7 * DAY,
    ]


def test_what_is_always_open_is_one_stretch_cut_to_what_was_asked() -> None:
    assert list(open_stretches("P1", h(1), h(1) + 300 * DAY, Calendar((ALWAYS,)))) == [
        (h(1), h(1) + 300 * DAY)
    ]
    assert list(open_stretches("P1", h(3), h(3) + HOUR, Calendar((PRIMARY,)))) == [(h(3), h(4))]
    assert list(open_stretches("P1", h(0), h(3), Calendar((PRIMARY,)))) == [(h(2), h(3))]
    assert list(open_stretches("P1", h(0), h(9), Calendar())) == []
    assert list(open_stretches("P1", h(2), h(2), Calendar((ALWAYS,)))) == []


def test_each_component_needs_a_window_and_none_may_be_shut() -> None:
    """R20, R72, R77: its own or everybody's; a component that no rule names has the ones for all;
    only windows of the priority.
    """
    night, early = (
        replace(PRIMARY, scope=SEARCH),
        Window("Early", "FREQ=WEEKLY;BYDAY=TU", datetime(2020, 1, 7, 1), 120, scope=CDN),
    )
    small = replace(PRIMARY, name="Small", priorities=frozenset({"P3"}))

    def hours(
        calendar: Calendar,
        scope: frozenset[str] = frozenset(),
        priority: str = "P1",
        ignoring: frozenset[str] = frozenset(),
    ) -> list[Span]:
        return list(open_stretches(priority, h(0), h(24), calendar, scope, ignoring))

    scoped = Calendar((night, early))
    assert hours(scoped, SEARCH) == spans((2, 4))
    assert hours(scoped, CDN) == spans((1, 3))
    assert hours(scoped, SEARCH | CDN) == spans((2, 3))
    assert (
        hours(scoped)
        == hours(scoped, frozenset({"mail"}))
        == hours(scoped, SEARCH | {"mail"})
        == []
    )
    assert hours(Calendar((PRIMARY,)), SEARCH | CDN) == spans((2, 4))
    assert hours(Calendar((small,))) == []
    assert hours(Calendar((small,)), priority="P3") == spans((2, 4))
    lockdown = once("lockdown", h(3), None)
    freeze = once("freeze", h(0), h(3), scope=CDN)
    shut = Calendar((PRIMARY,), (lockdown, freeze))
    assert hours(shut, SEARCH) == spans((2, 3))
    assert hours(shut, SEARCH | CDN) == []
    assert hours(shut, SEARCH, ignoring=frozenset({"lockdown"})) == spans((2, 4))
    assert hours(shut, SEARCH | CDN, ignoring=frozenset({"lockdown"})) == spans((3, 4))


# --- the verdict ----------------------------------------------------------------------------------

THURSDAY = h(2) + 2 * DAY
NEXT = "next: Thu 8 Oct 2026, 02:00 UTC"


@pytest.mark.parametrize(
    ("start", "end", "allowed"),
    [
        (h(2), h(4), True),
        (h(2), h(2), True),
        (h(4) - TICK, h(4), True),
        (h(4) - TICK, h(4) - TICK, True),
        (h(2) - TICK, h(3), False),
        (h(2) - TICK, h(2) - TICK, False),
        (h(2), h(4) + TICK, False),
        (h(4), h(4), False),
    ],
)
def test_a_window_is_open_from_its_start_to_before_its_end(
    start: datetime, end: datetime, allowed: bool
) -> None:
    """R72: a plan may end when the window ends, and begin at any instant before."""
    verdict = decide("P1", start, end, CALENDAR)
    assert verdict.allowed is allowed
    if allowed:
        assert verdict == Verdict(True, (), start, h(4))


def test_outside_every_window() -> None:
    """R72, R73, R8, R12: named with the next start that would be accepted for the same length."""
    at = utc("2026-10-07T02:00")
    said = f"P2 at Wed 7 Oct 2026, 02:00 UTC is outside every maintenance window; {NEXT}."
    reason = Reason("outside_window", said, "Maintenance windows", THURSDAY, THURSDAY)
    assert decide("P2", at, at + 2 * HOUR, CALENDAR) == Verdict(False, (reason,), THURSDAY, None)


def test_a_plan_that_does_not_fit() -> None:
    """R32, R72: how long it takes, in whole minutes, when the window ends, and when it
    would fit.
    """
    said = (
        "The plan takes 90 min from Tue 6 Oct 2026, 03:00 UTC, but the window ends Tue 6 Oct,"
        f" 04:00 UTC; {NEXT}."
    )
    reason = Reason("does_not_fit", said, "Maintenance windows", h(4), THURSDAY)
    assert decide("P2", h(3), h(3) + timedelta(minutes=90, seconds=59), CALENDAR) == Verdict(
        False, (reason,), THURSDAY, h(4)
    )


def test_a_plan_longer_than_every_window() -> None:
    """R32: two hours fit, a minute more never does, and it is said how far was looked."""
    assert decide("P2", h(0), h(2), CALENDAR).next_allowed_start == h(2)
    said = (
        "P2 at Tue 6 Oct 2026, 00:00 UTC is outside every maintenance window; no start fits within"
        " 400 days."
    )
    assert decide("P2", h(0), h(2) + MINUTE, CALENDAR) == Verdict(
        False, (Reason("outside_window", said, "Maintenance windows"),), None, None
    )


def test_the_horizon_is_400_days() -> None:
    """A window that ends a moment later is not seen whole."""
    far = Window("Far", "", datetime(2027, 11, 10, 2), 120)
    start = utc("2027-11-10T04:00") - 400 * DAY
    assert decide("P1", start, start + 2 * HOUR, Calendar((far,))).next_allowed_start == utc(
        "2027-11-10T02:00"
    )
    assert (
        decide("P1", start - TICK, start - TICK + 2 * HOUR, Calendar((far,))).next_allowed_start
        is None
    )


def test_open_beyond_the_horizon_has_no_end() -> None:
    assert decide("P1", h(1), h(2), Calendar((ALWAYS,))) == Verdict(True, (), h(1), None)
    ended = replace(ALWAYS, till=h(1) + 399 * DAY)
    assert decide("P1", h(1), h(2), Calendar((ended,))).open_until == h(1) + 399 * DAY


def test_an_emergency_may_at_any_time() -> None:
    """R4, R74, R77."""
    assert decide("P0", h(9), h(12), CALENDAR) == Verdict(True, (), h(9), None)
    assert decide("P0", h(2), h(12), Calendar((), (once("lockdown", h(0), None),))).allowed


def test_a_freeze_names_itself_its_end_the_next_start_and_who_may_override() -> None:
    """R75, R77: from the instant at which it begins; the day on which the plan meets it."""
    january = utc("2027-01-05T02:00")
    calendar = Calendar(
        (*CALENDAR.windows, ALWAYS), (replace(THANKSGIVING, name="the freeze"), SHOPPING)
    )

    def freeze(day: str) -> Reason:
        said = (
            f"P1 on {day} is inside the freeze until Thu 26 Nov, 24:00 UTC; next: Fri 1 Jan 2027,"
            " 00:00 UTC."
        )
        return Reason(
            "freeze",
            said,
            "the freeze",
            utc("2026-11-27T00:00"),
            utc("2027-01-01T00:00"),
            ("cto", "change-manager"),
        )

    begins = utc("2026-11-12T00:00")
    assert decide("P1", begins, begins, calendar) == Verdict(
        False, (freeze("Thu 12 Nov"),), utc("2027-01-01T00:00"), None
    )
    assert decide("P1", begins - HOUR, begins + HOUR, calendar) == Verdict(
        False, (freeze("Thu 12 Nov"),), utc("2027-01-01T00:00"), begins
    )
    assert decide("P1", begins + DAY, begins + DAY, calendar).reasons == (freeze("Fri 13 Nov"),)
    assert decide("P1", begins - HOUR, begins, calendar).allowed
    wednesday = begins - timedelta(seconds=1)
    assert [reason.code for reason in decide("P1", wednesday, wednesday, CALENDAR).reasons] == [
        "outside_window"
    ]
    (blackout,) = decide("P2", utc("2026-12-31T23:59"), utc("2026-12-31T23:59"), CALENDAR).reasons
    said = (
        "P2 on Thu 31 Dec is inside the holiday shopping season until Thu 31 Dec, 24:00 UTC; next:"
        " Tue 5 Jan 2027, 02:00 UTC."
    )
    assert blackout == Reason(
        "blackout", said, "the holiday shopping season", utc("2027-01-01T00:00"), january
    )


def test_every_closure_over_the_plan_is_named_by_start() -> None:
    """R75, R76, R77: those of its components alone."""
    calendar = Calendar(
        (PRIMARY,),
        (
            once("blackout", h(3), h(5)),
            once("freeze", h(1), h(4)),
            once("lockdown", h(1), None, scope=CDN),
        ),
    )
    assert [r.code for r in decide("P1", h(2), h(4), calendar, SEARCH).reasons] == [
        "freeze",
        "blackout",
    ]
    assert [r.code for r in decide("P1", h(2), h(3), calendar, SEARCH).reasons] == ["freeze"]
    assert [r.code for r in decide("P1", h(2), h(3), calendar, SEARCH | CDN).reasons] == [
        "freeze",
        "lockdown",
    ]
    assert decide("P1", h(2), h(3), calendar, SEARCH, frozenset({"freeze"})).allowed
    assert [
        r.code for r in decide("P1", h(2), h(4), calendar, SEARCH, frozenset({"freeze"})).reasons
    ] == ["blackout"]


def test_a_closure_keeps_out_none_whom_it_admits() -> None:
    """R77: a freeze that is open to P1 shuts out P2 alone, and is no reason for what P1 may not."""
    calendar = Calendar((PRIMARY,), (once("freeze", h(0), h(9), admits=frozenset({"P0", "P1"})),))
    assert decide("P1", h(2), h(4), calendar) == Verdict(True, (), h(2), h(4))
    assert [r.code for r in decide("P2", h(2), h(4), calendar).reasons] == ["freeze"]
    assert [r.code for r in decide("P1", h(5), h(6), calendar).reasons] == ["outside_window"]
    assert closures_over("P1", h(2), h(4), calendar, ("freeze",)) == []


def test_a_lockdown_lasts_until_it_is_lifted() -> None:
    """R77: no next start is promised, save that of a change with a slot ahead."""
    calendar = Calendar((PRIMARY,), (once("lockdown", h(1), None),))
    said = "P1 on Tue 6 Oct is inside the lockdown until it is lifted"
    assert decide("P1", h(2), h(3), calendar) == Verdict(
        False, (Reason("lockdown", f"{said}.", "the lockdown"),), None, None
    )
    ahead = decide("P1", h(2), h(3), calendar, then=THURSDAY)
    assert ahead == Verdict(
        False,
        (Reason("lockdown", f"{said}; {NEXT}.", "the lockdown", None, THURSDAY),),
        THURSDAY,
        None,
    )
    ending = Calendar((), (once("freeze", h(1), h(9)),))
    said = (
        "P1 on Tue 6 Oct is inside the freeze until Tue 6 Oct, 09:00 UTC; no start fits within 400"
        " days."
    )
    assert decide("P1", h(2), h(3), ending).reasons == (
        Reason("freeze", said, "the freeze", h(9), None, ("cto", "change-manager")),
    )


def test_a_change_with_a_slot_ahead_is_told_its_own_next_start() -> None:
    assert decide("P1", h(9), h(9), CALENDAR, then=h(50)).next_allowed_start == h(50)
    assert decide("P1", h(2), h(3), CALENDAR, then=h(50)) == Verdict(True, (), h(2), h(4))


def test_what_shuts_work_under_way_is_named_without_a_next_start() -> None:
    """R77: of the kinds asked about, from the instant on; for its components."""
    calendar = Calendar(
        (PRIMARY,),
        (
            once("freeze", h(3), h(5)),
            once("lockdown", h(4), None),
            once("blackout", h(3), h(4), scope=CDN),
        ),
    )
    freeze = Reason(
        "freeze",
        "P1 on Tue 6 Oct is inside the freeze until Tue 6 Oct, 05:00 UTC.",
        "the freeze",
        h(5),
        None,
        ("cto", "change-manager"),
    )
    lockdown = Reason(
        "lockdown", "P1 on Tue 6 Oct is inside the lockdown until it is lifted.", "the lockdown"
    )
    every = ("freeze", "blackout", "lockdown")
    assert closures_over("P1", h(3), h(5), calendar, every) == [freeze, lockdown]
    assert closures_over("P1", h(3), h(4), calendar, every) == [freeze]
    assert closures_over("P1", h(3), h(3), calendar, every) == [freeze]
    assert (
        closures_over(
            "P1", h(3) - timedelta(seconds=1), h(3) - timedelta(seconds=1), calendar, every
        )
        == []
    )
    assert closures_over("P1", h(3), h(5), calendar, ("lockdown",)) == [lockdown]
    assert closures_over("P1", h(3), h(5), calendar, ("freeze",)) == [freeze]
    assert closures_over("P1", h(5), h(6), calendar, ("freeze", "blackout")) == []
    assert closures_over("P0", h(3), h(5), calendar, every) == []
    assert [r.code for r in closures_over("P1", h(3), h(4), calendar, every, CDN)] == [
        "blackout",
        "freeze",
    ]
    assert [r.code for r in closures_over("P1", h(3), h(4), calendar, ("blackout",), CDN)] == [
        "blackout"
    ]
    assert closures_over("P1", h(3), h(4), calendar, ("blackout",), SEARCH) == []


def test_an_exception_opens_its_slot_alone() -> None:
    """R77: where something else shuts it too, that alone is named, and the next start is one that
    needs no exception (A6).
    """
    freeze, window = (
        Reason("freeze", "F", "the freeze"),
        Reason("outside_window", "W", "Maintenance windows"),
    )
    strict = Verdict(False, (freeze, window), THURSDAY, None)
    opened = Verdict(True, (), h(2), h(4))
    assert excepted(strict, opened) == opened
    assert excepted(strict, Verdict(False, (window,), h(9), h(9))) == Verdict(
        False, (window,), THURSDAY, None
    )
    other = Reason("does_not_fit", "D", "another rule")
    assert excepted(strict, Verdict(False, (other,), h(9), None)) == strict


# --- what comes next ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (h(2) - TICK, h(2)),
        (h(2), h(4)),
        (h(4) - TICK, h(4)),
        (h(4), THURSDAY),
        (utc("2026-11-10T04:00"), utc("2027-01-05T02:00")),
    ],
)
def test_the_answer_changes_at_the_edges_of_windows(at: datetime, expected: datetime) -> None:
    """R72, R73, R75, R76: opening from outside, closing from inside, over the freezes."""
    assert next_transition("P1", at, CALENDAR) == expected


def test_where_the_answer_does_not_change() -> None:
    """R74: for an emergency never; nor where it is always open, or never; a window of the priority
    and the components is meant.
    """
    assert next_transition("P0", h(0), CALENDAR) is None
    assert next_transition("P1", h(0), Calendar((ALWAYS,))) is None
    assert next_transition("P1", h(0), Calendar()) is None
    assert (
        next_transition("P1", h(1), Calendar((replace(ALWAYS, till=h(1) + 400 * DAY - TICK),)))
        == h(1) + 400 * DAY - TICK
    )
    scoped = Calendar((replace(PRIMARY, scope=SEARCH),))
    assert next_transition("P1", h(0), scoped, SEARCH) == h(2)
    assert next_transition("P1", h(0), scoped, CDN) is None
    far = Calendar((Window("Far", "", datetime(2027, 11, 10, 2), 120),))
    start = utc("2027-11-10T02:00") - 400 * DAY
    assert next_transition("P1", start + TICK, far) == utc("2027-11-10T02:00")
    assert next_transition("P1", start, far) is None


def test_a_slot_belongs_to_the_window_that_holds_its_start_and_reaches_furthest() -> None:
    """R31, R72: of those that admit it; an emergency to any."""
    long = Window("Long", "FREQ=WEEKLY;BYDAY=TU", datetime(2020, 1, 7, 1), 240, scope=SEARCH)
    small = Window(
        "Small", "FREQ=WEEKLY;BYDAY=TU", datetime(2020, 1, 7, 2), 300, priorities=frozenset({"P3"})
    )
    calendar = Calendar((PRIMARY, long, small))

    def name(
        start: datetime, end: datetime, priority: str = "", scope: frozenset[str] = frozenset()
    ) -> str | None:
        found = window_at(calendar, start, end, priority, scope)
        return found.name if found else None

    assert window_at(calendar, h(2), h(3)) == window_at(calendar, h(2), h(3), "P3")
    assert name(h(2), h(3)) == "Small"
    assert name(h(2), h(2)) == "Small"
    assert name(h(2), h(3), "P0") == name(h(2), h(3), "P0", CDN) == "Small"
    assert name(h(2), h(3), "P1") == name(h(2), h(3), "P1", CDN) == "Primary"
    assert name(h(2), h(3), "P1", SEARCH) == name(h(2), h(3), "P1", SEARCH | CDN) == "Long"
    assert name(h(2), h(3), "P3", SEARCH) == "Small"
    assert name(h(2) - TICK, h(3), "P1") is None
    assert name(h(2) - TICK, h(3), "P1", SEARCH) == "Long"
    assert name(h(4) - TICK, h(9), "P1") == "Primary"
    assert name(h(4), h(4), "P1") is None
    assert name(h(1) - TICK, h(3)) is None
    assert name(h(7), h(8)) is None
