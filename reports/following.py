"""Reports that the clock owes: of months that ended, and again where later facts move figures."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db.models import Min, Q
from django.db.models.functions import TruncMonth
from django.utils import timezone

from audit.models import Event
from implementation.models import Issue
from reports import metrics, process_exceptions
from reports.models import MonthlyReport
from reports.reporting import ISSUED_AFTER, last_event, make, stored
from requests.models import ChangeRequest

OLDEST = 36  # months that a tick catches up with after a long downtime


IN_FLIGHT = 200  # events that may have been on their way when the last one was looked at


def make_what_is_due() -> int:
    """The tick's part: preliminary from the first, issued on the third, a new version of whichever
    month later facts have changed.
    """
    return _catch_up() + _follow_later_facts()


def _catch_up() -> int:
    """Months that have ended and lack their report, or its issue: from the newest back to the first
    that has both.
    """
    now = timezone.now()
    month, made = metrics.previous_month(now.date()), 0
    for _ in range(OLDEST):
        end = metrics.month_span(month)[1]
        last = stored(month)
        issued = last is not None and last.status == MonthlyReport.Status.ISSUED
        if issued or not _has_history(end):
            break
        due_issue = now >= end + ISSUED_AFTER
        if last is None or due_issue:
            made += make(month, issue=due_issue) is not None
        month = metrics.previous_month(month)
    return made


def _has_history(end: datetime) -> bool:
    """Months before the first change are not reported."""
    return ChangeRequest.objects.filter(created_at__lt=end).exists()


def _follow_later_facts() -> int:
    """What was recorded since the reports were last looked at, and which stored months it concerns:
    those are computed again (A31).
    """
    looked, last = MonthlyReport.objects.aggregate(seen=Min("seen_event"))["seen"], last_event()
    if looked is None or looked == last:
        return 0
    with_report = set(MonthlyReport.objects.values_list("month", flat=True))
    made = sum(make(month) is not None for month in sorted(_months_concerned(looked) & with_report))
    MonthlyReport.objects.update(seen_event=last)
    return made


def _months_concerned(looked: int) -> set[date]:
    """The months whose figures may have moved by what the trail holds after that event: four
    queries.
    """
    news = Event.objects.filter(pk__gt=looked - IN_FLIGHT, change_id__isnull=False)
    changed = news.order_by().values("change_id")
    ended = ChangeRequest.objects.filter(pk__in=changed, ended_at__isnull=False)
    found = set(ended.values_list(TruncMonth("ended_at"), flat=True).distinct().order_by())
    for name in ("detected_at", "resolved_at"):
        issues = Issue.objects.filter(change__in=changed, **{f"{name}__isnull": False})
        found |= set(issues.values_list(TruncMonth(name), flat=True).distinct().order_by())
    found |= _while_open(changed)
    denied = Event.objects.filter(
        process_exceptions.FOUND_BY["phone_approvals_unconfirmed"], change_id__in=changed
    )
    found |= set(
        denied.values_list("at", flat=True)
    )  # counted there until the change ends, and then with it
    moved = news.filter(
        Q(action__in=["change.reject", "change.cancel"]) | Q(action="implementation.issue_edit")
    )
    for action, at, was in moved.values_list("action", "at", "data__was"):
        was = was if action == "implementation.issue_edit" and isinstance(was, dict) else {}
        found |= {
            at,
            *(
                datetime.fromisoformat(was[name])
                for name in ("detected_at", "resolved_at")
                if was.get(name)
            ),
        }
    return {metrics.month_of(instant) for instant in found if instant}


def _while_open(changed: Any) -> set[datetime]:
    """Each month at whose end one of these changes' issues was open: its figures count it, too."""
    spans = Issue.objects.filter(change__in=changed).values_list("detected_at", "resolved_at")
    found: set[datetime] = set()
    for detected, resolved in spans:
        month, last = metrics.month_of(detected), metrics.month_of(resolved or timezone.now())
        while month <= last:
            found.add(metrics.month_span(month)[0])
            month = metrics.next_month(month)
    return found
