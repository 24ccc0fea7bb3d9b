"""Handing a duty over: whoever is on duty says what is open, the next one takes it, and nobody is
off duty in between (A3).
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import registry
from accounts.models import Duty, Handover, User
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Missing, NotYours, Reason, raise_refusal
from notifications import outbox
from requests.models import ChangeRequest
from requests.states import RUNNING, State


def refusal(duty: Duty, actor: User) -> list[Reason]:
    """Why this person may not hand that duty over: it is for who is on duty now, and for who keeps
    the roster.
    """
    now = timezone.now()
    if duty.starts_at > now or (duty.ends_at and duty.ends_at <= now):
        return [
            Reason(
                "state", "A duty is handed over while it lasts; the roster of later days is edited."
            )
        ]
    if actor.pk != duty.user_id and not registry.keeps_roster(actor):
        return [
            Reason(
                "not_yours",
                f"{duty.user} is on duty and hands it over; administrators and change managers keep"
                " the roster.",
            )
        ]
    return []


def could_take(duties: Iterable[Duty]) -> dict[int, list[User]]:
    """Duty → who could take it: the holders of its role but for who has it. A query for each kind
    of duty, however many duties.
    """
    wanted = list(duties)
    holders = {
        kind: list(User.deciders().filter(groups__name=Duty.Kind(kind).role)[:200])
        for kind in {duty.kind for duty in wanted}
    }
    return {
        duty.pk: [person for person in holders[duty.kind] if person.pk != duty.user_id]
        for duty in wanted
    }


@transaction.atomic
def hand_over(*, actor: User, key: int, to: str, note: str) -> Handover:
    """Offer the duty to somebody, with what they must know. Until they take it, the giver stays on
    duty.
    """
    duty = _duty(key)
    raise_refusal(refusal(duty, actor))
    note = reading.said(
        "note", note, "What is open", "say what the next one must know; “nothing” is an answer."
    )
    person = next((found for found in could_take([duty])[duty.pk] if found.username == to), None)
    if person is None:
        raise Invalid(fields={"to": "To: choose somebody who holds the role of that duty."})
    try:
        with transaction.atomic():
            made = Handover.objects.create(
                duty=duty, receiver=person, note=note, created_at=timezone.now()
            )
    except IntegrityError:
        raise Blocked(
            [
                Reason(
                    "offered",
                    "This duty is offered to somebody already; they take it or decline first.",
                )
            ]
        ) from None
    trail.record("duty.offer", actor=actor, data={"duty": duty.pk, "to": person.pk})
    outbox.tell(
        [person],
        kind="handover",
        occasion=f"{made.pk}",
        subject=f"{duty.user} hands the duty over to you: {duty.get_kind_display().lower()}",
        body=f"{note}\n\n{open_work(person)}\n\nTake it, or say why not:",
        path="/settings/duties/",
    )
    return made


def open_work(person: User) -> str:
    """What runs now and which emergencies wait, as far as this person may see it."""
    urgent = Q(state__in=RUNNING) | Q(state=State.IN_REVIEW, priority="P0")
    found = ChangeRequest.objects.visible_to(person).filter(urgent).order_by("priority", "id")[:20]
    lines = [
        f"- {change.priority} {change.number}, {State(change.state).label.lower()}:"
        f" {change.summary}"
        for change in found
    ]
    return (
        "\n".join(["Running now, and emergencies that wait:", *lines])
        if lines
        else "Nothing runs, and no emergency waits."
    )


def waiting_for(user: User) -> QuerySet[Handover]:
    """What is offered to this person."""
    return (
        Handover.objects.filter(receiver=user, answered_at__isnull=True)
        .select_related("duty__user")
        .order_by("id")
    )


@transaction.atomic
def take(*, actor: User, key: int) -> Duty:
    """The offered person takes it: the giver's duty ends at this instant, theirs begins, until the
    same end and in the same place.
    """
    found = _offer(actor, key)
    duty, now = _duty(found.duty_id), timezone.now()
    if duty.ends_at and duty.ends_at <= now:
        raise Blocked([Reason("over", "That duty has ended meanwhile.")])
    made = Duty.objects.create(
        kind=duty.kind, user=actor, order=duty.order, starts_at=now, ends_at=duty.ends_at
    )
    duty.ends_at = now
    duty.save(update_fields=["ends_at"])
    _answered(found, accepted=True)
    trail.record(
        "duty.handover",
        actor=actor,
        data={"from": duty.pk, "duty": made.pk, "person": duty.user_id},
    )
    _tell_giver(
        found,
        f"{actor} has taken the duty over: {duty.get_kind_display().lower()}",
        "You are off duty.",
    )
    return made


@transaction.atomic
def decline(*, actor: User, key: int, reason: str) -> None:
    """Not take a duty that was offered; the giver stays on duty and is told why."""
    found = _offer(actor, key)
    reason = reading.said(
        "reason", reason, "Reason", f"say why; {found.duty.user} stays on duty and reads it."
    )
    _answered(found, accepted=False)
    trail.record("duty.decline", actor=actor, data={"duty": found.duty_id, "reason": reason})
    _tell_giver(found, f"{actor} does not take the duty over", f"{reason}\n\nYou stay on duty.")


@transaction.atomic
def withdraw(*, actor: User, key: int) -> None:
    """Whoever could have offered it takes the offer back; the person asked is told."""
    found = (
        Handover.objects.select_for_update(of=("self",))
        .select_related("duty__user", "receiver")
        .filter(pk=key)
        .first()
    )
    if found is None:
        raise Missing([Reason("missing", "There is no such handover.")])
    raise_refusal(refusal(found.duty, actor))
    if found.answered_at:
        raise Blocked([Reason("settled", f"{found.receiver} has answered it already.")])
    _answered(found, accepted=False)
    trail.record(
        "duty.withdraw", actor=actor, data={"duty": found.duty_id, "to": found.receiver_id}
    )
    subject = f"{found.duty.user} keeps the duty: {found.duty.get_kind_display().lower()}"
    body = "The handover offered to you was withdrawn."
    outbox.tell(
        [found.receiver],
        kind="handover_withdrawn",
        occasion=f"{found.pk}",
        subject=subject,
        body=body,
        path="/settings/duties/",
    )


def _tell_giver(found: Handover, subject: str, body: str) -> None:
    giver = [found.duty.user]
    outbox.tell(
        giver,
        kind="handover_answered",
        occasion=f"{found.pk}",
        subject=subject,
        body=body,
        path="/settings/duties/",
    )


def _answered(found: Handover, *, accepted: bool) -> None:
    found.accepted, found.answered_at = accepted, timezone.now()
    found.save(update_fields=["accepted", "answered_at"])


def _duty(key: int) -> Duty:
    found = (
        Duty.objects.select_for_update(of=("self",)).select_related("user").filter(pk=key).first()
        if 0 < key < 2**63
        else None
    )
    if found is None:
        raise Missing([Reason("missing", "There is no such duty.")])
    return found


def _offer(actor: User, key: int) -> Handover:
    rows = Handover.objects.select_for_update(of=("self",)).select_related("duty__user")
    found = rows.filter(pk=key).first() if 0 < key < 2**63 else None
    if found is None:
        raise Missing([Reason("missing", "There is no such handover.")])
    if (
        found.receiver_id != actor.pk
        or not actor.may_write
        or Duty.Kind(found.duty.kind).role not in actor.roles
    ):
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "This duty was offered to somebody else, or you no longer hold its role.",
                )
            ]
        )
    if found.answered_at:
        raise Blocked([Reason("settled", "You have answered that already.")])
    return found
