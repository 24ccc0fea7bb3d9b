"""What the change page says around its tabs: header, stepper, the one next step of this person, calendar and clocks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from approvals import access as approvals_access
from approvals import policy, rounds, telephone
from approvals import services as approvals
from implementation import actions as all_actions
from implementation import guards, services
from implementation.case import Case
from implementation.models import Issue
from requests import content
from requests import services as requests
from requests.models import CANARY_STAGES, ChangeRequest
from requests.states import EDITABLE, ENDED, RUNNING, State
from windows import services as windows
from windows import slots

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


# --- the next step -----------------------------------------------------------------------------------------------------------------


def _extra_actions(case: Case) -> list[all_actions.Action]:
    """What is no transition, but may be this person's next step."""
    change = case.change
    if change.state not in ENDED or change.state == State.CLOSED:
        return []
    review, found = case.review, []
    if review and review.written_at is None:
        found.append(all_actions.Action("review", "Write the review", guards.review_refusal(case)))
    if change.confirmation_owed and review and review.written_at and not review.confirmed_at:
        found.append(all_actions.Action("confirm", "Confirm the review", guards.confirmation_refusal(case)))
    if guards.documentation_owed(case):
        found.append(all_actions.Action("document", "Supply the documentation", guards.documentation_refusal(case)))
    return found


def _next_step(case: Case, found: list[all_actions.Action]) -> dict[str, Any]:
    """The one primary action of this person now; blocked ones are shown with their reason."""
    if case.mine:
        step = case.mine[0]
        return {
            "kind": "decide",
            "step": step,
            "title": f"Your {step.label.lower()} is open",
            "sentence": rounds.what_approving_does(step, case.steps),
        }
    by_name = {action.name: action for action in found}
    candidates = [by_name[name] for name in PRIMARY if name in by_name]
    chosen = next((a for a in candidates if a.allowed), None) or next(
        (a for a in candidates if a.is_mine and a.reasons and a.reasons[0].code != "state"), None
    )
    rollback = by_name["roll_back"]
    rolling = rollback if rollback.allowed and case.change.state in RUNNING else None
    if chosen is None:
        return {"kind": "none", "title": _standing(case.change), "sentence": "", "rollback": rolling}
    title, sentence = TITLES.get(chosen.name, chosen.label), SENTENCES.get(chosen.name, "")
    if chosen.name == "submit" and case.change.state == State.CHANGES_REQUESTED:
        title, sentence = "Changes were requested", "Answer by editing, then submit it again: its reviewers are asked anew."
    return {"kind": "act", "action": chosen, "title": title, "sentence": sentence, "rollback": rolling}


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
        State.REJECTED: "Rejected. Copy it to ask again.",
        State.CANCELLED: "Cancelled.",
        State.DRAFT: f"A draft of {change.requester}.",
        State.CHANGES_REQUESTED: f"Changes were requested; {change.requester} answers them.",
    }.get(State(change.state), "It has ended; what is owed is listed below.")


# --- what every tab shows ----------------------------------------------------------------------------------------------------------


def context(case: Case, tab: str) -> dict[str, Any]:
    """Header, stepper, action bar and rail."""
    change, actor = case.change, case.actor
    found = [*all_actions.actions_for(case), *_extra_actions(case)]
    by_name = {action.name: action for action in found}
    return {
        "change": change,
        "tab": tab,
        "stepper": stepper(change),
        "steps": [step for step in case.steps if not step.deferred],
        "deferred": [step for step in case.steps if step.deferred],
        "my_steps": case.mine,
        "actions": by_name,
        "next": _next_step(case, found),
        "may_edit": actor.may_write and not approvals.edit_refusal(change, actor),
        "more": [by_name[name] for name in ("escalate", "unschedule", "roll_back", "fail", "cancel") if by_name[name].allowed],
        "may_take_over": actor.may_write and not guards.take_over_refusal(change, actor),
        "may_transfer": actor.may_write and not requests.transfer_refusal(change, actor),
        "may_extend": not guards.extend_refusal(change, actor),
        "kinds": ChangeRequest.EmergencyKind.choices,
        "triggers": services.TRIGGERS,
        "failed": None,
        "stage_words": policy.STAGE_LABELS,
        "documented": case.documentation.values if case.documentation else {},
        **_by_telephone(case),
    }


def _by_telephone(case: Case) -> dict[str, Any]:
    """For an emergency: the step whose approval the on-call engineer may record, and the answer that this person owes (A4)."""
    if not case.change.is_emergency:
        return {}
    step = next((s for s in case.steps if s.kind == policy.EMERGENCY and s.state == s.State.OPEN), None)
    may_record = step is not None and not approvals_access.telephone_refusal(step, case.actor)
    return {
        "telephone": {"step": step, "people": approvals_access.people_for(step).exclude(pk=case.actor.pk)[:50]}
        if step and may_record
        else None,
        "asked": telephone.waiting_for(case.actor).filter(decision__change=case.change).first(),
    }


def plan(change: ChangeRequest) -> dict[str, Any] | None:
    """Work, canary stages and rollback time to scale."""
    work, back = change.estimated_minutes or 0, change.rollback_minutes or 0
    if not work:
        return None
    canary = int(CANARY_STAGES.total_seconds() // 60) if change.strategy == "canary" else 0
    start = change.slot_start or change.requested_window_start
    turn_back = start + timedelta(minutes=work + canary) if start else None
    return {"work": work, "canary": canary, "rollback": back, "total": work + canary + back, "start": start, "turn_back": turn_back}


def calendar_rail(case: Case, *, wants_slots: bool) -> dict[str, Any]:
    """The calendar's verdict on the slot booked or asked for, and free slots to choose from where that is the next thing."""
    change = case.change
    rail: dict[str, Any] = {}
    start = change.slot_start or change.requested_window_start
    planned = change.state in EDITABLE and not change.is_emergency
    if start and planned and change.estimated_minutes:
        rail |= {
            "verdict": slots.verdict_for(change, start, case.calendar),
            "verdict_start": start,
            "verdict_end": start + change.plan_length,
        }
        if not change.slot_start:
            taken = slots.taken_between(change, start - slots.AROUND, start + slots.AROUND)
            rail["conflicts"] = slots.conflicts(change, start, case.calendar, taken, case.needs, case.actor)
    may = case.actor.may_write and planned and not windows.schedule_refusal(change, case.actor)
    if may and (change.state == State.APPROVED or wants_slots):
        starts, why = slots.free_slots(change, after=case.at, limit=4, actor=case.actor)
        rail |= {
            "slots": [(s, s + change.plan_length, s - case.at < windows.NOTICE) for s in starts],
            "no_slots": why,
            "may_schedule": True,
        }
    return rail


def clocks(change: ChangeRequest, issues: list[Issue], now: datetime) -> list[dict[str, Any]]:
    """The instants that matter to whoever runs it: what is left, and until when."""
    if change.state not in RUNNING:
        return []
    clocks: list[dict[str, Any]] = []
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


def ended(case: Case) -> dict[str, Any]:
    """What an ended change shows of its review, and of what it still owes."""
    if case.change.state not in ENDED:
        return {}
    return {
        "review": case.review,
        "owed": guards.owed(case) if case.change.state != State.CLOSED else [],
        "owed_fields": [content.BY_NAME[name] for name in guards.documentation_owed(case)],
        "may_review": not guards.review_refusal(case),
        "may_confirm": not guards.confirmation_refusal(case),
        "may_document": not guards.documentation_refusal(case),
    }
