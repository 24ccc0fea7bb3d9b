"""Who may decide which step: one rule for queue, page, API and service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from accounts.models import Delegation, Duty, User
from accounts.roles import Role, listed
from approvals.models import Decision, Step, StepQuerySet
from approvals.policy import policy
from language.refusal import Missing, Reason
from requests import access
from requests.models import Author, ChangeRequest, UsualReviewer
from requests.states import State


@dataclass(frozen=True)
class Capacity:
    """In whose name a person decides, and the roles that count: their own, or those of somebody who
    has delegated to them.
    """

    principal: int
    roles: frozenset[str]


def roles_for_deciding(user: User, at: datetime | None = None) -> frozenset[str]:
    """The person's own roles that count now: an emergency contact's only while on duty (A3). Being
    superuser counts for nothing.
    """
    return _on_duty(user.pk, user.roles, at) if user.may_write else frozenset()


def _on_duty(person: int, held: frozenset[str], at: datetime | None = None) -> frozenset[str]:
    if (
        Role.EMERGENCY_CONTACT in held
        and not Duty.objects.current(at)
        .filter(kind=Duty.Kind.EMERGENCY_CONTACT, user=person)
        .exists()
    ):
        return held - {Role.EMERGENCY_CONTACT}
    return held


def capacities_of(user: User) -> list[Capacity]:
    """The person's own capacity first, then those of whoever has delegated to them now (one step
    deep).
    """
    if not user.may_write:
        return []
    return [
        Capacity(user.pk, roles_for_deciding(user)),
        *(Capacity(key, _on_duty(key, roles)) for key, roles in sorted(user.lent.items())),
    ]


def people_for(step: Step) -> QuerySet[User]:
    """Who could decide the step today by their own roles: the holders who neither requested nor
    edited the change.
    """
    now = timezone.now()
    on_duty = Duty.objects.current(now).filter(kind=Duty.Kind.EMERGENCY_CONTACT).values("user")
    plain = [role for role in step.roles if role != Role.EMERGENCY_CONTACT]
    holds = Q(groups__name__in=plain)
    if Role.EMERGENCY_CONTACT in step.roles:
        holds |= Q(groups__name=Role.EMERGENCY_CONTACT, pk__in=on_duty)
    authors = Author.objects.filter(change=step.change_id).values("user")
    return User.deciders().filter(holds).exclude(pk__in=authors).distinct()


def holders(roles: Collection[str], without: User | None = None) -> dict[str, dict[int, str]]:
    """Role → the people who could decide by it today, key → name; emergency contacts only while on
    duty. Two queries.
    """
    found: dict[str, dict[int, str]] = {role: {} for role in roles}
    rows = User.deciders().filter(groups__name__in=roles)
    for pk, name, username, role in rows.values_list("pk", "name", "username", "groups__name"):
        if role in found and (without is None or pk != without.pk):
            found[role][pk] = name or username
    if Role.EMERGENCY_CONTACT in found:
        on_duty = {person for place in contacts_on_duty() for person in place}
        found[Role.EMERGENCY_CONTACT] = {
            pk: name for pk, name in found[Role.EMERGENCY_CONTACT].items() if pk in on_duty
        }
    return found


def people_to_ask(step: Step, called: int = 1) -> list[User]:
    """Those, and whoever decides for them now. Of the emergency contacts on duty only the first
    `called` in their order.
    """
    holders = list(people_for(step))
    if step.kind == policy.EMERGENCY:
        roster = contacts_on_duty()
        not_yet = {person for group in roster[called:] for person in group}
        elsewhere = User.objects.filter(
            pk__in=not_yet, groups__name__in=set(step.roles) - {Role.EMERGENCY_CONTACT}
        )
        not_yet -= set(elsewhere.values_list("pk", flat=True))
        holders = [holder for holder in holders if holder.pk not in not_yet]
    delegates = Delegation.objects.current().filter(
        giver__in=[holder.pk for holder in holders], receiver__is_active=True
    )
    authors = authors_of(step.change)
    lent = [
        found.receiver
        for found in delegates.select_related("receiver")
        if found.receiver_id not in authors
    ]
    return list({person.pk: person for person in [*holders, *lent]}.values())


def asked_first(step: Step, people: Sequence[User]) -> list[User]:
    """Of those who could decide, the ones who usually do for the change's components, and whoever
    decides for them now; everybody where there is no such person. For a step that takes one of each
    role this holds role by role.
    """
    if (
        step.kind == policy.EMERGENCY or step.remind_hours is None
    ):  # without a reminder nobody else would ever hear of it
        return list(people)
    rows = UsualReviewer.objects.filter(
        component__in=step.change.components.all(), role__in=step.roles
    ).values_list("role", "user")
    could, usual = {person.pk for person in people}, defaultdict[str, set[int]](set)
    given = dict(Delegation.objects.current().values_list("giver", "receiver"))
    for role, person in rows:
        usual[role] |= {found for found in (person, given.get(person)) if found in could}
    named = set().union(*usual.values())
    if not named:
        return list(people)
    if step.mode == "all":
        open_to_all = [role for role in step.roles if not usual[role]]
        named |= set(
            User.objects.filter(pk__in=could, groups__name__in=open_to_all).values_list(
                "pk", flat=True
            )
        )
        named |= {given[person] for person in named if person in given} & could
    return (
        [person for person in people if person.pk in named]
        if len(named) >= step.quorum.size
        else list(people)
    )


def contacts_on_duty(at: datetime | None = None) -> list[list[int]]:
    """Keys of the emergency contacts on duty in the order in which they are called; those of the
    same place together.
    """
    places: dict[int, list[int]] = {}
    for order, person in (
        Duty.objects.current(at)
        .filter(kind=Duty.Kind.EMERGENCY_CONTACT)
        .values_list("order", "user")
    ):
        places.setdefault(order, []).append(person)
    return [places[order] for order in sorted(places)]


#: Refusals that are about the person, whatever the state of the step.
NOT_YOURS = frozenset({"not_yours", "own_change"})


def approvals_of(step: Step) -> dict[int, frozenset[str]]:
    """Person → roles held, for the approvals that the step has."""
    return {
        d.principal_id: frozenset(d.roles_held)
        for d in step.decisions.all()
        if d.verdict == Decision.Verdict.APPROVE
    }


def decision_refusal(
    step: Step, user: User, capacity: Capacity, *, authors: frozenset[int], decided: frozenset[int]
) -> list[Reason]:
    """Why this person may not decide this step in that capacity.

    What the caller knows is passed in, so that a list of steps costs no queries: the keys of the
    change's authors, and of everybody who had a part in a decision of the step's stage.
    """
    people = {user.pk, capacity.principal}
    if not capacity.roles & set(step.roles):
        text = f"{step.label} is for {listed(step.roles)}; you do not hold that role now."
        return [Reason("not_yours", text)]
    if people & authors:
        return [Reason("own_change", OWN if user.pk in authors else OWN_OF_GIVER)]
    if step.state == Step.State.WAITING:
        return [Reason("waiting", f"{step.label} opens when the stage before it has passed.")]
    if step.state != Step.State.OPEN:
        return [Reason("settled", _settled_sentence(step))]
    if people & decided:
        who = "You have" if user.pk in decided else "Whoever delegated to you has"
        text = f"{who} decided in this stage already; each stage takes different people."
        return [Reason("decided", text)]
    if not step.quorum.helps(approvals_of(step), capacity.roles & frozenset(step.roles)):
        part = f"Your role's part of the {step.label.lower()} has been given"
        return [Reason("role_filled", f"{part}; it waits for somebody else.")]
    return []


OWN = "Whoever requested a change or edited its content does not decide on it."
OWN_OF_GIVER = (
    "Whoever delegated to you requested this change or edited its content; "
    "nobody decides on it for them."
)


def best_capacity(
    step: Step,
    user: User,
    capacities: Sequence[Capacity],
    *,
    authors: frozenset[int],
    decided: frozenset[int],
) -> tuple[Capacity | None, list[Reason]]:
    """The first capacity in which the person may decide the step; else none, and why not: by the
    role that comes closest.
    """
    refusals = []
    for capacity in capacities:
        refusal = decision_refusal(step, user, capacity, authors=authors, decided=decided)
        if not refusal:
            return capacity, []
        refusals.append(refusal)
    closest = [refusal for refusal in refusals if refusal[0].code != "not_yours"]
    nothing = [
        Reason(
            "not_yours", f"{step.label} is for {listed(step.roles)}; you do not hold that role now."
        )
    ]
    return None, (closest or refusals or [nothing])[0]


def _settled_sentence(step: Step) -> str:
    if step.state == Step.State.STALE and step.round == step.change.round:
        return f"{step.label} waits for nobody any more: {_why_ended(step)}."
    last = max(step.decisions.all(), key=lambda decision: decision.pk, default=None)
    if step.state == Step.State.STALE or last is None:
        return f"{step.label} belongs to an earlier round; the content has changed since."
    return (
        f"{last.said_by} was first and {last.did('this step')} at {last.at:%H:%M} UTC. Nothing that"
        " you did was recorded."
    )


#: state → why the steps of its round wait for nobody any more
ENDED_BY = {
    State.CANCELLED: "the change was cancelled",
    State.REJECTED: "another step was rejected",
    State.CHANGES_REQUESTED: "changes were requested, or the approval lapsed",
    State.DRAFT: "it is a draft again",
}


def _why_ended(step: Step) -> str:
    """What ended a round that is still the change's last (X11)."""
    return ENDED_BY.get(
        State(step.change.state), f"the change is {State(step.change.state).label.lower()}"
    )


def authors_of(change: ChangeRequest) -> frozenset[int]:
    """Keys of everybody who requested the change or edited its content."""
    return frozenset(
        {change.requester_id, *Author.objects.filter(change=change).values_list("user", flat=True)}
    )


def decided_in_stage(step: Step) -> frozenset[int]:
    """Keys of everybody who had a part in a decision of the step's stage."""
    same = Decision.objects.filter(
        change=step.change_id, round=step.round, deferred=step.deferred, stage=step.stage
    )
    return frozenset(
        key for pair in same.values_list("actor", "on_behalf_of") for key in pair if key
    )


def telephone_refusal(step: Step, user: User) -> list[Reason]:
    """Why this person may not record that somebody authorised the emergency by telephone (A4)."""
    if step.kind != policy.EMERGENCY or step.deferred:
        return [
            Reason(
                "not_by_phone",
                f"The {step.label.lower()} is given by the reviewer; only an emergency's"
                " authorisation comes by telephone.",
            )
        ]
    if not (user.may_write and user.has_role(Role.ON_CALL_ENGINEER)):
        return [Reason("not_yours", "The on-call engineer records an approval by telephone.")]
    if user.pk in authors_of(step.change):
        return [
            Reason(
                "own_change",
                "Whoever requested a change or edited its content records no approval of it.",
            )
        ]
    return []


def step_for(user: User, number: str, step_id: int, *, lock: bool = False) -> Step:
    """The step of a visible change; with `lock`, the change's row first, then the step's."""
    change = access.change_for(user, number, lock=lock)
    steps = Step.objects.filter(change=change).with_decisions()
    if lock:
        steps = steps.select_for_update(of=("self",))
    step = steps.filter(pk=step_id).first() if 0 < step_id < 2**63 else None
    if step is None:
        raise Missing([Reason("missing", f"{change.number} has no such step.")])
    step.change = change
    return step


def waiting_for(user: User) -> StepQuerySet:
    """The open steps that this person could bring further now, most urgent and oldest first: one
    query for the whole queue. Keys grow with time, so that within a priority they order as the
    opening does, and an index has them in that order.

    Whoever holds a role of a step, or decides for somebody who does, may see its change
    (`ChangeQuerySet.visible_to`), so that need not be asked again.
    """
    wanted = Q()
    for capacity in capacities_of(user):
        if capacity.roles:
            wanted |= _helped_by(capacity, user)
    if not wanted:
        return Step.objects.none()
    authored = Exists(Author.objects.filter(change=OuterRef("change"), user=user))
    return Step.objects.filter(wanted, ~authored, state=Step.State.OPEN).order_by("priority", "id")


def with_whom_for(user: User, steps: list[Step]) -> list[Step]:
    """The steps of a queue, each with `for_whom`: who has delegated it to this person, or None
    where they decide for themselves.
    """
    own, *lent = capacities_of(user) or [Capacity(user.pk, frozenset())]
    givers = User.objects.in_bulk([capacity.principal for capacity in lent])
    if lent:
        prefetch_related_objects(steps, StepQuerySet.decisions())
    for step in steps:
        step.for_whom = None
        approvals = approvals_of(step) if lent else {}
        if lent and not step.quorum.helps(approvals, own.roles & set(step.roles)):
            helping = (c for c in lent if step.quorum.helps(approvals, c.roles & set(step.roles)))
            step.for_whom = next((givers[capacity.principal] for capacity in helping), None)
    return steps


def _helped_by(capacity: Capacity, user: User) -> Q:
    """`decision_refusal` as a condition of the database, the person's own authorship apart."""
    roles, people = sorted(capacity.roles), [user.pk, capacity.principal]
    stage = {name: OuterRef(name) for name in ("change", "round", "deferred", "stage")}
    done = Q(
        Exists(Decision.objects.filter(Q(actor__in=people) | Q(on_behalf_of__in=people), **stage))
    )
    if capacity.principal != user.pk:
        done |= Q(Exists(Author.objects.filter(change=OuterRef("change"), user=capacity.principal)))
    # `Quorum.helps`: in an "all" step, whoever has only one of its roles adds nothing once somebody
    # with just that role approved.
    for role in roles:
        given = Exists(
            Decision.objects.filter(
                step=OuterRef("pk"), verdict=Decision.Verdict.APPROVE, roles_held=[role]
            )
        )
        others = [other for other in roles if other != role]
        only_this = Q(roles__contains=[role], mode="all") & (
            ~Q(roles__overlap=others) if others else Q()
        )
        done |= only_this & Q(given)
    return Q(roles__overlap=roles) & ~done
