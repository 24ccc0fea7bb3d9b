"""What a page shows of a click that was refused: why, by field where it is about one, and all that
was typed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from language.refusal import Invalid, Refused
from web.http import Fields, Request

YES_NO = frozenset({"runbook_updated", "p0_justified", "downtime_required"})
#: What a form sends that nobody typed.
UNTYPED = frozenset(
    {
        "csrfmiddlewaretoken",
        "version",
        "verdict",
        "item",
        "check",
        "step",
        "state",
        "start",
        "slot_start",
        "asked",
    }
)


@dataclass(frozen=True)
class Failure:
    """`said`: each reason, and the id of the field that it is about; `listed`: one of the slots
    that a page offered.
    """

    verb: str = ""
    values: Fields = field(default_factory=Fields)
    errors: Fields = field(default_factory=Fields)
    said: tuple[tuple[str, str], ...] = ()
    typed: bool = False
    listed: bool = False

    def __bool__(self) -> bool:
        return bool(self.verb)


def failure(request: Request, verb: str, refused: Refused) -> Failure:
    """A refusal of the click `verb`, with what its form sent."""
    errors = refused.fields if isinstance(refused, Invalid) else {}
    said = [(reason.message, "") for reason in refused.reasons] or [
        (text, _target(verb, name)) for name, text in errors.items()
    ]
    typed = any(
        value.strip()
        for name, value in request.POST.items()
        if name not in UNTYPED and isinstance(value, str)
    )
    listed = (
        verb == "schedule" and "override_reason" not in request.POST
    )  # its own form has that field, too
    return Failure(verb, Fields(request.POST), Fields(errors), tuple(said), typed, listed)


def _target(verb: str, name: str) -> str:
    """The id of the field that an error is about."""
    if verb == "decide":
        return "cm" if name == "comment" else name.replace("checklist.", "tick_")
    return f"id_{name}" if name in YES_NO else f"{verb}-{name}"
