"""The monthly report: computed from the facts of one month, stored as versions, issued once
(R122-R136, A8, A9, A31).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, Min, OuterRef, Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail, words
from audit.models import Event
from implementation.models import Issue, Review
from language.refusal import Blocked, Missing, NotYours, Reason
from notifications import outbox
from reports import lists, metrics, moved, process_exceptions
from reports.models import MonthlyReport
from requests.models import ChangeRequest
from windows.calendar.verdict import Closure, closed_time, closure_occurrences
from windows.models import calendar_since

ISSUED_AFTER = timedelta(days=2)  # the 3rd at 00:00 UTC, after the last review deadline
NOTHING = timedelta(0)
TOLD = ("lessons", "improvements", "issues")  # the figures' lists that say what people wrote


def _ended(start: datetime, end: datetime) -> tuple[list[int], list[metrics.Ended]]:
    """The month's changes, by key and by what the figures ask of them."""
    caused = Issue.objects.filter(change=OuterRef("pk"), link=Issue.Link.CAUSED_BY)
    rows = (
        lists.ended_between(start, end).annotate(caused=Exists(caused)).order_by("ended_at", "id")
    )
    names = ("number", "priority", "outcome", "submitted_at", "started_at", "ended_at", "caused")
    found = list(rows.values_list("pk", *names))
    frozen = _frozen_times(
        {
            pk: (priority, asked, began)
            for pk, _, priority, _, asked, began, *_ in found
            if asked and began
        }
    )
    return [pk for pk, *_ in found], [
        metrics.Ended(
            number, priority, outcome, asked, began, ended, caused, frozen.get(pk, NOTHING)
        )
        for pk, number, priority, outcome, asked, began, ended, caused in found
    ]


def _frozen_times(waits: dict[int, tuple[str, datetime, datetime]]) -> dict[int, timedelta]:
    """How much of each change's wait, from submission to start, lay in a freeze or blackout for it
    (A9).
    """
    if not waits:
        return {}
    first, last = (
        min(asked for _, asked, _ in waits.values()),
        max(began for *_, began in waits.values()),
    )
    closures = closure_occurrences(calendar_since(first), first, last)
    scopes: dict[int, set[str]] = defaultdict(set)
    if any(isinstance(closure.rule, Closure) and closure.rule.scope for closure in closures):
        touched = ChangeRequest.components.through.objects.filter(changerequest__in=list(waits))
        for pk, slug in touched.values_list("changerequest_id", "component__slug"):
            scopes[pk].add(slug)
    return {
        pk: closed_time(priority, frozenset(scopes[pk]), asked, began, closures)
        for pk, (priority, asked, began) in waits.items()
    }


def _resolved(start: datetime, end: datetime) -> list[metrics.Resolved]:
    rows = (
        lists.resolved_between(start, end)
        .order_by("resolved_at", "id")
        .values_list("detected_at", "resolved_at", "change__priority")
    )
    return [
        metrics.Resolved(detected, resolved, priority)
        for detected, resolved, priority in rows
        if resolved
    ]


def _still_open(start: datetime, end: datetime) -> dict[str, Any]:
    """How many issues are open at the month's end, or now, and for how many days the oldest is."""
    found = lists.open_at(start, end).aggregate(count=Count("id"), oldest=Min("detected_at"))
    asked, oldest = min(end, timezone.now()), found["oldest"]
    days = metrics.average([asked - oldest], metrics.DAY) if oldest else None
    return {"count": found["count"], "oldest_days": days}


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "change": issue.change.number,
        "n": issue.n,
        "severity": issue.severity,
        "summary": issue.summary,
        "resolved": issue.resolved_at is not None,
    }


def compute(month: date) -> dict[str, Any]:
    """The month's figures and lists, from the facts as they are now: a fixed number of queries,
    whatever the month holds.
    """
    start, end = metrics.month_span(month)
    keys, changes = _ended(start, end)
    issues = (
        lists.detected_between(start, end)
        .filter(change__confidential=False)
        .select_related("change")
        .order_by("detected_at", "id")
    )
    reviews = Review.objects.filter(
        change__in=keys, change__confidential=False, superseded=False, written_at__isnull=False
    )
    told = list(reviews.order_by("written_at", "id").values_list("lessons", "improvements"))
    beside = Event.objects.filter(
        action__in=["change.reject", "change.cancel"], at__gte=start, at__lt=end
    ).aggregate(
        rejected=Count("id", filter=Q(action="change.reject")),
        cancelled=Count("id", filter=Q(action="change.cancel")),
    )
    return {
        "title": f"Monthly Change Report - {start:%B %Y}",
        "month": f"{start:%Y-%m}",
        **metrics.figures(changes, _resolved(start, end)),
        "open_issues": _still_open(start, end),
        "issues": [_issue(issue) for issue in issues],
        "improvements": _once(improvement for _, improvement in told),
        "lessons": _once(lesson for lesson, _ in told),
        "exceptions": process_exceptions.count(keys, start, end),
        "rejected": beside["rejected"],
        "cancelled": beside["cancelled"],
        "changes": sorted(change.number for change in changes),
    }


def _once(texts: Iterable[str]) -> list[str]:
    """What reviews say, each saying once: white space and case tell none apart (X37)."""
    said: dict[str, str] = {}
    for text in filter(None, texts):
        said.setdefault(" ".join(text.split()).casefold().rstrip("."), text)
    return list(said.values())


def fingerprint(figures: dict[str, Any]) -> str:
    """SHA-256 of the figures in canonical form: same facts, same report."""
    return hashlib.sha256(
        json.dumps(figures, sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()


def stored(month: date) -> MonthlyReport | None:
    """The month's newest stored version, or None."""
    return MonthlyReport.objects.filter(month=month).order_by("-version").first()


def report_for(month: date, version: int | None = None) -> dict[str, Any]:
    """That version of a month's report, or the newest; none stored: the month as it stands now
    (preliminary, version 0).

    Raises Missing for a version that never was.
    """
    kept = (
        stored(month)
        if version is None
        else MonthlyReport.objects.filter(month=month, version=version).first()
    )
    if kept:
        figures = dict(kept.figures)
        figures["exceptions"] = {
            name: figures["exceptions"].get(name, 0) for name in process_exceptions.EXCEPTIONS
        }
        return figures | {
            "status": kept.status,
            "version": kept.version,
            "issued_at": kept.issued_at,
            "moved": kept.moved,
        }
    if version is not None and (version != 0 or stored(month)):
        raise Missing(
            [Reason("missing", f"There is no version {version} of the report of {month:%B %Y}.")]
        )
    return compute(month) | {
        "status": MonthlyReport.Status.PRELIMINARY,
        "version": 0,
        "issued_at": None,
        "moved": [],
    }


@transaction.atomic
def make(month: date, *, issue: bool = False, actor: User | None = None) -> MonthlyReport | None:
    """Store a version if there is something new to store: figures that changed, or the issue
    itself. None if there is nothing.
    """
    with connection.cursor() as cursor:  # two workers at once make one report
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"report {month}"])
    now, seen = timezone.now(), last_event()
    figures = compute(month)
    mark = fingerprint(figures)
    last = stored(month)
    issued = issue or (last is not None and last.status == MonthlyReport.Status.ISSUED)
    status = MonthlyReport.Status.ISSUED if issued else MonthlyReport.Status.PRELIMINARY
    differs = moved.lines(last.figures, figures) if last else []
    if last and last.status == status and (last.fingerprint == mark or not differs):
        return None
    report = MonthlyReport.objects.create(
        month=month,
        version=(last.version if last else 0) + 1,
        status=status,
        figures=figures,
        fingerprint=mark,
        made_at=now,
        issued_at=now if issued else None,
        moved=_moved(figures, last, differs) if last else [],
        made_event=seen,
        seen_event=seen,
    )
    said = {"month": f"{month:%Y-%m}", "version": report.version, "fingerprint": mark}
    trail.record("report.issue" if issued else "report.make", actor=actor, data=said)
    if issued and month >= metrics.previous_month(now.date()):
        _tell_issued(report)  # what is caught up with later is there to read, not mailed in a burst
    return report


def _moved(figures: dict[str, Any], last: MonthlyReport, differs: list[Any]) -> list[Any]:
    """What differs from the version before, with the events that moved it."""
    numbers = {*figures["changes"], *last.figures["changes"]}
    return moved.with_events(differs, numbers, last.made_event or _last_before(last))


def _tell_issued(report: MonthlyReport) -> None:
    figures, month = report.figures, f"{report.month:%Y-%m}"
    readers = User.objects.filter(groups__name__in=[Role.MANAGER, Role.CHANGE_MANAGER])
    successful, rolled_back = figures["successful"]["count"], figures["rolled_back"]["count"]
    outbox.tell(
        readers.filter(is_active=True).distinct(),
        kind="report_issued",
        occasion=f"{month}:{report.version}",
        subject=f"{figures['title']}, version {report.version}",
        body=(
            f"{figures['total']} changes, {successful} successful, {rolled_back} rolled back, "
            f"{figures['emergency']} emergencies."
        ),
        path=f"/reports/{month}/",
    )


def _last_before(report: MonthlyReport) -> int:
    """The trail's last event when a version was made that did not note it."""
    return (
        Event.objects.filter(at__lte=report.made_at)
        .order_by("-pk")
        .values_list("pk", flat=True)
        .first()
        or 0
    )


def last_event() -> int:
    """The key of the trail's newest event, 0 of an empty one."""
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
    first = (
        ChangeRequest.objects.order_by("created_at").values_list("created_at", flat=True).first()
    )
    at = (first or timezone.now()).astimezone(UTC)
    return date(at.year, at.month, 1)


def today() -> date:
    """The day in UTC, which reports go by."""
    return timezone.now().date()


def forget(text: str) -> int:
    """Take a redacted text out of the lists of every stored report (A41); figures, versions and
    fingerprints stay. How many held it.
    """
    found = 0
    for report in MonthlyReport.objects.select_for_update().order_by("pk"):
        told = {name: words.without(report.figures.get(name, []), text) for name in TOLD}
        moved = [
            line
            | words.without({side: line[side] for side in ("from", "to") if side in line}, text)
            for line in report.moved
        ]
        if moved != report.moved or any(
            report.figures.get(name, []) != told[name] for name in TOLD
        ):
            report.figures |= told
            report.moved = moved
            report.save(update_fields=["figures", "moved"])
            found += 1
    return found
