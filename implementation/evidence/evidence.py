"""Evidence of a run: checklist, log, checks, issues (R54, R62-R71, R100-R103, R145)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Min
from django.utils import timezone

from accounts.models import User
from audit import trail
from implementation.evidence import checklist as template
from implementation.matrix import MATRIX
from implementation.models import Check, ChecklistItem, Issue, LogEntry
from implementation.run import guards
from language import reading
from language.refusal import Blocked, Invalid, Missing, NotYours, Reason, refuse_if
from language.say import say_instant
from notifications import outbox
from requests.access import change_to_write
from requests.models import ChangeRequest
from requests.states import RECORDABLE, State

#: how much earlier than the first sign of work an issue that the change caused may have been
#: detected (A42)
CAUSE_MARGIN = timedelta(minutes=15)

# --- checklist ------------------------------------------------------------------------------------


def make_checklist(change: ChangeRequest, actor: User | None = None) -> None:
    """The checklist of an approved change, made anew for the content as approved (R54). Runs within
    `approve`.
    """
    change.checklist.all().delete()
    items = template.items_for(
        number=change.number,
        implementation_steps=change.implementation_steps,
        rollback_plan=change.rollback_plan,
    )
    ChecklistItem.objects.bulk_create(
        ChecklistItem(
            change=change,
            position=position,
            phase=item.phase,
            text=item.text,
            command=item.command,
            level=item.level,
            group=item.group,
            requirement=item.requirement,
        )
        for position, item in enumerate(items, start=1)
    )


def _check_run_access(change: ChangeRequest, actor: User) -> None:
    if not guards.is_implementer(change, actor) and not actor.is_devops:
        raise NotYours(
            [Reason("not_yours", "Evidence is recorded by the implementer or a DevOps role.")]
        )


def _check_recordable(change: ChangeRequest) -> None:
    if change.state not in RECORDABLE:
        raise Blocked(
            [
                Reason(
                    "state",
                    f"{change.number} is {State(change.state).label.lower()}; evidence is recorded"
                    " from approval to closing.",
                )
            ]
        )


@transaction.atomic
def add_item(
    *, actor: User, number: str, phase: str, text: str, command: str = ""
) -> ChecklistItem:
    """Put an item of one's own on the checklist, at the end of its phase."""
    change = change_to_write(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if phase not in ChecklistItem.Phase.values:
        raise Invalid(
            fields={"phase": f"Phase: choose one of {', '.join(ChecklistItem.Phase.values)}."}
        )
    position = (change.checklist.aggregate(last=Max("position"))["last"] or 0) + 1
    item = ChecklistItem.objects.create(
        change=change,
        position=position,
        phase=phase,
        text=reading.written("text", text, "Text"),
        command=reading.written("command", command, "Command", needed=False),
        added=True,
    )
    trail.record(
        "implementation.checklist_add",
        actor=actor,
        change=change,
        data={"item": item.pk, "phase": phase, "text": item.text},
    )
    return item


@transaction.atomic
def settle_item(
    *,
    actor: User,
    number: str,
    item_id: int,
    state: str,
    note: str | None = None,
    output: str | None = None,
) -> ChecklistItem:
    """Mark an item open, done, skipped (say why) or failed, with what came out; what is not given
    stays as it was noted.
    """
    change = change_to_write(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    item = change.checklist.filter(pk=item_id).first() if 0 < item_id < 2**63 else None
    if item is None:
        raise Missing([Reason("missing", f"{change.number} has no such checklist item.")])
    if state not in ChecklistItem.State.values:
        states = ", ".join(ChecklistItem.State.values)
        raise Invalid(fields={"state": f"State: choose one of {states}."})
    note, output = item.note if note is None else note, item.output if output is None else output
    skipped, opened = state == ChecklistItem.State.SKIPPED, state == ChecklistItem.State.OPEN
    item.note = reading.written("note", note, "Note", needed=skipped)
    item.output = reading.written("output", output, "Output", needed=False)
    item.state = state
    item.settled_by, item.settled_at = (None, None) if opened else (actor, timezone.now())
    item.save()
    said = {"item": item.pk, "phase": item.phase, "text": item.text, "state": state}
    said |= {"note": item.note, "output": item.output}
    trail.record("implementation.checklist", actor=actor, change=change, data=said)
    return item


@transaction.atomic
def log(*, actor: User, number: str, kind: str, message: str) -> LogEntry:
    """A note or a deviation from the steps (R64)."""
    change = change_to_write(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if kind not in LogEntry.Kind.values:
        raise Invalid(fields={"kind": f"Kind: choose one of {', '.join(LogEntry.Kind.values)}."})
    entry = LogEntry.objects.create(
        change=change,
        kind=kind,
        message=reading.written("message", message, "Message"),
        by=actor,
        at=timezone.now(),
    )
    trail.record(
        "implementation.log",
        actor=actor,
        change=change,
        data={"kind": kind, "message": entry.message},
    )
    return entry


def _observed(value: Any, field: str, what: str) -> datetime:
    """An instant that was, not one to come; now if none is given."""
    now = timezone.now()
    if value in (None, ""):
        return now.replace(microsecond=0)
    try:
        at = reading.instant(value)
    except reading.Wrong as problem:
        raise Invalid(fields={field: f"{what}: {problem}"}) from None
    if at > now + timedelta(minutes=5):
        raise Invalid(
            fields={
                field: (
                    f"{what}: {say_instant(at)} is still to come; give an instant that has passed."
                )
            }
        )
    return min(at, now.replace(microsecond=0))


@transaction.atomic
def record_check(
    *,
    actor: User,
    number: str,
    name: str,
    kind: str,
    passed: bool,
    value: float | None = None,
    unit: str = "",
    output: str = "",
    observed_at: Any = None,
) -> Check:
    """Record a check's result: evidence, never a requirement; but a failed latest result blocks
    `complete`.
    """
    change = change_to_write(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if kind not in Check.Kind.values:
        raise Invalid(fields={"kind": f"Kind: choose one of {', '.join(Check.Kind.values)}."})
    check = Check.objects.create(
        change=change,
        name=reading.written("name", name, "Name", limit=120),
        kind=kind,
        passed=passed,
        value=value,
        unit=reading.written("unit", unit, "Unit", needed=False, limit=20),
        output=reading.written("output", output, "Output", needed=False),
        observed_at=_observed(observed_at, "observed_at", "Observed at"),
        by=actor,
    )
    told = {name: getattr(check, name) for name in ("name", "kind", "passed", "value", "unit")}
    data = {"check": check.pk, **told, "output": check.output}
    trail.record("implementation.check", actor=actor, change=change, data=data)
    return check


@transaction.atomic
def accept_check(*, actor: User, number: str, check_id: int, reason: str) -> Check:
    """A second person, DevOps lead or on-call, accepts a failed check with a reason."""
    change = change_to_write(actor, number)
    check = change.checks.filter(pk=check_id).first() if 0 < check_id < 2**63 else None
    if check is None:
        raise Missing([Reason("missing", f"{change.number} has no such check.")])
    refuse_if(guards.accept_refusal(change, actor), NotYours)
    if check.passed:
        raise Blocked([Reason("state", "That check passed; there is nothing to accept.")])
    check.accepted_by, check.accepted_reason = actor, reading.written("reason", reason, "Reason")
    check.save()
    trail.record(
        "implementation.check_accept",
        actor=actor,
        change=change,
        data={"check": check.pk, "reason": check.accepted_reason},
    )
    return check


@transaction.atomic
def open_issue(
    *,
    actor: User,
    number: str,
    severity: str,
    summary: str,
    detected_at: Any = None,
    resolved_at: Any = None,
    link: str = "",
) -> Issue:
    """Something is wrong: severity says what to do and how long there is (R100-R103)."""
    change = change_to_write(actor, number)
    if change.started_at is None:
        raise Blocked(
            [
                Reason(
                    "state",
                    f"{change.number} has not started; an issue belongs to an implementation.",
                )
            ]
        )
    values = _issue_values(severity=severity, summary=summary, link=link or Issue.Link.CAUSED_BY)
    detected = _observed(detected_at, "detected_at", "Detected")
    _check_cause(change, values["link"], detected)
    n = (change.issues.aggregate(last=Max("n"))["last"] or 0) + 1
    issue = Issue(change=change, n=n, detected_at=detected, by=actor, **values)
    issue.resolved_at = _resolved(resolved_at, detected)
    issue.save()
    trail.record("implementation.issue", actor=actor, change=change, data=_issue_data(issue))
    people = [p for p in (change.implementer, change.requester) if p and p != actor]
    outbox.tell(
        people,
        kind="issue",
        occasion=f"{issue.pk}",
        change=change,
        subject=f"{change.number}: {issue.row.label} issue: {issue.summary}"[:250],
        body=f"{issue.row.action}. “{change.summary}”.",
    )
    return issue


@transaction.atomic
def edit_issue(*, actor: User, number: str, n: int, values: Mapping[str, Any]) -> Issue:
    """Correct or resolve an issue. Raises Missing, NotYours, and Invalid by field."""
    change = change_to_write(actor, number)
    issue = change.issues.filter(n=n).first() if 0 < n < 2**31 else None
    if issue is None:
        raise Missing([Reason("missing", f"{change.number} has no issue {n}.")])
    _check_run_access(change, actor)
    was = _issue_data(issue)
    merged = {
        name: values.get(name) or getattr(issue, name) for name in ("severity", "summary", "link")
    }
    for name, value in _issue_values(**merged).items():
        setattr(issue, name, value)
    if values.get("detected_at"):
        issue.detected_at = _observed(values["detected_at"], "detected_at", "Detected")
    _check_cause(change, issue.link, issue.detected_at)
    resolved = values.get("resolved_at", issue.resolved_at)
    issue.resolved_at = _resolved(resolved, issue.detected_at)
    issue.save()
    trail.record(
        "implementation.issue_edit",
        actor=actor,
        change=change,
        data=_issue_data(issue) | {"was": was},
    )
    return issue


def _issue_values(*, severity: str, summary: str, link: str) -> dict[str, str]:
    wrong = {}
    if severity not in MATRIX:
        wrong["severity"] = "Severity: choose one of P0, P1, P2, P3."
    if link not in Issue.Link.values:
        wrong["link"] = "Link: choose caused_by or fixed_by."
    if wrong:
        raise Invalid(fields=wrong)
    return {
        "severity": severity,
        "summary": reading.written("summary", summary, "Summary", limit=300),
        "link": link,
    }


def _check_cause(change: ChangeRequest, link: str, detected: datetime) -> None:
    """A cause comes before its issue (A42): its earliest sign of work is the start, the first
    ticked `pre` item or the slot's start.
    """
    if link != Issue.Link.CAUSED_BY:
        return
    ticked = change.checklist.filter(
        phase=ChecklistItem.Phase.PRE, state=ChecklistItem.State.DONE
    ).aggregate(first=Min("settled_at"))
    began = min(filter(None, (change.started_at, ticked["first"], change.slot_start)))
    if detected < began - CAUSE_MARGIN:
        text = (
            f"Detected: {say_instant(detected)} is before anything was done for {change.number},"
            f" {say_instant(began)}."
        )
        raise Invalid(
            fields={
                "detected_at": (
                    f"{text} Give a later instant, or say that the change fixes it (fixed_by)."
                )
            }
        )


def _resolved(value: Any, detected: datetime) -> datetime | None:
    if value in (None, ""):
        return None
    resolved = _observed(value, "resolved_at", "Resolved")
    if resolved < detected:
        raise Invalid(
            fields={
                "resolved_at": (
                    f"Resolved: this is before it was detected, {say_instant(detected)}; give a"
                    " later instant."
                )
            }
        )
    return resolved


def _issue_data(issue: Issue) -> dict[str, Any]:
    return {
        "n": issue.n,
        "severity": issue.severity,
        "summary": issue.summary,
        "link": issue.link,
        "detected_at": issue.detected_at.isoformat(),
        "resolved_at": issue.resolved_at.isoformat() if issue.resolved_at else None,
    }
