"""The default policy by hand, and each rule about a change's steps and their checklists one step
either side (A2, A4, A16, A34).
"""

from __future__ import annotations

import runpy
from copy import deepcopy
from typing import Any

import pytest

from approvals.policy import policy
from approvals.policy.policy import Facts, StepPlan
from approvals.policy.quorum import Quorum

TECHNICAL = {
    "T1": "Implementation steps are clear and complete",
    "T2": "Rollback plan is feasible and tested",
    "T3": "Testing plan covers all affected functionality",
    "T4": "Dependencies are identified and addressed",
    "T5": "Resource requirements are adequate",
}
SECURITY = {
    "S1": "Security implications assessed",
    "S2": "Compliance requirements met",
    "S3": "Access controls maintained",
    "S4": "Data protection measures in place",
}
BUSINESS = {
    "B1": "Business value justified",
    "B2": "User impact acceptable",
    "B3": "Timeline aligns with business needs",
    "B4": "Resources allocated",
}
FOUR_NOES = {"T6": "The four security answers, all “no”, are right"}
USUAL_HOURS, NO_HOURS, OWED_HOURS = (48, 24, 72), (None, None, None), (24, 12, 24)


def step(
    kind: str,
    roles: str,
    items: dict[str, str],
    when: str = "",
    mode: str = "any",
    hours: tuple[int | None, ...] = USUAL_HOURS,
) -> dict[str, Any]:
    """A step as the policy keeps it."""
    due, remind, escalate = hours
    return {
        "kind": kind,
        "roles": roles.split(),
        "mode": mode,
        "needed": 1,
        "when": when.split(),
        "checklist": [{"key": key, "text": text} for key, text in items.items()],
        "due_hours": due,
        "remind_hours": remind,
        "escalate_hours": escalate,
    }


def reviews(
    business: str = "", hours: tuple[int | None, ...] = USUAL_HOURS
) -> list[dict[str, Any]]:
    return [
        step("technical", "senior-devops-engineer tech-lead", TECHNICAL, hours=hours),
        step(
            "security",
            "security-engineer",
            SECURITY,
            "security_answers security_component",
            hours=hours,
        ),
        step("business", "product-manager engineering-manager", BUSINESS, business, hours=hours),
    ]


STANDARD = {
    "stages": [reviews(), [step("sign_off", "engineering-manager devops-lead", {}, mode="all")]],
    "deferred": [],
}
DEFAULT = {
    "P0": {
        "stages": [[step("emergency", "cto emergency-contact", {}, hours=NO_HOURS)]],
        "deferred": reviews(hours=OWED_HOURS),
    },
    "P1": STANDARD,
    "P2": STANDARD,
    "P3": {
        "stages": [
            reviews("downtime users_affected"),
            [step("sign_off", "devops-engineer senior-devops-engineer devops-lead", {})],
        ],
        "deferred": [],
    },
}


def test_the_default_is_the_documents() -> None:
    """R3, R5, R7, R11, R37, R38, R39, R40, R41, R42, R43, R44, R45, R46, R47, R48, R49, R50, R51,
    R52, R53: as it is and as it is made.
    """
    assert policy.DEFAULT == DEFAULT
    assert runpy.run_path(policy.__file__, run_name=policy.__name__)["DEFAULT"] == DEFAULT


def test_a_step_says_of_itself_what_is_not_usual() -> None:
    """R37, R43: what is given stands in the place of what is usual; roles are kept as their
    names.
    """
    usual = policy.step_rule("security", [policy.Role.SECURITY_ENGINEER])
    assert usual == step("security", "security-engineer", SECURITY)
    assert all(type(role) is str for role in usual["roles"])
    assert policy.step_rule("sign_off", ["cto"], needed=2, due_hours=1) == step(
        "sign_off", "cto", {}
    ) | {"needed": 2, "due_hours": 1}


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        ("component:search", "it touches search"),
        ("downtime", "downtime is required"),
        ("users_affected", "users will notice"),
        ("security_answers", "a security question is answered yes"),
        ("security_component", "a component always asks for security review"),
        ("medium_risk", "its risk is medium or high"),
        ("high_risk", "its risk is high"),
        ("full_moon", "full_moon"),
    ],
)
def test_a_condition_is_said_as_people_say_it(trigger: str, words: str) -> None:
    """R44: and one that nobody knows as it is written."""
    assert policy.trigger_words(trigger) == words


@pytest.mark.parametrize(
    ("kinds", "label"),
    [
        (["technical", "business"], "Review"),
        (["sign_off"], "Sign-off"),
        (["technical", "sign_off"], "Sign-off"),
        (["emergency"], "Emergency authorisation"),
        (["emergency", "sign_off"], "Emergency authorisation"),
    ],
)
def test_a_stage_is_called_by_what_weighs_most(kinds: list[str], label: str) -> None:
    assert policy.stage_label(kinds) == label


def asked(priority: str, *, deferred: bool = False, **facts: Any) -> list[tuple[int, str]]:
    found = policy.plan(policy.DEFAULT, Facts(priority, **facts), deferred=deferred)
    assert all(step.deferred is deferred for step in found)
    return [(step.stage, step.kind) for step in found]


def test_what_the_default_asks_of_each_priority() -> None:
    """R3, R7, R11, R33, R34, R35, R44: security by an answer or a mark; P3's business by downtime
    or users; P0's reviews afterwards.
    """
    two = [(1, "technical"), (1, "business"), (2, "sign_off")]
    three = [(1, "technical"), (1, "security"), (1, "business"), (2, "sign_off")]
    for priority in ("P1", "P2"):
        assert asked(priority) == two
        assert (
            asked(priority, security_answers=True)
            == asked(priority, security_component=True)
            == three
        )
    assert asked("P3", risk="high") == [(1, "technical"), (2, "sign_off")]
    assert asked("P3", downtime=True) == asked("P3", users_affected=True) == two
    assert asked("P0", security_answers=True) == [(1, "emergency")]
    assert asked("P0", deferred=True) == [(1, "technical"), (1, "business")]
    assert asked("P0", deferred=True, security_answers=True) == [
        (1, "technical"),
        (1, "security"),
        (1, "business"),
    ]
    assert asked("P1", deferred=True) == []


def test_stages_are_counted_without_gaps() -> None:
    """R33: a stage of which nothing is asked is none."""
    found = deepcopy(policy.DEFAULT)
    found["P2"]["stages"].insert(0, [policy.step_rule("business", ["cto"], when=["high_risk"])])
    assert [step.stage for step in policy.plan(found, Facts("P2", risk="medium"))] == [1, 1, 2]
    assert [step.stage for step in policy.plan(found, Facts("P2", risk="high"))] == [1, 2, 2, 3]


def test_a_step_is_copied_onto_the_change_whole() -> None:
    """R37, R43: with the four noes to confirm where all are no; its hours and its quorum."""
    technical, security, _, sign_off = policy.plan(
        policy.DEFAULT, Facts("P1", security_component=True)
    )

    def items(*found: dict[str, str]) -> tuple[dict[str, str], ...]:
        return tuple({"key": key, "text": text} for part in found for key, text in part.items())

    roles = ("senior-devops-engineer", "tech-lead")
    assert technical == StepPlan(
        1, "technical", roles, "any", items(TECHNICAL, FOUR_NOES), 1, False, False, 48, 24, 72
    )
    assert security == StepPlan(
        1, "security", ("security-engineer",), "any", items(SECURITY), 1, True, False, 48, 24, 72
    )
    assert sign_off == StepPlan(
        2,
        "sign_off",
        ("engineering-manager", "devops-lead"),
        "all",
        (),
        1,
        False,
        False,
        48,
        24,
        72,
    )
    assert sign_off.quorum == Quorum("all", ("engineering-manager", "devops-lead"), 1)
    assert sign_off.label == "Sign-off"
    answered, asked, *_ = policy.plan(
        policy.DEFAULT, Facts("P1", security_answers=True, security_component=True)
    )
    assert answered.checklist == items(TECHNICAL)
    assert not asked.waivable, "asked for by an answer it can only be decided"
    assert policy.DEFAULT == DEFAULT, "what is copied leaves the policy as it was"
    owed, *_ = policy.plan(policy.DEFAULT, Facts("P0"), deferred=True)
    assert owed == StepPlan(
        1, "technical", roles, "any", items(TECHNICAL, FOUR_NOES), 1, False, True, 24, 12, 24
    )


def test_only_the_security_review_is_waived_and_by_one_for_one() -> None:
    """R44: another step that a component's mark asks for is decided, and a security review of two
    people is not waived by one.
    """
    found = deepcopy(policy.DEFAULT)
    found["P2"]["stages"][0][2]["when"] = ["security_component"]
    marked = {
        step.kind: step.waivable
        for step in policy.plan(found, Facts("P2", security_component=True))
    }
    assert marked == {"technical": False, "security": True, "business": False, "sign_off": False}
    found["P2"]["stages"][0][1]["needed"] = 2
    plans = policy.plan(found, Facts("P2", security_component=True))
    assert [(step.needed, step.waivable) for step in plans] == [
        (1, False),
        (2, False),
        (1, False),
        (1, False),
    ]


def test_the_policys_words_for_a_kind_or_the_defaults() -> None:
    """R37, R43, R49: of the first review of that kind, deferred ones last."""
    found = deepcopy(policy.DEFAULT)
    found["P1"]["stages"][0][1] |= {"roles": ["cto"]}
    assert policy.rule_for(found, "P1", "security")["roles"] == ["cto"]
    assert policy.rule_for(found, "P3", "business")["when"] == ["downtime", "users_affected"]
    assert policy.rule_for(found, "P0", "technical")["due_hours"] == 24
    del found["P1"]["stages"][0][1]
    assert policy.rule_for(found, "P1", "security") == step(
        "security", "security-engineer", SECURITY
    )


# --- checklists -----------------------------------------------------------------------------------

T2 = {"key": "T2", "text": "Rollback plan is feasible and tested"}
T3 = {"key": "T3", "text": "Testing plan covers all affected functionality"}
C1 = {"key": "C1", "text": "It was rehearsed", "always": True}
TICK_T3 = (
    "T3: tick “Testing plan covers all affected functionality”, or mark it not applicable and say"
    " why."
)
SENTENCE = "T3: say in a sentence why it does not apply."


@pytest.mark.parametrize(
    ("item", "may"),
    [
        ("T1", False),
        ("T2", False),
        ("T3", True),
        ("T6", True),
        ("S1", False),
        ("S2", True),
        ("B1", False),
        ("B2", True),
    ],
)
def test_four_items_are_always_judged(item: str, may: bool) -> None:
    """R38, R39, R45, R50: and whatever the policy says the same of."""
    assert policy.may_be_not_applicable({"key": item}) is may
    assert policy.may_be_not_applicable({"key": item, "always": False}) is may
    assert not policy.may_be_not_applicable({"key": item, "always": True})


@pytest.mark.parametrize(
    ("item", "answer", "says"),
    [
        (T3, True, ""),
        (T3, None, TICK_T3),
        (T3, False, TICK_T3),
        (T3, 1, TICK_T3),
        (T3, "yes", TICK_T3),
        (T3, {}, TICK_T3),
        (T3, {"not_applicable": True}, TICK_T3),
        (T3, {"not_applicable": " "}, TICK_T3),
        (T3, {"other": "Nothing is tested here"}, TICK_T3),
        (T3, {"not_applicable": "Nothing testable"}, ""),
        (T3, {"not_applicable": "Notapplicable"}, SENTENCE),
        (T3, {"not_applicable": "abcdef ghijkl"}, ""),
        (T3, {"not_applicable": "abcdef ghijk"}, SENTENCE),
        (T3, {"not_applicable": "abcdefghijkl -"}, SENTENCE),
        (T3, {"not_applicable": "a bcdefghijkl"}, ""),
        (T3, {"not_applicable": "a2c4e6g8i0k2 bdfhjlm"}, ""),
        (T3, {"not_applicable": "12345678 90123456"}, SENTENCE),
        (C1, True, ""),
        (C1, None, "C1: tick “It was rehearsed”."),
        (C1, {"not_applicable": "Nothing was rehearsed"},
            "C1: “It was rehearsed” is never not applicable: tick it, or request changes."),
        (T2, True, ""),
        (T2, None, "T2: tick “Rollback plan is feasible and tested”."),
        (T2, {"not_applicable": "There is nothing to undo"},
            "T2: “Rollback plan is feasible and tested” is never not applicable: "
            "tick it, or request changes."),
    ],
)  # fmt: skip
def test_each_item_is_ticked_or_said_not_to_apply_in_a_sentence(
    item: dict[str, Any], answer: Any, says: str
) -> None:
    """R38, R39, R40: a sentence has at least two words and twelve letters."""
    assert policy.check_checklist([item], {item["key"]: answer}) == (
        {item["key"]: says} if says else {}
    )


def test_the_tested_rollback_is_not_ticked_without_its_evidence() -> None:
    """R39, R146: the item about it alone."""
    answers = {"T2": True, "T3": True}
    assert policy.check_checklist([T2, T3], answers) == {}
    assert policy.check_checklist(
        [T2, T3], answers, no_evidence="nothing says that it was tried"
    ) == {
        "T2": (
            "T2: it cannot be ticked: nothing says that it was tried (what, where, when); request"
            " changes to ask for it."
        )
    }
    assert policy.check_checklist([T2, T3], {}) == {
        "T2": "T2: tick “Rollback plan is feasible and tested”.",
        "T3": TICK_T3,
    }


@pytest.mark.parametrize(
    ("kind", "accepts"),
    [
        ("undo", "I accept that it cannot be undone"),
        ("test", "I accept that undoing it cannot be tested"),
    ],
)
def test_without_a_way_back_the_reviewer_judges_recovery_and_each_signer_accepts(
    kind: str, accepts: str
) -> None:
    """A46: T2's words, and an item of its own for each sign-off and for an emergency's
    authorisation; nothing else changes.
    """
    recovery = {"key": "T2", "text": "Recovery plan is feasible, and rehearsed or said why not"}
    for priority in ("P0", "P1", "P2", "P3"):
        plain = policy.plan(policy.DEFAULT, policy.Facts(priority)) + policy.plan(
            policy.DEFAULT, policy.Facts(priority), deferred=True
        )
        facts = policy.Facts(priority, no_way_back=kind)
        asked = policy.plan(policy.DEFAULT, facts) + policy.plan(
            policy.DEFAULT, facts, deferred=True
        )
        for before, now in zip(plain, asked, strict=True):
            expected = [recovery if item["key"] == "T2" else item for item in before.checklist]
            signs = before.kind in ("sign_off", "emergency")
            assert list(now.checklist) == expected + (
                [{"key": "N1", "text": accepts}] if signs else []
            )
    assert not policy.may_be_not_applicable({"key": "N1"})
