"""Stand-ins: two people give a third another's role for at most 14 days; it ends by itself, and
every decision by it says so (A45).
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import StandIn, User
from accounts.registry import people_changed
from accounts.roles import REQUESTING_ROLES, Role, label, listed
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Missing, Reason, raise_refusal
from language.say import say_instant, say_length
from notifications import outbox
from proposals import second_person
from proposals.models import Proposal
from requests import cleaning

KIND = "stand_in"
ROLES = tuple(role for role in Role if role in REQUESTING_ROLES)
GIVERS = (Role.CHANGE_MANAGER, Role.CTO)
GIVERS_OF_CHANGE_MANAGER = (Role.CTO, Role.DEVOPS_LEAD)


def givers_of(role: str) -> tuple[Role, ...]:
    """The two roles that give it together."""
    return GIVERS_OF_CHANGE_MANAGER if role == Role.CHANGE_MANAGER else GIVERS


def refusal(actor: User) -> list[Reason]:
    """Why this person gives no role at all to a stand-in; who stands in themselves gives
    none on.
    """
    if actor.may_write and actor.holds_itself(*GIVERS, *GIVERS_OF_CHANGE_MANAGER):
        return []
    pair, for_change_manager = (
        listed(list(GIVERS), "and"),
        listed(list(GIVERS_OF_CHANGE_MANAGER), "and"),
    )
    return [
        Reason(
            "not_yours",
            f"A stand-in is given by {pair} together; the change manager's own by"
            f" {for_change_manager}.",
        )
    ]


def _wrong_role(actor: User, role: str) -> dict[str, str]:
    if role not in ROLES:
        return {"role": "Role: choose one that requests or decides."}
    if actor.holds_itself(*givers_of(role)):
        return {}
    givers = listed(list(givers_of(role)), "and")
    return {"role": f"Role: {label(role)} is given by {givers} together."}


@transaction.atomic
def propose(
    *, actor: User, username: str, role: str, instead_of: str, ends_at: datetime | None, reason: str
) -> Proposal:
    """Ask the other giver. Raises NotYours, and Invalid with a sentence for each field."""
    raise_refusal(refusal(actor))
    wrong: dict[str, str] = {}
    person, other = _named(username, "username", wrong), _named(instead_of, "instead_of", wrong)
    wrong |= _wrong_role(actor, role)
    if not wrong and person and other:
        wrong |= _wrong_people(actor, person, other, role)
    wrong |= _wrong_end(ends_at)
    try:
        reason = reading.said("reason", reason, "Reason", SAY_WHY, limit=2_000)
    except Invalid as problem:
        wrong |= problem.fields
    if wrong or person is None or other is None or ends_at is None:
        raise Invalid(fields=wrong)
    givers = givers_of(role)
    others = [giver for giver in givers if not actor.holds_itself(giver)] or list(givers)
    named = label(role).lower()
    until = f"until {say_instant(ends_at)}, as stand-in for {other}."
    return second_person.propose(
        actor=actor,
        kind=KIND,
        subject=f"{person} as {named} instead of {other}",
        reason=reason,
        widens=[f"{person} would decide and act as {named} {until}"],
        payload={
            "user": person.pk,
            "role": role,
            "instead_of": other.pk,
            "ends_at": ends_at.isoformat(),
            "roles": [giver.value for giver in others],
            "barred": [person.pk],
        },
    )


SAY_WHY = "say why a stand-in is needed."


def _wrong_end(ends_at: datetime | None) -> dict[str, str]:
    now, days = timezone.now(), StandIn.LONGEST.days
    if ends_at is None or ends_at <= now:
        return {"ends_at": "Until: give an instant to come."}
    if ends_at > now + StandIn.LONGEST:
        again = "give it again when they are over."
        return {"ends_at": f"Until: at most {days} days from now; {again}"}
    return {}


def _named(username: str, field: str, wrong: dict[str, str]) -> User | None:
    words = "Person" if field == "username" else "Instead of"
    try:
        found = cleaning.person(username)
    except reading.Wrong as problem:
        wrong[field] = f"{words}: {problem}"
        return None
    if found is None:
        wrong[field] = f"{words}: name somebody."
    return found


def _wrong_people(actor: User, person: User, other: User, role: str) -> dict[str, str]:
    if person == actor:
        return {"username": "Person: nobody gives themselves a role; name somebody else."}
    if not person.is_active or Role.AUDITOR in person.roles:
        return {
            "username": (
                f"Person: {person} decides nothing; auditors change nothing, whatever else they"
                " hold."
            )
        }
    if person.has_role(role):
        return {"username": f"Person: {person} is {label(role).lower()} already."}
    if not other.groups.filter(name=role).exists() or other == person or role in other.stand_ins:
        return {
            "instead_of": (
                f"Instead of: name somebody who holds the role of {label(role).lower()} themselves."
            )
        }
    return {}


def second_refusal(proposal: Proposal, second: User) -> list[Reason]:
    """Who gets the role does not confirm it, nor does whoever holds the giver's role only as a
    stand-in.
    """
    if second.pk in proposal.payload["barred"]:
        return [Reason("own_change", "It would give you the role; somebody else confirms it.")]
    if not second.holds_itself(*proposal.payload["roles"]):
        return [Reason("not_yours", "Who stands in themselves gives no stand-in.")]
    return []


def _carry_out(proposal: Proposal, second: User) -> None:
    given = proposal.payload
    people = User.objects.select_for_update().in_bulk([given["user"], given["instead_of"]])
    person, other = people[given["user"]], people[given["instead_of"]]
    role, now = str(given["role"]), timezone.now()
    ends_at = reading.instant(given["ends_at"])
    wrong = _wrong_people(proposal.author, person, other, role)
    problem = "its end has passed." if ends_at <= now else next(iter(wrong.values()), "")
    if not problem and not proposal.author.holds_itself(*givers_of(role)):
        problem = f"{proposal.author} may not give it any more."
    if problem:
        said = f"It cannot be carried out any more: {problem} Decline it."
        raise Blocked([Reason("overtaken", said)])
    by = {"given_by": proposal.author, "confirmed_by": second, "reason": proposal.reason}
    made = StandIn.objects.create(
        user=person, role=role, instead_of=other, starts_at=now, ends_at=ends_at, **by
    )
    person.groups.add(Group.objects.get(name=role))
    data = {
        "stand_in": made.pk,
        "person": person.pk,
        "role": role,
        "instead_of": other.pk,
        "until": ends_at.isoformat(),
        "confirmed_by": second.pk,
        "reason": proposal.reason,
    }
    trail.record("stand_in.give", actor=proposal.author, data=data)
    people_changed.send(User)
    lasts = f"until {say_instant(ends_at)} ({say_length(ends_at - now)})"
    _tell(
        made,
        "given",
        f"{person} is {made.role_label.lower()} instead of {other}, {lasts}",
        f"{proposal.author} and {second}: {proposal.reason}",
    )


proposals_kind = second_person.Kind(carry_out=_carry_out, second_refusal=second_refusal)


def end_refusal(row: StandIn, actor: User) -> list[Reason]:
    """Why this person cannot end it: the two concerned and the role's givers can, once."""
    if actor.pk not in (row.user_id, row.instead_of_id) and not actor.has_role(
        *givers_of(row.role)
    ):
        return [
            Reason(
                "not_yours",
                f"The stand-in, whom they stand in for, {listed(list(givers_of(row.role)))}"
                " end it.",
            )
        ]
    return [Reason("settled", "It has ended already.")] if row.ended_at else []


@transaction.atomic
def end(*, actor: User, key: int) -> StandIn:
    """Take the role back before its time."""
    row = (
        StandIn.objects.select_for_update(of=("self",))
        .select_related("user", "instead_of")
        .filter(pk=key)
        .first()
        if 0 < key < 2**63
        else None
    )
    if row is None:
        raise Missing([Reason("missing", "There is no such stand-in.")])
    raise_refusal(end_refusal(row, actor))
    _end(row, actor)
    return row


def end_due() -> int:
    """Those whose time is over; the role had stopped counting at that instant."""
    ended = 0
    for key in (
        StandIn.objects.filter(ended_at__isnull=True, ends_at__lte=timezone.now())
        .order_by("ends_at")
        .values_list("pk", flat=True)[:200]
    ):
        with transaction.atomic():
            row = (
                StandIn.objects.select_for_update(of=("self",))
                .select_related("user", "instead_of")
                .get(pk=key)
            )
            if row.ended_at is None:
                _end(row, None)
                ended += 1
    return ended


def _end(row: StandIn, actor: User | None) -> None:
    row.ended_at, row.ended_by = timezone.now(), actor
    row.save(update_fields=["ended_at", "ended_by"])
    row.user.groups.remove(*Group.objects.filter(name=row.role))
    trail.record(
        "stand_in.end",
        actor=actor,
        data={"stand_in": row.pk, "person": row.user_id, "role": row.role},
    )
    people_changed.send(User)
    by = f"{actor} has ended it" if actor else "its time is over"
    _tell(
        row,
        "ended",
        f"{row.user} is {row.role_label.lower()} instead of {row.instead_of} no longer: {by}",
        "",
    )


def listed_for_page() -> QuerySet[StandIn]:
    """The newest on top."""
    return StandIn.objects.select_related(
        "user", "instead_of", "given_by", "confirmed_by", "ended_by"
    )


def _tell(row: StandIn, what: str, subject: str, body: str) -> None:
    people = [row.user, row.instead_of, row.given_by, row.confirmed_by]
    body = body or f"It was given for: {row.reason}"
    outbox.tell(
        people,
        kind=f"stand_in_{what}",
        occasion=f"{row.pk}",
        subject=subject,
        body=body,
        path="/settings/stand-ins/",
    )
