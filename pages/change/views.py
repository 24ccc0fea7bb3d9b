"""A change is one page: overview, implementation, history, audit."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Duty, User
from approvals.deciding import suggestions
from approvals.models import Decision, Step
from approvals.rounds import rounds
from audit.models import Event
from implementation.matrix import MATRIX
from implementation.models import Check, ChecklistItem, Issue
from implementation.run import guards
from implementation.run.case import Case
from pages.change import header, outcome, timeline, timing
from requests import access, content, redaction, risk
from requests.components import record_of
from requests.models import ChangeRequest, Suggestion
from requests.states import RECORDABLE, State
from web.http import Request, key_of

SHOWN_EVENTS = 100


@require_safe
def overview(request: Request, number: str) -> HttpResponse:
    return show_overview(request, access.change_for(request.user, number))


def _said_by_reviewers(case: Case) -> dict[str, Any]:
    """What they ask to have changed, of a change sent back, and what they suggest."""
    change = case.change
    asked: list[Decision] = []
    if change.state == State.CHANGES_REQUESTED:
        given = [decision for step in case.steps for decision in step.decisions.all()]
        asked = [decision for decision in given if decision.verdict == "request_changes"]
    open_ones: list[Suggestion] = []
    if change.state in suggestions.OPEN_STATES:
        open_ones = list(change.suggestions.filter(state="open").select_related("author"))
    return {
        "asked_for": asked,
        "suggestions": open_ones,
        "may_suggest": not suggestions.refusal(change, case.actor),
    }


def _security(change: ChangeRequest) -> dict[str, list[str]]:
    """The questions about security: what was answered with yes, and what is not answered yet."""
    answers = {name: getattr(change, name) for name in content.SECURITY_QUESTIONS}
    labels = {name: content.BY_NAME[name].label.removeprefix("Affects ") for name in answers}
    return {
        "security_yes": [labels[name] for name, answer in answers.items() if answer],
        "security_open": [name for name, answer in answers.items() if answer is None],
    }


def show_overview(
    request: Request,
    change: ChangeRequest,
    status: int = 200,
    *,
    wants_slots: bool = False,
    **extra: Any,
) -> HttpResponse:
    """The content, the rail and the activity; `extra` carries a refusal and what was typed."""
    case = Case(change, request.user)
    events = list(
        Event.objects.filter(change_id=change.pk)
        .select_related("actor", "words")
        .order_by("-id")[: SHOWN_EVENTS + 1]
    )
    shown = {
        **header.context(case, "overview"),
        **timing.exceptions_of(case),
        **timing.calendar(case, wants_slots=wants_slots or "move" in request.GET),
        **outcome.ended(case),
        "timeline": _timeline(case, timeline.readable(events[:SHOWN_EVENTS][::-1])),
        "more_events": len(events) > SHOWN_EVENTS,
        "changed_since": timeline.changed_between(case.edits_since) if case.mine else [],
        "last_verdict": case.last_verdict if case.mine else None,
        "suggested": (
            risk.suggest(change.risk_answers, record_of(change.components.all()))
            if change.risk_answers
            else None
        ),
        **_said_by_reviewers(case),
        "asks": "ask" in request.GET,  # the form has sent somebody here to ask for an opening
        "plan": timing.plan(change),
        "depends_on": case.visible_needs,
        "issues": list(change.issues.all()) if change.started_at else [],
        "expected": rounds.expected_steps(change) if change.state == State.DRAFT else [],
        **_security(change),
    }
    return render(request, "change/change.html", shown | extra, status=status)


def _timeline(case: Case, events: list[Event]) -> list[timeline.Entry]:
    """The events as sentences, with the comments and verdicts that they point at."""
    comments = (
        case.change.comments.all()
        if any(event.action == "change.comment" for event in events)
        else []
    )
    decisions = {decision.pk: decision for step in case.steps for decision in step.decisions.all()}
    named = {
        event.data["decision"]
        for event in events
        if event.action.startswith("approval.") and "decision" in event.data
    }
    if named - decisions.keys():  # of earlier rounds
        decisions |= {
            d.pk: d
            for d in case.change.decisions.select_related(
                "actor", "on_behalf_of", "stand_in__instead_of"
            )
        }
    named_people = {event.data["person"] for event in events if event.data.get("person")}
    people = User.objects.in_bulk(named_people) if named_people else {}
    return timeline.entries(events, comments, decisions, people)


@require_safe
def run(request: Request, number: str) -> HttpResponse:
    return show_run(request, access.change_for(request.user, number))


def show_run(
    request: Request, change: ChangeRequest, status: int = 200, **extra: Any
) -> HttpResponse:
    """The run: clocks, checklist by phase, checks, issues, log, review."""
    case = Case(change, request.user)
    recordable = change.state in RECORDABLE
    issues = list(change.issues.all()) if change.started_at else []
    checks = case.checks if recordable or change.state == State.CLOSED else []
    latest = {check.name: check.pk for check in checks}
    shown = {
        **header.context(case, "run"),
        **outcome.ended(case),
        "phases": _phases(case),
        "issues": [(issue, issue.row.band_ends_at(issue.detected_at)) for issue in issues],
        "checks": checks,
        "latest": set(latest.values()),
        "log": list(change.log.select_related("by")),
        "check_kinds": Check.Kind.choices,
        "severities": [
            {"severity": severity, "label": row.label[3:], "action": row.action}
            for severity, row in MATRIX.items()
        ],
        "issue_links": Issue.Link.choices,
        "phase_choices": ChecklistItem.Phase.choices,
        "clocks": timing.clocks(change, issues, case.at),
        "duties": list(Duty.objects.current().select_related("user")),
        "may_record": guards.is_implementer(change, case.actor) or case.actor.is_devops,
        "may_accept": (
            any(not check.passed for check in checks)
            and not guards.accept_refusal(change, case.actor)
        ),
        "recordable": recordable,
    }
    return render(request, "change/run.html", shown | extra, status=status)


def _phases(case: Case) -> list[tuple[str, str, list[ChecklistItem], int]]:
    """(phase, its name, its items, how many are settled); the rollback's only once one has begun,
    and then before all others.
    """
    shown = []
    for phase in sorted(
        ChecklistItem.Phase, key=lambda phase: phase != ChecklistItem.Phase.ROLLBACK
    ):
        items = [item for item in case.checklist if item.phase == phase]
        if items and (
            phase != ChecklistItem.Phase.ROLLBACK or case.change.rollback_started_at is not None
        ):
            label = case.change.way_back if phase == ChecklistItem.Phase.ROLLBACK else phase.label
            shown.append((phase.value, label, items, sum(item.is_settled for item in items)))
    return shown


@require_safe
def history(request: Request, number: str) -> HttpResponse:
    """All rounds with their decisions, and every edit with its diff."""
    change = access.change_for(request.user, number)
    by_round: dict[int, list[Step]] = {}
    steps = Step.objects.filter(change=change).with_decisions()
    for step in steps.order_by("-round", "deferred", "stage", "position"):
        by_round.setdefault(step.round, []).append(step)
    events = list(
        Event.objects.filter(change_id=change.pk, action__in=timeline.DIFFED)
        .select_related("actor", "words")
        .order_by("-id")[:200]
    )
    texts = Event.objects.filter(
        change_id=change.pk, action="implementation.review"
    ).select_related("actor", "words")
    context = header.context(Case(change, request.user), "history") | {
        "rounds": by_round.items(),
        "edits": timeline.entries(events, [], {}, {}),
        "reviews": list(texts.order_by("-id")) if change.started_at else [],
    }
    return render(request, "change/history.html", context)


@require_safe
def trail(request: Request, number: str) -> HttpResponse:
    """The change's audit events as they are kept, newest first, keyset-paged."""
    change = access.change_for(request.user, number)
    events = (
        Event.objects.filter(change_id=change.pk)
        .select_related("actor", "link", "words")
        .order_by("-id")
    )
    if before := key_of(request.GET.get("before", "")):
        events = events.filter(pk__lt=before)
    found = list(events[:101])
    context = header.context(Case(change, request.user), "audit") | {
        "events": found[:100],
        "numbers": {},
        "may_redact": request.user.has_role(*redaction.ROLES),
        "more": found[99].pk if len(found) > 100 else None,
    }
    return render(request, "change/audit.html", context)
