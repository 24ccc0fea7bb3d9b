"""Quorums by hand: how many people, who still helps, in which role somebody decides, and how it is
said (A2, A3).
"""

from __future__ import annotations

import pytest

from approvals.policy.quorum import ALL, ANY, Quorum, match

EITHER = Quorum(ANY, ("tech-lead", "senior-devops-engineer"))
TWO = Quorum(ANY, ("tech-lead", "senior-devops-engineer"), 2)
BOTH = Quorum(ALL, ("engineering-manager", "devops-lead"))


def held(*roles: str) -> frozenset[str]:
    return frozenset(roles)


@pytest.mark.parametrize(
    ("quorum", "approvals", "filled", "met"),
    [
        (EITHER, {}, 0, False),
        (EITHER, {1: held("tech-lead")}, 1, True),
        (EITHER, {1: held("cto")}, 0, False),
        (EITHER, {1: held("tech-lead"), 2: held("senior-devops-engineer")}, 1, True),
        (TWO, {1: held("tech-lead", "senior-devops-engineer")}, 1, False),
        (TWO, {1: held("tech-lead"), 2: held("tech-lead")}, 2, True),
        (BOTH, {1: held("engineering-manager")}, 1, False),
        (BOTH, {1: held("engineering-manager", "devops-lead")}, 1, False),
        (BOTH, {1: held("engineering-manager"), 2: held("engineering-manager")}, 1, False),
        (
            BOTH,
            {1: held("engineering-manager", "devops-lead"), 2: held("engineering-manager")},
            2,
            True,
        ),
    ],
)
def test_and_takes_different_people_and_or_takes_as_many_as_it_says(
    quorum: Quorum, approvals: dict[int, frozenset[str]], filled: int, met: bool
) -> None:
    """R7, R37: "Engineering manager and DevOps lead" are two people, whoever holds both roles; "or"
    is any one.
    """
    assert (quorum.filled(approvals), quorum.is_met(approvals)) == (filled, met)


def test_the_size_is_the_number_of_people() -> None:
    assert (EITHER.size, TWO.size, BOTH.size) == (1, 2, 2)
    assert Quorum(ANY, ("tech-lead",)).size == 1


def test_whoever_brings_nothing_new_does_not_help() -> None:
    """R7: a second engineering manager does not stand in for the DevOps lead; the lead does."""
    given = {1: held("engineering-manager")}
    assert not BOTH.helps(given, held("engineering-manager"))
    assert BOTH.helps(given, held("devops-lead"))
    assert not EITHER.helps({1: held("tech-lead")}, held("tech-lead"))
    assert EITHER.helps({}, held("tech-lead"))
    assert not EITHER.helps({}, held("cto"))


@pytest.mark.parametrize(
    ("quorum", "approvals", "has", "role"),
    [
        (EITHER, {}, held("senior-devops-engineer"), "senior-devops-engineer"),
        (EITHER, {}, held("senior-devops-engineer", "tech-lead"), "tech-lead"),
        (EITHER, {1: held("tech-lead")}, held("senior-devops-engineer", "tech-lead"), "tech-lead"),
        (EITHER, {}, held("cto"), ""),
        (BOTH, {}, held("engineering-manager", "devops-lead"), "engineering-manager"),
        (
            BOTH,
            {1: held("engineering-manager")},
            held("engineering-manager", "devops-lead"),
            "devops-lead",
        ),
        (
            BOTH,
            {1: held("devops-lead")},
            held("engineering-manager", "devops-lead"),
            "engineering-manager",
        ),
        (BOTH, {1: held("engineering-manager", "devops-lead")}, held("devops-lead"), "devops-lead"),
        (
            BOTH,
            {1: held("engineering-manager", "devops-lead")},
            held("engineering-manager"),
            "engineering-manager",
        ),
        (
            BOTH,
            {1: held("engineering-manager")},
            held("engineering-manager"),
            "engineering-manager",
        ),
        (BOTH, {1: held("engineering-manager")}, held(), ""),
    ],
)
def test_somebody_decides_in_the_first_role_that_still_needs_a_person(
    quorum: Quorum, approvals: dict[int, frozenset[str]], has: frozenset[str], role: str
) -> None:
    """R7: with both roles one sits where nobody sits yet; who holds none of the step's roles has
    none.
    """
    assert quorum.acting_role(approvals, has) == role


@pytest.mark.parametrize(
    ("quorum", "roles", "words"),
    [
        (EITHER, None, "Tech lead or Senior DevOps engineer"),
        (Quorum(ANY, ("security-engineer",)), None, "Security engineer"),
        (BOTH, None, "Engineering manager and DevOps lead"),
        (BOTH, ["devops-lead"], "DevOps lead"),
        (EITHER, [], "nobody"),
        (TWO, None, "two different people, each Tech lead or Senior DevOps engineer"),
        (Quorum(ANY, ("cto",), 5), None, "five different people, each CTO"),
        (Quorum(ANY, ("cto",), 6), None, "6 different people, each CTO"),
        (
            Quorum(ALL, ("engineering-manager", "devops-lead"), 2),
            None,
            "Engineering manager and DevOps lead",
        ),
    ],
)
def test_a_quorum_is_said_as_people_say_it(
    quorum: Quorum, roles: list[str] | None, words: str
) -> None:
    """R3, R7, R37: "and" is all of them, "or" any of them; only whoever is still asked is named."""
    assert quorum.words(roles) == words


def test_somebody_seated_moves_for_the_next() -> None:
    """R7: who could take either place leaves the one that the second person needs."""
    assert match([{1, 2}, {1}]) == {0: 2, 1: 1}
    assert match([{1}, {1}]) == {0: 1}
    assert match([{1}, set(), {2}]) == {0: 1, 2: 2}
    assert match([{1, 2}, {1, 3}, {1}]) == {0: 2, 1: 3, 2: 1}
