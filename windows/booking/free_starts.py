"""When is there a free start? The first ones that a plan may be booked at, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from language.refusal import Reason
from language.say import say_length, say_span
from requests.models import ChangeRequest
from requests.states import State
from windows.booking.questions import (
    Around,
    bookable_stretches,
    booking_verdict,
    conflicts_at,
    may_be_booked,
)
from windows.booking.slots import (
    AROUND,
    SEARCH,
    Plan,
    Taken,
    whole_minute,
)
from windows.calendar.verdict import (
    Calendar,
)


def free_slots(
    change: ChangeRequest,
    *,
    after: datetime,
    limit: int,
    actor: User | None = None,
    calendar: Calendar | None = None,
    needs: Sequence[ChangeRequest] | None = None,
) -> tuple[list[datetime], list[Reason]]:
    """The earliest starts after `after`, and after now, that fit calendar, plan and other bookings;
    if none within 90 days, why.
    """
    plan = Plan.of(change)
    after = plan.earliest(max(after, timezone.now()))
    around = Around(
        plan, after - AROUND, after + SEARCH, reader=actor, calendar=calendar, needs=needs
    )
    starts, why = fitting(after, limit, around)
    if excepted := [
        start
        for start in excepted_starts(change, after)
        if may_be_booked(plan, start, around).allowed
    ]:
        return sorted({*starts, *excepted})[:limit], []
    return starts, why


def fitting(after: datetime, limit: int, around: Around) -> tuple[list[datetime], list[Reason]]:
    """Up to `limit` starts of the plan within 90 days after `after`, one per open stretch; if none,
    why.
    """
    plan = around.plan
    if plan.is_emergency:
        return [whole_minute(after)], []  # any time, once authorised (R74)
    found: list[datetime] = []
    in_the_way: list[Reason] = []
    for opening, closing in bookable_stretches(
        plan.priority, plan.scope, after, after + SEARCH, around.calendar
    ):
        for start in _starts_within(max(opening, after), closing - plan.length, around.taken):
            against = conflicts_at(start, around) or around.own_opening(start)
            if not against:
                found.append(start)
                break  # one proposal per stretch: the earliest
            in_the_way = in_the_way or against
        if len(found) >= limit:
            break
    return found, [] if found else in_the_way or why_none(plan, after, around.calendar)


def excepted_starts(change: ChangeRequest, after: datetime) -> list[datetime]:
    """The slots within 90 days that a freeze exception was granted for in this round (A6)."""
    if change.is_emergency or change.state not in (
        State.IN_REVIEW,
        State.APPROVED,
        State.SCHEDULED,
    ):
        return []
    granted = change.freeze_exceptions.filter(
        slot_start__range=(after, after + SEARCH), round=change.round, declined_at=None
    )
    return list(
        granted.filter(cto__isnull=False, change_manager__isnull=False).values_list(
            "slot_start", flat=True
        )
    )


def why_none(plan: Plan, after: datetime, calendar: Calendar) -> list[Reason]:
    """No stretch of 90 days is long enough, or none is open at all: which of the two, and what
    could be done.
    """
    stretches = list(bookable_stretches(plan.priority, plan.scope, after, after + SEARCH, calendar))
    if not stretches:
        return list(
            booking_verdict(plan.priority, plan.scope, after, after + plan.length, calendar).reasons
        )
    begin, stop = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    longest = (
        f"the longest window within {SEARCH.days} days has {say_length(stop - begin)}"
        f" ({say_span(begin, stop)})"
    )
    text = (
        f"The plan takes {say_length(plan.length)}, and {longest}. Split it, shorten it, or ask for"
        " a longer window."
    )
    return [Reason("no_fit", text, rule="Maintenance windows")]


def _starts_within(begin: datetime, latest: datetime, taken: Sequence[Taken]) -> list[datetime]:
    """The starts worth trying in a stretch: its beginning, and the end of each slot in it."""
    ends = {whole_minute(slot.end) for slot in taken if slot.end is not None}
    return sorted(start for start in {begin, *ends} if begin <= start <= latest)
