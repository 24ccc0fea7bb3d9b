"""Freeze exceptions as pages, and the home of their granters, show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from requests.models import ChangeRequest
from windows.booking.freeze_exceptions import (
    HALVES,
    STATES,
    WORTHLESS,
    freezes,
    is_overtaken,
    missing_half,
    standing_of,
)
from windows.booking.slots import SEARCH, scope_of
from windows.calendar.verdict import Calendar, closure_occurrences
from windows.models import FreezeException, current_calendar


@dataclass(frozen=True)
class Asked:
    """An exception as one person finds it: `waits`, `granted`, `declined`, `overtaken` or `void`,
    and what they may do about it.
    """

    row: FreezeException
    standing: str
    may_grant: bool
    may_decline: bool

    @property
    def why_worthless(self) -> str:
        return WORTHLESS.get(self.standing, "")


def of_change(change: ChangeRequest) -> list[FreezeException]:
    """What was asked for slots that lie ahead, in this round."""
    rows = FreezeException.objects.filter(
        change=change, round=change.round, slot_start__gt=timezone.now()
    )
    return list(
        rows.select_related("cto", "change_manager", "asked_by", "declined_by").order_by(
            "slot_start"
        )
    )


def as_found(
    rows: Iterable[FreezeException],
    change: ChangeRequest,
    actor: User,
    calendar: Calendar,
    authors: Collection[int],
) -> list[Asked]:
    """What was asked for slots ahead, as this person finds it."""
    found, barred = [], {*authors, change.implementer_id} - {None}
    decides = actor.may_write and actor.has_role(*HALVES.values()) and actor.pk not in barred
    for row in rows:
        standing = standing_of(change, row, calendar, barred)
        may_grant = decides and standing == "waits" and missing_half(row, actor) is not None
        found.append(Asked(row, standing, may_grant, decides and standing != "declined"))
    return found


def waiting_for(user: User) -> list[FreezeException]:
    """Those whose missing half this person may give, the nearest slot first."""
    missing = Q()
    for half, role in HALVES.items():
        if user.has_role(role):
            missing |= Q(**{half: None})
    if not missing or not user.may_write:
        return []
    rows = FreezeException.objects.filter(
        missing, declined_at=None, slot_start__gt=timezone.now(), round=F("change__round")
    )
    rows = (
        rows.exclude(Q(cto=user) | Q(change_manager=user))
        .exclude(change__implementer=user)
        .exclude(change__authors__user=user)
    )
    rows = rows.filter(
        change__in=ChangeRequest.objects.visible_to(user)
        .filter(state__in=STATES)
        .exclude(requester=user)
    )
    found = list(
        rows.select_related("change", "asked_by")
        .prefetch_related("change__components")
        .order_by("slot_start", "id")[:20]
    )
    calendar = current_calendar() if found else None
    return [row for row in found if calendar and not is_overtaken(row.change, row, calendar)]


def is_freeze_ahead(change: ChangeRequest, calendar: Calendar, now: datetime) -> bool:
    """Whether a code freeze within the time that slots are looked for keeps this change out."""
    scope = scope_of(change)
    return any(
        freezes(closure, change, scope)
        for closure in closure_occurrences(calendar, now, now + SEARCH)
    )
