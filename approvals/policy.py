"""Which reviews and approvals a change needs, and when a step is satisfied: pure rules over values (R3-R11, R33-R53, A2, A3, A16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.roles import Role

TECHNICAL = "technical"
SECURITY = "security"
BUSINESS = "business"
SIGN_OFF = "sign_off"
EMERGENCY = "emergency"
KIND_LABELS = {
    TECHNICAL: "Technical review",
    SECURITY: "Security review",
    BUSINESS: "Business approval",
    SIGN_OFF: "Sign-off",
    EMERGENCY: "Emergency authorisation",
}
STAGE_LABELS = {1: "Review", 2: "Sign-off"}

#: The document's checklists (R38-R42, R45-R48, R50-R53), and the confirmation of four noes (A16).
CHECKLISTS: dict[str, list[dict[str, str]]] = {
    TECHNICAL: [
        {"key": "T1", "text": "Implementation steps are clear and complete"},
        {"key": "T2", "text": "Rollback plan is feasible and tested"},
        {"key": "T3", "text": "Testing plan covers all affected functionality"},
        {"key": "T4", "text": "Dependencies are identified and addressed"},
        {"key": "T5", "text": "Resource requirements are adequate"},
    ],
    SECURITY: [
        {"key": "S1", "text": "Security implications assessed"},
        {"key": "S2", "text": "Compliance requirements met"},
        {"key": "S3", "text": "Access controls maintained"},
        {"key": "S4", "text": "Data protection measures in place"},
    ],
    BUSINESS: [
        {"key": "B1", "text": "Business value justified"},
        {"key": "B2", "text": "User impact acceptable"},
        {"key": "B3", "text": "Timeline aligns with business needs"},
        {"key": "B4", "text": "Resources allocated"},
    ],
}
NO_SECURITY = {"key": "T6", "text": "The four security answers, all “no”, are right"}
EVIDENCE_ITEM = "T2"  # cannot be ticked without evidence that the rollback was tested (A4, A19)

REVIEWERS = {
    TECHNICAL: [Role.SENIOR_DEVOPS_ENGINEER, Role.TECH_LEAD],
    SECURITY: [Role.SECURITY_ENGINEER],
    BUSINESS: [Role.PRODUCT_MANAGER, Role.ENGINEERING_MANAGER],
}


def _review(when_business: str) -> list[dict[str, Any]]:
    when = {TECHNICAL: "always", SECURITY: "security", BUSINESS: when_business}
    return [
        {"kind": kind, "roles": [str(role) for role in roles], "mode": "any", "when": when[kind], "checklist": CHECKLISTS[kind]}
        for kind, roles in REVIEWERS.items()
    ]


def _sign_off(mode: str, *roles: Role, kind: str = SIGN_OFF) -> list[dict[str, Any]]:
    return [{"kind": kind, "roles": [str(role) for role in roles], "mode": mode, "when": "always", "checklist": []}]


_STANDARD = {"stages": [_review("always"), _sign_off("all", Role.ENGINEERING_MANAGER, Role.DEVOPS_LEAD)], "deferred": []}
#: The default policy (A2), as data: priority → stages of parallel steps, and reviews deferred to after the implementation.
DEFAULT: dict[str, Any] = {
    "P0": {"stages": [_sign_off("any", Role.CTO, Role.EMERGENCY_CONTACT, kind=EMERGENCY)], "deferred": _review("always")},
    "P1": _STANDARD,
    "P2": _STANDARD,
    "P3": {
        "stages": [
            _review("noticed"),
            _sign_off("any", Role.DEVOPS_ENGINEER, Role.SENIOR_DEVOPS_ENGINEER, Role.DEVOPS_LEAD),
        ],
        "deferred": [],
    },
}


@dataclass(frozen=True)
class Facts:
    """What of a change its policy looks at."""

    priority: str
    security_answers: bool
    security_component: bool
    downtime: bool
    users_affected: bool


@dataclass(frozen=True)
class StepPlan:
    """One step as it will be copied onto the change."""

    stage: int
    kind: str
    roles: tuple[str, ...]
    mode: str
    checklist: tuple[dict[str, str], ...]
    waivable: bool = False
    deferred: bool = False


def applies(when: str, facts: Facts) -> bool:
    """Whether a step with that condition is needed."""
    match when:
        case "always":
            return True
        case "security":
            return facts.security_answers or facts.security_component
        case "noticed":
            return facts.downtime or facts.users_affected
        case _:
            raise ValueError(f"the policy has an unknown condition {when!r}")


def plan(policy: Mapping[str, Any], facts: Facts, *, deferred: bool = False) -> list[StepPlan]:
    """The steps that the policy asks of these facts, by stage; with `deferred`, the reviews owed after a P0's implementation."""
    rules = policy[facts.priority]
    stages: Sequence[Sequence[Mapping[str, Any]]] = [rules["deferred"]] if deferred else rules["stages"]
    steps = []
    for number, stage in enumerate(stages, start=1):
        for step in stage:
            if not applies(step["when"], facts):
                continue
            checklist = list(step["checklist"])
            if step["kind"] == TECHNICAL and not facts.security_answers:
                checklist.append(NO_SECURITY)
            # Asked for by a component alone it can be waived; asked for by an answer it can only be decided (A16).
            waivable = step["kind"] == SECURITY and not facts.security_answers
            steps.append(StepPlan(number, step["kind"], tuple(step["roles"]), step["mode"], tuple(checklist), waivable, deferred))
    return steps


def is_satisfied(mode: str, roles: Sequence[str], approvals: Mapping[int, frozenset[str]]) -> bool:
    """Whether the approvals (person → roles held when deciding) settle the step.

    `any`: one person with one of the roles. `all`: different people can be matched one to one with the roles, in any order.
    """
    return filled_roles(mode, roles, approvals) >= (1 if mode == "any" else len(roles))


def filled_roles(mode: str, roles: Sequence[str], approvals: Mapping[int, frozenset[str]]) -> int:
    """How many of the step's roles can be filled by different people (a maximum matching, by augmenting paths)."""
    if mode == "any":
        return int(any(held & set(roles) for held in approvals.values()))
    filled: dict[int, int] = {}  # place in roles → person

    def place(person: int, tried: set[int]) -> bool:
        for index, role in enumerate(roles):
            if role in approvals[person] and index not in tried:
                tried.add(index)
                if index not in filled or place(filled[index], tried):
                    filled[index] = person
                    return True
        return False

    return sum(place(person, set()) for person in approvals)


def helps(mode: str, roles: Sequence[str], approvals: Mapping[int, frozenset[str]], held: frozenset[str]) -> bool:
    """Whether one more approval, by somebody with these roles, would bring the step further."""
    more = {**approvals, -1: held}
    return filled_roles(mode, roles, more) > filled_roles(mode, roles, approvals)


def acting_role(mode: str, roles: Sequence[str], approvals: Mapping[int, frozenset[str]], held: frozenset[str]) -> str:
    """The role in which somebody with these roles decides: the first of the step's that still needs a person."""
    mine = [role for role in roles if role in held]
    if mode == "all":
        for role in mine:
            rest = [other for other in roles if other != role]
            if filled_roles(mode, rest, approvals) == len(approvals):
                return role
    return mine[0] if mine else ""


def check_checklist(items: Sequence[Mapping[str, str]], answers: Mapping[str, Any], *, evidence: bool) -> dict[str, str]:
    """Item → what is wrong with its answer; empty when every item is ticked or marked not applicable with a note (A4)."""
    problems = {}
    for item in items:
        key, answer = item["key"], answers.get(item["key"])
        if answer is True:
            if key == EVIDENCE_ITEM and not evidence:
                problems[key] = (
                    f"{key}: there is no evidence yet that the rollback was tested (what, where, when); ask for it, or say why not."
                )
        elif isinstance(answer, Mapping) and isinstance(answer.get("not_applicable"), str) and answer["not_applicable"].strip():
            continue
        else:
            problems[key] = f"{key}: tick “{item['text']}”, or mark it not applicable and say why."
    return problems
