"""How many people, of which roles, settle a step: pure rules over values (A2, A3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.roles import listed

ANY, ALL = "any", "all"
#: Person → the roles of the step that they held when they approved.
Approvals = Mapping[int, frozenset[str]]
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True)
class Quorum:
    """`any`: as many different people as `needed`, each with one of the roles. `all`: for each role
    a person of its own.
    """

    mode: str
    roles: tuple[str, ...]
    needed: int = 1

    @property
    def size(self) -> int:
        """How many people it takes."""
        return self.needed if self.mode == ANY else len(self.roles)

    def filled(self, approvals: Approvals) -> int:
        """How many of its places these approvals fill (for `all` a maximum matching, by augmenting
        paths).
        """
        if self.mode == ANY:
            return min(
                self.needed, sum(bool(held & set(self.roles)) for held in approvals.values())
            )
        return len(
            match(
                [
                    {person for person, held in approvals.items() if role in held}
                    for role in self.roles
                ]
            )
        )

    def is_met(self, approvals: Approvals) -> bool:
        return self.filled(approvals) >= self.size

    def helps(self, approvals: Approvals, held: frozenset[str]) -> bool:
        """Whether one more approval, by somebody with these roles, would bring the step further."""
        return self.filled({**approvals, -1: held}) > self.filled(approvals)

    def acting_role(self, approvals: Approvals, held: frozenset[str]) -> str:
        """The role in which somebody with these roles decides: the first of the step's that still
        needs a person.
        """
        mine = [role for role in self.roles if role in held]
        if self.mode == ALL:
            for role in mine:
                rest = Quorum(ALL, tuple(other for other in self.roles if other != role))
                if rest.filled(approvals) == len(approvals):
                    return role
        return mine[0] if mine else ""

    def words(self, roles: Sequence[str] | None = None) -> str:
        """Like “Tech lead or Senior DevOps engineer”, “two of …”, “… and …”; of `roles` where only
        these are still asked.
        """
        names = listed(
            list(self.roles if roles is None else roles), "and" if self.mode == ALL else "or"
        )
        if self.mode == ALL or self.needed == 1:
            return names
        return f"{NUMBERS.get(self.needed, self.needed)} different people, each {names}"


def match(places: Sequence[set[int]]) -> dict[int, int]:
    """Place → person, as many places as can be filled by different people; `places` says who could
    take each.
    """
    taken: dict[int, int] = {}  # person → place

    def fill(place: int, tried: set[int]) -> bool:
        for person in sorted(places[place] - tried):
            tried.add(person)
            if person not in taken or fill(taken[person], tried):
                taken[person] = place
                return True
        return False

    for place in range(len(places)):
        fill(place, set())
    return {place: person for person, place in taken.items()}
