"""A policy tried out: on real past changes, and on facts that somebody gives (issue 3 item 1)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, label, listed
from approvals.people import who_decides
from approvals.policy import policy
from approvals.policy.quorum import ANY, match
from approvals.rounds import rounds
from requests.content import SECURITY_QUESTIONS
from requests.models import ChangeRequest

MOST_CHANGES = 5_000
FACTS = (
    *(
        "number",
        "summary",
        "state",
        "priority",
        "risk",
        "downtime_required",
        "users_affected",
        "no_way_back",
        "submitted_at",
    ),
    *SECURITY_QUESTIONS,
)


@dataclass
class Effect:
    """Changes that the other policy would have treated otherwise, in one way."""

    text: str
    changes: list[ChangeRequest] = field(default_factory=list)


@dataclass
class Trial:
    """What two policies ask of the same past changes. `load`: role → how many steps asked it,
    before and after.
    """

    changes: int
    days: int
    capped: bool
    effects: list[Effect]
    load: list[tuple[str, int, int]]
    untouched: int


def on_past_changes(old: Mapping[str, Any], new: Mapping[str, Any], user: User, days: int) -> Trial:
    """Ask both policies of every submitted change of the last `days` that this person may see: two
    queries.

    A change counts with its facts as they are now; of more than 5,000 the newest.
    """
    since = timezone.now() - timedelta(days=days)
    rows = (
        ChangeRequest.objects.visible_to(user)
        .filter(created_at__gte=since, submitted_at__isnull=False)
        .only(*FACTS)
        .prefetch_related("components")
    )
    found = list(rows.order_by("-created_at", "-id")[: MOST_CHANGES + 1])
    effects: dict[str, Effect] = {}
    before, after = Counter[str](), Counter[str]()
    touched: set[int] = set()
    for change in found[:MOST_CHANGES]:
        facts = rounds.facts_of(change)
        was, now = _asked(old, facts), _asked(new, facts)
        for plans, counted in ((was, before), (now, after)):
            counted.update(role for plan in plans.values() for role in plan.roles)
        for text in _told_apart(was, now):
            effects.setdefault(text, Effect(text)).changes.append(change)
            touched.add(change.pk)
    load = [
        (label(role), before[role], after[role]) for role in Role if before[role] or after[role]
    ]
    ordered = sorted(effects.values(), key=lambda effect: -len(effect.changes))
    count = min(len(found), MOST_CHANGES)
    return Trial(count, days, len(found) > MOST_CHANGES, ordered, load, count - len(touched))


def _asked(rules: Mapping[str, Any], facts: policy.Facts) -> dict[tuple[str, int], policy.StepPlan]:
    found: dict[tuple[str, int], policy.StepPlan] = {}
    for plan in _all_steps(rules, facts):
        nth = sum(kind == plan.kind for kind, _ in found)
        found[plan.kind, nth] = plan
    return found


def _told_apart(
    was: Mapping[tuple[str, int], policy.StepPlan], now: Mapping[tuple[str, int], policy.StepPlan]
) -> list[str]:
    """In which ways two plans of the same change differ, in words that are the same for many
    changes.
    """
    texts = [
        f"would have needed a {plan.label.lower()}" for key, plan in now.items() if key not in was
    ]
    texts += [
        f"would not have needed a {plan.label.lower()}"
        for key, plan in was.items()
        if key not in now
    ]
    for key, plan in now.items():
        if key in was and (plan.mode, set(plan.roles), plan.needed) != (
            was[key].mode,
            set(was[key].roles),
            was[key].needed,
        ):
            texts.append(f"would have had their {plan.label.lower()} from {plan.quorum.words()}")
        if key in was and plan.checklist != was[key].checklist:
            texts.append(f"would have been reviewed by another checklist ({plan.label.lower()})")
    return texts


# --- simulator ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seat:
    """A step that the facts ask for, and who could decide it today."""

    step: policy.StepPlan
    people: list[str]
    warning: str


def simulate(
    rules: Mapping[str, Any], facts: policy.Facts, requester: User | None = None
) -> list[tuple[list[Seat], str]]:
    """The stages that these facts ask for; each with who could decide its steps today, and a
    warning where it could not be filled.
    """
    plans = _all_steps(rules, facts)
    return _seated(
        plans,
        who_decides.holders({role for plan in plans for role in plan.roles}, without=requester),
    )


Holders = Mapping[str, Mapping[int, str]]


def _all_steps(rules: Mapping[str, Any], facts: policy.Facts) -> list[policy.StepPlan]:
    """What a change of these facts is asked, also afterwards."""
    return policy.plan(rules, facts) + (
        policy.plan(rules, facts, deferred=True) if facts.priority == "P0" else []
    )


def _seated(plans: Sequence[policy.StepPlan], holders: Holders) -> list[tuple[list[Seat], str]]:
    stages: dict[tuple[bool, int], list[policy.StepPlan]] = defaultdict(list)
    for plan in plans:
        stages[plan.deferred, plan.stage].append(plan)
    return [
        ([_seat(step, holders) for step in steps], _stage_warning(steps, holders))
        for _, steps in sorted(stages.items())
    ]


def warnings(rules: Mapping[str, Any]) -> list[str]:
    """Where changes would be stuck today, whoever requests them: each priority with every condition
    met. Two queries.
    """
    asked: dict[str, list[policy.StepPlan]] = {}
    for priority, its in rules.items():
        named = {
            t.removeprefix(policy.COMPONENT)
            for stage in (*its["stages"], its["deferred"])
            for step in stage
            for t in step["when"]
        }
        facts = policy.Facts(
            priority,
            security_answers=True,
            security_component=True,
            downtime=True,
            users_affected=True,
            risk="high",
            components=frozenset(named),
        )
        asked[priority] = _all_steps(rules, facts)
    holders, found = (
        who_decides.holders(
            {role for plans in asked.values() for plan in plans for role in plan.roles}
        ),
        list[str](),
    )
    for priority, plans in asked.items():
        for seats, warning in _seated(plans, holders):
            found += [
                f"{priority}, {seat.step.label.lower()}: {seat.warning}"
                for seat in seats
                if seat.warning
            ]
            found += [f"{priority}, stage {seats[0].step.stage}: {warning}"] if warning else []
    return list(dict.fromkeys(found))


def _seats(step: policy.StepPlan, holders: Holders) -> list[set[int]]:
    """Who could take each of the step's places."""
    if step.mode == ANY:
        return [{pk for role in step.roles for pk in holders[role]}] * step.needed
    return [set(holders[role]) for role in step.roles]


def _seat(step: policy.StepPlan, holders: Holders) -> Seat:
    names = sorted({name for role in step.roles for name in holders[role].values()})
    places = _seats(step, holders)
    missing = len(places) - len(match(places))
    empty = [role for role in step.roles if not holders[role]] if step.mode != ANY else []
    if not names:
        warning = (
            f"Nobody could: it needs {listed(list(step.roles))}, and nobody eligible holds that"
            " role today."
        )
    elif empty:
        warning = f"It would be stuck: nobody eligible is {listed(empty)} today."
    elif missing:
        warning = (
            f"It would be stuck: it takes {len(places)} different people, and only"
            f" {len(places) - missing} can be found today."
        )
    else:
        warning = ""
    return Seat(step, names, warning)


def _stage_warning(steps: Sequence[policy.StepPlan], holders: Holders) -> str:
    """Nobody decides twice in a stage: whether there are enough different people for all its steps
    together (A2).
    """
    places = [place for step in steps for place in _seats(step, holders)]
    found = len(match(places))
    if found == len(places) or any(_seat(step, holders).warning for step in steps):
        return ""
    return (
        f"This stage takes {len(places)} different people, and only {found} can be found today:"
        " nobody decides twice in one stage."
    )
