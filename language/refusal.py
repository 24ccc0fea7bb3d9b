"""How every layer says no: a named reason, what would unblock it, and never a bare failure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Reason:
    """One reason for a refusal, in words and in data (`reasons` of the API's problem answers)."""

    code: str
    message: str
    rule: str = ""
    until: datetime | None = None
    next_allowed_at: datetime | None = None
    override_roles: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"override_roles": list(self.override_roles)}


@dataclass
class Refused(Exception):
    """A verb was refused and nothing was recorded of it."""

    reasons: list[Reason] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(reason.message for reason in self.reasons) or self.__class__.__name__

    @property
    def code(self) -> str:
        return self.reasons[0].code if self.reasons else "refused"


class NotYours(Refused):
    """The person may not do this, whatever the state of things."""


class Missing(Refused):
    """The thing does not exist, or this person may not see it: the same answer to both."""


class Blocked(Refused):
    """State, calendar, fit or conflict forbid it now; or somebody else was first."""


class Stale(Refused):
    """The content changed since the person saw it."""


@dataclass
class Invalid(Refused):
    """Fields are missing or wrong; `fields` maps a field's name to what is wrong and what to do."""

    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(self.fields.values()) or super().__str__()


#: Codes that say: not this person's to do, whatever the state of things.
PERSONAL = frozenset({"not_yours", "own_change", "read_only", "only_approver", "judged"})


def refusal_of(reasons: Iterable[Reason]) -> Refused:
    """403 when the first reason is about the person, else 409: it cannot be done now."""
    found = list(reasons)
    return (NotYours if found[0].code in PERSONAL else Blocked)(found)


def raise_refusal(reasons: Iterable[Reason]) -> None:
    """Raise what the reasons amount to, if there are any."""
    if found := list(reasons):
        raise refusal_of(found)


def refuse_if(reasons: Iterable[Reason], kind: type[Refused] = Blocked) -> None:
    """Raise `kind` if there is any reason to."""
    if found := list(reasons):
        raise kind(found)
