"""Who it takes: for each priority the steps, the roles and the people there are; which paths are
dead; what an installation lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from accounts.models import Duty
from accounts.roles import DEVOPS_ROLES, Role, label, listed
from approvals.models import Policy
from approvals.people import who_decides
from approvals.policy import policy
from approvals.policy.quorum import ALL, Quorum
from requests.models import ChangeRequest, Component
from windows.rules import rules as calendar_rules

MINIMUM = {
    "P0": (
        "Two: whoever files and runs it, and the CTO or an emergency contact on duty; a third says"
        " afterwards whether it was justified."
    ),
    "P1": (
        "Three: who asks for it and runs it, an engineering manager, and one who is DevOps lead and"
        " tech lead; a security engineer besides, where one is asked."
    ),
    "P2": "Three, as for a P1.",
    "P3": (
        "Two: a DevOps engineer who asks for it and runs it, and a senior DevOps engineer who"
        " reviews it and signs it off."
    ),
}


@dataclass(frozen=True)
class Line:
    """One step that the policy always asks for: by whom, and who could give it today."""

    step: str
    asks: str
    people: tuple[str, ...]
    possible: bool


@dataclass(frozen=True)
class Path:
    """The way of one priority through its policy with today's people."""

    priority: str
    lines: tuple[Line, ...]
    runners: tuple[str, ...]
    minimum: str

    @property
    def alive(self) -> bool:
        return bool(self.runners) and all(line.possible for line in self.lines)


def _rules() -> Mapping[str, Any]:
    newest = Policy.objects.order_by("-version").first()
    return newest.rules if newest else policy.DEFAULT


def paths() -> list[Path]:
    """Every priority's way with today's people: five queries."""
    rules = _rules()
    steps = {
        p: [s for stage in of["stages"] for s in stage if not s["when"]] for p, of in rules.items()
    }
    holders = who_decides.holders(
        {role for found in steps.values() for step in found for role in step["roles"]}
        | set(DEVOPS_ROLES)
    )
    runners = tuple(sorted({name for role in DEVOPS_ROLES for name in holders[role].values()}))
    return [
        Path(p, tuple(_line(step, holders) for step in steps[p]), runners, MINIMUM[p])
        for p in sorted(steps)
    ]


def _line(step: Mapping[str, Any], holders: Mapping[str, Mapping[int, str]]) -> Line:
    quorum = Quorum(step["mode"], tuple(step["roles"]), step["needed"])
    could = {
        key: frozenset(role for role in step["roles"] if key in holders[role])
        for role in step["roles"]
        for key in holders[role]
    }
    names = tuple(sorted({holders[role][key] for role in step["roles"] for key in holders[role]}))
    asks = listed(list(step["roles"]), "and" if step["mode"] == ALL else "or")
    return Line(policy.KIND_LABELS[step["kind"]], asks, names, quorum.is_met(could))


def _what_is_dead(dead: list[str]) -> str:
    if not dead:
        return "Every priority can be approved without them; reviews then rest on few people."
    return f"As things stand, {', '.join(dead)} cannot be approved."


@dataclass(frozen=True)
class Missing:
    """One thing that a new installation lacks, with where it is done."""

    title: str
    why: str
    href: str
    verb: str


def still_missing() -> list[Missing]:
    """What is missing before the first change can be closed, in the order of work; empty when all
    is there.
    """
    found = []
    if lacking := _lacking_roles():
        dead = [path.priority for path in paths() if not path.alive]
        names = ", ".join(label(role) for role in lacking)
        why = f"Nobody holds: {names}. {_what_is_dead(dead)} {LEAST}"
        found.append(Missing("People and their roles", why, "/settings/people/", "Add people"))
    on_duty = set(Duty.objects.current().values_list("kind", flat=True))
    for kind in Duty.Kind:
        if kind not in on_duty:
            found.append(replace(NO_DUTY, title=f"{NO_DUTY.title}: {kind.label.lower()}"))
    if not Component.objects.exists():
        found.append(NO_COMPONENTS)
    if not calendar_rules.is_looked_at():
        found.append(NOT_LOOKED_AT)
    if not ChangeRequest.objects.exists():
        found.append(NO_CHANGE)
    return found


LEAST = "Who it takes at least: /settings/staffing/."
NO_DUTY = Missing(
    "Nobody is on duty",
    "Emergencies call whoever is on duty.",
    "/settings/duties/",
    "Put on duty",
)
NO_COMPONENTS = Missing(
    "Components and their teams",
    "A change names what it touches; security reviews and conflicts follow from that.",
    "/settings/components/",
    "Add components",
)
NOT_LOOKED_AT = Missing(
    "The calendar, looked at",
    "Windows on Tuesday and Thursday, freezes before holidays: are they yours? "
    "The change manager edits them, or says so.",
    "/calendar/rules/",
    "Look",
)
NO_CHANGE = Missing(
    "The first change",
    "When the rest is there, an engineer asks for it.",
    "/changes/",
    "See all changes",
)


def _lacking_roles() -> list[str]:
    """Roles that the policy or the process asks for, and nobody holds."""
    steps = [step for rule in _rules().values() for stage in rule["stages"] for step in stage]
    roles = {role for step in steps for role in step["roles"]}
    held = who_decides.holders(roles | {str(Role.CHANGE_MANAGER), str(Role.ENGINEER)})
    return [role for role in sorted(held) if not held[role] and role != Role.EMERGENCY_CONTACT]
