"""The monthly report: computed from the facts of one month, stored as versions, issued once (R122-R136, A8, A9, A31)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import services as audit
from audit.models import Event
from audit.refusal import Blocked, NotYours, Reason
from implementation.models import Issue, Review
from notifications import services as notifications
from reports import metrics
from reports.models import MonthlyReport
from requests.models import ChangeRequest

ISSUED_AFTER = timedelta(days=2)  # the 3rd at 00:00 UTC, after the last review deadline
WATCHED = 3  # months whose later facts make a new version
OLDEST = 36  # months that a tick catches up with after a long downtime
IN_FLIGHT = 200  # events that may have been on their way when the last one was looked at


def ended_between(start: datetime, end: datetime) -> Any:
    """Changes whose implementation ended in `[start, end)`: what a total counts, and the list behind it (A8)."""
    return ChangeRequest.objects.filter(ended_at__gte=start, ended_at__lt=end).exclude(outcome="")


def _ended(start: datetime, end: datetime) -> list[metrics.Ended]:
    caused = Issue.objects.filter(change=OuterRef("pk"), link=Issue.Link.CAUSED_BY)
    rows = ended_between(start, end).annotate(caused=Exists(caused)).order_by("ended_at", "id")
    return [
        metrics.Ended(*row)
        for row in rows.values_list("number", "priority", "outcome", "submitted_at", "started_at", "ended_at", "caused").iterator()
    ]


def _resolved(start: datetime, end: datetime) -> list[metrics.Resolved]:
    rows = Issue.objects.filter(link=Issue.Link.CAUSED_BY, resolved_at__gte=start, resolved_at__lt=end).order_by("resolved_at", "id")
    return [metrics.Resolved(detected, resolved) for detected, resolved in rows.values_list("detected_at", "resolved_at") if resolved]


def compute(month: date) -> dict[str, Any]:
    """The month's figures and lists, from the facts as they are now: a fixed number of queries, whatever the month holds."""
    start, end = metrics.month_span(month)
    changes = _ended(start, end)
    numbers = {c.number for c in changes}
    issues = Issue.objects.filter(detected_at__gte=start, detected_at__lt=end).select_related("change").order_by("detected_at", "id")
    reviews = Review.objects.filter(change__in=ended_between(start, end), superseded=False, written_at__isnull=False).order_by(
        "written_at", "id"
    )
    lessons, improvements = [], []
    for lesson, improvement, confidential in reviews.values_list("lessons", "improvements", "change__confidential"):
        if not confidential:
            lessons += [lesson] if lesson else []
            improvements += [improvement] if improvement else []
    beside = Counter(
        Event.objects.filter(action__in=["change.reject", "change.cancel"], at__gte=start, at__lt=end).values_list("action", flat=True)
    )
    return {
        "title": f"Monthly Change Report - {start:%B %Y}",
        "month": f"{start:%Y-%m}",
        **metrics.figures(changes, _resolved(start, end)),
        "issues": [
            {"change": i.change.number, "n": i.n, "severity": i.severity, "summary": i.summary, "resolved": i.resolved_at is not None}
            for i in issues
            if not i.change.confidential
        ],
        "improvements": improvements,
        "lessons": lessons,
        "exceptions": _exceptions(start, end),
        "rejected": beside["change.reject"],
        "cancelled": beside["change.cancel"],
        "changes": sorted(numbers),
    }


def _exceptions(start: datetime, end: datetime) -> dict[str, int]:
    """What the process allows as an exception and the report names: in how many of the month's changes, by their trail.

    An approval by telephone that was denied may have stopped a change for good; it counts in the month of the denial.
    """
    changes = list(ended_between(start, end).values_list("pk", flat=True))  # keys, so that the trail is read by its index
    counted = {name: Count("change_id", distinct=True, filter=condition) for name, condition in FOUND_BY.items()}
    found = Event.objects.filter(reduce(or_, FOUND_BY.values()), change_id__in=changes).aggregate(**counted)
    booked = Event.objects.filter(change_id__in=changes, action__in=["change.schedule", "change.reschedule"])
    last = booked.order_by("change_id", "-id").distinct("change_id")  # the slot that counts is the last one booked
    found |= Event.objects.filter(pk__in=last.values("pk")).aggregate(
        short_notice=Count("id", filter=_says("short_notice_reason")), overrides=Count("id", filter=_says("override_reason"))
    )
    ended = ChangeRequest.objects.filter(pk=OuterRef("change_id"), ended_at__isnull=False)
    stopped = Event.objects.filter(~Exists(ended), FOUND_BY["phone_approvals_unconfirmed"], at__gte=start, at__lt=end)
    found["phone_approvals_unconfirmed"] += stopped.values("change_id").distinct().count()
    return {name: found.get(name, 0) for name in EXCEPTIONS}


def _says(name: str) -> Q:
    """Whether an event's data has that text."""
    return Q(**{f"data__{name}__isnull": False}) & ~Q(**{f"data__{name}": ""})


#: exception → the events that prove it
FOUND_BY = {
    "freeze_exceptions": Q(action="change.freeze_exception", data__granted=True),
    "phone_approvals_unconfirmed": Q(action="approval.confirmation_overdue") | Q(action="approval.confirm", data__answer="not_approved"),
    "raised_to_p0": Q(action="change.escalate") | Q(action="change.revise", data__fields__priority__1="P0"),
    "p0_not_justified": Q(action="implementation.review_confirm", data__p0_justified=False),
    "reviews_waived": Q(action="approval.decide", data__verdict="waive"),
    "monitoring_shortened": Q(action="change.complete", data__has_key="monitoring_shortened_minutes"),
    "steps_skipped": Q(action="change.complete", data__skipped__gt=0),
    "overruns": Q(action="change.overrun"),
    "review_overdue": Q(action__in=["implementation.review_overdue", "implementation.documentation_overdue"])
    | Q(action__in=["implementation.review", "implementation.document"], data__late=True),
}

EXCEPTIONS = {
    "short_notice": "Scheduled with less than 24 hours' notice",
    "overrides": "Conflicts overridden",
    "freeze_exceptions": "Freeze exceptions",
    "one_off_openings": "One-off openings used",
    "phone_approvals_unconfirmed": "Phone approvals not confirmed",
    "unauthorised_starts": "Emergencies started before authorisation",
    "raised_to_p0": "Raised to P0",
    "p0_not_justified": "P0 not justified, by its review",
    "reviews_waived": "Reviews waived",
    "triggers_declined": "Rollback triggers declined",
    "monitoring_shortened": "Monitoring shortened",
    "steps_skipped": "Steps skipped",
    "untrained_starts": "Started without training",
    "overruns": "Ran past the window",
    "review_overdue": "Review or documentation later than 24 hours",
    "undocumented": "Deployments without a change",
}


def fingerprint(figures: dict[str, Any]) -> str:
    """SHA-256 of the figures in canonical form: same facts, same report."""
    return hashlib.sha256(json.dumps(figures, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def stored(month: date) -> MonthlyReport | None:
    return MonthlyReport.objects.filter(month=month).order_by("-version").first()


def report_for(month: date) -> dict[str, Any]:
    """The newest stored report of a month, or the month as it stands now (preliminary, version 0)."""
    if kept := stored(month):
        return dict(kept.figures) | {"status": kept.status, "version": kept.version, "issued_at": kept.issued_at}
    return compute(month) | {"status": MonthlyReport.Status.PRELIMINARY, "version": 0, "issued_at": None}


@transaction.atomic
def make(month: date, *, issue: bool = False, actor: User | None = None) -> MonthlyReport | None:
    """Store a version if there is something new to store: figures that changed, or the issue itself. None if there is nothing."""
    with connection.cursor() as cursor:  # two workers at once make one report
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"report {month}"])
    now, seen = timezone.now(), _last_event()
    figures = compute(month)
    mark = fingerprint(figures)
    last = stored(month)
    issued = issue or (last is not None and last.status == MonthlyReport.Status.ISSUED)
    status = MonthlyReport.Status.ISSUED if issued else MonthlyReport.Status.PRELIMINARY
    if last and last.fingerprint == mark and last.status == status:
        MonthlyReport.objects.filter(pk=last.pk).update(seen_event=seen)
        return None
    report = MonthlyReport.objects.create(
        month=month,
        version=(last.version if last else 0) + 1,
        status=status,
        figures=figures,
        fingerprint=mark,
        made_at=now,
        issued_at=now if issued else None,
        seen_event=seen,
    )
    audit.record(
        "report.issue" if issued else "report.make",
        actor=actor,
        data={"month": f"{month:%Y-%m}", "version": report.version, "fingerprint": mark},
    )
    if issued and month >= metrics.previous_month(now.date()):  # what is caught up with later is there to read, not mailed in a burst
        readers = User.objects.filter(groups__name__in=[Role.MANAGER, Role.CHANGE_MANAGER], is_active=True).distinct()
        notifications.tell(
            readers,
            kind="report_issued",
            occasion=f"{month:%Y-%m}:{report.version}",
            subject=f"{figures['title']}, version {report.version}",
            body=f"{figures['total']} changes, {figures['successful']['count']} successful, {figures['rolled_back']['count']} rolled back, "
            f"{figures['emergency']} emergencies.",
            path=f"/reports/{month:%Y-%m}/",
        )
    return report


def make_what_is_due() -> int:
    """The tick's part: preliminary from the first, issued on the third, a new version where later facts changed an issued one."""
    now = timezone.now()
    month, made = metrics.previous_month(now.date()), 0
    for age in range(OLDEST):
        end = metrics.month_span(month)[1]
        last = stored(month)
        issued = last is not None and last.status == MonthlyReport.Status.ISSUED
        if (issued and age >= WATCHED) or not _has_history(end):
            break
        due_issue = now >= end + ISSUED_AFTER and not issued
        if last is None or due_issue or (age < WATCHED and _facts_moved(month, last)):
            made += make(month, issue=due_issue) is not None
        month = metrics.previous_month(month)
    return made


def _has_history(end: datetime) -> bool:
    """Months before the first change are not reported."""
    return ChangeRequest.objects.filter(created_at__lt=end).exists()


def _facts_moved(month: date, last: MonthlyReport) -> bool:
    """Whether something was recorded of the month's changes since the report was made: then it is worth computing again."""
    start, end = metrics.month_span(month)
    resolved = Issue.objects.filter(Q(resolved_at__gte=start, resolved_at__lt=end) | Q(detected_at__gte=start, detected_at__lt=end)).values(
        "change"
    )
    of_the_month = Q(change_id__in=ended_between(start, end).values("pk")) | Q(change_id__in=resolved)
    beside = Q(action__in=["change.reject", "change.cancel"], at__gte=start, at__lt=end)
    news = Event.objects.filter(of_the_month | beside, pk__gt=last.seen_event - IN_FLIGHT)
    return last.seen_event != _last_event() and news.exists()


def _last_event() -> int:
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


@transaction.atomic
def issue(*, actor: User, month: date) -> MonthlyReport | None:
    """The change manager issues a month's report before the third (A31)."""
    if not (actor.may_write and actor.has_role(Role.CHANGE_MANAGER)):
        raise NotYours([Reason("not_yours", "The change manager issues the report.")])
    if timezone.now() < metrics.month_span(month)[1]:
        raise Blocked([Reason("state", "The month has not ended yet.")])
    return make(month, issue=True, actor=actor)


def first_month() -> date:
    """The month of the first change, or this one."""
    first = ChangeRequest.objects.order_by("created_at").values_list("created_at", flat=True).first()
    at = (first or timezone.now()).astimezone(UTC)
    return date(at.year, at.month, 1)


def today() -> date:
    return timezone.now().date()
