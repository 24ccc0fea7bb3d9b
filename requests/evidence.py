"""Evidence that a rollback was tested: the change's own words, or an earlier change that proved it
(A19, A34).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from requests import content
from requests.models import ChangeRequest
from requests.states import State


@dataclass(frozen=True)
class Evidence:
    """What shows that the way back works. `problem` says why it does not count; `at` is when it was
    shown, if that is known.
    """

    problem: str = ""
    at: datetime | None = None
    change: ChangeRequest | None = None

    @property
    def counts(self) -> bool:
        return not self.problem


NONE = Evidence("there is no evidence yet that the rollback was tested")


def of(change: ChangeRequest, tested: Mapping[str, Any] | None = None) -> Evidence:
    """The evidence that a change carries, or that `tested` would be for it. At most three queries,
    and none for words alone.
    """
    tested = change.rollback_tested if tested is None else tested
    if not tested:
        return NONE
    if not tested.get("change"):
        return Evidence("" if content.has_evidence(tested) else NONE.problem, _when(tested))
    return _earlier(change, str(tested["change"]))


def _earlier(change: ChangeRequest, number: str) -> Evidence:
    """That of an earlier change: seen by the requester, like this one, and itself rolled back or
    with evidence of its own.
    """
    visible = ChangeRequest.objects.visible_to(change.requester)
    found = (
        visible.prefetch_related("components").filter(number=number).exclude(pk=change.pk).first()
    )
    if found is None:
        return Evidence(f"there is no other change {number[:30]} that {change.requester} can see")
    shared = {c.pk for c in found.components.all()} & {c.pk for c in change.components.all()}
    if not shared:
        return Evidence(f"{number} touches none of these components")
    if found.strategy != change.strategy:
        return Evidence(f"{number} went by another strategy")
    if _words(found.rollback_plan) != _words(change.rollback_plan):
        return Evidence(f"the rollback plan of {number} reads otherwise")
    at = _shown_at(found)
    if at is None:
        return Evidence(f"{number} was not rolled back, and has no evidence of its own")
    if timezone.now() - at > settings.ROLLBACK_EVIDENCE_LASTS:
        return Evidence(
            f"{number} showed it more than {settings.ROLLBACK_EVIDENCE_LASTS.days} days ago"
        )
    return Evidence(at=at, change=found)


def _shown_at(found: ChangeRequest) -> datetime | None:
    """When an earlier change showed that its rollback works; it points at no other."""
    if found.outcome == State.ROLLED_BACK:
        return found.ended_at
    own = found.rollback_tested or {}
    if own.get("change") or not content.has_evidence(own):
        return None
    return _when(own) or found.submitted_at or found.created_at


def _when(tested: Mapping[str, Any]) -> datetime | None:
    """The day that the words name, as far as they name one."""
    try:
        return datetime.combine(date.fromisoformat(str(tested.get("when", ""))[:10]), time(0), UTC)
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    """A plan, white space apart."""
    return text.split()


def age(found: Evidence) -> timedelta | None:
    """How long ago the rollback was tried, None if no instant is known."""
    return timezone.now() - found.at if found.at else None
