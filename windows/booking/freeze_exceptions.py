"""The freeze exception (A6): CTO and a change manager together let one change into one slot inside
a code freeze, never a blackout.

It lifts the freezes that stood over the slot when it was asked for; one that is made later shuts
the slot all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, label
from audit import trail
from language import reading
from language.refusal import Blocked, Missing, Reason, Stale, raise_refusal, refuse_if
from language.say import say_instant
from notifications import outbox
from requests import access, apart
from requests.models import ChangeRequest
from requests.states import State
from windows.booking import bookings, enforcement, locks
from windows.booking.questions import booking_verdict
from windows.booking.slots import scope_of
from windows.calendar.recurrence import Occurrence
from windows.calendar.verdict import FREEZE, Calendar, closure_occurrences
from windows.models import FreezeException, current_calendar

HALVES = {"cto": Role.CTO, "change_manager": Role.CHANGE_MANAGER}
#: standing → why it is worth nothing
WORTHLESS = {
    "overtaken": "What shuts that slot has changed since it was asked for.",
    "void": "Whoever edits or implements a change grants it nothing.",
}
STATES = (State.IN_REVIEW, State.APPROVED, State.SCHEDULED)


# --- who may --------------------------------------------------------------------------------------


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may neither grant nor decline an exception for this change."""
    if not actor.has_role(*HALVES.values()):
        return [Reason("not_yours", "A freeze exception takes the CTO and a change manager.")]
    return apart.hand_refusal(change, actor, "grants an exception") or _state_refusal(change)


def ask_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not ask for one."""
    return bookings.bookers_refusal(change, actor, "asks for a freeze exception") or _state_refusal(
        change
    )


def _state_refusal(change: ChangeRequest) -> list[Reason]:
    if change.is_emergency:
        return [
            Reason("state", "A P0 needs no exception: it may start at any time, once authorised.")
        ]
    if change.state not in STATES:
        stands = f"{change.number} is {State(change.state).label.lower()}"
        return [
            Reason(
                "state", f"{stands}; an exception is for a change in review, approved or scheduled."
            )
        ]
    return []


def missing_half(row: FreezeException, person: User) -> str | None:
    """The half, `cto` or `change_manager`, that is not given yet and that this person's roles would
    give; nobody gives both.
    """
    if person in (row.cto, row.change_manager):
        return None
    return next(
        (
            name
            for name, role in HALVES.items()
            if getattr(row, name) is None and person.has_role(role)
        ),
        None,
    )


# --- to ask, grant, decline -----------------------------------------------------------------------


@transaction.atomic
def ask(*, actor: User, number: str, slot_start: datetime, reason: str) -> ChangeRequest:
    """Ask CTO and change managers for one slot inside a code freeze. What was declined, or asked of
    other freezes, is asked anew.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(ask_refusal(change, actor))
    slot, calendar = _slot_of(change, slot_start), _calendar_as_it_stands()
    row, before = _new(change, slot, actor, reason, calendar), _stored(change, slot)
    if before and _standing(change, before, calendar) in ("waits", "granted"):
        settled = (
            "is granted already"
            if before.is_granted
            else f"has been asked for already, by {before.author}"
        )
        raise Blocked([Reason("settled", f"It {settled}; see the change's page.")])
    askable = _people_by_half(change)
    row.pk = before.pk if before else None
    row.save()
    dropped = [name for name in HALVES if before and getattr(before, name)]
    trail.record(
        "change.exception_asked",
        actor=actor,
        change=change,
        data=_facts(row, calendar, reason=row.reason, dropped=dropped),
    )
    _tell(
        row,
        {person for people in askable.values() for person in people} - {actor},
        "exception_asked",
        row.subject,
        f"{actor}: {row.reason}",
    )
    return change


@transaction.atomic
def grant(
    *, actor: User, number: str, slot_start: datetime, reason: str = "", asked: str = ""
) -> ChangeRequest:
    """One of the two grants; the second person's makes it count. A reason is needed where nobody
    has asked.

    `asked`, if given, is the `mark` of what the person saw; Stale if something else is asked by
    now.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    slot, calendar = _slot_of(change, slot_start), _calendar_as_it_stands()
    reason = reading.said("reason", reason, "Reason")
    row = _stored(change, slot)
    _check_seen(row, asked)
    if row is None:
        row = _new(change, slot, actor, reason, calendar)
    elif (standing := _standing(change, row, calendar)) in WORTHLESS:
        raise Blocked([Reason(standing, f"{WORTHLESS[standing]} It has to be asked for again.")])
    half = _half_of(row, actor)
    setattr(row, half, actor)
    row.save()
    facts = _facts(row, calendar, reason=reason or row.reason, half=half, granted=row.is_granted)
    facts |= actor.as_stand_in(Role.CTO if half == "cto" else Role.CHANGE_MANAGER)
    trail.record("change.freeze_exception", actor=actor, change=change, data=facts)
    if row.is_granted:
        _withdraw(row)
        _tell_granted(row, change, actor)
    else:
        _tell_half(row, change, actor, half)
    return change


def _half_of(row: FreezeException, actor: User) -> str:
    """Which of the two grants this person gives; Blocked where it is given already."""
    already, too = "", "the other of CTO and change manager must grant it too."
    half = missing_half(row, actor)
    if actor in (row.cto, row.change_manager):
        already = "You have granted it already"
    elif half is None:
        already = "That half is granted already"
    if already or half is None:
        raise Blocked([Reason("second_person", f"{already}; {too}")])
    return half


def _tell_granted(row: FreezeException, change: ChangeRequest, actor: User) -> None:
    in_review = change.state == State.IN_REVIEW
    then = "It can be booked once it is approved." if in_review else "Book it on its page."
    people = {row.asked_by, change.requester, change.implementer} - {actor}
    _tell(row, people, "exception_granted", f"{row.title} is granted", then)


def _tell_half(row: FreezeException, change: ChangeRequest, actor: User, half: str) -> None:
    halves = _people_by_half(change)
    others = {person for name in halves if name != half for person in halves[name]} - {actor}
    text = f"{actor} has granted the one half of it: {row.reason}"
    _tell(row, others, "exception_half", row.subject, text)


@transaction.atomic
def decline(
    *, actor: User, number: str, slot_start: datetime, reason: str, asked: str = ""
) -> ChangeRequest:
    """Say no, or take a grant back: a slot that was booked by it is lost at once."""
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    row = _stored(change, slot_start.replace(second=0, microsecond=0))
    if row is None:
        raise Missing(
            [Reason("missing", f"No exception for {say_instant(slot_start)} waits or is granted.")]
        )
    _check_seen(row, asked)
    row.declined_reason = reading.said(
        "reason", reason, "Reason", "say why it has to wait until the freeze ends."
    )
    row.declined_by, row.declined_at = actor, timezone.now()
    row.save()
    facts = {
        "slot_start": row.slot_start.isoformat(),
        "reason": row.declined_reason,
        "was_granted": row.is_granted,
    }
    facts |= actor.as_stand_in(Role.CTO, Role.CHANGE_MANAGER)
    trail.record("change.exception_declined", actor=actor, change=change, data=facts)
    _withdraw(row)
    people = {row.asked_by, row.cto, row.change_manager, change.requester, change.implementer} - {
        actor
    }
    word = "taken back" if row.is_granted else "declined"
    _tell(
        row,
        people,
        "exception_declined",
        f"{row.title} is {word}",
        f"{actor}: {row.declined_reason}",
    )
    if row.is_granted:
        transaction.on_commit(partial(enforcement.move, change.pk), robust=True)
    return change


def _slot_of(change: ChangeRequest, slot_start: datetime) -> datetime:
    return bookings.checked_start(change, slot_start, "slot_start", "Slot start")


def _calendar_as_it_stands() -> Calendar:
    locks.calendar_stands()
    return current_calendar()


def _stored(change: ChangeRequest, slot: datetime) -> FreezeException | None:
    return FreezeException.objects.filter(
        change=change, slot_start=slot, round=change.round
    ).first()


def _check_seen(row: FreezeException | None, asked: str) -> None:
    """Raises Stale if something else was seen than is asked now, Blocked with who was first if it
    is declined.
    """
    if asked and (row is None or asked != row.mark):
        raise Stale(
            [
                Reason(
                    "stale",
                    "Something else is asked for now than when you opened the page. Look at it,"
                    " then decide.",
                )
            ]
        )
    if row and row.declined_at:
        said = f"{row.declined_by} was first and said no: {row.declined_reason}"
        raise Blocked(
            [Reason("settled", f"{said} It has to be asked for again before anybody grants it.")]
        )


def _new(
    change: ChangeRequest, slot: datetime, actor: User, reason: str, calendar: Calendar
) -> FreezeException:
    """A question not stored yet. Raises Blocked (a blackout, no window, no need) and Invalid (no
    reason).
    """
    end, scope = slot + change.plan_length, scope_of(change)
    lifts = sorted(
        {
            closure.rule.key
            for closure in closure_occurrences(calendar, slot, end)
            if freezes(closure, change, scope)
        }
    )
    refuse_if(booking_verdict(change.priority, scope, slot, end, calendar.lifting(lifts)).reasons)
    if not lifts:
        raise Blocked(
            [Reason("not_needed", f"{say_instant(slot)} is open; no exception is needed.")]
        )
    reason = reading.said(
        "reason", reason, "Reason", "say why this change cannot wait until the freeze ends."
    )
    return FreezeException(
        change=change,
        slot_start=slot,
        round=change.round,
        reason=reason,
        asked_by=actor,
        lifts=lifts,
    )


def freezes(closure: Occurrence, change: ChangeRequest, scope: frozenset[str]) -> bool:
    """Whether that occurrence is a code freeze that keeps the change out."""
    return closure.kind == FREEZE and closure.shuts(change.priority, scope)


def is_overtaken(change: ChangeRequest, row: FreezeException, calendar: Calendar) -> bool:
    """Whether something else shuts the slot than what was asked about: a newer freeze, a blackout,
    no window any more.
    """
    end = row.slot_start + change.plan_length
    return not booking_verdict(
        change.priority, scope_of(change), row.slot_start, end, calendar.lifting(row.lifts)
    ).allowed


def _standing(change: ChangeRequest, row: FreezeException, calendar: Calendar) -> str:
    return standing_of(
        change,
        row,
        calendar,
        {*change.authors.values_list("user", flat=True), change.implementer_id} - {None},
    )


def _facts(row: FreezeException, calendar: Calendar, **more: Any) -> dict[str, Any]:
    freezes = [rule.name for rule in calendar.closures if rule.key in row.lifts]
    return {"slot_start": row.slot_start.isoformat(), "freezes": freezes, **more}


# --- who is told ----------------------------------------------------------------------------------


def _people_by_half(change: ChangeRequest) -> dict[str, list[User]]:
    """Who may give each half. Raises Blocked where two people cannot be found."""
    found = {}
    for half, role in HALVES.items():
        holders = User.deciders().filter(groups__name=role)
        found[half] = [
            person
            for person in holders
            if not refusal(change, person) and access.may_see(person, change)
        ]
        if not found[half]:
            unseen = ", or may not see it: let them see it first" if change.confidential else ""
            who = (
                f"Nobody with the role {label(role)} may grant it: each requested, edited or"
                f" implements the change{unseen}."
            )
            raise Blocked([Reason("nobody", who)])
    if len({person.pk for people in found.values() for person in people}) < 2:
        raise Blocked([Reason("nobody", "It takes two people, and only one holds both roles.")])
    return found


def _occasion(row: FreezeException) -> str:
    return f"{row.slot_start:%Y%m%d%H%M} {row.mark}"


def _tell(
    row: FreezeException, people: Iterable[User | None], kind: str, subject: str, body: str
) -> None:
    """To those of them who may see the change."""
    outbox.tell(
        [person for person in people if person and access.may_see(person, row.change)],
        kind=kind,
        occasion=(
            _occasion(row)
            if row.declined_at is None
            else f"{_occasion(row)} {row.declined_at.isoformat()}"
        ),
        change=row.change,
        subject=subject,
        body=f"“{row.change.summary}”. {body}",
    )


def _withdraw(row: FreezeException) -> None:
    """Nobody is asked any more."""
    for kind in ("exception_asked", "exception_half"):
        outbox.withdraw(change_id=row.change_id, kind=kind, occasion=_occasion(row))


def standing_of(
    change: ChangeRequest, row: FreezeException, calendar: Calendar, barred: Collection[int | None]
) -> str:
    """What it is worth now; `barred` are those who requested, edited or implement the change."""
    if row.declined_at:
        return "declined"
    if is_overtaken(change, row, calendar):
        return "overtaken"
    if {row.cto_id, row.change_manager_id} & set(barred):
        return "void"
    return "granted" if row.is_granted else "waits"
