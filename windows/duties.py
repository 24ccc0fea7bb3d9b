"""What the clock owes to slots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from audit.models import Event
from language.say import say_until
from requests.duties import BATCH, each_change
from requests.models import ChangeRequest
from requests.states import State
from windows.booking import bookings, enforcement
from windows.rules import lockdown

RETRY_BOOKING = timedelta(days=1)


def missed_slots() -> int:
    """A window that passes unused frees its change; a P3 is booked again (A7)."""
    now = timezone.now()

    def act(change: ChangeRequest) -> bool:
        end = change.window_end or change.slot_end
        if change.state != State.SCHEDULED or end is None or end > now:
            return False
        held = lockdown.held_until_its_end(change)
        why = (
            f"{held[:1].upper()}{held[1:]} held it until its window ended"
            if held
            else "Its slot passed unused: the window ended"
        )
        bookings.displace(
            change,
            kind="displaced" if held else "missed",
            reason=f"{why} {say_until(end)}.",
            due_at=end,
        )
        return True

    over = ChangeRequest.objects.filter(state=State.SCHEDULED, slot_start__lt=now)
    over = over.annotate(over_at=F("window_end")).filter(over_at__lte=now) | over.filter(
        window_end__isnull=True, slot_end__lte=now
    )
    return each_change(
        list(over.order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH]), act
    )


def void_slots() -> int:
    """Bookings that the calendar no longer lets in lose their slot, whoever or whatever edited it
    (item 4).
    """
    return enforcement.enforce_all()


def unbooked() -> int:
    """A P3 that found no slot is tried again a day later, until it has one or a person has taken it
    in hand (A7).
    """
    now = timezone.now()
    last = Event.objects.filter(
        change_id=OuterRef("pk"),
        action__in=["change.no_slot", "change.schedule", "change.unschedule"],
    )
    last = last.order_by("-id")
    waiting = ChangeRequest.objects.filter(state=State.APPROVED, priority="P3").annotate(
        said=Subquery(last.values("action")[:1]), said_at=Subquery(last.values("at")[:1])
    )
    due = (
        waiting.filter(said="change.no_slot", said_at__lte=now - RETRY_BOOKING)
        .order_by("said_at", "id")
        .values_list("pk", flat=True)
    )

    def act(change: ChangeRequest) -> bool:
        if change.state != State.APPROVED or change.priority != "P3":
            return False
        return bookings.book_earliest(change)

    return each_change(list(due[:BATCH]), act)


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "missed_slots": missed_slots,
    "void_slots": void_slots,
    "unbooked": unbooked,
}
