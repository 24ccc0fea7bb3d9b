"""When a change will probably be live, and what it takes to make that (item 8): reviews as long as
they lately took, notice, a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median

from django.utils import timezone

from accounts.models import User
from language.say import say_instant, say_length, say_until
from requests.models import ChangeRequest
from requests.states import State
from windows.booking import free_starts, questions, slots
from windows.booking.questions import NOTICE
from windows.calendar.verdict import Calendar

LATELY, AT_MOST = timedelta(days=90), 200
FEW = 5  # fewer reviews than that say nothing about the next
ASSUMED = timedelta(hours=24)
UNSUBMITTED = (State.DRAFT, State.CHANGES_REQUESTED)


@dataclass(frozen=True)
class Reviews:
    """How long a priority's reviews lately took, from first submission to approval: the median, of
    how many.
    """

    length: timedelta
    count: int

    @property
    def said(self) -> str:
        if self.count < FEW:
            return (
                f"reviews are assumed to take {say_length(self.length)}, too few are measured yet"
            )
        return f"reviews here take {say_length(self.length)} (median of {self.count})"


@dataclass(frozen=True)
class Forecast:
    """`start` is None where nothing fits, and `remedy` then what could be asked for; `submit_by` is
    for what is not submitted yet.

    `earlier` is free too, but lies before `reach`: reviews and notice will hardly be over by then.
    """

    sentence: str
    start: datetime | None = None
    submit_by: datetime | None = None
    earlier: datetime | None = None
    reach: datetime | None = None
    remedy: str = ""
    around: questions.Around | None = field(default=None, repr=False, compare=False)


def reviews(priority: str) -> Reviews:
    """One query: the latest approvals of that priority within 90 days."""
    rows = ChangeRequest.objects.filter(
        priority=priority, approved_at__gte=timezone.now() - LATELY, submitted_at__isnull=False
    )
    stamps = rows.order_by("-approved_at").values_list("submitted_at", "approved_at")[:AT_MOST]
    took = [
        (approved - submitted).total_seconds()
        for submitted, approved in stamps
        if submitted and approved and approved >= submitted
    ]
    return Reviews(timedelta(seconds=median(took)) if len(took) >= FEW else ASSUMED, len(took))


def of(
    change: ChangeRequest, calendar: Calendar | None = None, needs: Sequence[ChangeRequest] = ()
) -> Forecast | None:
    """The forecast of a draft or an open change; None for one that runs or has ended, or whose plan
    has no length yet.
    """
    if change.state == State.SCHEDULED and change.slot_start:
        return Forecast(f"Live {say_instant(change.slot_start)}, as booked.", change.slot_start)
    if change.state not in (*UNSUBMITTED, State.IN_REVIEW, State.APPROVED):
        return None
    short = bool(change.requested_window_reason.strip())
    return ahead(
        slots.Plan.of(change),
        change.state,
        change.submitted_at,
        calendar,
        needs,
        short_notice=short,
    )


def _lately(plan: slots.Plan, state: str) -> Reviews:
    """How long the reviews that are still to come lately took."""
    return Reviews(timedelta(0), 0) if state == State.APPROVED else reviews(plan.priority)


def ahead(
    plan: slots.Plan,
    state: str,
    submitted_at: datetime | None = None,
    calendar: Calendar | None = None,
    needs: Sequence[ChangeRequest] | None = None,
    reader: User | None = None,
    *,
    short_notice: bool = False,
) -> Forecast | None:
    """The forecast of a plan in that state, also of one that is only being typed: its first start
    that is free and in reach.

    In reach: after the reviews, as long as they lately took, and 24 hours of notice, unless a
    reason for `short_notice` is given (A12).
    """
    if plan.is_emergency:
        return Forecast("A P0 may start as soon as it is authorised.")
    if not plan.priority or not plan.length:
        return None
    now, lately = timezone.now(), _lately(plan, state)
    begun = submitted_at if state == State.IN_REVIEW and submitted_at else now
    notice = timedelta(0) if short_notice else NOTICE
    reviewed = max(now, begun + lately.length)
    first, after = plan.earliest(now), plan.earliest(reviewed + notice)
    span = (first - slots.AROUND, after + slots.SEARCH)
    around = questions.Around(plan, *span, calendar=calendar, needs=needs, reader=reader)
    starts, why = free_starts.fitting(after, 1, around)
    if not starts:
        said = " ".join(reason.message for reason in why)
        return Forecast(said, remedy=questions.remedy(why), around=around, reach=after)
    earlier, _ = free_starts.fitting(first, 1, around)
    sooner = earlier[0] if earlier and earlier[0] < starts[0] else None
    found = _said(starts[0], state, lately, notice)
    return replace(found, around=around, reach=after, earlier=sooner)


def not_in_reach(state: str, priority: str, *, short_notice: bool = False) -> str:
    """Why an earlier start that is free may not be had: what ends after it."""
    if state == State.APPROVED:
        return "it leaves less than 24 h of notice, so that booking it takes a reason"
    return reviews(priority).said + ("" if short_notice else ", and notice needs 24 h")


def _said(start: datetime, state: str, lately: Reviews, notice: timedelta) -> Forecast:
    if state == State.APPROVED:
        return Forecast(
            "Live at the earliest"
            f" {say_instant(start)}{', with 24 h of notice' if notice else ', at short notice'}.",
            start,
        )
    needs = "notice needs 24 h" if notice else "and you say why it cannot wait for 24 h of notice"
    because = f"{lately.said}, {needs}."
    if state == State.IN_REVIEW:
        return Forecast(f"Live probably {say_instant(start)}: {because}", start)
    submit_by = (start - notice - lately.length).replace(second=0, microsecond=0)
    return Forecast(
        f"Live probably {say_instant(start)}, if submitted by {say_until(submit_by)}: {because}",
        start,
        submit_by,
    )
