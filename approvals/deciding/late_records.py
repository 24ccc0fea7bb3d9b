"""An emergency that is filed after its work began (A33): whether recording it is due, late, and
accepted as that.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from language.refusal import Reason
from requests.models import Author, ChangeRequest
from requests.states import State

LATE_AFTER = timedelta(hours=72)


def is_due(change: ChangeRequest) -> bool:
    """Whether submitting it records work that has begun already."""
    return change.is_emergency and change.actual_start is not None and change.state == State.DRAFT


def is_late(change: ChangeRequest) -> bool:
    """Whether its work began more than 72 hours ago (A33)."""
    return change.actual_start is not None and timezone.now() - change.actual_start > LATE_AFTER


def needs_acceptance(change: ChangeRequest) -> bool:
    """Whether a change manager accepts first that it is recorded so late."""
    return is_due(change) and is_late(change) and change.late_record_accepted_by_id is None


def refusal(change: ChangeRequest) -> list[Reason]:
    """Why it is not recorded yet: it has been asked whether it may be, so late."""
    if not needs_acceptance(change) or change.late_record_asked_at is None:
        return []
    text = (
        "It began more than 72 hours ago: a change manager must accept that first, and has been"
        " asked."
    )
    if not could_accept(change).exists():
        text = (
            "It began more than 72 hours ago, and there is no change manager who could accept that:"
            " an administrator grants the role."
        )
    return [
        Reason("recorded_late", text, rule="Emergencies", override_roles=(Role.CHANGE_MANAGER,))
    ]


def could_accept(change: ChangeRequest) -> QuerySet[User]:
    """Change managers who neither requested nor edited it."""
    holders = User.deciders().filter(groups__name=Role.CHANGE_MANAGER)
    return (
        holders.exclude(pk=change.requester_id)
        .exclude(pk__in=change.authors.values("user"))
        .distinct()
    )


def asked_for() -> QuerySet[ChangeRequest]:
    """Those that still wait to be accepted as late."""
    began = {"actual_start__lt": timezone.now() - LATE_AFTER}
    return ChangeRequest.objects.filter(
        state=State.DRAFT,
        late_record_asked_at__isnull=False,
        late_record_accepted_by=None,
        priority="P0",
        **began,
    )


def waiting_for(user: User) -> QuerySet[ChangeRequest]:
    """What this change manager has been asked to accept, the longest first."""
    if not user.has_role(Role.CHANGE_MANAGER):
        return ChangeRequest.objects.none()
    mine = Author.objects.filter(change=OuterRef("pk"), user=user)
    return (
        asked_for()
        .exclude(Exists(mine))
        .exclude(requester=user)
        .select_related("requester")
        .order_by("late_record_asked_at", "id")
    )


def accept_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not let an emergency be recorded so late."""
    if not (actor.may_write and actor.has_role(Role.CHANGE_MANAGER)):
        return [Reason("not_yours", "A change manager accepts that an emergency is recorded late.")]
    if not is_due(change) or not is_late(change):
        return [
            Reason("state", f"{change.number} is not an emergency that waits to be recorded late.")
        ]
    if change.late_record_accepted_by_id:
        return [Reason("settled", f"{change.late_record_accepted_by} accepted it already.")]
    if actor == change.requester or change.authors.filter(user=actor).exists():
        return [
            Reason(
                "own_change",
                "Whoever requested or edited it does not accept that it is late; another change"
                " manager does.",
            )
        ]
    return []
