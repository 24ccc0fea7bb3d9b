"""Who must act and cannot be found: said at once to requester and change managers, with the remedy
(A3, A43).

Asked when a round opens, when people, roles, duties or delegations change, and by every tick; each
step is told of once, until somebody can give it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, listed
from approvals.models import Decision, Policy, Step, StepQuerySet
from approvals.people import who_decides
from approvals.policy import policy
from approvals.policy.quorum import ALL
from audit import trail
from notifications import outbox
from requests.models import Author, ChangeRequest
from requests.states import State

AT_A_TIME = 5_000
REMEDY = (
    "An administrator grants the role at /settings/people/, whoever holds it delegates at"
    " /settings/delegations/, or change manager and CTO give a stand-in at /settings/stand-ins/."
)


@dataclass(frozen=True)
class Vacancy:
    """A step that nobody there can give in full: the roles that nobody fills, and a sentence about
    it.
    """

    step: Step
    roles: tuple[str, ...]

    @property
    def sentence(self) -> str:
        label, change = self.step.label.lower(), self.step.change.number
        if not self.roles:
            return (
                f"{change}: the {label} takes {self.step.quorum.size} different people, and there"
                " are not so many who may give it."
            )
        return (
            f"{change}: nobody can give the {label}: no {listed(list(self.roles))} who neither"
            " requested nor edited it is there."
        )


def waiting_steps() -> QuerySet[Step]:
    """The steps that somebody will have to give: open now, or waiting for the stage before."""
    ahead = Q(state=Step.State.OPEN) | Q(state=Step.State.WAITING, change__state=State.IN_REVIEW)
    return (
        Step.objects.filter(ahead)
        .select_related("change__requester")
        .order_by("change_id", "stage", "position")
    )


def find(steps: Sequence[Step]) -> list[Vacancy]:
    """Those of the steps that nobody there can give. Six queries, however many steps."""
    steps = list(steps)
    holders = who_decides.holders({role for step in steps for role in step.roles})
    changes = {step.change_id for step in steps}
    authors, decided = (
        defaultdict[int, set[int]](set),
        defaultdict[tuple[int, int, bool, int], set[int]](set),
    )
    for change, person in Author.objects.filter(change__in=changes).values_list("change", "user"):
        authors[change].add(person)
    given = Decision.objects.filter(change__in=changes).values_list(
        "change", "round", "deferred", "stage", "actor", "on_behalf_of"
    )
    for change, number, deferred, stage, actor, named in given:
        decided[change, number, deferred, stage] |= {actor, named or actor}
    prefetch_related_objects(steps, StepQuerySet.decisions())
    found = [(step, _missing(step, holders, authors[step.change_id], decided)) for step in steps]
    return [Vacancy(step, tuple(roles)) for step, roles in found if roles is not None]


def _missing(
    step: Step,
    holders: Mapping[str, Mapping[int, str]],
    authors: set[int],
    decided: Mapping[Any, set[int]],
) -> list[str] | None:
    """The roles that nobody there fills; empty where there are people, but too few; None where it
    can be given.
    """
    approvals = who_decides.approvals_of(step)
    out = authors | decided.get((step.change_id, step.round, step.deferred, step.stage), set())
    could: dict[int, set[str]] = defaultdict(set)
    for role in step.roles:
        for person in holders.get(role, {}):
            if person not in out:
                could[person].add(role)
    if step.quorum.is_met(
        {**{person: frozenset(roles) for person, roles in could.items()}, **approvals}
    ):
        return None
    if step.mode == ALL:
        given = {role for held in approvals.values() for role in held}
        return [
            role
            for role in step.roles
            if role not in given and not any(role in roles for roles in could.values())
        ]
    return list(step.roles) if not could else []


def nobody_for(plans: Iterable[policy.StepPlan], requester: User) -> list[str]:
    """Of the steps that would be asked for, what nobody but the requester could give: for whoever
    has not submitted yet. Two queries.
    """
    plans = list(plans)
    holders = who_decides.holders(
        {role for plan in plans for role in plan.roles}, without=requester
    )
    found = []
    for plan in plans:
        empty = [role for role in plan.roles if not holders[role]]
        if empty and (plan.mode == ALL or len(empty) == len(plan.roles)):
            found.append(f"Nobody can give the {plan.label.lower()}: no {listed(empty)} is there.")
    return found


def look(steps: QuerySet[Step] | None = None) -> int:
    """Tell of every step that has become vacant, and forget those that can be given again; how many
    are new.
    """
    looked_at = list((waiting_steps() if steps is None else steps)[:AT_A_TIME])
    now_vacant = {vacancy.step.pk: vacancy for vacancy in find(looked_at)}
    filled = [step.pk for step in looked_at if step.vacant_since and step.pk not in now_vacant]
    if filled:
        Step.objects.filter(pk__in=filled).update(vacant_since=None, vacant_roles=[])
    new = [vacancy for vacancy in now_vacant.values() if vacancy.step.vacant_since is None]
    if new:
        _tell(new)
    return len(new)


@transaction.atomic
def _tell(new: list[Vacancy]) -> None:
    """One message a recipient, with the list of what concerns them."""
    now = timezone.now()
    keys = [vacancy.step.pk for vacancy in new]
    for vacancy in new:
        Step.objects.filter(pk=vacancy.step.pk).update(
            vacant_since=now, vacant_roles=list(vacancy.roles)
        )
    managers = list(User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True))
    lists = defaultdict[int, list[Vacancy]](list)
    people = {
        person.pk: person
        for person in [*managers, *(vacancy.step.change.requester for vacancy in new)]
    }
    for vacancy in new:
        trail.record(
            "approval.vacant",
            change=vacancy.step.change,
            data={"step": vacancy.step.pk, "roles": list(vacancy.roles)},
        )
        for key in {*(manager.pk for manager in managers), vacancy.step.change.requester_id}:
            lists[key].append(vacancy)
    visible = {key: _visible(people[key], found) for key, found in lists.items()}
    for key, found in visible.items():
        if found:
            _tell_one(people[key], found, f"{keys[0]} {now.isoformat()}")


def _tell_one(person: User, found: list[Vacancy], occasion: str) -> None:
    changes = {vacancy.step.change_id for vacancy in found}
    one = found[0].step.change if len(changes) == 1 else None
    count = f"{one.number} waits" if one else f"{len(found)} approvals wait"
    steps = ", ".join(dict.fromkeys(vacancy.step.label.lower() for vacancy in found))
    outbox.tell(
        [person],
        kind="nobody_can_decide",
        occasion=occasion,
        change=one,
        subject=f"{count} for nobody: {steps}",
        body="\n".join([*(f"- {vacancy.sentence}" for vacancy in found), "", REMEDY]),
        path="" if one else "/approvals/waiting/",
    )


def _visible(person: User, found: list[Vacancy]) -> list[Vacancy]:
    seen = set(
        ChangeRequest.objects.visible_to(person)
        .filter(pk__in={v.step.change_id for v in found})
        .values_list("pk", flat=True)
    )
    return [vacancy for vacancy in found if vacancy.step.change_id in seen]


def known(steps: Iterable[Step]) -> list[Vacancy]:
    """What is known to be vacant of one change's steps, for its page: no query."""
    ahead = (Step.State.OPEN, Step.State.WAITING)
    return [
        Vacancy(step, tuple(step.vacant_roles))
        for step in steps
        if step.vacant_since and step.state in ahead
    ]


def after_people_changed(**_: Any) -> None:
    """Somebody's roles, account, duty or delegation changed: look when that is committed."""
    transaction.on_commit(look, robust=True)


def told(change: ChangeRequest) -> str:
    """Who has been told of a round that has just opened, in one sentence; who could not be, in
    another (X8).
    """
    steps = list(change.steps.filter(round=change.round, deferred=False).with_decisions())
    for step in steps:
        step.change = change
    vacant = {vacancy.step.pk: vacancy for vacancy in find(steps)}
    asked = [step for step in steps if step.state == Step.State.OPEN and step.pk not in vacant]
    said = [
        f"{_named(who_decides.asked_first(step, who_decides.people_to_ask(step)))}"
        f" ({step.label.lower()})"
        for step in asked
    ]
    sentences = [f"Told: {'; '.join(said)}."] if said else []
    return " ".join(
        [
            *sentences,
            *(vacancy.sentence.partition(": ")[2].capitalize() for vacancy in vacant.values()),
        ]
    )


NAMED = 3


def _named(people: Sequence[User]) -> str:
    names = [str(person) for person in people[:NAMED]]
    more = len(people) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _policy_roles() -> set[str]:
    """The roles that the policy asks for, whatever the priority."""
    newest = Policy.objects.order_by("-version").first()
    rules = newest.rules if newest else policy.DEFAULT
    stages = [stage for of in rules.values() for stage in (*of["stages"], of["deferred"])]
    return {role for stage in stages for step in stage for role in step["roles"]}


def unheld_roles() -> list[str]:
    """Roles that the policy asks for and nobody active holds (an emergency contact: nobody on
    duty). Three queries.
    """
    return sorted(
        role for role, people in who_decides.holders(_policy_roles()).items() if not people
    )


def single_holders() -> list[tuple[str, str]]:
    """Roles that the policy asks for and one person alone holds: (role, name). Three queries."""
    found = who_decides.holders(_policy_roles())
    return sorted(
        (role, next(iter(people.values()))) for role, people in found.items() if len(people) == 1
    )
