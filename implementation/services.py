"""The verbs of a run: start, evidence, finish, complete, roll back, fail, review, close (R54-R71, R145-R151)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals import services as approvals
from audit import services as audit
from audit.models import Event
from audit.refusal import Blocked, Invalid, Missing, NotYours, Reason
from implementation import checklist as template
from implementation import guards
from implementation.matrix import MATRIX
from implementation.models import REVIEW_WITHIN, Check, ChecklistItem, Documentation, Issue, LogEntry, Review
from notifications import services as notifications
from requests import access, cleaning, content, lifecycle
from requests.models import ChangeRequest, Component
from requests.say import say_instant, say_until
from requests.states import RUNNING, State
from windows.calendar import decide
from windows.models import current_calendar
from windows.services import extend_booking, scope_of

MAX_EXTENSION = 60  # minutes in all (A25)
START_LOCK = 7_301_141
TRIGGERS = ("health", "error_rate", "latency", "critical", "manual")


def _locked(actor: User, number: str) -> ChangeRequest:
    change = access.change_for(actor, number, lock=True)
    access.check_may_write(actor)
    return change


def _guard(reasons: list[Reason]) -> None:
    """403 when it is not this person's to do, else 409 when it cannot be done now."""
    if reasons:
        raise (NotYours if reasons[0].code in {"not_yours", "only_approver"} else Blocked)(reasons)


def _text(field: str, value: str, what: str, *, needed: bool = True) -> str:
    try:
        text = cleaning.prose(value)
    except cleaning.Wrong as problem:
        raise Invalid(fields={field: f"{what}: {problem}"}) from None
    if needed and not text:
        raise Invalid(fields={field: f"{what}: this is needed; a sentence is enough."})
    return text


# --- checklist -------------------------------------------------------------------------------------------------------------------


def make_checklist(change: ChangeRequest, actor: User | None = None) -> None:
    """The checklist of an approved change, made anew for the content as approved (R54). Runs within `approve`."""
    change.checklist.all().delete()
    items = template.items_for(number=change.number, implementation_steps=change.implementation_steps, rollback_plan=change.rollback_plan)
    ChecklistItem.objects.bulk_create(
        ChecklistItem(
            change=change, position=position, phase=item.phase, text=item.text, command=item.command, requirement=item.requirement
        )
        for position, item in enumerate(items, start=1)
    )


def _check_run_access(change: ChangeRequest, actor: User) -> None:
    if not guards.is_implementer(change, actor) and not actor.is_devops:
        raise NotYours([Reason("not_yours", "Evidence is recorded by the implementer or a DevOps role.")])


def _check_recordable(change: ChangeRequest) -> None:
    if change.state not in {State.APPROVED, State.SCHEDULED, *RUNNING, State.COMPLETED, State.ROLLED_BACK, State.FAILED}:
        raise Blocked(
            [Reason("state", f"{change.number} is {State(change.state).label.lower()}; evidence is recorded from approval to closing.")]
        )


@transaction.atomic
def add_item(*, actor: User, number: str, phase: str, text: str, command: str = "") -> ChecklistItem:
    """Put an item of one's own on the checklist, at the end of its phase."""
    change = _locked(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if phase not in ChecklistItem.Phase.values:
        raise Invalid(fields={"phase": f"Phase: choose one of {', '.join(ChecklistItem.Phase.values)}."})
    position = (change.checklist.aggregate(last=Max("position"))["last"] or 0) + 1
    item = ChecklistItem.objects.create(
        change=change,
        position=position,
        phase=phase,
        text=_text("text", text, "Text"),
        command=_text("command", command, "Command", needed=False),
        added=True,
    )
    audit.record("implementation.checklist_add", actor=actor, change=change, data={"item": item.pk, "phase": phase})
    return item


@transaction.atomic
def settle_item(*, actor: User, number: str, item_id: int, state: str, note: str = "", output: str = "") -> ChecklistItem:
    """Mark an item open, done, skipped (say why) or failed, with what came out."""
    change = _locked(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    item = change.checklist.filter(pk=item_id).first() if 0 < item_id < 2**63 else None
    if item is None:
        raise Missing([Reason("missing", f"{change.number} has no such checklist item.")])
    if state not in ChecklistItem.State.values:
        raise Invalid(fields={"state": f"State: choose one of {', '.join(ChecklistItem.State.values)}."})
    item.note = _text("note", note, "Note", needed=state == ChecklistItem.State.SKIPPED)
    item.output = _text("output", output, "Output", needed=False)
    item.state = state
    item.settled_by, item.settled_at = (actor, timezone.now()) if state != ChecklistItem.State.OPEN else (None, None)
    item.save()
    audit.record(
        "implementation.checklist",
        actor=actor,
        change=change,
        data={
            "item": item.pk,
            "phase": item.phase,
            "text": item.text[:200],
            "state": state,
            "note": item.note,
            "output": item.output[:2000],
        },
    )
    return item


# --- implementer -------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def take_over(*, actor: User, number: str) -> ChangeRequest:
    """Become the implementer, also during a run (A28)."""
    change = _locked(actor, number)
    _guard(guards.take_over_refusal(change, actor))
    before = change.implementer
    _set_implementer(change, actor)
    change.save()
    audit.record("change.take_over", actor=actor, change=change, data={"from": before.pk if before else None})
    if before:
        notifications.tell(
            [before],
            kind="taken_over",
            occasion=f"{timezone.now().isoformat()}",
            change=change,
            subject=f"{change.number}: {actor} has taken over from you",
            body=f"“{change.summary}”.",
        )
    return change


def _set_implementer(change: ChangeRequest, person: User) -> None:
    change.implementer = person
    change.version += 1
    change.updated_at = timezone.now()


# --- start to complete ---------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(*, actor: User, number: str) -> ChangeRequest:
    """Begin: everything is judged again, at this instant, under lock (promises 1 and 2)."""
    change = _locked(actor, number)
    now = timezone.now()
    _take_turns(change)
    _guard(guards.start_refusal(change, actor, now))
    beside = [other.pk for other, _ in guards.running_beside(change)] if change.is_emergency else []
    undone = [item.text for item in guards.checklist_open(change, ChecklistItem.Phase.PRE)] if change.is_emergency else []
    if change.implementer_id is None:
        _set_implementer(change, actor)
    facts = {"running_beside": beside} if beside else {}
    lifecycle.perform(change, "start", actor=actor, **facts, **({"undone": undone} if undone else {}))
    notifications.withdraw(change_id=change.pk, kinds=["booked"])
    return change


def _take_turns(change: ChangeRequest) -> None:
    """Starts that touch the same components, or what those need, come one after the other (domain.md: nothing else running)."""
    own = list(change.components.values_list("pk", flat=True))
    needed = Component.objects.filter(dependents__in=own).values_list("pk", flat=True)
    with connection.cursor() as cursor:
        for key in sorted({*own, *needed}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [START_LOCK, key])


@transaction.atomic
def finish(*, actor: User, number: str) -> ChangeRequest:
    """The steps are through; verification and the 30-minute watch begin (R65-R71)."""
    change = _locked(actor, number)
    _guard(guards.finish_refusal(change, actor))
    _note_overrun(change)
    skipped = change.checklist.filter(state=ChecklistItem.State.SKIPPED, phase__in=["start", "during"]).count()
    lifecycle.perform(change, "finish", actor=actor, skipped=skipped)
    return change


@transaction.atomic
def complete(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """It works: the change is completed. `reason` shortens the monitoring period, and is reported."""
    change = _locked(actor, number)
    reason = _text("reason", reason, "Reason", needed=False)
    _guard(guards.complete_refusal(change, actor, reason=reason))
    left = guards.monitoring_left(change, timezone.now())
    shortened = {"monitoring_shortened_minutes": int(left.total_seconds() // 60), "reason": reason} if left else {}
    skipped = change.checklist.filter(state=ChecklistItem.State.SKIPPED).count()
    lifecycle.perform(change, "complete", actor=actor, outcome=State.COMPLETED, skipped=skipped, **shortened)
    _ended(change)
    return change


@transaction.atomic
def roll_back(*, actor: User, number: str, reason: str, trigger: str = "manual") -> ChangeRequest:
    """Begin going back; never refused by calendar, checklist or training (A30)."""
    change = _locked(actor, number)
    _guard(guards.roll_back_refusal(change, actor))
    reason = _text("reason", reason, "Reason")
    trigger = trigger or "manual"
    if trigger not in TRIGGERS:
        raise Invalid(fields={"trigger": f"Trigger: choose one of {', '.join(TRIGGERS)}."})
    late = change.state in (State.COMPLETED, State.CLOSED)
    _note_overrun(change)
    lifecycle.perform(change, "roll_back", actor=actor, reason=reason, trigger=trigger, after_completion=late)
    people = [change.requester, *User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)]
    notifications.tell(
        [p for p in people if p != actor],
        kind="rolling_back",
        occasion=f"{change.rollback_started_at}",
        change=change,
        subject=f"{change.number} is being rolled back",
        body=f"{reason}\n\n“{change.summary}”.",
    )
    return change


@transaction.atomic
def finish_rollback(*, actor: User, number: str, reason: str = "") -> ChangeRequest:
    """Back where it was, verified; the issues that the rollback answers are resolved (A9)."""
    change = _locked(actor, number)
    _guard(guards.finish_rollback_refusal(change, actor))
    now = timezone.now()
    open_issues = list(change.issues.filter(resolved_at__isnull=True))
    for issue in open_issues:
        issue.resolved_at = max(now, issue.detected_at)
        issue.save(update_fields=["resolved_at"])
    lifecycle.perform(
        change,
        "finish_rollback",
        actor=actor,
        outcome=State.ROLLED_BACK,
        resolved=[issue.n for issue in open_issues],
        reason=_text("reason", reason, "Reason", needed=False),
    )
    _ended(change)
    return change


@transaction.atomic
def fail(*, actor: User, number: str, reason: str) -> ChangeRequest:
    """Neither completed nor rolled back (A4)."""
    change = _locked(actor, number)
    _guard(guards.fail_refusal(change, actor))
    _note_overrun(change)
    lifecycle.perform(change, "fail", actor=actor, outcome=State.FAILED, reason=_text("reason", reason, "Reason"))
    _ended(change)
    return change


def _ended(change: ChangeRequest) -> None:
    """What every end of implementation brings: a review owed within 24 hours, and for a P0 its deferred reviews (A13)."""
    change.reviews.filter(superseded=False).update(superseded=True)
    review = Review.objects.create(change=change, due_at=timezone.now() + REVIEW_WITHIN)
    people = [person for person in (change.implementer, change.requester) if person]
    notifications.tell(
        people,
        kind="review_due",
        occasion=f"{review.pk}",
        change=change,
        subject=f"{change.number}: review due {say_instant(review.due_at)}",
        body=f"“{change.summary}” was {State(change.outcome).label.lower()}. "
        f"Write what happened and what was learned by {say_instant(review.due_at)}.",
    )
    if change.is_emergency:
        approvals.add_deferred_reviews(change)


@transaction.atomic
def extend(*, actor: User, number: str, minutes: int, reason: str) -> ChangeRequest:
    """Move the end of a running slot: at most 60 minutes in all, never into a freeze (A25)."""
    change = _locked(actor, number)
    _guard(guards.extend_refusal(change, actor))
    reason = _text("reason", reason, "Reason")
    used = sum(event.data["minutes"] for event in _extensions(change))
    if not 1 <= minutes <= MAX_EXTENSION - used:
        raise Invalid(fields={"minutes": f"Minutes: a slot is extended by at most 60 minutes in all; {MAX_EXTENSION - used} are left."})
    assert change.slot_end is not None
    end = change.slot_end + timedelta(minutes=minutes)
    verdict = decide(change.priority, change.slot_end, end, current_calendar(), scope_of(change))
    closed = [r for r in verdict.reasons if r.code in ("freeze", "blackout")]
    _guard(closed)
    change.slot_end, change.overrun_at = end, None
    change.updated_at = timezone.now()
    change.save()
    extend_booking(change)
    audit.record("change.extend", actor=actor, change=change, data={"minutes": minutes, "reason": reason, "end": end.isoformat()})
    return change


def _extensions(change: ChangeRequest) -> list[Event]:
    return list(Event.objects.filter(change_id=change.pk, action="change.extend"))


# --- evidence ------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def log(*, actor: User, number: str, kind: str, message: str) -> LogEntry:
    """A note or a deviation from the steps (R64)."""
    change = _locked(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if kind not in LogEntry.Kind.values:
        raise Invalid(fields={"kind": f"Kind: choose one of {', '.join(LogEntry.Kind.values)}."})
    entry = LogEntry.objects.create(change=change, kind=kind, message=_text("message", message, "Message"), by=actor, at=timezone.now())
    audit.record("implementation.log", actor=actor, change=change, data={"kind": kind, "message": entry.message[:4000]})
    return entry


def _observed(value: Any, field: str, what: str) -> datetime:
    """An instant that was, not one to come; now if none is given."""
    now = timezone.now()
    if value in (None, ""):
        return now.replace(microsecond=0)
    try:
        at = cleaning.instant(value)
    except cleaning.Wrong as problem:
        raise Invalid(fields={field: f"{what}: {problem}"}) from None
    if at > now + timedelta(minutes=5):
        raise Invalid(fields={field: f"{what}: {say_instant(at)} is still to come; give an instant that has passed."})
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
    """Record a check's result: evidence, never a requirement; but a failed latest result blocks `complete`."""
    change = _locked(actor, number)
    _check_run_access(change, actor)
    _check_recordable(change)
    if kind not in Check.Kind.values:
        raise Invalid(fields={"kind": f"Kind: choose one of {', '.join(Check.Kind.values)}."})
    check = Check.objects.create(
        change=change,
        name=_text("name", name, "Name")[:120],
        kind=kind,
        passed=passed,
        value=value,
        unit=_text("unit", unit, "Unit", needed=False)[:20],
        output=_text("output", output, "Output", needed=False),
        observed_at=_observed(observed_at, "observed_at", "Observed at"),
        by=actor,
    )
    audit.record(
        "implementation.check",
        actor=actor,
        change=change,
        data={"check": check.pk, "name": check.name, "kind": kind, "passed": passed, "value": value, "unit": check.unit},
    )
    return check


@transaction.atomic
def accept_check(*, actor: User, number: str, check_id: int, reason: str) -> Check:
    """A second person, DevOps lead or on-call, accepts a failed check with a reason."""
    change = _locked(actor, number)
    check = change.checks.filter(pk=check_id).first() if 0 < check_id < 2**63 else None
    if check is None:
        raise Missing([Reason("missing", f"{change.number} has no such check.")])
    if not actor.has_role(Role.DEVOPS_LEAD, Role.ON_CALL_ENGINEER) or actor.pk == change.implementer_id:
        raise NotYours(
            [Reason("not_yours", "A failed check is accepted by a DevOps lead or the on-call engineer who does not implement the change.")]
        )
    if check.passed:
        raise Blocked([Reason("state", "That check passed; there is nothing to accept.")])
    check.accepted_by, check.accepted_reason = actor, _text("reason", reason, "Reason")
    check.save()
    audit.record("implementation.check_accept", actor=actor, change=change, data={"check": check.pk, "reason": check.accepted_reason})
    return check


@transaction.atomic
def open_issue(
    *, actor: User, number: str, severity: str, summary: str, detected_at: Any = None, resolved_at: Any = None, link: str = ""
) -> Issue:
    """Something is wrong: severity says what to do and how long there is (R100-R103)."""
    change = _locked(actor, number)
    if change.started_at is None:
        raise Blocked([Reason("state", f"{change.number} has not started; an issue belongs to an implementation.")])
    values = _issue_values(severity=severity, summary=summary, link=link or Issue.Link.CAUSED_BY)
    detected = _observed(detected_at, "detected_at", "Detected")
    n = (change.issues.aggregate(last=Max("n"))["last"] or 0) + 1
    issue = Issue(change=change, n=n, detected_at=detected, by=actor, **values)
    issue.resolved_at = _resolved(resolved_at, detected)
    issue.save()
    audit.record("implementation.issue", actor=actor, change=change, data=_issue_data(issue))
    people = [p for p in (change.implementer, change.requester) if p and p != actor]
    notifications.tell(
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
    change = _locked(actor, number)
    issue = change.issues.filter(n=n).first() if 0 < n < 2**31 else None
    if issue is None:
        raise Missing([Reason("missing", f"{change.number} has no issue {n}.")])
    _check_run_access(change, actor)
    merged = {name: values.get(name) or getattr(issue, name) for name in ("severity", "summary", "link")}
    for name, value in _issue_values(**merged).items():
        setattr(issue, name, value)
    if values.get("detected_at"):
        issue.detected_at = _observed(values["detected_at"], "detected_at", "Detected")
    resolved = values.get("resolved_at", issue.resolved_at)
    issue.resolved_at = _resolved(resolved, issue.detected_at)
    issue.save()
    audit.record("implementation.issue_edit", actor=actor, change=change, data=_issue_data(issue))
    return issue


def _issue_values(*, severity: str, summary: str, link: str) -> dict[str, str]:
    wrong = {}
    if severity not in MATRIX:
        wrong["severity"] = "Severity: choose one of P0, P1, P2, P3."
    if link not in Issue.Link.values:
        wrong["link"] = "Link: choose caused_by or fixed_by."
    if wrong:
        raise Invalid(fields=wrong)
    return {"severity": severity, "summary": _text("summary", summary, "Summary")[:300], "link": link}


def _resolved(value: Any, detected: datetime) -> datetime | None:
    if value in (None, ""):
        return None
    resolved = _observed(value, "resolved_at", "Resolved")
    if resolved < detected:
        raise Invalid(fields={"resolved_at": f"Resolved: this is before it was detected, {say_instant(detected)}; give a later instant."})
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


# --- review, documentation, close ------------------------------------------------------------------------------------------------------


@transaction.atomic
def write_review(
    *,
    actor: User,
    number: str,
    summary: str,
    deviations: str = "",
    lessons: str = "",
    improvements: str = "",
    runbook_updated: bool | None = None,
) -> Review:
    """The post-implementation review (R147). For a major change it says whether the runbook was updated (R161, A23)."""
    change = _locked(actor, number)
    _guard(guards.review_refusal(change, actor))
    review = guards.current_review(change)
    assert review is not None
    if change.is_major and runbook_updated is None:
        raise Invalid(fields={"runbook_updated": "Runbook updated: this is a major change; answer yes or no."})
    review.summary = _text("summary", summary, "Summary")
    for name, value in (("deviations", deviations), ("lessons", lessons), ("improvements", improvements)):
        setattr(review, name, _text(name, value, name.capitalize(), needed=False))
    review.runbook_updated, review.written_by, review.written_at = runbook_updated, actor, review.written_at or timezone.now()
    review.save()
    audit.record("implementation.review", actor=actor, change=change, data={"review": review.pk, "late": review.written_at > review.due_at})
    close_if_nothing_owed(change)
    return review


@transaction.atomic
def confirm_review(*, actor: User, number: str, p0_justified: bool | None = None) -> Review:
    """Somebody who did not implement it agrees with the review; for a P0 they say whether P0 was justified (A13)."""
    change = _locked(actor, number)
    _guard(guards.confirmation_refusal(change, actor))
    review = guards.current_review(change)
    assert review is not None
    if change.is_emergency and p0_justified is None:
        raise Invalid(fields={"p0_justified": "P0 justified: say whether it had to be an emergency, yes or no."})
    review.confirmed_by, review.confirmed_at, review.p0_justified = actor, timezone.now(), p0_justified
    review.save()
    audit.record("implementation.review_confirm", actor=actor, change=change, data={"review": review.pk, "p0_justified": p0_justified})
    close_if_nothing_owed(change)
    return review


@transaction.atomic
def document(*, actor: User, number: str, values: Mapping[str, Any]) -> Documentation:
    """Supply what a P0 left out before its authorisation (R5, A22), as a version of its own; the authorised content stays."""
    change = _locked(actor, number)
    _guard(guards.documentation_refusal(change, actor))
    if unknown := set(values) - set(content.DOCUMENTATION) - {"users_affected", "downtime_minutes"}:
        raise Invalid(fields={name: f"{cleaning.label(name)}: this was authorised and is not changed afterwards." for name in unknown})
    # A date that has passed is right here: the work is done.
    cleaned = cleaning.clean({name: value for name, value in values.items() if name != "requested_date"})
    if values.get("requested_date"):
        try:
            cleaned["requested_date"] = str(cleaning.calendar_day(values["requested_date"]))
        except cleaning.Wrong as problem:
            raise Invalid(fields={"requested_date": f"Requested date: {problem}"}) from None
    last = change.documentation.order_by("-version").first()
    kept = Documentation.objects.create(
        change=change,
        version=(last.version if last else 0) + 1,
        values={**(last.values if last else {}), **cleaned},
        by=actor,
        at=timezone.now(),
    )
    audit.record("implementation.document", actor=actor, change=change, data={"version": kept.version, "fields": sorted(cleaned)})
    close_if_nothing_owed(change)
    return kept


@transaction.atomic
def close(*, actor: User, number: str) -> ChangeRequest:
    change = _locked(actor, number)
    _guard(guards.close_refusal(change, actor))
    lifecycle.perform(change, "close", actor=actor)
    return change


def close_if_nothing_owed(change: ChangeRequest, actor: User | None = None) -> None:
    """A change closes in the transaction that brings the last thing owed."""
    if change.state in (State.COMPLETED, State.ROLLED_BACK, State.FAILED) and not guards.owed(change):
        lifecycle.perform(change, "close", actor=None)


# --- the clock's verbs -----------------------------------------------------------------------------------------------------------------


def _note_overrun(change: ChangeRequest) -> None:
    """The work itself ends past the slot, and no tick has seen it yet; the watch may run past, and a late rollback is no overrun."""
    running = change.state in (State.IMPLEMENTING, State.ROLLING_BACK) and change.completed_at is None
    if running and change.slot_end and timezone.now() > change.slot_end and change.overrun_at is None:
        mark_overrun(change)


def mark_overrun(change: ChangeRequest) -> None:
    """A running change has passed its slot's end: recorded and told once (A25)."""
    now = timezone.now()
    change.overrun_at = now
    change.updated_at = now
    change.save()
    end = change.slot_end or now
    audit.record("change.overrun", change=change, data={"slot_end": end.isoformat()})
    managers = User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    notifications.tell(
        [person for person in (change.implementer, change.requester, *managers) if person],
        kind="overrun",
        occasion=f"{end}",
        change=change,
        subject=f"{change.number} runs past its slot, which ended {say_until(end)}",
        body="It may finish. The change manager or the on-call engineer can extend the slot by up to 60 minutes.",
    )


def mark_overdue(review: Review) -> None:
    """A review that was not written in time: escalated once (A13)."""
    change = review.change
    review.overdue_at = timezone.now()
    review.save(update_fields=["overdue_at"])
    audit.record("implementation.review_overdue", change=change, data={"review": review.pk, "due_at": review.due_at.isoformat()})
    managers = User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    notifications.tell(
        [person for person in (change.implementer, change.requester, *managers) if person],
        kind="review_overdue",
        occasion=f"{review.pk}",
        change=change,
        subject=f"{change.number}: its review is overdue since {say_instant(review.due_at)}",
        body=f"“{change.summary}” ended without a post-implementation review within 24 hours.",
    )
