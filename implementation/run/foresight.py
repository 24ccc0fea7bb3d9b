"""No surprise at the window (item 8): a day and two hours before a slot the start guard is asked as
of the slot, and only what would fail is told, with its remedy; when the slot opens, whether it may
start.

Level-triggered: however late, each change is told once how it stands, never twice the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from audit import trail
from implementation.run import duty, guards
from implementation.run.case import Case
from language.refusal import Reason
from language.say import say_instant, say_length, say_until
from notifications import outbox
from requests.models import ChangeQuerySet, ChangeRequest
from requests.states import State
from windows.booking import slots
from windows.models import FeedEntry

DAY, HOURS, OPEN = 1, 2, 3  # as `slot_told` counts
BEFORE = {DAY: timedelta(hours=24), HOURS: timedelta(hours=2), OPEN: timedelta(0)}


def due() -> ChangeQuerySet:
    """Scheduled changes whose people are to be told more of their slot than they have been."""
    now = timezone.now()
    reached = Q()
    for stage, before in BEFORE.items():
        reached |= Q(slot_start__lte=now + before, slot_told__lt=stage)
    return ChangeRequest.objects.filter(reached, state=State.SCHEDULED, slot_end__gt=now).exclude(
        priority="P0"
    )


def tell(change: ChangeRequest) -> bool:
    """Tell what the latest stage has to say of a locked change; whether there was one."""
    now, start = timezone.now(), change.slot_start
    if change.state != State.SCHEDULED or start is None or change.is_emergency:
        return False
    stage = max((stage for stage, before in BEFORE.items() if start <= now + before), default=0)
    if stage <= change.slot_told:
        return False
    change.slot_told = stage
    change.save(update_fields=["slot_told"])
    reasons = (
        _would_fail(change, start) if stage != OPEN else guards.run_refusal(_case(change, now))
    )
    if reasons:
        trail.record(
            "change.foreseen",
            change=change,
            data={"hours": _hours(stage), "reasons": [reason.message for reason in reasons]},
        )
    absent = duty.warning(_case(change, start)) if stage != OPEN else ""
    if reasons or absent or stage == OPEN:
        _send(change, stage, start, reasons, absent)
    return True


def _case(change: ChangeRequest, at: datetime) -> Case:
    """Told to several and kept in the trail: in words that everybody may read who may see the
    change.
    """
    return Case(change, change.implementer or change.requester, at, for_all=True)


def _hours(stage: int) -> int:
    return int(BEFORE[stage].total_seconds() // 3600)


def _would_fail(change: ChangeRequest, start: datetime) -> list[Reason]:
    """What stands against starting at the slot's beginning, as far as it can be known now."""
    case = _case(change, start)
    # What runs now will have ended, and what is booked before it will be completed: if not, `start`
    # says so then.
    case.needs = [needed for needed in case.needs if not slots.comes_before(needed, start)]
    return [reason for reason in guards.run_refusal(case) if reason.code != "component_busy"]


def _subject(change: ChangeRequest, stage: int, start: datetime, count: int) -> str:
    things = f"{count} thing{'s' if count > 1 else ''}"
    if stage == OPEN and count:
        return f"{change.number} cannot start yet: {things} in the way"
    if stage == OPEN:
        end = say_until(change.window_end or change.slot_end or start)
        return f"{change.number} may start now, until {end}"
    if count:
        return f"{change.number} starts {say_instant(start)}, but {things} would stop it"
    who = (
        f"{change.implementer} may not start it"
        if change.implementer
        else "nobody who may start it is on duty then"
    )
    return f"{change.number} starts {say_instant(start)}, and {who}"


def _send(
    change: ChangeRequest, stage: int, start: datetime, reasons: list[Reason], absent: str
) -> None:
    entry = FeedEntry.objects.filter(change=change).first()
    due_at = max(start - BEFORE[stage], entry.updated_at) if entry else start - BEFORE[stage]
    booking = entry.sequence if entry else 0
    lead = f"“{change.summary}”"
    if stage != OPEN:
        lead += f" is booked for {say_instant(start)}, in {say_length(start - timezone.now())}"
    outbox.tell(
        [person for person in (change.implementer, change.requester) if person],
        kind="slot_open" if stage == OPEN else "foreseen",
        occasion=f"{start} {stage} {booking}",
        change=change,
        subject=_subject(change, stage, start, len(reasons)),
        body="\n".join(
            [
                f"{lead}.",
                *(f"- {reason.message}" for reason in reasons),
                *([absent] if absent else []),
            ]
        ),
        due_at=due_at,
        path=f"{change.get_absolute_url()}implementation/",
    )
