"""Asking for a one-off window from a change: who may, and what the change managers are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail
from language import reading
from language.refusal import Reason, raise_refusal
from language.say import say_instant, say_length
from notifications import outbox
from requests import access
from requests.models import ChangeRequest
from requests.states import EDITABLE
from windows.booking.bookings import bookers_refusal, checked_start
from windows.booking.slots import scope_of


def opening_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not ask for a window of this change's own."""
    if change.is_emergency or change.state not in EDITABLE or not change.plan_length:
        return [
            Reason(
                "state",
                "An opening is for a planned change that has not begun and whose plan has a"
                " length.",
            )
        ]
    return bookers_refusal(change, actor, "asks for an opening")


@transaction.atomic
def ask_for_opening(*, actor: User, number: str, start: datetime, reason: str) -> ChangeRequest:
    """Ask the change managers for a window of its own where a plan fits none: they open it with a
    second person, or say why not (item 3).
    """
    change = access.change_to_write(actor, number)
    raise_refusal(opening_refusal(change, actor))
    reason = reading.said(
        "reason", reason, "Reason", "say why it cannot be shorter or wait for a window."
    )
    start = checked_start(change, start, "start", "Start")
    minutes = min(int(change.plan_length.total_seconds() // 60), 1440)
    trail.record(
        "change.opening_asked",
        actor=actor,
        change=change,
        data={"start": start.isoformat(), "minutes": minutes, "reason": reason},
    )
    preset: dict[str, Any] = {
        # Everybody reads a rule's name and reason.
        "name": "One-off opening" if change.confidential else f"Opening for {change.number}",
        "begins_day": f"{start:%Y-%m-%d}",
        "begins_time": f"{start:%H:%M}",
        "minutes": minutes,
    }
    preset |= {"scope": ", ".join(sorted(scope_of(change)))} | (
        {} if change.confidential else {"reason": reason[:200]}
    )
    outbox.tell(
        User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True).exclude(pk=actor.pk),
        kind="opening_asked",
        occasion=f"{start} as of {timezone.now().isoformat()}",
        change=change,
        subject=f"{change.number} asks for a one-off opening, {say_instant(start)}",
        body=(
            f"“{change.summary}” takes {say_length(change.plan_length)} and fits no window."
            f" {actor}: {reason}"
        ),
        path=f"/calendar/rules/new/opening/?{urlencode(preset)}",
    )
    return change
