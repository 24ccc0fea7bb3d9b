"""Delegation: while somebody is away, another decides in their name (issue 3 item 4, F36)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Delegation, User
from accounts.registry import people_changed
from accounts.roles import REQUESTING_ROLES, Role
from audit import trail
from language.refusal import Blocked, Invalid, NotYours, Reason
from language.say import say_instant, say_span
from notifications import outbox

LONGEST = timedelta(days=90)


@transaction.atomic
def delegate(
    *, actor: User, receiver: str, starts_at: datetime, ends_at: datetime, reason: str = ""
) -> Delegation:
    """Let somebody decide in one's name between two instants. Both are told.

    It carries the roles that the giver holds themselves, never those lent to them. Raises NotYours
    for whoever decides nothing, Invalid for a person or time that cannot be: who reads only, who is
    away themselves then, who has somebody in their place already.
    """
    if not actor.may_write:
        raise NotYours([Reason("not_yours", NOTHING_TO_GIVE)])
    now = timezone.now()
    people = User.objects.select_for_update().filter(is_active=True)
    person = people.filter(username=receiver).first() if "\x00" not in receiver else None
    wrong = _wrong_person(person, actor) | _wrong_time(starts_at, ends_at, now)
    if len(reason) > 200 or "\x00" in reason:
        wrong["reason"] = "Reason: at most 200 characters."
    if not wrong and person is not None and _is_away(person, starts_at, ends_at):
        wrong["receiver"] = f"Person: {person} {AWAY}"
    if wrong or person is None:
        raise Invalid(fields=wrong)
    try:
        with transaction.atomic():
            made = Delegation.objects.create(
                giver=actor,
                receiver=person,
                starts_at=max(starts_at, now),
                ends_at=ends_at,
                reason=reason.strip(),
                created_at=now,
            )
    except IntegrityError:
        raise Invalid(fields={"starts_at": f"From: {TWICE}"}) from None
    said = {"delegation": made.pk, "to": person.pk, "until": ends_at.isoformat()}
    trail.record("delegation.create", actor=actor, data=said)
    people_changed.send(User)
    _tell(made, "given", f"{person} decides for {actor}, {say_span(made.starts_at, ends_at)}")
    return made


NOTHING_TO_GIVE = "Your roles decide nothing; there is nothing to delegate."
AWAY = "is away then and has delegated to somebody else; choose another."
TWICE = "you have delegated for part of that time already; end that delegation first."


def _wrong_person(person: User | None, actor: User) -> dict[str, str]:
    if person is None or not person.may_write:
        text = "choose somebody who may decide; managers and auditors only read."
    elif person == actor:
        text = "choose somebody else; your own decisions you give yourself."
    else:
        return {}
    return {"receiver": f"Person: {text}"}


def _wrong_time(starts_at: datetime, ends_at: datetime, now: datetime) -> dict[str, str]:
    wrong = {}
    if ends_at <= max(starts_at, now):
        wrong["ends_at"] = "Until: this lies before the start, or has passed; give a later instant."
    elif ends_at - starts_at > LONGEST:
        wrong["ends_at"] = f"Until: at most {LONGEST.days} days; delegate again when they are over."
    if starts_at < now - timedelta(minutes=5):
        passed = f"{say_instant(starts_at)} has passed"
        wrong["starts_at"] = f"From: {passed}; a delegation is never given backwards."
    return wrong


def _is_away(person: User, starts_at: datetime, ends_at: datetime) -> bool:
    given = Delegation.objects.filter(giver=person, revoked_at__isnull=True)
    return given.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).exists()


@transaction.atomic
def revoke(*, actor: User, delegation: Delegation) -> Delegation:
    """End a delegation now: whoever gave it, whoever received it, or the change manager. It stops
    at the next click.
    """
    if actor.pk not in (delegation.giver_id, delegation.receiver_id) and not actor.has_role(
        Role.CHANGE_MANAGER
    ):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "Whoever gave or received a delegation, or the change manager, ends it.",
                )
            ]
        )
    delegation = Delegation.objects.select_for_update().get(pk=delegation.pk)
    if delegation.revoked_at or delegation.ends_at <= timezone.now():
        raise Blocked([Reason("settled", "That delegation has ended already.")])
    delegation.revoked_at = timezone.now()
    delegation.save(update_fields=["revoked_at"])
    trail.record(
        "delegation.revoke",
        actor=actor,
        data={"delegation": delegation.pk, "giver": delegation.giver_id},
    )
    people_changed.send(User)
    _tell(
        delegation,
        "ended",
        f"{delegation.receiver} decides for {delegation.giver} no longer: {actor} has ended it",
    )
    return delegation


def concerning(person: User) -> list[Delegation]:
    """What the person has given and received, newest first; the change manager sees everybody's."""
    found = Delegation.objects.select_related("giver", "receiver")
    if not person.has_role(Role.CHANGE_MANAGER, Role.AUDITOR):
        found = found.filter(Q(giver=person) | Q(receiver=person))
    return list(found[:100])


def possible(person: User) -> list[User]:
    """To whom the person could delegate: whoever may decide, by name."""
    writers = User.deciders().filter(groups__name__in=list(REQUESTING_ROLES))
    return list(writers.exclude(pk=person.pk).distinct().order_by("name", "username")[:500])


def standing_in(person: User) -> list[Delegation]:
    """For whom the person decides now."""
    if not person.lent:
        return []
    return list(
        Delegation.objects.current()
        .filter(receiver=person)
        .select_related("giver")
        .order_by("ends_at")
    )


def _tell(delegation: Delegation, what: str, subject: str) -> None:
    outbox.tell(
        [delegation.giver, delegation.receiver],
        kind=f"delegation_{what}",
        occasion=f"{delegation.pk}",
        subject=subject,
        body=f"{delegation.reason or 'No reason was given.'} Either of them can end it.",
        path="/settings/delegations/",
    )
