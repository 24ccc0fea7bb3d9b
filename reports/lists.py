"""The list behind each number of a month's report (promise 7): what was counted can be opened, by
whoever may open it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.models import Event
from implementation.models import Issue
from reports import process_exceptions
from requests.models import ChangeRequest


def ended_between(start: datetime, end: datetime) -> QuerySet[ChangeRequest]:
    """Changes whose implementation ended in `[start, end)`: what a total counts (A8)."""
    return ChangeRequest.objects.filter(ended_at__gte=start, ended_at__lt=end).exclude(outcome="")


def caused_issue(start: datetime, end: datetime) -> QuerySet[ChangeRequest]:
    """Completed changes that caused an issue all the same."""
    caused = Issue.objects.filter(change=OuterRef("pk"), link=Issue.Link.CAUSED_BY)
    return ended_between(start, end).filter(Exists(caused), outcome="completed")


def beside(action: str) -> Callable[[datetime, datetime], QuerySet[ChangeRequest]]:
    """Changes that were rejected or cancelled in the time: beside the total."""

    def found(start: datetime, end: datetime) -> QuerySet[ChangeRequest]:
        return ChangeRequest.objects.filter(
            pk__in=Event.objects.filter(action=action, at__gte=start, at__lt=end).values(
                "change_id"
            )
        )

    return found


def caused_issues() -> QuerySet[Issue]:
    """Issues that a change caused; those that it only found are not counted."""
    return Issue.objects.filter(link=Issue.Link.CAUSED_BY)


def resolved_between(start: datetime, end: datetime) -> QuerySet[Issue]:
    """Issues caused by a change and resolved in the time: what MTTR averages (A9)."""
    return caused_issues().filter(resolved_at__gte=start, resolved_at__lt=end)


def open_at(start: datetime, end: datetime) -> QuerySet[Issue]:
    """Issues caused by a change, detected before `end` and not resolved by then; `start` does not
    matter.
    """
    return caused_issues().filter(
        Q(resolved_at__isnull=True) | Q(resolved_at__gte=end), detected_at__lt=end
    )


def detected_between(start: datetime, end: datetime) -> QuerySet[Issue]:
    """Caused issues by when they were detected, from `start` to before `end`."""
    return caused_issues().filter(detected_at__gte=start, detected_at__lt=end)


Row = TypeVar("Row", ChangeRequest, Issue)


@dataclass(frozen=True)
class Line(Generic[Row]):
    """One number of the report: its words, and what it counts between two instants."""

    title: str
    meaning: str
    find: Callable[[datetime, datetime], QuerySet[Row]]


def _exception(name: str) -> Callable[[datetime, datetime], QuerySet[ChangeRequest]]:
    return lambda start, end: process_exceptions.behind(name, ended_between(start, end), start, end)


CHANGES: dict[str, Line[ChangeRequest]] = {
    "caused_issue": Line(
        "Successful, but caused an issue",
        "Completed without a rollback, with an issue linked as caused by it.",
        caused_issue,
    ),
    "rejected": Line(
        "Rejected", "Rejected in the month; outside the total.", beside("change.reject")
    ),
    "cancelled": Line(
        "Cancelled", "Cancelled in the month; outside the total.", beside("change.cancel")
    ),
} | {
    name: Line(
        label,
        "Of the changes whose implementation ended in the month, by the audit trail.",
        _exception(name),
    )
    for name, label in process_exceptions.EXCEPTIONS.items()
}
ISSUES: dict[str, Line[Issue]] = {
    "mttr_p0": Line(
        "Issues of emergencies resolved",
        "Caused by a P0 and resolved in the month: the emergencies' MTTR is the average of their"
        " minutes.",
        lambda start, end: resolved_between(start, end).filter(change__priority="P0"),
    ),
    "mttr": Line(
        "Issues resolved",
        "Caused by a change and resolved in the month: MTTR is the average of their minutes.",
        resolved_between,
    ),
    "open_issues": Line(
        "Issues open at the month's end",
        "Caused by a change, detected before, not resolved by then.",
        open_at,
    ),
    "issues": Line(
        "Issues detected", "Caused by a change and detected in the month.", detected_between
    ),
}
