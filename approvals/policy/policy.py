"""Which reviews and approvals a change needs: pure rules over values (R3-R11, R33-R53, A2, A16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.roles import Role
from approvals.policy.quorum import Quorum

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
EMERGENCY_PRIORITY = "P0"
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
#: The document's boxes (R33, R34, R35), which a review ticks.
BOXES = {
    TECHNICAL: "Technical Review Complete",
    SECURITY: "Security Review Complete (if applicable)",
    BUSINESS: "Business Approval Received",
}
NO_SECURITY = {"key": "T6", "text": "The four security answers, all “no”, are right"}
#: Items that are judged, never marked not applicable (A34); the policy may say the same of others
#: by `"always": true`.
ALWAYS = frozenset({"T1", "T2", "S1", "B1", "N1"})
SENTENCE = (2, 12)  # words and letters, at least, that say why an item does not apply
#: Of a change without a way back: what T2 asks then, and what each sign-off accepts (A46). “{how}”
#: is what the change says.
RECOVERY = {"key": "T2", "text": "Recovery plan is feasible, and rehearsed or said why not"}
ACCEPTS = {"key": "N1", "text": "I accept that {how}"}
NO_WAY_BACK = {"undo": "it cannot be undone", "test": "undoing it cannot be tested"}
EVIDENCE_ITEM = "T2"  # cannot be ticked without evidence that the rollback was tested (A4, A19)

REVIEWERS = {
    TECHNICAL: [Role.SENIOR_DEVOPS_ENGINEER, Role.TECH_LEAD],
    SECURITY: [Role.SECURITY_ENGINEER],
    BUSINESS: [Role.PRODUCT_MANAGER, Role.ENGINEERING_MANAGER],
}


#: Whom a new step of that kind asks at first.
USUAL_ROLES = {
    **REVIEWERS,
    SIGN_OFF: [Role.ENGINEERING_MANAGER, Role.DEVOPS_LEAD],
    EMERGENCY: [Role.CTO, Role.EMERGENCY_CONTACT],
}

#: What may make a step needed; a step with none of them is needed always, one with several when any
#: of them holds.
SECURITY_ANSWERS, SECURITY_COMPONENT, DOWNTIME, USERS = (
    "security_answers",
    "security_component",
    "downtime",
    "users_affected",
)
MEDIUM_RISK, HIGH_RISK = "medium_risk", "high_risk"
TRIGGERS = {
    SECURITY_ANSWERS: "a security question is answered yes",
    SECURITY_COMPONENT: "a component always asks for security review",
    DOWNTIME: "downtime is required",
    USERS: "users will notice",
    MEDIUM_RISK: "its risk is medium or high",
    HIGH_RISK: "its risk is high",
}
COMPONENT = "component:"  # and a slug


def trigger_words(trigger: str) -> str:
    """What makes a step needed, as people say it."""
    return (
        f"it touches {trigger.removeprefix(COMPONENT)}"
        if trigger.startswith(COMPONENT)
        else TRIGGERS.get(trigger, trigger)
    )


def step_rule(kind: str, roles: Sequence[str], **more: Any) -> dict[str, Any]:
    """A step as the policy keeps it. Hours count from its opening; an emergency is not reminded of,
    the next contact is called.
    """
    hours = (
        dict.fromkeys(HOURS)
        if kind == EMERGENCY
        else {"due_hours": 48, "remind_hours": 24, "escalate_hours": 72}
    )
    checklist = CHECKLISTS.get(kind, [])
    return {
        "kind": kind,
        "roles": [str(r) for r in roles],
        "mode": "any",
        "needed": 1,
        "when": [],
        "checklist": checklist,
        **hours,
        **more,
    }


HOURS = ("due_hours", "remind_hours", "escalate_hours")
_WHEN = {TECHNICAL: [], SECURITY: [SECURITY_ANSWERS, SECURITY_COMPONENT], BUSINESS: []}
_OWED = {
    "due_hours": 24,
    "remind_hours": 12,
    "escalate_hours": 24,
}  # an emergency's reviews are due with its own (A13)


def _reviews(**when: list[str]) -> list[dict[str, Any]]:
    return [
        step_rule(kind, roles, when=when.get(kind, _WHEN[kind]))
        for kind, roles in REVIEWERS.items()
    ]


def _standard() -> dict[str, Any]:
    return {
        "stages": [_reviews(), [step_rule(SIGN_OFF, USUAL_ROLES[SIGN_OFF], mode="all")]],
        "deferred": [],
    }


#: The default policy (A2), as data: priority → stages of parallel steps, and reviews deferred to
#: after the implementation.
DEFAULT: dict[str, Any] = {
    "P0": {
        "stages": [[step_rule(EMERGENCY, USUAL_ROLES[EMERGENCY])]],
        "deferred": [step | _OWED for step in _reviews()],
    },
    "P1": _standard(),
    "P2": _standard(),
    "P3": {
        "stages": [
            _reviews(business=[DOWNTIME, USERS]),
            [
                step_rule(
                    SIGN_OFF, [Role.DEVOPS_ENGINEER, Role.SENIOR_DEVOPS_ENGINEER, Role.DEVOPS_LEAD]
                )
            ],
        ],
        "deferred": [],
    },
}


@dataclass(frozen=True)
class Facts:
    """What of a change its policy looks at. `risk` is low, medium, high or not said yet;
    `components` are slugs.
    """

    priority: str
    security_answers: bool = False
    security_component: bool = False
    downtime: bool = False
    users_affected: bool = False
    risk: str = ""
    components: frozenset[str] = frozenset()
    no_way_back: str = ""

    @property
    def triggers(self) -> frozenset[str]:
        """Every trigger that holds for them."""
        held = {
            SECURITY_ANSWERS: self.security_answers,
            SECURITY_COMPONENT: self.security_component,
            DOWNTIME: self.downtime,
            USERS: self.users_affected,
            MEDIUM_RISK: self.risk in ("medium", "high"),
            HIGH_RISK: self.risk == "high",
        }
        return frozenset(name for name, holds in held.items() if holds) | {
            COMPONENT + slug for slug in self.components
        }


@dataclass(frozen=True)
class StepPlan:
    """One step as it will be copied onto the change. Stages are counted from 1, without gaps; hours
    from the step's opening.
    """

    stage: int
    kind: str
    roles: tuple[str, ...]
    mode: str
    checklist: tuple[dict[str, str], ...]
    needed: int = 1
    waivable: bool = False
    deferred: bool = False
    due_hours: int | None = None
    remind_hours: int | None = None
    escalate_hours: int | None = None

    @property
    def quorum(self) -> Quorum:
        return Quorum(self.mode, self.roles, self.needed)

    @property
    def label(self) -> str:
        return KIND_LABELS[self.kind]


def stage_label(kinds: Iterable[str]) -> str:
    """What a stage of these steps is called."""
    found = set(kinds)
    return (
        KIND_LABELS[EMERGENCY]
        if EMERGENCY in found
        else KIND_LABELS[SIGN_OFF]
        if SIGN_OFF in found
        else "Review"
    )


def plan(policy: Mapping[str, Any], facts: Facts, *, deferred: bool = False) -> list[StepPlan]:
    """The steps that the policy asks of these facts, by stage; with `deferred`, the reviews owed
    after a P0's implementation.
    """
    rules, triggers = policy[facts.priority], facts.triggers
    stages: Sequence[Sequence[Mapping[str, Any]]] = (
        [rules["deferred"]] if deferred else rules["stages"]
    )
    needed = [
        [step for step in stage if not step["when"] or triggers & set(step["when"])]
        for stage in stages
    ]
    return [
        _planned(number, step, facts, deferred)
        for number, stage in enumerate((s for s in needed if s), start=1)
        for step in stage
    ]


def rule_for(policy: Mapping[str, Any], priority: str, kind: str) -> Mapping[str, Any]:
    """How the policy words a step of that kind for a priority; the default's words where it has
    none.
    """
    rules = policy[priority]
    steps = [step for stage in (*rules["stages"], rules["deferred"]) for step in stage]
    return next((step for step in steps if step["kind"] == kind), None) or step_rule(
        kind, USUAL_ROLES[kind]
    )


def _planned(stage: int, step: Mapping[str, Any], facts: Facts, deferred: bool) -> StepPlan:
    kind, checklist = step["kind"], list(step["checklist"])
    if kind == TECHNICAL and not facts.security_answers:
        checklist.append(NO_SECURITY)
    if facts.no_way_back:
        checklist = [RECOVERY if item["key"] == EVIDENCE_ITEM else item for item in checklist]
        if kind in (SIGN_OFF, EMERGENCY):
            checklist.append(
                ACCEPTS | {"text": ACCEPTS["text"].format(how=NO_WAY_BACK[facts.no_way_back])}
            )
    return StepPlan(
        stage=stage,
        kind=kind,
        roles=tuple(step["roles"]),
        mode=step["mode"],
        needed=step["needed"],
        checklist=tuple(checklist),
        # Asked for by a component's mark alone it can be waived; asked for by an answer, or by the
        # policy, it can only be decided (A16).
        waivable=kind == SECURITY
        and facts.triggers & set(step["when"]) == {SECURITY_COMPONENT}
        and step["needed"] == 1,
        deferred=deferred,
        **{name: step[name] for name in HOURS},
    )


def may_be_not_applicable(item: Mapping[str, Any]) -> bool:
    """Whether an item of a checklist may be spared with a sentence (A19)."""
    return item["key"] not in ALWAYS and not item.get("always")


def check_checklist(
    items: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], *, no_evidence: str = ""
) -> dict[str, str]:
    """Item → what is wrong with its answer; empty when each is ticked, or marked not applicable
    with a sentence that says why (A4, A34).

    `no_evidence` says why the rollback's evidence does not count; the item about it cannot be
    ticked then.
    """
    found = {
        item["key"]: _answer_problem(item, answers.get(item["key"]), no_evidence) for item in items
    }
    return {key: f"{key}: {problem}" for key, problem in found.items() if problem}


def _answer_problem(item: Mapping[str, Any], answer: Any, no_evidence: str) -> str:
    if answer is True:
        missing = item["key"] == EVIDENCE_ITEM and no_evidence
        return (
            f"it cannot be ticked: {no_evidence} (what, where, when); request changes to ask"
            " for it."
            if missing
            else ""
        )
    note = answer.get("not_applicable") if isinstance(answer, Mapping) else None
    if not isinstance(note, str) or not note.strip():
        other = ", or mark it not applicable and say why" if may_be_not_applicable(item) else ""
        return f"tick “{item['text']}”{other}."
    if not may_be_not_applicable(item):
        return f"“{item['text']}” is never not applicable: tick it, or request changes."
    letters = [sum(letter.isalpha() for letter in word) for word in note.split()]
    if sum(map(bool, letters)) < SENTENCE[0] or sum(letters) < SENTENCE[1]:
        return "say in a sentence why it does not apply."
    return ""
