"""What a reviewer's page asks of checklist items and of the rollback's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from accounts.models import User
from approvals.policy import policy
from audit import api as audit_api
from requests import content, evidence
from requests.models import ChangeRequest

register = template.Library()


@register.filter
def sparable(item: Mapping[str, Any]) -> bool:
    """Whether an item may be marked not applicable (A34)."""
    return policy.may_be_not_applicable(item)


@register.filter
def reads_trail(user: User) -> bool:
    """Whether the whole trail opens for this person (X15)."""
    return audit_api.may_read_all(user)


@register.filter
def definition(priority: str) -> str:
    """What the process means by a priority (R2, R6, R10)."""
    return content.DEFINITIONS.get(priority, "")


@register.filter
def rollback_evidence(change: ChangeRequest) -> evidence.Evidence:
    """What shows that the way back works (A19, A34)."""
    return evidence.of(change)
