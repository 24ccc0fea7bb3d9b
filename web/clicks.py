"""What people do on a change by click: each app declares its own in `clicks.py`, found when Django
is ready.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from accounts.models import User
from web.http import key_of


@dataclass(frozen=True)
class Posted:
    """What the form of a click sent."""

    values: QueryDict

    def text(self, name: str, otherwise: str = "") -> str:
        return str(self.values.get(name, otherwise))

    def key(self, name: str) -> int:
        """A whole number, 0 where there is none."""
        return key_of(self.text(name))

    def answer(self, name: str) -> bool | None:
        """Yes, no, or nothing said."""
        return {"yes": True, "no": False}.get(self.text(name))


Do = Callable[[User, str, Posted], Any]


@dataclass(frozen=True)
class Click:
    """One verb by click, and how the page goes on when it is done."""

    do: Do
    said: str | Callable[[Any], str]
    tab: str = "change"  # or "run": where it is looked at afterwards, and where a refusal is shown
    anchor: str | Callable[[Posted], str] = ""
    lands: Callable[[Any], str] | None = (
        None  # the address to go to, where it is not the change's own
    )

    def sentence(self, done: Any) -> str:
        return self.said if isinstance(self.said, str) else self.said(done)

    def address(self, number: str, posted: Posted, done: Any) -> str:
        if self.lands:
            return self.lands(done)
        anchor = self.anchor if isinstance(self.anchor, str) else self.anchor(posted)
        return f"/changes/{number}/" + ("implementation/" if self.tab == "run" else "") + anchor


CLICKS: dict[str, Click] = {}


def click(verb: str, said: str | Callable[[Any], str], **how: Any) -> Callable[[Do], Do]:
    """Declare what `POST /changes/{number}/act/{verb}` does, and what is said when it is done.

    The function takes (actor, number, posted) and returns what the service returned; refusals it
    lets through. `how`: see `Click`.
    """

    def register(do: Do) -> Do:
        assert verb not in CLICKS, f"two clicks are called {verb}"
        CLICKS[verb] = Click(do, said, **how)
        return do

    return register
