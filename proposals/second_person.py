"""Two people to widen (A27): propose, confirm, decline, withdraw. What a proposal does when
confirmed, its kind says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, listed
from audit import trail
from language.refusal import Invalid, Missing, Reason, raise_refusal
from notifications import outbox
from proposals.models import Proposal

SECONDS = (Role.CHANGE_MANAGER, Role.DEVOPS_LEAD, Role.CTO)
LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Kind:
    """What becomes of a proposal: `carry_out` puts it into effect (and may refuse), `give_back`
    undoes what proposing held.

    `second_refusal` says who, of those who could be the second, may not: without a query, since
    lists ask it of every row.
    """

    carry_out: Callable[[Proposal, User], None]
    give_back: Callable[[Proposal], None] = lambda proposal: None
    second_refusal: Callable[[Proposal, User], list[Reason]] = lambda proposal, second: []


_kinds: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Called once per kind, when its app is ready."""
    _kinds[name] = kind


def propose(
    *,
    actor: User,
    kind: str,
    subject: str,
    reason: str,
    widens: list[str],
    payload: dict[str, Any],
    also: Collection[int] = (),
) -> Proposal:
    """Ask for a second person, in the caller's transaction. Everybody who could be that person is
    told.

    `also` are the keys of people who may be it besides the roles, as a component's owner (A36).
    Where the second must hold another role than those of `SECONDS`, `payload["roles"]` names it.
    """
    payload = payload | {"seconds": sorted(also)} if also else payload
    assert kind in _kinds, kind
    made = Proposal.objects.create(
        kind=kind,
        subject=subject[:200],
        reason=reason,
        widens=widens,
        payload=payload,
        author=actor,
        created_at=timezone.now(),
    )
    said = {"kind": kind, "subject": made.subject, "widens": widens}
    trail.record("proposal.create", actor=actor, data={"proposal": made.pk, **said})
    lines = "\n".join(f"- {line}" for line in widens)
    outbox.tell(
        could_be_second(made),
        kind="proposal",
        occasion=f"{made.pk}",
        subject=f"{actor} asks for a second person: {made.subject}",
        body=f"Why: {reason}\n\nIt would allow more:\n{lines}",
        path=made.get_absolute_url(),
    )
    return made


def could_be_second(proposal: Proposal) -> QuerySet[User]:
    """Who could confirm it today."""
    asked = Q(groups__name__in=_roles(proposal)) | Q(pk__in=_also(proposal))
    return (
        User.deciders()
        .filter(asked)
        .exclude(pk__in=[proposal.author_id, *proposal.payload.get("barred", [])])
        .distinct()
    )


def _roles(proposal: Proposal) -> list[str]:
    return list(proposal.payload.get("roles", SECONDS))


def _also(proposal: Proposal) -> list[int]:
    return list(proposal.payload.get("seconds", []))


def waiting_for(user: User) -> QuerySet[Proposal]:
    """The proposals that this person could answer now, the oldest first."""
    if not user.may_write:
        return Proposal.objects.none()
    found = (
        Proposal.objects.filter(state=Proposal.State.OPEN)
        .exclude(author=user)
        .select_related("author")
        .order_by("id")
    )
    held = user.roles
    by_role = Q(payload__roles__has_any_keys=sorted(held))
    usual = (
        Q(payload__roles__isnull=True)
        if user.has_role(*SECONDS)
        else Q(payload__seconds__contains=user.pk)
    )
    # A key that is not there is NULL, which is neither true nor false: it has to be asked for by
    # itself.
    return found.filter(
        by_role | usual, Q(payload__barred__isnull=True) | ~Q(payload__barred__contains=user.pk)
    )


def answer_refusal(proposal: Proposal, user: User) -> list[Reason]:
    """Why this person may not confirm or decline it."""
    roles = _roles(proposal)
    if not (user.may_write and (user.has_role(*roles) or user.pk in _also(proposal))):
        return [Reason("not_yours", f"A second person confirms this: {listed(roles)}.")]
    if proposal.author_id == user.pk:
        return [Reason("own_change", "You proposed it; it takes somebody else to confirm it.")]
    return _settled(proposal) or _kinds[proposal.kind].second_refusal(proposal, user)


def _settled(proposal: Proposal) -> list[Reason]:
    if proposal.state == Proposal.State.OPEN or proposal.answered_at is None:
        return []
    word = Proposal.State(proposal.state).label.lower()
    return [
        Reason(
            "settled",
            f"{proposal.answered_by} was first: {word} at {proposal.answered_at:%H:%M} UTC. Nothing"
            " else was recorded.",
        )
    ]


@transaction.atomic
def confirm(*, actor: User, key: int) -> Proposal:
    """Be the second person: it takes effect now. Raises NotYours, Blocked (somebody was first, or
    it can no longer be carried out).
    """
    proposal = _locked(key)
    raise_refusal(answer_refusal(proposal, actor))
    _kinds[proposal.kind].carry_out(proposal, actor)
    return _answered(proposal, actor, Proposal.State.CONFIRMED, "")


@transaction.atomic
def decline(*, actor: User, key: int, reason: str) -> Proposal:
    """Say no, and why; what was proposed goes back to its author."""
    proposal = _locked(key)
    raise_refusal(answer_refusal(proposal, actor))
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_TEXT or "\x00" in reason:
        raise Invalid(
            fields={
                "reason": (
                    f"Reason: say why you decline, in at most {LONGEST_TEXT:,} characters;"
                    f" {proposal.author} reads it."
                )
            }
        )
    _kinds[proposal.kind].give_back(proposal)
    return _answered(proposal, actor, Proposal.State.DECLINED, reason)


@transaction.atomic
def withdraw(*, actor: User, key: int) -> Proposal:
    """Take back what one proposed oneself."""
    proposal = _locked(key)
    raise_refusal(withdraw_refusal(proposal, actor))
    _kinds[proposal.kind].give_back(proposal)
    return _answered(proposal, actor, Proposal.State.WITHDRAWN, "")


def withdraw_refusal(proposal: Proposal, user: User) -> list[Reason]:
    """Why this person cannot take the proposal back: its author can, until it is answered."""
    if proposal.author_id != user.pk or not user.may_write:
        return [
            Reason(
                "not_yours",
                f"{proposal.author} proposed it and alone withdraws it; a second person confirms or"
                " declines.",
            )
        ]
    return _settled(proposal)


def _locked(key: int) -> Proposal:
    rows = Proposal.objects.select_for_update(of=("self",)).select_related("author", "answered_by")
    found = rows.filter(pk=key).first() if 0 < key < 2**63 else None
    if found is None:
        raise Missing([Reason("missing", "There is no such proposal.")])
    return found


def _answered(proposal: Proposal, actor: User, state: str, answer: str) -> Proposal:
    proposal.state, proposal.answer, proposal.answered_by, proposal.answered_at = (
        state,
        answer,
        actor,
        timezone.now(),
    )
    proposal.save(update_fields=["state", "answer", "answered_by", "answered_at"])
    verb = {"confirmed": "confirm", "declined": "decline", "withdrawn": "withdraw"}[state]
    data = {
        "proposal": proposal.pk,
        "kind": proposal.kind,
        "reason": answer,
        **actor.as_stand_in(*_roles(proposal)),
    }
    trail.record(f"proposal.{verb}", actor=actor, data=data)
    if actor != proposal.author:
        outbox.tell(
            [proposal.author],
            kind="proposal_answered",
            occasion=f"{proposal.pk}",
            subject=f"{actor} {Proposal.State(state).label.lower()}: {proposal.subject}",
            body=answer or "It is in effect now.",
            path=proposal.get_absolute_url(),
        )
    return proposal
