"""Lockdown: the change manager stops everything that is planned, now, and lifts it again. What is
held resumes where it was (item 5).

Nothing is unbooked and nothing is undone by it: `start` and the gate refuse, a running change's
gate closes, rolling back is never refused (A30), and an emergency may go on (R74).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Missing, Reason, raise_refusal
from notifications import outbox
from requests import cleaning
from requests.models import ChangeQuerySet, ChangeRequest
from requests.states import RUNNING, State
from windows.booking import locks
from windows.booking.slots import scope_of
from windows.calendar.verdict import EMERGENCY, LOCKDOWN
from windows.models import Closure, calendar_since

SOON = timedelta(hours=24)
SHOWN = 50


@dataclass(frozen=True)
class Held:
    """What a lockdown stops: running changes, whose gate closes, and booked ones, the next
    first.
    """

    running: list[ChangeRequest]
    booked: list[ChangeRequest]


def refusal(user: User) -> list[Reason]:
    """Why this person may not lock down or lift."""
    if user.may_write and user.has_role(Role.CHANGE_MANAGER):
        return []
    return [Reason("not_yours", "The change manager locks down and lifts.")]


def in_force() -> list[Closure]:
    """The lockdowns that hold now, the newest first."""
    return list(
        Closure.objects.in_force().filter(kind=LOCKDOWN).select_related("made_by").order_by("-id")
    )


def holds(scope: list[str], viewer: User) -> Held:
    """What one of that scope stops, or would, as far as this person may see it: the first
    of each.
    """
    seen = (
        _concerned(scope)
        .visible_to(viewer)
        .select_related("requester", "implementer")
        .order_by("slot_start", "id")
    )
    return Held(
        list(seen.filter(state__in=RUNNING)[:SHOWN]),
        list(seen.filter(state=State.SCHEDULED)[:SHOWN]),
    )


def _concerned(scope: list[str], within: timedelta | None = None) -> ChangeQuerySet:
    """Running changes, and those that are booked, or booked within that time."""
    now = timezone.now()
    soon = Q(state=State.SCHEDULED, slot_end__gt=now)
    soon &= Q(slot_start__lt=now + within) if within else Q()
    rows = ChangeRequest.objects.filter(Q(state__in=RUNNING) | soon).exclude(priority=EMERGENCY)
    if scope:
        rows = rows.filter(
            pk__in=ChangeRequest.components.through.objects.filter(
                component__slug__in=scope
            ).values("changerequest")
        )
    return rows


@transaction.atomic
def lock_down(*, actor: User, scope: list[str], reason: str) -> Closure:
    """Stop all that is planned, on these components or on all, from now on until it is lifted;
    whoever it stops is told.
    """
    raise_refusal(refusal(actor))
    reason = reading.said(
        "reason", reason, "Reason", "say why everything stops; all whom it stops read it."
    )
    try:
        scope = sorted({component.slug for component in cleaning.component_list(scope)})
    except reading.Wrong as problem:
        raise Invalid(fields={"scope": f"Components: {problem}"}) from None
    more = f" and {len(scope) - 3} more" if len(scope) > 3 else ""
    on = f" of {', '.join(scope[:3])}{more}" if scope else ""
    locks.edit_calendar()
    now = timezone.now()
    if any(set(row.scope) == set(scope) for row in in_force()):
        raise Blocked([Reason("settled", f"“The lockdown{on}” is in force already.")])
    made = Closure.objects.create(
        name=f"the lockdown{on}"[:80],
        kind=LOCKDOWN,
        scope=scope,
        starts_at=now,
        since=now,
        made_by=actor,
        reason=reason,
    )
    trail.record("calendar.lockdown", actor=actor, data=_facts(made, reason, actor))
    _tell(
        made,
        f"Stopped: {made.name}",
        f"{actor} stopped all planned work{on}: {reason}\n\nIt cannot start or go on until this is"
        " lifted. Its slot is kept.",
    )
    return made


def _in_force(key: int) -> Closure:
    """The lockdown of that key, locked. Raises Missing, and Blocked where somebody lifted it
    first.
    """
    locked = Closure.objects.select_for_update().filter(kind=LOCKDOWN)
    found: Closure | None = locked.filter(pk=key).first() if 0 < key < 2**63 else None
    if found is None:
        raise Missing([Reason("missing", "There is no such lockdown.")])
    if found.till is not None:
        when = f"{found.till:%H:%M} UTC"
        raise Blocked([Reason("settled", f"{found.ended_by} was first: it was lifted at {when}.")])
    return found


def _facts(row: Closure, reason: str, actor: User) -> dict[str, Any]:
    stands_in = actor.as_stand_in(Role.CHANGE_MANAGER)
    return {"rule": row.pk, "scope": row.scope, "reason": reason, **stands_in}


@transaction.atomic
def lift(*, actor: User, key: int, reason: str) -> Closure:
    """End a lockdown: what it held may go on where it was. Raises NotYours, Missing, Blocked
    (somebody was first).
    """
    raise_refusal(refusal(actor))
    locks.edit_calendar()
    found = _in_force(key)
    reason = reading.said(
        "reason", reason, "Reason", "say why work may go on; all whom it stopped read it."
    )
    found.till, found.ended_by = timezone.now(), actor
    found.save(update_fields=["till", "ended_by"])
    trail.record("calendar.lift", actor=actor, data=_facts(found, reason, actor))
    _tell(
        found,
        f"Lifted: {found.name}",
        f"{actor} lifted {found.name}: {reason}\n\nWhat it held may go on where it was, as long as"
        " its window is open.",
    )
    return found


def _tell(lockdown: Closure, subject: str, body: str) -> None:
    """Whoever runs or is about to run what it stops, and change managers."""
    kind = "lockdown_lifted" if lockdown.till else "lockdown"
    held = _concerned(lockdown.scope, SOON).select_related("requester", "implementer")
    people = {
        person for change in held for person in (change.requester, change.implementer) if person
    }
    people |= set(User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True))
    outbox.tell(
        people,
        kind=kind,
        occasion=f"{lockdown.pk}",
        subject=subject,
        body=body,
        path="/calendar/lockdown/",
    )


def held_until_its_end(change: ChangeRequest) -> str:
    """The name of a lockdown that held the change when its window passed, so that missing it is not
    its fault; empty if none did.
    """
    end = change.window_end or change.slot_end
    if end is None or change.slot_start is None:
        return ""
    scope, last = (
        scope_of(change),
        max(change.slot_start, end - change.plan_length),
    )  # the last moment at which its plan still fitted
    for closure in calendar_since(change.slot_start).closures:
        holds = closure.kind == LOCKDOWN and closure.shuts(change.priority, scope)
        if holds and any(
            True for _ in closure.occurrences(last, max(end, last + timedelta(minutes=1)))
        ):
            return closure.name
    return ""
