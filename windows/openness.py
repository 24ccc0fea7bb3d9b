"""Whether booked slots are open, asked for many at once: each kind of change is looked up in the calendar once."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime

from audit.refusal import Reason
from requests.models import ChangeRequest
from windows.calendar import Calendar, Span, decide, excepted, open_stretches
from windows.slots import LOOKING_AHEAD, scope_of

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
        kind = (change.priority, scope & self.named | frozenset(sorted(scope - self.named)[:1] and ["-"]))
        if kind not in self._stretches:
            self._stretches[kind] = list(open_stretches(change.priority, self.start, self.end, self.calendar, kind[1], LOOKING_AHEAD))
        return self._stretches[kind]

    def reasons(self, change: ChangeRequest, lifted: frozenset[int] = frozenset()) -> tuple[Reason, ...]:
        """Why the rest of its slot is shut; empty if it is open."""
        assert change.slot_start is not None
        assert change.slot_end is not None
        begin = max(change.slot_start, self.start)
        end, scope = max(begin, change.slot_end), scope_of(change)
        strict = decide(change.priority, begin, end, self.calendar, scope, LOOKING_AHEAD)
        if not lifted:
            return strict.reasons
        return excepted(strict, decide(change.priority, begin, end, self.calendar.lifting(lifted), scope, LOOKING_AHEAD)).reasons
