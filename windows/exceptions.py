"""The freeze exception (A6): CTO and a change manager together let one change into one slot inside a code freeze, never a blackout.

It lifts the freezes that stood over the slot when it was asked for; one that is made later shuts the slot all the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import services as audit
from audit.refusal import Blocked, Invalid, Missing, Reason, raise_refusal, refuse_if
from notifications import services as notifications
from requests import access, cleaning
from requests.models import ChangeRequest
from requests.say import say_instant
from requests.states import State
from windows import enforcement, services, turns
from windows.calendar import Calendar, closure_occurrences, decide
from windows.models import FreezeException, current_calendar
from windows.slots import LOOKING_AHEAD, SEARCH, scope_of

FREEZE = "freeze"
HALVES = {"cto": Role.CTO, "change_manager": Role.CHANGE_MANAGER}
STATES = (State.IN_REVIEW, State.APPROVED, State.SCHEDULED)


# --- who may -------------------------------------------------------------------------------------------------------------------------


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may neither grant nor decline an exception for this change."""
    if not actor.has_role(*HALVES.values()):
        return [Reason("not_yours", "A freeze exception takes the CTO and a change manager.")]
    if actor in (change.requester, change.implementer) or change.authors.filter(user=actor).exists():
        return [Reason("not_yours", "Whoever requested, edited or implements a change grants it no exception.")]
    return _state_refusal(change)


def ask_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not ask for one."""
    return services.bookers_refusal(change, actor, "asks for a freeze exception") or _state_refusal(change)


def _state_refusal(change: ChangeRequest) -> list[Reason]:
    if change.is_emergency:
        return [Reason("state", "A P0 needs no exception: it may start at any time, once authorised.")]
    if change.state not in STATES:
        stands = f"{change.number} is {State(change.state).label.lower()}"
        return [Reason("state", f"{stands}; an exception is for a change in review, approved or scheduled.")]
    return []


# --- to ask, grant, decline ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def ask(*, actor: User, number: str, slot_start: datetime, reason: str) -> ChangeRequest:
    """Ask CTO and change managers for one slot inside a code freeze; each of them is told once."""
    change = access.change_to_write(actor, number)
    raise_refusal(ask_refusal(change, actor))
    row, is_new = _question(change, slot_start, actor, reason)
    if not is_new:
        raise Blocked([Reason("settled", f"It has been asked for already, by {row.asked_by}; see the change's page.")])
    row.save()
    data = {"slot_start": row.slot_start.isoformat(), "reason": row.reason}
    audit.record("change.exception_asked", actor=actor, change=change, data=data)
    _tell_halves(row, list(HALVES), actor, f"{actor}: {row.reason}")
    return change


@transaction.atomic
def grant(*, actor: User, number: str, slot_start: datetime, reason: str = "") -> ChangeRequest:
    """One of the two grants; the second person's makes it count. A reason is needed where nobody has asked."""
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    row, _ = _question(change, slot_start, actor, reason)
    if actor in (row.cto, row.change_manager):
        raise Blocked([Reason("second_person", "You have granted it already; the other of CTO and change manager must grant it too.")])
    half = missing_half(row, actor)
    if half is None:
        raise Blocked([Reason("second_person", "That half is granted already; the other of CTO and change manager must grant it too.")])
    setattr(row, half, actor)
    row.save()
    data = {"slot_start": row.slot_start.isoformat(), "reason": reason or row.reason, "granted": row.is_granted}
    audit.record("change.freeze_exception", actor=actor, change=change, data=data)
    if row.is_granted:
        _tell_people(row, actor, "is granted", "Book it on the change's page.")
    else:
        _tell_halves(row, [name for name in HALVES if name != half], actor, f"{actor} has granted the one half of it: {row.reason}")
    return change


@transaction.atomic
def decline(*, actor: User, number: str, slot_start: datetime, reason: str) -> ChangeRequest:
    """Say no, or take a grant back: a slot that was booked by it is lost at once."""
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    row = FreezeException.objects.filter(change=change, slot_start=slot_start, round=change.round, declined_at=None).first()
    if row is None:
        raise Missing([Reason("missing", f"No exception for {say_instant(slot_start)} waits or is granted.")])
    row.declined_reason = cleaning.said("reason", reason, "Reason", "say why it has to wait until the freeze ends.")
    row.declined_by, row.declined_at = actor, timezone.now()
    row.save()
    data = {"slot_start": row.slot_start.isoformat(), "reason": row.declined_reason, "was_granted": row.is_granted}
    audit.record("change.exception_declined", actor=actor, change=change, data=data)
    _tell_people(row, actor, "is declined", f"{actor}: {row.declined_reason}")
    transaction.on_commit(enforcement.enforce_all, robust=True)
    return change


def _question(change: ChangeRequest, slot_start: datetime, actor: User, reason: str) -> tuple[FreezeException, bool]:
    """What is asked about that slot, not stored yet, and whether it is new: not asked, declined, or of other freezes than stand there now."""
    turns.calendar_stands()
    slot_start = services.checked_start(change, slot_start, "slot_start", "Slot start")
    lifts = _freezes_over(change, slot_start)
    reason = cleaning.said("reason", reason, "Reason")
    row = FreezeException.objects.filter(change=change, slot_start=slot_start, round=change.round).first()
    if row and row.declined_at is None and lifts <= set(row.lifts):
        return row, False
    if not reason:
        raise Invalid(fields={"reason": "Reason: say why this change cannot wait until the freeze ends."})
    asked = FreezeException(change=change, slot_start=slot_start, round=change.round, reason=reason, asked_by=actor, lifts=sorted(lifts))
    asked.pk = row.pk if row else None
    return asked, True


def _freezes_over(change: ChangeRequest, slot_start: datetime) -> set[int]:
    """The freezes in the way of that slot. Raises Blocked (a blackout, no window, no need)."""
    end, calendar, scope = slot_start + change.plan_length, current_calendar(), scope_of(change)
    refuse_if(decide(change.priority, slot_start, end, calendar, scope, LOOKING_AHEAD | {FREEZE}).reasons)
    found = {closure.rule.key for closure in closure_occurrences(calendar, slot_start, end) if _holds_up(closure, change, scope)}
    if not found:
        raise Blocked([Reason("not_needed", f"{say_instant(slot_start)} is open; no exception is needed.")])
    return found


def _holds_up(closure: Any, change: ChangeRequest, scope: frozenset[str]) -> bool:
    return bool(closure.kind == FREEZE and closure.shuts(change.priority, scope))


# --- who is told -----------------------------------------------------------------------------------------------------------------------


def _tell_halves(row: FreezeException, halves: list[str], actor: User, why: str) -> None:
    """Those who may give these halves of it."""
    people = User.objects.filter(groups__name__in=[HALVES[name] for name in halves], is_active=True).exclude(pk=actor.pk).distinct()
    notifications.tell(
        [person for person in people if not refusal(row.change, person) and _sees(person, row.change)],
        kind="exception_asked",
        occasion=f"{row.slot_start} as of {timezone.now().isoformat()}",
        change=row.change,
        subject=f"{row.change.number} asks for a freeze exception, {say_instant(row.slot_start)}",
        body=f"“{row.change.summary}”. {why}\n\nIt takes the CTO and a change manager.",
    )


def _sees(person: User, change: ChangeRequest) -> bool:
    return ChangeRequest.objects.visible_to(person).filter(pk=change.pk).exists()


def _tell_people(row: FreezeException, actor: User, what: str, body: str) -> None:
    """Whoever asked, requested or implements."""
    people = {person for person in (row.asked_by, row.change.requester, row.change.implementer) if person and person != actor}
    notifications.tell(
        people,
        kind="exception_answered",
        occasion=f"{row.slot_start} as of {timezone.now().isoformat()}",
        change=row.change,
        subject=f"{row.change.number}: the freeze exception for {say_instant(row.slot_start)} {what}",
        body=body,
    )


# --- for pages -------------------------------------------------------------------------------------------------------------------------


def waiting_for(user: User) -> QuerySet[FreezeException]:
    """Those whose missing half this person may give, the nearest slot first."""
    missing = Q()
    for half, role in HALVES.items():
        if user.has_role(role):
            missing |= Q(**{half: None})
    if not missing or not user.may_write:
        return FreezeException.objects.none()
    rows = FreezeException.objects.filter(missing, declined_at=None, slot_start__gt=timezone.now(), round=F("change__round"))
    rows = rows.exclude(Q(cto=user) | Q(change_manager=user)).exclude(change__implementer=user).exclude(change__authors__user=user)
    rows = rows.filter(change__in=ChangeRequest.objects.visible_to(user).filter(state__in=STATES).exclude(requester=user))
    return rows.select_related("change", "asked_by").order_by("slot_start", "id")


def missing_half(row: FreezeException, person: User) -> str | None:
    """The half of it, `cto` or `change_manager`, that is not given yet and that this person's roles would give."""
    return next((name for name, role in HALVES.items() if getattr(row, name) is None and person.has_role(role)), None)


def of_change(change: ChangeRequest) -> list[FreezeException]:
    """What was asked for slots that lie ahead, in this round."""
    rows = FreezeException.objects.filter(change=change, round=change.round, slot_start__gt=timezone.now())
    return list(rows.select_related("cto", "change_manager", "asked_by", "declined_by").order_by("slot_start"))


def is_freeze_ahead(change: ChangeRequest, calendar: Calendar, now: datetime) -> bool:
    """Whether a code freeze within the time that slots are looked for keeps this change out."""
    scope = scope_of(change)
    return any(_holds_up(closure, change, scope) for closure in closure_occurrences(calendar, now, now + SEARCH))
