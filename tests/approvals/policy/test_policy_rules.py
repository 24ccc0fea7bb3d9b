"""The policy's rules by themselves: quorums, conditions, and what widens, each against an
independent reading (A2, A3, A16, A27).
"""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations, permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.policy import check, policy
from approvals.policy.quorum import Quorum, match
from tests.tries import tries

ROLES = ["tech-lead", "senior-devops-engineer", "devops-lead", "engineering-manager"]
quorums = st.one_of(
    st.builds(
        Quorum,
        st.just("any"),
        st.lists(st.sampled_from(ROLES), min_size=1, unique=True).map(tuple),
        st.integers(1, 3),
    ),
    st.builds(
        Quorum,
        st.just("all"),
        st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True).map(tuple),
    ),
)
people = st.dictionaries(
    st.integers(1, 5), st.frozensets(st.sampled_from(ROLES), min_size=1), max_size=5
)


def settles(quorum: Quorum, approvals: dict[int, frozenset[str]]) -> bool:
    """By trying every way to seat the people."""
    if quorum.mode == "any":
        return sum(1 for held in approvals.values() if held & set(quorum.roles)) >= quorum.needed
    return any(
        all(role in approvals[person] for role, person in zip(quorum.roles, seated, strict=True))
        for seated in permutations(approvals, len(quorum.roles))
    )


@given(quorums, people)
def test_a_quorum_is_met_exactly_when_people_can_be_seated(
    quorum: Quorum, approvals: dict[int, frozenset[str]]
) -> None:
    """A2, A3: any n, or one person of its own for each role; one person is never two."""
    assert quorum.is_met(approvals) == settles(quorum, approvals)


@given(quorums, people, st.frozensets(st.sampled_from(ROLES)))
def test_whoever_is_said_to_help_brings_it_further(
    quorum: Quorum, approvals: dict[int, frozenset[str]], held: frozenset[str]
) -> None:
    """Nobody is asked in vain: with enough of those who help it is met, and who does not help
    changes nothing.
    """
    if not quorum.helps(approvals, held):
        assert quorum.filled({**approvals, -1: held}) == quorum.filled(approvals)
    else:
        assert not quorum.is_met(approvals)


@given(st.lists(st.sets(st.integers(1, 5)), max_size=4))
def test_a_match_seats_as_many_as_can_be(places: list[set[int]]) -> None:
    """Against every way to seat them."""
    best = 0
    for size in range(len(places), 0, -1):
        if any(
            len(set(seated)) == size
            and all(p in places[place] for place, p in zip(chosen, seated, strict=True))
            for chosen in combinations(range(len(places)), size)
            for seated in product(*(places[place] for place in chosen))
        ):
            best = size
            break
    found = match(places)
    assert len(found) == best == len(set(found.values()))
    assert all(person in places[place] for place, person in found.items())


# --- what widens ----------------------------------------------------------------------------------

TRIGGERS = [*policy.TRIGGERS, "component:search"]
steps = st.builds(
    lambda kind, roles, mode, needed, when, items: policy.step_rule(
        kind,
        roles,
        mode=mode,
        needed=needed if mode == "any" else 1,
        when=when,
        checklist=policy.CHECKLISTS["technical"][:items],
    ),
    st.sampled_from(["technical", "security", "business", "sign_off"]),
    st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True),
    st.sampled_from(["any", "all"]),
    st.integers(1, 3),
    st.lists(st.sampled_from(TRIGGERS), max_size=2, unique=True),
    st.integers(0, 2),
)
stages = st.lists(
    st.lists(steps, min_size=1, max_size=2, unique_by=lambda step: step["kind"]),
    min_size=1,
    max_size=2,
)


def rules(found: list[list[dict[str, Any]]]) -> dict[str, Any]:
    return {**deepcopy(policy.DEFAULT), "P2": {"stages": found, "deferred": []}}


def every_fact() -> list[policy.Facts]:
    return [
        policy.Facts("P2", *flags, risk, components)
        for flags in product([False, True], repeat=4)
        for risk in ("low", "medium", "high")
        for components in (frozenset(), frozenset({"search"}))
    ]


def demands(found: dict[str, Any], facts: policy.Facts) -> dict[tuple[str, int], policy.StepPlan]:
    by_kind: dict[tuple[str, int], policy.StepPlan] = {}
    for plan in policy.plan(found, facts):
        by_kind[plan.kind, sum(kind == plan.kind for kind, _ in by_kind)] = plan
    return by_kind


EVERY_APPROVAL = [
    dict(enumerate(map(frozenset, held)))
    for count in range(1, 4)
    for held in combinations([c for n in (1, 2) for c in combinations(ROLES, n)], count)
]


@settings(max_examples=tries(everyday=20, build=60), deadline=None)
@given(stages, stages)
def test_what_widens_nothing_asks_at_least_as_much_of_every_change(before: Any, after: Any) -> None:
    """A27: where `compare` finds nothing that widens, no change of any facts gets through with less
    than before.
    """
    old, new = rules(before), rules(after)
    if any(found.widens for found in check.compare(old, new)):
        return
    for facts in every_fact():
        was, now = demands(old, facts), demands(new, facts)
        assert len(now) >= len(was)
        assert sorted(kind for kind, _ in was) == sorted(
            kind for kind, n in now if (kind, n) in was
        )
        for place, plan in was.items():
            if (
                sum(kind == place[0] for kind, _ in was)
                == sum(kind == place[0] for kind, _ in now)
                == 1
            ):
                assert {k["key"] for k in plan.checklist} <= {
                    k["key"] for k in now[place].checklist
                }
                weaker = [
                    a
                    for a in EVERY_APPROVAL
                    if settles(now[place].quorum, a) and not settles(plan.quorum, a)
                ]
                assert not weaker, (plan, now[place], weaker[:1])


def changed(**more: Any) -> dict[str, Any]:
    """The default with P3's sign-off changed."""
    found = deepcopy(policy.DEFAULT)
    found["P3"]["stages"][1][0] |= more
    return found


@pytest.mark.parametrize(
    ("other", "widens"),
    [
        (changed(roles=["devops-engineer", "devops-lead"]), False),
        (
            changed(roles=["devops-engineer", "senior-devops-engineer", "devops-lead", "engineer"]),
            True,
        ),
        (changed(needed=2), False),
        (changed(mode="all"), False),
        (changed(when=[policy.HIGH_RISK]), True),
        (changed(checklist=[{"key": "C1", "text": "It was rehearsed"}]), False),
        (changed(remind_hours=90, escalate_hours=None), False),
    ],
)
def test_each_way_to_widen_is_known_for_what_it_is(other: dict[str, Any], widens: bool) -> None:
    """A27: in both directions, so that undoing what narrows widens, and undoing what widens
    narrows.
    """
    found = check.compare(policy.DEFAULT, other)
    assert found
    assert [f.widens for f in found] == [widens] * len(found)
    hours_only = (
        other["P3"]["stages"][1][0] | {"remind_hours": 24, "escalate_hours": 72}
        == policy.DEFAULT["P3"]["stages"][1][0]
    )
    assert any(f.widens for f in check.compare(other, policy.DEFAULT)) == (
        not widens and not hours_only
    )


def test_a_step_that_goes_moves_or_asks_less_widens() -> None:
    """A27: a step left out, a checklist item left out or reworded, a step split off into a stage of
    its own.
    """
    gone, moved, fewer, reworded = (deepcopy(policy.DEFAULT) for _ in range(4))
    del gone["P1"]["stages"][0][2]
    moved["P1"]["stages"].insert(0, [moved["P1"]["stages"][0].pop(2)])
    del fewer["P1"]["stages"][0][0]["checklist"][1]
    reworded["P1"]["stages"][0][0]["checklist"][1] = {"key": "T2", "text": "Rollback plan exists"}
    for other, words in (
        (gone, "not asked any more"),
        (moved, "moves to another stage"),
        (fewer, "no longer asks T2"),
        (reworded, "T2 reads"),
    ):
        found = check.compare(policy.DEFAULT, other)
        assert any(f.widens and words in f.text and f.text.startswith("P1: ") for f in found), found
    sees = deepcopy(policy.DEFAULT)
    sees["P3"]["stages"].append([policy.step_rule("sign_off", ["engineer"])])
    widens = [found.text for found in check.compare(policy.DEFAULT, sees) if found.widens]
    assert widens == ["P3: lets one more role decide, and see what is confidential: Engineer."]
    more = deepcopy(policy.DEFAULT)
    more["P3"]["stages"].insert(1, [policy.step_rule("business", ["product-manager"])])
    assert [(f.text, f.widens) for f in check.compare(policy.DEFAULT, more)] == [
        ("P3: also asks for the second business approval, by Product manager.", False)
    ]


# --- sound ----------------------------------------------------------------------------------------


def test_the_default_is_sound_and_conditions_hold() -> None:
    """A2: risk, components and answers decide which steps a change needs; high risk is medium risk,
    too; stages leave no gap.
    """
    assert check.problems(policy.DEFAULT, set()) == []
    found = deepcopy(policy.DEFAULT)
    first, second = found["P2"]["stages"]
    found["P2"]["stages"] = [
        [
            policy.step_rule(
                "security", ["security-engineer"], when=["component:search", policy.MEDIUM_RISK]
            )
        ],
        first,
        second,
    ]
    del first[1]

    def asked(**more: Any) -> list[tuple[int, str]]:
        return [(plan.stage, plan.kind) for plan in policy.plan(found, policy.Facts("P2", **more))]

    plain = [(1, "technical"), (1, "business"), (2, "sign_off")]
    with_security = [(1, "security"), (2, "technical"), (2, "business"), (3, "sign_off")]
    assert asked(risk="low") == plain
    assert (
        asked(risk="medium")
        == asked(risk="high")
        == asked(components=frozenset({"search", "cdn"}))
        == with_security
    )


def broken(priority: str, change: Any) -> dict[str, Any]:
    found = deepcopy(policy.DEFAULT)
    change(found[priority])
    return found


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (broken("P1", lambda p: p["stages"].clear()), "P1: a stage without a step"),
        (
            broken("P1", lambda p: p["stages"][1][0].update(when=["high_risk"])),
            "P1: its last stage needs a step that is asked always",
        ),
        (
            broken("P2", lambda p: p["stages"][0].pop(1)),
            "P2: a yes to a security question asks for the security review",
        ),
        (
            broken("P2", lambda p: p["stages"][0][1].update(when=["security_component"])),
            "P2: a yes to a security question",
        ),
        (broken("P0", lambda p: p["deferred"].pop(1)), "P0: a yes to a security question"),
        (
            broken("P0", lambda p: p["stages"].append([policy.step_rule("sign_off", ["cto"])])),
            "P0: an emergency has one stage",
        ),
        (
            broken("P0", lambda p: p["stages"][0][0].update(needed=2)),
            "P0: emergency authorisation: one person authorises",
        ),
        (
            broken("P3", lambda p: p["stages"].append([policy.step_rule("emergency", ["cto"])])),
            "P3: the emergency authorisation is for P0",
        ),
        (
            broken("P3", lambda p: p["deferred"].append(policy.step_rule("business", ["cto"]))),
            "P3: only an emergency's reviews",
        ),
        (
            broken("P3", lambda p: p["stages"][0].append(policy.step_rule("technical", ["cto"]))),
            "P3: technical review stands twice",
        ),
        (
            broken("P3", lambda p: p["stages"][1][0].update(roles=["auditor"])),
            "P3: sign-off: auditor decides nothing",
        ),
        (
            broken("P3", lambda p: p["stages"][1][0].update(roles=[])),
            "P3: sign-off: name at least one role",
        ),
        (
            broken("P3", lambda p: p["stages"][1][0].update(needed=9)),
            "P3: sign-off: between one and 5",
        ),
        (
            broken("P3", lambda p: p["stages"][0][2].update(when=["component:nowhere"])),
            "P3: business approval: there is no component nowhere",
        ),
        (
            broken("P3", lambda p: p["stages"][0][2].update(when=["full_moon"])),
            "P3: business approval: there is no condition full_moon",
        ),
        (
            broken("P3", lambda p: p["stages"][0][0].update(remind_hours=80)),
            "P3: technical review: the reminder comes before",
        ),
        (
            broken("P3", lambda p: p["stages"][0][0].update(due_hours=0)),
            "P3: technical review: hours are between 1",
        ),
        (
            broken(
                "P3", lambda p: p["stages"][0][0]["checklist"].append({"key": "T1", "text": "x"})
            ),
            "P3: technical review: T1 stands twice",
        ),
    ],
)
def test_what_is_not_sound_is_named(found: dict[str, Any], says: str) -> None:
    """A2, A16: no policy lets a change pass with nobody's approval, or an answered yes without
    security.
    """
    assert any(text.startswith(says) for text in check.problems(found, {"search"})), check.problems(
        found, {"search"}
    )


def test_only_a_components_mark_makes_a_security_review_waivable() -> None:
    """A16: asked for by an answer, by risk or always, it can only be decided; nor is one that takes
    two people waived by one.
    """

    def waivable(when: list[str], needed: int = 1, **facts: Any) -> bool:
        found = deepcopy(policy.DEFAULT)
        found["P2"]["stages"][0][1] |= {"when": when, "needed": needed}
        return next(
            plan.waivable
            for plan in policy.plan(found, policy.Facts("P2", **facts))
            if plan.kind == "security"
        )

    both = ["security_answers", "security_component"]
    assert waivable(both, security_component=True)
    assert not waivable(both, security_component=True, security_answers=True)
    assert not waivable([*both, "high_risk"], security_component=True, risk="high")
    assert not waivable([])
    assert not waivable(both, needed=2, security_component=True)
