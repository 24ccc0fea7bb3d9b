"""Who may decide which step: one rule for queue, page, API and service."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Duty, User
from accounts.roles import Role, listed
from approvals import policy
from approvals.models import Decision, Step
from audit.refusal import Missing, Reason
from requests import access
from requests.models import Author, ChangeRequest


def roles_for_deciding(user: User, at: datetime | None = None) -> frozenset[str]:
    """The roles that count now: an emergency contact's only while on duty (A3). Being superuser counts for nothing."""
    if not user.may_write:
        return frozenset()
    held = user.roles
    if Role.EMERGENCY_CONTACT in held and not Duty.objects.current(at).filter(kind=Duty.Kind.EMERGENCY_CONTACT, user=user).exists():
        held -= {Role.EMERGENCY_CONTACT}
    return held


def people_for(step: Step) -> QuerySet[User]:
    """Who could decide the step today: the holders of its roles who neither requested nor edited the change."""
    now = timezone.now()
    on_duty = Duty.objects.current(now).filter(kind=Duty.Kind.EMERGENCY_CONTACT).values("user")
    plain = [role for role in step.roles if role != Role.EMERGENCY_CONTACT]
    holds = Q(groups__name__in=plain)
    if Role.EMERGENCY_CONTACT in step.roles:
        holds |= Q(groups__name=Role.EMERGENCY_CONTACT, pk__in=on_duty)
    authors = Author.objects.filter(change=step.change_id).values("user")
    return User.objects.filter(holds, is_active=True).exclude(pk__in=authors).exclude(groups__name=Role.AUDITOR).distinct()


#: Refusals that are about the person, whatever the state of the step.
NOT_YOURS = frozenset({"not_yours", "own_change"})


def approvals_of(step: Step) -> dict[int, frozenset[str]]:
    """Person → roles held, for the approvals that the step has."""
    return {d.principal_id: frozenset(d.roles_held) for d in step.decisions.all() if d.verdict == Decision.Verdict.APPROVE}


def decision_refusal(step: Step, user: User, *, roles: frozenset[str], is_author: bool, decided_in_stage: bool) -> list[Reason]:
    """Why this person may not decide this step; what the caller knows is passed in, so that a list of steps costs no queries."""
    mine = roles & set(step.roles)
    if not mine:
        return [Reason("not_yours", f"{step.label} is for {listed(step.roles)}; you do not hold that role now.")]
    if is_author:
        return [Reason("own_change", "Whoever requested a change or edited its content does not decide on it.")]
    if step.state != Step.State.OPEN:
        if step.state == Step.State.WAITING:
            return [Reason("waiting", f"{step.label} opens when the stage before it has passed.")]
        return [Reason("settled", _settled_sentence(step))]
    if decided_in_stage:
        return [Reason("decided", "You have decided in this stage already; each stage takes different people.")]
    if not policy.helps(step.mode, step.roles, approvals_of(step), frozenset(mine)):
        return [Reason("role_filled", f"Your role's part of the {step.label.lower()} has been given; it waits for somebody else.")]
    return []


def _settled_sentence(step: Step) -> str:
    if step.state == Step.State.STALE and step.round == step.change.round:
        return f"{step.label} waits for nobody any more: this round ended with the verdict of somebody else."
    last = max(step.decisions.all(), key=lambda decision: decision.pk, default=None)
    if step.state == Step.State.STALE or last is None:
        return f"{step.label} belongs to an earlier round; the content has changed since."
    word = {"approve": "approved", "reject": "rejected", "request_changes": "requested changes in", "waive": "waived"}[last.verdict]
    return f"{last.principal} was first and {word} this step at {last.at:%H:%M} UTC. Nothing that you did was recorded."


def is_author(change: ChangeRequest, user: User) -> bool:
    return change.requester_id == user.pk or Author.objects.filter(change=change, user=user).exists()


def has_decided(step: Step, user: User) -> bool:
    same_stage = Decision.objects.filter(change=step.change_id, round=step.round, deferred=step.deferred, stage=step.stage)
    return same_stage.filter(Q(actor=user) | Q(on_behalf_of=user)).exists()


def telephone_refusal(step: Step, user: User) -> list[Reason]:
    """Why this person may not record that somebody authorised the emergency by telephone (A4)."""
    if step.kind != policy.EMERGENCY:
        return [
            Reason(
                "not_by_phone", f"The {step.label.lower()} is given by the reviewer; only an emergency's authorisation comes by telephone."
            )
        ]
    if not (user.may_write and user.has_role(Role.ON_CALL_ENGINEER)):
        return [Reason("not_yours", "The on-call engineer records an approval by telephone.")]
    if is_author(step.change, user):
        return [Reason("own_change", "Whoever requested a change or edited its content records no approval of it.")]
    return []


def step_for(user: User, number: str, step_id: int, *, lock: bool = False) -> Step:
    """The step of a visible change; with `lock`, the change's row first, then the step's."""
    change = access.change_for(user, number, lock=lock)
    steps = Step.objects.filter(change=change).prefetch_related("decisions__actor", "decisions__on_behalf_of")
    if lock:
        steps = steps.select_for_update(of=("self",))
    step = steps.filter(pk=step_id).first() if 0 < step_id < 2**63 else None
    if step is None:
        raise Missing([Reason("missing", f"{change.number} has no such step.")])
    step.change = change
    return step


def waiting_for(user: User) -> QuerySet[Step]:
    """The open steps that this person could bring further now, most urgent and oldest first: one query for the whole queue.

    Whoever holds a role of a step may see its change (`ChangeQuerySet.visible_to`), so that need not be asked again.
    """
    roles = sorted(roles_for_deciding(user))
    if not roles:
        return Step.objects.none()
    stage = {name: OuterRef(name) for name in ("change", "round", "deferred", "stage")}
    done = Q(Exists(Author.objects.filter(change=OuterRef("change"), user=user)) | Exists(Decision.objects.filter(actor=user, **stage)))
    # `policy.helps` as a condition: in an "all" step, whoever has only one of its roles adds nothing once somebody with just that role approved.
    for role in roles:
        given = Exists(Decision.objects.filter(step=OuterRef("pk"), verdict=Decision.Verdict.APPROVE, roles_held=[role]))
        others = [other for other in roles if other != role]
        only_this = Q(roles__contains=[role], mode="all") & (~Q(roles__overlap=others) if others else Q())
        done |= only_this & Q(given)
    return Step.objects.filter(~done, state=Step.State.OPEN, roles__overlap=roles).order_by("priority", "opened_at", "id")
