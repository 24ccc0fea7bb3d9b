"""A change is one page: overview, implementation, history, audit; and every verb that can be done on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Duty, User
from approvals import access as approvals_access
from approvals import services as approvals
from approvals.models import Step
from audit.models import Event
from audit.refusal import Invalid, Missing, Reason, Refused
from changemgmt.http import Request, record_refusal, status_of
from implementation import actions as all_actions
from implementation import guards, services, timeline
from implementation.models import Check, ChecklistItem
from requests import access, cleaning, content, forms, lifecycle
from requests import services as requests
from requests.models import CANARY_STAGES, ChangeRequest
from requests.states import EDITABLE, ENDED, RUNNING, State
from windows import services as windows
from windows.models import current_calendar

SHOWN_EVENTS = 100
PRIMARY = ("submit", "start", "finish", "complete", "finish_rollback", "review", "confirm", "document", "schedule", "close")
MAIN_ROAD = (
    State.DRAFT,
    State.IN_REVIEW,
    State.APPROVED,
    State.SCHEDULED,
    State.IMPLEMENTING,
    State.VERIFYING,
    State.COMPLETED,
    State.CLOSED,
)
SIDE_ROADS = {
    State.CHANGES_REQUESTED: State.IN_REVIEW,
    State.REJECTED: State.IN_REVIEW,
    State.ROLLING_BACK: State.VERIFYING,
    State.ROLLED_BACK: State.COMPLETED,
    State.FAILED: State.COMPLETED,
}


# --- what every tab shows --------------------------------------------------------------------------------------------------------


def stepper(change: ChangeRequest) -> list[dict[str, Any]]:
    """The eight steps of the main road; a side state takes the place where it left the road."""
    road = [str(state) for state in MAIN_ROAD]
    here = road.index(SIDE_ROADS.get(State(change.state), change.state)) if change.state != State.CANCELLED else -1
    stamps = {
        State.DRAFT: change.created_at,
        State.IN_REVIEW: change.submitted_at,
        State.APPROVED: change.approved_at,
        State.SCHEDULED: change.slot_start,
        State.IMPLEMENTING: change.started_at,
        State.VERIFYING: change.finished_at,
        State.COMPLETED: change.completed_at,
        State.CLOSED: change.closed_at,
    }
    rows = []
    for index, state in enumerate(road):
        side = index == here and change.state not in road
        word = State(change.state).label if side else State(state).label
        if state == State.COMPLETED and change.state == State.CLOSED and change.outcome != State.COMPLETED:
            word = State(change.outcome).label if change.outcome else word
        rows.append(
            {
                "label": word,
                "done": index < here,
                "current": index == here,
                "stamp": stamps[State(state)] if index <= here else None,
                "bad": side and change.state in {State.REJECTED, State.ROLLED_BACK, State.FAILED, State.ROLLING_BACK},
            }
        )
    if change.state == State.CANCELLED:
        rows = [
            {"label": "Draft", "done": True, "current": False, "stamp": change.created_at, "bad": False},
            {"label": "Cancelled", "done": False, "current": True, "stamp": change.updated_at, "bad": False},
        ]
    return rows


def _people_steps(change: ChangeRequest, actor: User) -> tuple[list[Step], list[Step]]:
    """All steps of the current round, and those that this person could decide now."""
    steps = list(change.steps.filter(round=change.round).prefetch_related("decisions__actor").order_by("deferred", "stage", "position"))
    for step in steps:
        step.change = change
    roles = approvals_access.roles_for_deciding(actor)
    author = approvals_access.is_author(change, actor) if roles else True
    mine = []
    for step in steps:
        same_stage = [other for other in steps if (other.deferred, other.stage) == (step.deferred, step.stage)]
        decided = any(decision.actor_id == actor.pk for other in same_stage for decision in other.decisions.all())
        if not approvals_access.decision_refusal(step, actor, roles=roles, is_author=author, decided_in_stage=decided):
            mine.append(step)
    return steps, mine


def _extra_actions(change: ChangeRequest, actor: User) -> list[all_actions.Action]:
    """What is no transition, but may be this person's next step."""
    if change.state not in ENDED or change.state == State.CLOSED:
        return []
    review = guards.current_review(change)
    found = []
    if review and review.written_at is None:
        found.append(all_actions.Action("review", "Write the review", guards.review_refusal(change, actor)))
    if change.confirmation_owed and review and review.written_at and not review.confirmed_at:
        found.append(all_actions.Action("confirm", "Confirm the review", guards.confirmation_refusal(change, actor)))
    if guards.documentation_owed(change):
        found.append(all_actions.Action("document", "Supply the documentation", guards.documentation_refusal(change, actor)))
    return found


def _next_step(change: ChangeRequest, actor: User, found: list[all_actions.Action], mine: list[Step]) -> dict[str, Any]:
    """The one primary action of this person now; blocked ones are shown with their reason."""
    if mine:
        return {
            "kind": "decide",
            "step": mine[0],
            "title": f"Your {mine[0].label.lower()} is open",
            "sentence": approvals.what_approving_does(mine[0]),
        }
    by_name = {action.name: action for action in found}
    candidates = [by_name[name] for name in PRIMARY if name in by_name]
    chosen = next((a for a in candidates if a.allowed), None) or next(
        (a for a in candidates if a.is_mine and a.reasons and a.reasons[0].code != "state"), None
    )
    rollback = by_name.get("roll_back")
    rolling = rollback if rollback and rollback.allowed and change.state in RUNNING else None
    if chosen:
        return {
            "kind": "act",
            "action": chosen,
            "title": TITLES.get(chosen.name, chosen.label),
            "sentence": SENTENCES.get(chosen.name, ""),
            "rollback": rolling,
        }
    return {"kind": "none", "title": _standing(change), "sentence": "", "rollback": rolling}


TITLES = {
    "submit": "Ready for review?",
    "start": "Your run",
    "finish": "The run",
    "complete": "Verification",
    "finish_rollback": "The rollback",
    "review": "The review is yours to write",
    "confirm": "The review waits for a second person",
    "document": "Documentation is owed",
    "schedule": "Approved: pick a slot",
    "close": "Ready to close",
}
SENTENCES = {
    "submit": "Submitting asks the reviewers at the right; you can still edit, which asks them again.",
    "start": "Starting judges calendar, approvals and checklist once more, at this instant.",
    "finish": "Finishing ends the work; verification and the 30-minute watch begin.",
    "complete": "Completing ends the implementation; the review is due within 24 hours.",
    "finish_rollback": "Finishing the rollback resolves the issues that it answers; the review is due within 24 hours.",
    "review": "Say what happened and what was learned.",
    "confirm": "Confirming says that the review tells what happened.",
    "document": "An emergency's missing fields are due 24 hours after its end.",
    "schedule": "Booking takes the place in the window for the whole plan.",
}


def _standing(change: ChangeRequest) -> str:
    return {
        State.IN_REVIEW: "It waits for its reviewers.",
        State.APPROVED: "Approved, without a slot.",
        State.SCHEDULED: "Booked; nothing waits for you.",
        State.IMPLEMENTING: "It is being implemented.",
        State.VERIFYING: "It is being verified.",
        State.ROLLING_BACK: "It is being rolled back.",
        State.CLOSED: "Closed: everything owed is in.",
        State.REJECTED: "Rejected. A copy can be requested anew.",
        State.CANCELLED: "Cancelled.",
        State.DRAFT: f"A draft of {change.requester}.",
        State.CHANGES_REQUESTED: f"Changes were requested; {change.requester} answers them.",
    }.get(State(change.state), "It has ended; what is owed is listed below.")


def page_context(request: Request, change: ChangeRequest, tab: str) -> dict[str, Any]:
    """Header, stepper, action bar and rail."""
    actor = request.user
    steps, mine = _people_steps(change, actor)
    found = [*all_actions.actions_for(change, actor), *_extra_actions(change, actor)]
    by_name = {action.name: action for action in found}
    may_edit = not approvals.edit_refusal(change, actor) and actor.may_write
    return {
        "change": change,
        "tab": tab,
        "stepper": stepper(change),
        "steps": [s for s in steps if not s.deferred],
        "deferred": [s for s in steps if s.deferred],
        "my_steps": mine,
        "actions": by_name,
        "next": _next_step(change, actor, found, mine),
        "may_edit": may_edit,
        "more": [
            by_name[name]
            for name in ("escalate", "unschedule", "roll_back", "fail", "cancel")
            if by_name[name].is_mine and by_name[name].allowed
        ],
        "may_take_over": actor.may_write and not guards.take_over_refusal(change, actor),
        "may_transfer": actor.may_write and not requests.transfer_refusal(change, actor),
        "may_extend": not guards.extend_refusal(change, actor),
        "kinds": ChangeRequest.EmergencyKind.choices,
        "triggers": services.TRIGGERS,
        "failed": None,
        "stage_words": {1: "review", 2: "sign-off"},
    }


# --- tabs --------------------------------------------------------------------------------------------------------------------------


@require_safe
def overview(request: Request, number: str) -> HttpResponse:
    return _overview(request, access.change_for(request.user, number))


def _overview(request: Request, change: ChangeRequest, status: int = 200, **extra: Any) -> HttpResponse:
    actor = request.user
    context = page_context(request, change, "overview")
    events = list(Event.objects.filter(change_id=change.pk).select_related("actor").order_by("-id")[: SHOWN_EVENTS + 1])
    more_events = len(events) > SHOWN_EVENTS
    lines = _timeline(change, timeline.readable(events[:SHOWN_EVENTS][::-1]))
    context |= {
        "timeline": lines,
        "more_events": more_events,
        "plan": _plan(change),
        "depends_on": list(change.depends_on.all()) if change.dependencies else [],
    }
    context |= _calendar_rail(change, actor, context["actions"], request)
    if change.state in ENDED:
        context |= {
            "review": guards.current_review(change),
            "owed": guards.owed(change) if change.state != State.CLOSED else [],
            "issues": list(change.issues.all()),
        }
    if change.state == State.DRAFT:
        context["expected"] = approvals.expected_steps(change)
    security = [content.BY_NAME[name].label.removeprefix("Affects ") for name in content.SECURITY_QUESTIONS if getattr(change, name)]
    return render(request, "implementation/change.html", context | {"security_yes": security} | extra, status=status)


def _timeline(change: ChangeRequest, events: list[Event]) -> list[timeline.Entry]:
    comments = change.comments.all() if any(event.action == "change.comment" for event in events) else []
    decisions = [event.data["decision"] for event in events if event.action == "approval.decide" and "decision" in event.data]
    quotes = dict(change.decisions.filter(pk__in=decisions).values_list("pk", "comment")) if decisions else {}
    return timeline.entries(events, comments, quotes)


def _plan(change: ChangeRequest) -> dict[str, Any] | None:
    """Work, canary stages and rollback time to scale."""
    work, back = change.estimated_minutes or 0, change.rollback_minutes or 0
    if not work:
        return None
    canary = int(CANARY_STAGES.total_seconds() // 60) if change.strategy == "canary" else 0
    start = change.slot_start or change.requested_window_start
    turn_back = start + timedelta(minutes=work + canary) if start else None
    return {"work": work, "canary": canary, "rollback": back, "total": work + canary + back, "start": start, "turn_back": turn_back}


def _calendar_rail(change: ChangeRequest, actor: User, found: dict[str, all_actions.Action], request: Request) -> dict[str, Any]:
    """The calendar's verdict on the slot booked or asked for, and free slots to choose from where that is the next thing."""
    rail: dict[str, Any] = {}
    start = change.slot_start or change.requested_window_start
    if start and change.state in EDITABLE and not change.is_emergency and change.estimated_minutes:
        calendar = current_calendar()
        verdict = windows.verdict_for(change, start, calendar)
        against = (
            []
            if change.slot_start
            else windows.conflicts(
                change, start, calendar, windows.taken_between(change, start - windows.AROUND, start + windows.AROUND), actor
            )
        )
        rail |= {"verdict": verdict, "verdict_start": start, "verdict_end": start + change.plan_length, "conflicts": against}
    wants = request.GET.get("move") or (request.resolver_match and request.resolver_match.kwargs.get("verb") == "schedule")
    may = found["schedule"].allowed or (found["reschedule"].allowed and wants)
    if may and actor.may_write and not change.is_emergency:
        starts, why = windows.free_slots(change, after=timezone.now(), limit=4, actor=actor)
        rail |= {
            "slots": [(s, s + change.plan_length, s - timezone.now() < windows.NOTICE) for s in starts],
            "no_slots": why,
            "may_schedule": True,
        }
    return rail


@require_safe
def run(request: Request, number: str) -> HttpResponse:
    return _run(request, access.change_for(request.user, number))


def _run(request: Request, change: ChangeRequest, status: int = 200, **extra: Any) -> HttpResponse:
    """The run: clocks, checklist by phase, checks, issues, log, review."""
    actor, now = request.user, timezone.now()
    context = page_context(request, change, "run")
    items = list(change.checklist.select_related("settled_by"))
    phases = [(phase, [item for item in items if item.phase == phase]) for phase in ChecklistItem.Phase]
    shown = [
        (phase.value, phase.label, rows, sum(i.is_settled for i in rows))
        for phase, rows in phases
        if rows and (phase != "rollback" or _shows_rollback(change))
    ]
    issues = list(change.issues.all())
    checks = list(change.checks.select_related("accepted_by"))
    latest = {check.name: check.pk for check in checks}
    context |= {
        "phases": shown,
        "issues": [(issue, issue.row.band_ends_at(issue.detected_at)) for issue in issues],
        "checks": checks,
        "latest": set(latest.values()),
        "log": list(change.log.select_related("by")),
        "check_kinds": Check.Kind.choices,
        "phase_choices": ChecklistItem.Phase.choices,
        "clocks": _clocks(change, issues, now),
        "duties": list(Duty.objects.current().select_related("user")),
        "may_record": guards.is_implementer(change, actor) or actor.is_devops,
        "review": guards.current_review(change),
        "owed": guards.owed(change) if change.state in ENDED and change.state != State.CLOSED else [],
        "owed_fields": [content.BY_NAME[name] for name in guards.documentation_owed(change)] if change.state in ENDED else [],
        "may_review": not guards.review_refusal(change, actor) if change.state in ENDED else False,
        "may_confirm": not guards.confirmation_refusal(change, actor) if change.state in ENDED else False,
        "may_document": not guards.documentation_refusal(change, actor) if change.is_emergency else False,
        "recordable": change.state in {State.APPROVED, State.SCHEDULED, *RUNNING, State.COMPLETED, State.ROLLED_BACK, State.FAILED},
    }
    return render(request, "implementation/run.html", context | extra, status=status)


def _shows_rollback(change: ChangeRequest) -> bool:
    return change.rollback_started_at is not None


def _clocks(change: ChangeRequest, issues: list[Any], now: Any) -> list[dict[str, Any]]:
    """The instants that matter to whoever runs it: what is left, and until when."""
    if change.state not in RUNNING:
        return []
    clocks = []
    if change.slot_end:
        clocks.append({"icon": "calendar-clock", "title": "Slot left", "until": change.slot_end, "note": "ends"})
        back = timedelta(minutes=change.rollback_minutes or 0)
        if back and change.state == State.IMPLEMENTING:
            clocks.append(
                {
                    "icon": "undo-2",
                    "title": "Turn back by",
                    "until": change.slot_end - back,
                    "note": f"{change.rollback_minutes} min kept for rollback, from",
                }
            )
    if change.state == State.VERIFYING and change.finished_at:
        clocks.append(
            {
                "icon": "timer",
                "title": "Monitoring left",
                "until": change.finished_at + guards.MONITORING,
                "note": "watched until",
                "is_good": True,
            }
        )
    for issue in issues:
        if issue.resolved_at is None and (end := issue.row.band_ends_at(issue.detected_at)):
            clocks.append(
                {
                    "icon": "triangle-alert",
                    "title": f"{issue.severity} issue, band left",
                    "until": end,
                    "note": f"{issue.row.action}; until",
                }
            )
    for clock in clocks:
        late = clock["until"] <= now
        clock["overdue"] = late and not clock.get("is_good")
        clock["tone"] = (
            "danger"
            if clock["overdue"]
            else "warn"
            if clock["icon"] == "triangle-alert"
            else "ok"
            if clock.get("is_good") and late
            else "neutral"
        )
    return clocks


@require_safe
def history(request: Request, number: str) -> HttpResponse:
    """All rounds with their decisions, and every edit with its diff."""
    change = access.change_for(request.user, number)
    rounds: dict[int, list[Step]] = {}
    for step in change.steps.prefetch_related("decisions__actor").order_by("-round", "deferred", "stage", "position"):
        rounds.setdefault(step.round, []).append(step)
    events = list(Event.objects.filter(change_id=change.pk, action__in=timeline.DIFFED).select_related("actor").order_by("-id")[:200])
    context = page_context(request, change, "history") | {"rounds": rounds.items(), "edits": timeline.entries(events, [], {})}
    return render(request, "implementation/history.html", context)


@require_safe
def trail(request: Request, number: str) -> HttpResponse:
    """The change's audit events as they are kept, newest first, keyset-paged."""
    change = access.change_for(request.user, number)
    before = request.GET.get("before", "")
    events = Event.objects.filter(change_id=change.pk).select_related("actor", "link").order_by("-id")
    if before.isdecimal() and len(before) < 18:
        events = events.filter(pk__lt=int(before))
    found = list(events[:101])
    context = page_context(request, change, "audit") | {"events": found[:100], "more": found[99].pk if len(found) > 100 else None}
    return render(request, "implementation/audit.html", context)


# --- verbs -------------------------------------------------------------------------------------------------------------------------

Post = Any
Verb = Callable[[User, str, Post], Any]


def _number(value: str) -> int:
    return int(value) if value.isdecimal() and len(value) < 18 else 0


def _yes(post: Post, name: str) -> bool | None:
    return {"yes": True, "no": False}.get(post.get(name, ""))


def _schedule(actor: User, number: str, post: Post) -> Any:
    try:
        start = cleaning.instant(post.get("start", ""))
    except cleaning.Wrong as problem:
        raise Invalid(fields={"start": f"Start: {problem}"}) from None
    return windows.schedule(
        actor=actor,
        number=number,
        start=start,
        short_notice_reason=post.get("short_notice_reason", ""),
        override_reason=post.get("override_reason", ""),
    )


def _document(actor: User, number: str, post: Post) -> Any:
    values = {name: value for name, value in forms.values_from(post).items() if value not in (None, "")}
    return services.document(actor=actor, number=number, values=values)


def _item(actor: User, number: str, post: Post) -> Any:
    return services.settle_item(
        actor=actor,
        number=number,
        item_id=_number(post.get("item", "")),
        state=post.get("state", ""),
        note=post.get("note", ""),
        output=post.get("output", ""),
    )


def _issue(actor: User, number: str, post: Post) -> Any:
    return services.open_issue(
        actor=actor,
        number=number,
        severity=post.get("severity", ""),
        summary=post.get("summary", ""),
        detected_at=post.get("detected_at") or None,
        link=post.get("link", ""),
    )


def _resolve(actor: User, number: str, post: Post) -> Any:
    return services.edit_issue(actor=actor, number=number, n=_number(post.get("n", "")), values={"resolved_at": timezone.now().isoformat()})


def _check(actor: User, number: str, post: Post) -> Any:
    return services.record_check(
        actor=actor,
        number=number,
        name=post.get("name", ""),
        kind=post.get("kind", ""),
        passed=post.get("passed") == "yes",
        output=post.get("output", ""),
    )


def _review(actor: User, number: str, post: Post) -> Any:
    return services.write_review(
        actor=actor,
        number=number,
        runbook_updated=_yes(post, "runbook_updated"),
        **{name: post.get(name, "") for name in ("summary", "deviations", "lessons", "improvements")},
    )


#: verb → (what it does, what is said when it is done, the tab to come back to)
VERBS: dict[str, tuple[Verb, str, str]] = {
    "submit": (lambda a, n, p: approvals.submit(actor=a, number=n), "Submitted; its reviewers have been told.", "change"),
    "cancel": (
        lambda a, n, p: approvals.cancel(actor=a, number=n, reason=p.get("reason", ""), duplicate_of=p.get("duplicate_of", "").strip()),
        "Cancelled.",
        "change",
    ),
    "escalate": (
        lambda a, n, p: approvals.escalate(
            actor=a,
            number=n,
            reason=p.get("reason", ""),
            emergency_kind=p.get("emergency_kind", ""),
            emergency_reference=p.get("emergency_reference", ""),
        ),
        "It is a P0 now; who can authorise it has been told.",
        "change",
    ),
    "transfer": (lambda a, n, p: requests.transfer(actor=a, number=n, requester=p.get("requester", "").strip()), "Handed over.", "change"),
    "comment": (lambda a, n, p: requests.comment(actor=a, number=n, text=p.get("text", "")), "", "change"),
    "schedule": (_schedule, "Booked.", "change"),
    "unschedule": (lambda a, n, p: windows.unschedule(actor=a, number=n, reason=p.get("reason", "")), "The slot is free again.", "change"),
    "take-over": (lambda a, n, p: services.take_over(actor=a, number=n), "You implement it now.", "run"),
    "start": (lambda a, n, p: services.start(actor=a, number=n), "Started.", "run"),
    "finish": (
        lambda a, n, p: services.finish(actor=a, number=n),
        "The steps are through; verification and the 30-minute watch have begun.",
        "run",
    ),
    "complete": (
        lambda a, n, p: services.complete(actor=a, number=n, reason=p.get("reason", "")),
        "Completed. The review is due within 24 hours.",
        "run",
    ),
    "roll_back": (
        lambda a, n, p: services.roll_back(actor=a, number=n, reason=p.get("reason", ""), trigger=p.get("trigger", "")),
        "Rolling back: the checklist is open.",
        "run",
    ),
    "finish_rollback": (
        lambda a, n, p: services.finish_rollback(actor=a, number=n),
        "Rolled back. The review is due within 24 hours.",
        "run",
    ),
    "fail": (
        lambda a, n, p: services.fail(actor=a, number=n, reason=p.get("reason", "")),
        "Recorded as failed. The review is due within 24 hours.",
        "run",
    ),
    "close": (lambda a, n, p: services.close(actor=a, number=n), "Closed.", "change"),
    "extend": (
        lambda a, n, p: services.extend(actor=a, number=n, minutes=_number(p.get("minutes", "")), reason=p.get("reason", "")),
        "Extended.",
        "run",
    ),
    "item": (_item, "", "run"),
    "add-item": (lambda a, n, p: services.add_item(actor=a, number=n, phase=p.get("phase", ""), text=p.get("text", "")), "Added.", "run"),
    "log": (lambda a, n, p: services.log(actor=a, number=n, kind=p.get("kind", "note"), message=p.get("message", "")), "Noted.", "run"),
    "check": (_check, "The check is recorded.", "run"),
    "accept-check": (
        lambda a, n, p: services.accept_check(actor=a, number=n, check_id=_number(p.get("check", "")), reason=p.get("reason", "")),
        "Accepted.",
        "run",
    ),
    "issue": (_issue, "The issue is open.", "run"),
    "resolve-issue": (_resolve, "The issue is resolved.", "run"),
    "review": (_review, "The review is written.", "run"),
    "confirm": (lambda a, n, p: services.confirm_review(actor=a, number=n, p0_justified=_yes(p, "p0_justified")), "Confirmed.", "run"),
    "document": (_document, "The documentation is kept.", "run"),
}


@require_POST
def act(request: Request, number: str, verb: str) -> HttpResponse:
    """Do one verb. A refusal shows the page again with the reason and all that was typed."""
    if verb == "clone":
        copy = requests.clone(actor=request.user, number=number)
        messages.success(request, f"{copy.number} is a draft copy of {number}.")
        return redirect(f"/changes/{copy.number}/edit")
    if verb not in VERBS:
        raise Http404
    do, said, tab = VERBS[verb]
    try:
        do(request.user, number, request.POST)
    except Missing:
        raise
    except Refused as refused:
        return _again(request, number, verb, tab, refused)
    if said:
        messages.success(request, said)
    target = f"/changes/{number}/" + ("implementation/" if tab == "run" else "")
    anchor = f"#item-{_number(request.POST.get('item', ''))}" if verb == "item" else "#activity" if verb == "comment" else ""
    return redirect(target + anchor)


def _again(request: Request, number: str, verb: str, tab: str, refused: Refused) -> HttpResponse:
    record_refusal(request, refused)
    errors = refused.fields if isinstance(refused, Invalid) else {}
    failed = {
        "verb": verb,
        "errors": errors,
        "reasons": refused.reasons or [Reason("invalid", text) for text in errors.values()],
        "values": request.POST,
    }
    change = access.change_for(request.user, number)
    show = _run if tab == "run" and not (verb in lifecycle.LABELS and change.state in EDITABLE) else _overview
    return show(request, change, status=status_of(refused), failed=failed)


@require_POST
def decide(request: Request, number: str, step_id: int) -> HttpResponse:
    """Approve, reject, request changes or waive by click, from the page or the queue."""
    version = request.POST.get("version", "")
    checklist: dict[str, Any] = {key.removeprefix("tick_"): True for key in request.POST if key.startswith("tick_")}
    for key, note in request.POST.items():
        if key.startswith("na_") and isinstance(note, str) and note.strip():
            checklist[key.removeprefix("na_")] = {"not_applicable": note.strip()[:1000]}
    try:
        decision = approvals.decide(
            actor=request.user,
            number=number,
            step_id=step_id,
            verdict=request.POST.get("verdict", ""),
            version=_number(version),
            comment=request.POST.get("comment", ""),
            checklist=checklist,
        )
    except Missing:
        raise
    except Refused as refused:
        record_refusal(request, refused)
        errors = refused.fields if isinstance(refused, Invalid) else {}
        failed = {
            "verb": "decide",
            "errors": errors,
            "reasons": refused.reasons or [Reason("invalid", text) for text in errors.values()],
            "values": request.POST,
        }
        return _overview(request, access.change_for(request.user, number), status=status_of(refused), failed=failed)
    words = {"approve": "Approved", "reject": "Rejected", "request_changes": "Changes requested", "waive": "Waived"}
    messages.success(request, f"{words[decision.verdict]}: {number}, {decision.step.label.lower()}.")
    return redirect("/approvals/" if request.POST.get("back") == "queue" else f"/changes/{number}/")
