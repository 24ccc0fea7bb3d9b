"""What templates ask about the things that they show: labels, roles, dates due, what a rule says of
an item.

Every public function here is a filter of the templates.
"""

from __future__ import annotations

import json as codec
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.roles import label as role_label
from accounts.roles import listed
from approvals.models import Step
from approvals.policy import policy
from approvals.rounds import reminders
from audit import api as audit_api
from pages.rendering.icons import VERB_ICONS
from requests import content, evidence
from requests.content import BY_NAME
from requests.models import ChangeRequest
from requests.states import State


def measure(value: float | str | None, unit: str) -> str:
    """38.0 min; a dash where there is nothing to average."""
    return "–" if value is None or value == "" else f"{value} {unit}"


def state_label(value: str) -> str:
    return State(value).label if value in State.values else value


def role(value: str) -> str:
    return role_label(value)


def roles(value: list[str], word: str = "or") -> str:
    return listed(value, word)


def decide_by(step: Step) -> datetime | None:
    """Until when a verdict on the step is expected."""
    return reminders.decide_by(step)


def stage_label(steps: list[Any]) -> str:
    """What the stage of these steps is called."""
    return policy.stage_label(step.kind for step in steps)


def verb_icon(name: str) -> str:
    return VERB_ICONS[name]


def field_label(name: str) -> str:
    return BY_NAME[name].label if name in BY_NAME else name.replace("_", " ").capitalize()


def get(mapping: Any, key: Any) -> Any:
    """An entry of a mapping whose key is a variable."""
    return mapping.get(key) if mapping else None


def json(value: Any) -> str:
    """Data as it is kept, on one line."""
    return codec.dumps(value, ensure_ascii=False)


def sparable(item: Mapping[str, Any]) -> bool:
    """Whether an item may be marked not applicable (A34)."""
    return policy.may_be_not_applicable(item)


def reads_trail(user: User) -> bool:
    """Whether the whole trail opens for this person (X15)."""
    return audit_api.may_read_all(user)


def definition(priority: str) -> str:
    """What the process means by a priority (R2, R6, R10)."""
    return content.DEFINITIONS.get(priority, "")


def rollback_evidence(change: ChangeRequest) -> evidence.Evidence:
    """What shows that the way back works (A19, A34)."""
    return evidence.of(change)


def risk_label(value: str) -> str:
    """Low, Medium, High."""
    return ChangeRequest.Risk(value).label


def is_change_number(item: str) -> bool:
    """Whether a dependency is named by a change's number."""
    return bool(re.fullmatch(r"CR-\d{4}-\d{2}-\d{2}-\d{3,}", item))


def css_number(value: float) -> str:
    """A number as a stylesheet takes it."""
    return f"{value:g}"
