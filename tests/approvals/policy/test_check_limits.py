"""What a policy may not say, one step either side of each limit, and each thing that another does
otherwise, in whole sentences (A2, A16, A27).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from approvals.policy import check, policy
from approvals.policy.check import Difference, compare, problems, step_problems
from approvals.policy.policy import step_rule

Rules = dict[str, Any]
Edit = Callable[[Rules], object]


def default() -> Rules:
    """The default, each priority by itself: P1 and P2 are the same rules, and a copy of all keeps
    them so.
    """
    return {priority: deepcopy(rules) for priority, rules in policy.DEFAULT.items()}


def changed(priority: str, edit: Edit) -> Rules:
    """The default, edited for one priority."""
    found = default()
    edit(found[priority])
    return found


# --- sound ----------------------------------------------------------------------------------------

EMPTY = "a stage without a step asks nobody; give it one, or remove it."
LAST = (
    "its last stage needs a step that is asked always; else some changes would pass with nobody's"
    " approval."
)
ALONE = (
    "an emergency has one stage, the emergency authorisation alone; its reviews are owed"
    " afterwards."
)
FOR_P0 = "the emergency authorisation is for P0 alone."
OWED = "only an emergency's reviews may be owed after its implementation."
REVIEWS = "only reviews are owed after an emergency, neither an authorisation nor a sign-off."
YES = "a yes to a security question asks for the security review; that cannot be left out."


@pytest.mark.parametrize(
    ("priority", "edit", "says"),
    [
        ("P1", lambda p: p["stages"].clear(), [EMPTY]),
        ("P1", lambda p: p["stages"][0].clear(), [EMPTY]),
        ("P2", lambda p: p["stages"].append([]), [EMPTY]),
        (
            "P3",
            lambda p: p["stages"][0].append(step_rule("technical", ["cto"])),
            ["technical review stands twice in one stage; keep one."],
        ),
        (
            "P0",
            lambda p: p["deferred"].append(step_rule("business", ["cto"])),
            ["business approval stands twice in one stage; keep one."],
        ),
        ("P1", lambda p: p["stages"].append([step_rule("technical", ["cto"])]), []),
        ("P1", lambda p: p["stages"][1][0].update(when=["high_risk"]), [LAST]),
        (
            "P1",
            lambda p: p["stages"][1].insert(0, step_rule("business", ["cto"], when=["high_risk"])),
            [],
        ),
        (
            "P1",
            lambda p: p["stages"].append([step_rule("business", ["cto"], when=["high_risk"])]),
            [LAST],
        ),
        ("P0", lambda p: p["stages"][0].append(step_rule("sign_off", ["cto"])), [ALONE]),
        ("P0", lambda p: p["stages"].append([step_rule("business", ["cto"])]), [ALONE]),
        ("P0", lambda p: p["stages"][0].__setitem__(0, step_rule("business", ["cto"])), [ALONE]),
        ("P3", lambda p: p["stages"].append([step_rule("emergency", ["cto"])]), [FOR_P0]),
        ("P3", lambda p: p["deferred"].append(step_rule("business", ["cto"])), [OWED]),
        ("P0", lambda p: p["deferred"].append(step_rule("sign_off", ["cto"])), [REVIEWS]),
        ("P0", lambda p: p["deferred"].append(step_rule("emergency", ["cto"])), [REVIEWS]),
        ("P3", lambda p: p["deferred"].append(step_rule("sign_off", ["cto"])), [OWED, REVIEWS]),
        ("P0", lambda p: p["deferred"].clear(), [YES]),
        ("P2", lambda p: p["stages"][0].pop(1), [YES]),
        ("P2", lambda p: p["stages"][0][1].update(when=["security_component"]), [YES]),
        ("P2", lambda p: p["stages"][0][1].update(when=["security_answers"]), []),
        ("P2", lambda p: p["stages"][0][1].update(when=[]), []),
        (
            "P2",
            lambda p: (p["stages"][0].pop(1), p["stages"][0][0].update(when=["security_answers"])),
            [YES],
        ),
        ("P2", lambda p: p["stages"].insert(0, [p["stages"][0].pop(1)]), []),
        ("P3", lambda p: p["stages"][1][0].update(roles=[]), ["sign-off: name at least one role."]),
        ("P3", lambda p: p["stages"][0][2].update(when=["component:search"]), []),
        (
            "P3",
            lambda p: p["stages"][0][2].update(when=["component:cdn"]),
            ["business approval: there is no component cdn."],
        ),
    ],
)
def test_a_policy_is_told_everything_that_is_not_sound(
    priority: str, edit: Edit, says: list[str]
) -> None:
    """R3, R7, R11, R34, R44: of the priority that is meant, and nothing that is sound."""
    assert problems(changed(priority, edit), {"search"}) == [f"{priority}: {text}" for text in says]


def test_problems_come_in_the_order_of_priorities() -> None:
    found = default()
    for priority in ("P3", "P0", "P1"):
        found[priority]["stages"] = []
    assert problems(found, set()) == [f"P0: {EMPTY}", f"P1: {EMPTY}", f"P3: {EMPTY}"]


PEOPLE = "between one and 5 different people."
EMERGENCY = "one person authorises an emergency, always, and ticks nothing."
ITEMS = "at most 20 checklist items of at most 300 letters."
HOURS = "hours are between 1 and 2000."
EARLIER = "the reminder comes before the escalation; give it fewer hours."
FIVE = ["cto", "tech-lead", "devops-lead", "engineering-manager", "product-manager"]


def items(count: int, letters: int = 1) -> list[dict[str, str]]:
    return [{"key": f"C{number}", "text": "x" * letters} for number in range(count)]


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("technical", {}, []),
        ("technical", {"roles": []}, ["name at least one role."]),
        ("technical", {"roles": ["auditor", "cto", "manager"]},
            ["auditor, manager decides nothing; choose another role."]),
        ("technical", {"roles": ["nobody"]}, ["nobody decides nothing; choose another role."]),
        ("technical", {"roles": ["engineer"]}, []),
        ("technical", {"needed": 0}, [PEOPLE]),
        ("technical", {"needed": 1}, []),
        ("technical", {"needed": 5}, []),
        ("technical", {"needed": 6}, [PEOPLE]),
        ("technical", {"roles": [*FIVE, "engineer"]}, []),
        ("technical", {"roles": FIVE, "mode": "all"}, []),
        ("technical", {"roles": [*FIVE, "engineer"], "mode": "all"}, [PEOPLE]),
        ("emergency", {}, []),
        ("emergency", {"mode": "all"}, [EMERGENCY]),
        ("emergency", {"needed": 2}, [EMERGENCY]),
        ("emergency", {"when": ["downtime"]}, [EMERGENCY]),
        ("emergency", {"checklist": items(1)}, [EMERGENCY]),
        ("technical", {"when": ["component:search"]}, []),
        ("technical", {"when": ["component:cdn"]}, ["there is no component cdn."]),
        ("technical", {"when": ["component:component:search"]},
            ["there is no component component:search."]),
        ("technical", {"when": ["search"]}, ["there is no condition search."]),
        ("technical", {"when": ["high_risk", "full_moon", "component:x"]},
            ["there is no condition full_moon.", "there is no component x."]),
        ("technical", {"when": list(policy.TRIGGERS)}, []),
        ("technical", {"checklist": items(20)}, []),
        ("technical", {"checklist": items(21)}, [ITEMS]),
        ("technical", {"checklist": items(1, 300)}, []),
        ("technical", {"checklist": items(1, 301)}, [ITEMS]),
        ("technical", {"checklist": items(1, 0)}, [ITEMS]),
        ("technical", {"checklist": [{"key": "T6", "text": "x"}]},
            ["T6 is the process's own item, “The four security answers, all “no”, are right”; "
                "give another key."]),
        ("technical", {"checklist": [*items(2), *items(1)]}, ["C0 stands twice in the checklist."]),
        ("technical", {"due_hours": 1, "remind_hours": None, "escalate_hours": 2000}, []),
        ("technical", {"due_hours": 0}, [HOURS]),
        ("technical", {"due_hours": 2001}, [HOURS]),
        ("technical", {"escalate_hours": 2001}, [HOURS]),
        ("technical", {"remind_hours": 71}, []),
        ("technical", {"remind_hours": 72}, [EARLIER]),
        ("technical", {"remind_hours": 73, "escalate_hours": None}, []),
        ("technical", {"remind_hours": 0}, [HOURS]),
    ],
)  # fmt: skip
def test_a_step_is_told_everything_that_is_wrong_with_it(
    kind: str, more: dict[str, Any], says: list[str]
) -> None:
    """R3, R37, R43: at each limit and one beyond it."""
    step = step_rule(kind, ["cto"]) | more
    assert list(step_problems(step, {"search"})) == says


# --- what changes ---------------------------------------------------------------------------------


def found(priority: str, edit: Edit, before: Edit | None = None) -> list[tuple[str, bool]]:
    """What an edit of the default changes, or of what another edit made of it."""
    old = changed(priority, before) if before else default()
    new = changed(priority, before) if before else default()
    edit(new[priority])
    told = compare(old, new)
    assert all(difference.text.startswith(f"{priority}: ") for difference in told)
    return [
        (difference.text.removeprefix(f"{priority}: "), difference.widens) for difference in told
    ]


def of_sign_off(**more: Any) -> Edit:
    return lambda p: p["stages"][1][0].update(more)


def test_no_priority_shares_its_rules_with_another() -> None:
    """R6, R11: what is edited for a P1 is not edited for a P2 by the way."""
    rules = list(policy.DEFAULT.values())
    assert len({id(of) for of in rules}) == 4
    assert len({id(step) for of in rules for stage in of["stages"] for step in stage}) == 13


def test_the_same_policy_changes_nothing() -> None:
    assert compare(policy.DEFAULT, deepcopy(policy.DEFAULT)) == []
    assert Difference("x") == Difference("x", False)


DEVOPS = "DevOps engineer, Senior DevOps engineer or DevOps lead"


@pytest.mark.parametrize(
    ("edit", "says", "widens"),
    [
        ({"roles": ["devops-lead", "devops-engineer", "senior-devops-engineer"]}, None, False),
        ({"roles": ["devops-lead"]}, f"by DevOps lead, instead of {DEVOPS}.", False),
        ({"needed": 2}, f"by two different people, each {DEVOPS}, instead of {DEVOPS}.", False),
        ({"when": ["high_risk"]}, "asked when its risk is high, instead of always.", True),
        (
            {"when": ["downtime", "component:search"]},
            "asked when downtime is required or it touches search, instead of always.",
            True,
        ),
        ({"checklist": [{"key": "C1", "text": "Rehearsed"}]}, "also asks C1 “Rehearsed”.", False),
        ({"due_hours": 1}, "due after 1 hour, instead of after 48 hours.", False),
        ({"remind_hours": None}, "reminded never, instead of after 24 hours.", False),
        ({"escalate_hours": 2}, "escalated after 2 hours, instead of after 72 hours.", False),
    ],
)
def test_what_a_step_asks_otherwise_is_said(
    edit: dict[str, Any], says: str | None, widens: bool
) -> None:
    """R11: who, when, what, and by when; the order of the roles is nothing."""
    assert found("P3", of_sign_off(**edit)) == ([(f"sign-off: {says}", widens)] if says else [])


@pytest.mark.parametrize(
    ("before", "after", "says", "widens"),
    [
        ({"when": ["high_risk"]}, {"when": []}, "asked always, instead of when its risk is high.",
            False),
        ({"when": ["high_risk"]}, {"when": ["medium_risk"]},
            "asked when its risk is medium or high, instead of when its risk is high.", False),
        ({"when": ["medium_risk", "high_risk"]}, {"when": ["medium_risk"]},
            "asked when its risk is medium or high, "
            "instead of when its risk is medium or high or its risk is high.",
            False),
        ({"when": ["high_risk"]}, {"when": ["downtime"]},
            "asked when downtime is required, instead of when its risk is high.", True),
        ({"when": ["medium_risk"]}, {"when": ["high_risk"]},
            "asked when its risk is high, instead of when its risk is medium or high.", True),
        ({"when": ["downtime"]}, {"when": ["users_affected", "downtime"]},
            "asked when users will notice or downtime is required, "
            "instead of when downtime is required.",
            False),
        ({"when": ["users_affected", "downtime"]}, {"when": ["downtime"]},
            "asked when downtime is required, "
            "instead of when users will notice or downtime is required.",
            True),
        ({"when": ["downtime", "users_affected"]}, {"when": ["users_affected", "downtime"]}, None,
            False),
        ({"checklist": [{"key": "C1", "text": "A"}]}, {"checklist": []}, "no longer asks C1 “A”.",
            True),
        ({"checklist": [{"key": "C1", "text": "A"}]}, {"checklist": [{"key": "C1", "text": "B"}]},
            "C1 reads “B” instead of “A”.", True),
        ({"checklist": items(2)}, {"checklist": items(2)[::-1]}, None, False),
        ({"mode": "all", "needed": 1}, {"mode": "all", "needed": 2}, None, False),
    ],
)  # fmt: skip
def test_what_a_step_asks_otherwise_than_before(
    before: dict[str, Any], after: dict[str, Any], says: str | None, widens: bool
) -> None:
    """R11, R44: what is asked of fewer changes, or asks less, widens."""
    assert found("P3", of_sign_off(**after), of_sign_off(**before)) == (
        [(f"sign-off: {says}", widens)] if says else []
    )


LEAD, ENGINEER, SENIOR = "devops-lead", "devops-engineer", "senior-devops-engineer"


@pytest.mark.parametrize(
    ("old", "new", "widens"),
    [
        (("any", [LEAD, SENIOR], 1), ("any", [LEAD], 1), False),
        (("any", [LEAD], 1), ("any", [LEAD, SENIOR], 1), True),
        (("any", [LEAD, SENIOR], 2), ("any", [LEAD, SENIOR], 3), False),
        (("any", [LEAD, SENIOR], 2), ("any", [LEAD, SENIOR], 1), True),
        (("any", [LEAD, SENIOR], 2), ("all", [LEAD, SENIOR], 1), False),
        (("any", [LEAD, SENIOR], 2), ("all", [LEAD, ENGINEER], 1), True),
        (("any", [LEAD, SENIOR], 1), ("all", [LEAD, ENGINEER], 1), False),
        (("any", [LEAD, SENIOR], 3), ("all", [LEAD, SENIOR], 1), True),
        (("all", [LEAD, SENIOR], 1), ("any", [LEAD, SENIOR], 2), True),
        (("all", [LEAD, SENIOR], 1), ("any", [LEAD], 1), True),
        (("all", [LEAD, SENIOR], 1), ("all", [LEAD, SENIOR, ENGINEER], 1), False),
        (("all", [LEAD, SENIOR], 1), ("all", [LEAD], 1), True),
        (("all", [LEAD], 1), ("any", [LEAD], 1), False),
        (("all", [LEAD], 1), ("any", [LEAD], 2), False),
        (("all", [LEAD], 1), ("any", [LEAD, SENIOR], 1), True),
        (("all", [LEAD], 1), ("all", [LEAD, SENIOR], 1), False),
        (("all", [LEAD], 1), ("all", [SENIOR], 1), True),
        (
            ("all", [LEAD], 2),
            ("any", [LEAD], 1),
            False,
        ),  # "all" takes one person for each role, whatever else it says
    ],
)
def test_whoever_settles_the_new_step_would_have_settled_the_old(
    old: Any, new: Any, widens: bool
) -> None:
    """R7, R11: else it widens; roles that decide elsewhere already are no new ones."""

    def who(mode: str, roles: list[str], needed: int) -> Edit:
        return lambda p: (
            p["stages"][0][2].update(roles=[LEAD, ENGINEER, SENIOR]),
            p["stages"][1][0].update(mode=mode, roles=roles, needed=needed),
        )

    (told,) = found("P3", who(*new), who(*old))
    assert told[0].startswith("sign-off: by ")
    assert told[1] is widens


def test_no_roles_at_all_settle_nothing() -> None:
    """A draft may be compared before it is sound: it is not called as strict."""
    (told,) = found("P3", of_sign_off(roles=[]))
    assert told == (f"sign-off: by nobody, instead of {DEVOPS}.", True)


def test_steps_that_come_and_go() -> None:
    """R35, R37, R43: what is not asked any more widens; what is asked besides does not, save that
    its new roles see what is confidential.
    """
    assert found("P1", lambda p: p["stages"][0].pop(2)) == [
        ("the business approval is not asked any more.", True)
    ]
    assert found("P0", lambda p: p["deferred"].pop(0)) == [
        ("the owed technical review is not asked any more.", True)
    ]
    more = found(
        "P3",
        lambda p: p["stages"].insert(1, [step_rule("business", ["product-manager"], needed=2)]),
    )
    assert more == [
        (
            (
                "also asks for the second business approval, by two different people, each Product"
                " manager."
            ),
            False,
        )
    ]
    roles = found(
        "P3", lambda p: p["stages"].append([step_rule("sign_off", ["engineer", "cto"], mode="all")])
    )
    assert roles == [
        ("also asks for the second sign-off, by Engineer and CTO.", False),
        ("lets one more role decide, and see what is confidential: CTO and Engineer.", True),
    ]
    third = found(
        "P3",
        lambda p: p["stages"].append([step_rule("sign_off", [LEAD])]),
        lambda p: p["stages"].append([step_rule("sign_off", [LEAD])]),
    )
    assert third == [("also asks for the third sign-off, by DevOps lead.", False)]
    owed = found("P0", lambda p: p["deferred"].append(step_rule("business", ["tech-lead"])))
    assert owed == [("also asks for the owed second business approval, by Tech lead.", False)]


def test_a_step_that_moves() -> None:
    """R33, R35: to another stage it widens, since it waits for less; a stage put between moves
    nobody, nor one that goes.
    """
    moves = [("the business approval moves to another stage.", True)]
    assert found("P1", lambda p: p["stages"].insert(0, [p["stages"][0].pop(2)])) == [
        ("the technical review moves to another stage.", True),
        ("the security review moves to another stage.", True),
        ("the sign-off moves to another stage.", True),
    ]
    assert found("P1", lambda p: p["stages"][1].append(p["stages"][0].pop(2))) == moves
    between = found("P1", lambda p: p["stages"].insert(1, [step_rule("technical", ["tech-lead"])]))
    assert between == [("also asks for the second technical review, by Tech lead.", False)]
    assert found(
        "P1",
        lambda p: p["stages"].pop(1),
        lambda p: p["stages"].insert(1, [step_rule("technical", ["tech-lead"])]),
    ) == [("the second technical review is not asked any more.", True)]


def test_starting_alone_is_on_unless_the_policy_says_otherwise() -> None:
    """R3: switching it off narrows, switching it on widens (A33)."""
    off = ("the on-call engineer on duty starts nothing that nobody has authorised.", False)
    on = (
        "the on-call engineer on duty may start an emergency that nobody has authorised yet.",
        True,
    )
    assert found("P0", lambda p: p.update(starts_before=False)) == [off]
    assert found("P0", lambda p: p.update(starts_before=True)) == []
    assert found(
        "P0", lambda p: p.update(starts_before=True), lambda p: p.update(starts_before=False)
    ) == [on]
    assert found(
        "P0", lambda p: p.pop("starts_before"), lambda p: p.update(starts_before=False)
    ) == [on]
    assert (
        found("P0", lambda p: p.pop("starts_before"), lambda p: p.update(starts_before=True)) == []
    )


def test_differences_come_in_the_order_of_priorities() -> None:
    new = default()
    for priority in ("P3", "P0"):
        new[priority]["stages"][-1][0]["due_hours"] = 5
    assert compare(policy.DEFAULT, new) == [
        Difference("P0: emergency authorisation: due after 5 hours, instead of never."),
        Difference("P3: sign-off: due after 5 hours, instead of after 48 hours."),
    ]
    assert check.PRIORITIES == ("P0", "P1", "P2", "P3")
