"""Whether it is open, asked often: booked slots by the hundred, each kind looked up once; the shell
of every page, some seconds old.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any

from language.refusal import Reason
from requests.models import ChangeRequest
from windows.booking.questions import bookable_stretches, booking_verdict
from windows.booking.slots import scope_of
from windows.calendar.verdict import Calendar, Span, closure_occurrences, decide, next_transition
from windows.models import current_calendar

LAST = datetime.max.replace(tzinfo=UTC)


class Openness:
    """A calendar between two instants, as bookings ask about it: a lockdown moves nothing."""

    def __init__(self, calendar: Calendar, start: datetime, end: datetime) -> None:
        self.calendar, self.start, self.end = calendar, start, end
        self.named = calendar.named_components
        self._stretches: dict[tuple[str, frozenset[str]], list[Span]] = {}

    def holds(self, change: ChangeRequest) -> bool:
        """Whether the rest of its slot is open, exceptions apart."""
        assert change.slot_start is not None
        assert change.slot_end is not None
        begin, end = max(change.slot_start, self.start), change.slot_end
        if end > self.end:
            return not self.reasons(change)
        stretches = self._of(change)
        index = bisect_right(stretches, (begin, LAST)) - 1
        return index >= 0 and stretches[index][0] <= begin and end <= stretches[index][1]

    def _of(self, change: ChangeRequest) -> list[Span]:
        # Components that no rule names are alike: one of them stands for all.
        scope = scope_of(change)
        kind = (
            change.priority,
            scope & self.named | frozenset(sorted(scope - self.named)[:1] and ["-"]),
        )
        if kind not in self._stretches:
            self._stretches[kind] = list(
                bookable_stretches(change.priority, kind[1], self.start, self.end, self.calendar)
            )
        return self._stretches[kind]

    def reasons(
        self, change: ChangeRequest, lifted: frozenset[int] = frozenset()
    ) -> tuple[Reason, ...]:
        """Why the rest of its slot is shut; empty if it is open."""
        assert change.slot_start is not None
        assert change.slot_end is not None
        begin = max(change.slot_start, self.start)
        end = max(begin, change.slot_end)
        return booking_verdict(
            change.priority, scope_of(change), begin, end, self.calendar, lifted
        ).reasons


def window_state(at: datetime) -> dict[str, Any]:
    """Open or closed for planned changes, until when, and why; a sentence for the side bar."""
    calendar = rules_for_show(at)
    verdict = decide("P1", at, at, calendar)
    if verdict.allowed:
        return {
            "open": True,
            "until": verdict.open_until,
            "title": "Window open",
            "tone": "ok",
            "icon": "radio",
        }
    shut = [
        c
        for c in closure_occurrences(calendar, at, at + timedelta(seconds=1))
        if c.shuts("P1", frozenset())
    ]
    return {
        "open": False,
        "next": verdict.next_allowed_start or next_transition("P1", at, calendar),
        "title": "Frozen, only P0" if shut else "Window closed",
        "tone": "warn" if shut else "neutral",
        "icon": "snowflake" if shut else "moon",
    }


_shown: tuple[datetime, Calendar] | None = None
KEPT = timedelta(seconds=20)


def rules_for_show(at: datetime) -> Calendar:
    """The rules for the shell's box alone, kept for some seconds in this process. No verdict that
    binds is made from these.
    """
    global _shown
    if _shown is None or not timedelta(0) <= at - _shown[0] < KEPT:
        _shown = (at, current_calendar())
    return _shown[1]
