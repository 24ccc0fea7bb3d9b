"""What the change page says around its tabs: header, stepper, the one next step of this person,
calendar and clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from accounts.roles import Role
from approvals.deciding import added_security, late_records, telephone
from approvals.models import Step
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import reminders, rounds, taking_back
from implementation import matrix
from implementation.models import ChecklistItem, Review
from implementation.review import reviews
from implementation.run import actions as all_actions
from implementation.run import duty, guards
from implementation.run.case import Case
from language.say import say_instant
from pages.change.failure import Failure
from requests import changes, content, sharing
from requests.models import ChangeRequest
from requests.states import ENDED, RUNNING, TRANSITIONS, State
from windows.models import FreezeException

PRIMARY = (
    "accept-late-record",
    "submit",
    "start",
    "finish",
    "complete",
    "finish_rollback",
    "review",
    "confirm",
    "document",
    "schedule",
    "close",
)
BAD = frozenset({State.REJECTED, State.ROLLING_BACK, State.ROLLED_BACK, State.FAILED})


def _road(change: ChangeRequest) -> list[tuple[State, datetime | None]]:
    """The states that this change has been through, and those that lie ahead of it, each with its
    instant.
    """
    state, outcome = change.state, change.outcome
    begun = [(State.DRAFT, change.created_at), (State.IN_REVIEW, change.submitted_at)]
    if state == State.CANCELLED:
        passed = [
            *begun,
            (State.APPROVED, change.approved_at),
            (State.SCHEDULED, change.slot_start),
        ]
        return [*[step for step in passed if step[1]], (State.CANCELLED, change.updated_at)]
    if state == State.REJECTED:
        return [*begun, (State.REJECTED, change.updated_at)]
    if state == State.CHANGES_REQUESTED:
        begun[1] = (State.CHANGES_REQUESTED, change.updated_at)
    road = [*begun, (State.APPROVED, change.approved_at)]
    if change.slot_start or not change.is_emergency:
        road.append((State.SCHEDULED, change.slot_start))
    road.append((State.IMPLEMENTING, change.started_at))
    went_back = state == State.ROLLING_BACK or outcome == State.ROLLED_BACK
    if change.finished_at or not (went_back or outcome == State.FAILED):
        road.append((State.VERIFYING, change.finished_at))
    if change.completed_at or not (went_back or outcome == State.FAILED):
        road.append((State.COMPLETED, change.completed_at))
    ended = None if change.completed_at else change.ended_at
    if went_back:
        road += [(State.ROLLING_BACK, change.rollback_started_at), (State.ROLLED_BACK, ended)]
    elif outcome == State.FAILED:
        road.append((State.FAILED, ended))
    return [*road, (State.CLOSED, change.closed_at)]


def stepper(change: ChangeRequest) -> list[dict[str, Any]]:
    """The steps of the change's road: what is done, where it stands, what lies ahead."""
    road = _road(change)
    here = next(index for index, (state, _) in enumerate(road) if state == change.state)
    return [
        {
            "label": state.label,
            "done": index < here,
            "current": index == here,
            "stamp": stamp if index <= here else None,
            "bad": state in BAD and index <= here,
        }
        for index, (state, stamp) in enumerate(road)
    ]


# --- the next step --------------------------------------------------------------------------------


def _extra_actions(case: Case) -> list[all_actions.Action]:
    """What is no transition, but may be this person's next step."""
    change = case.change
    if late_records.needs_acceptance(change) and change.late_record_asked_at:
        return [
            all_actions.Action(
                "accept-late-record",
                "Accept that it is recorded late",
                late_records.accept_refusal(change, case.actor),
            )
        ]
    if change.state not in ENDED or change.state == State.CLOSED:
        return []
    review, found = case.review, []
    if review and review.written_at is None:
        found.append(all_actions.Action("review", "Write the review", guards.review_refusal(case)))
    if change.confirmation_owed and review and review.written_at and not review.confirmed_at:
        found.append(
            all_actions.Action("confirm", "Confirm the review", guards.confirmation_refusal(case))
        )
    if guards.documentation_owed(case):
        found.append(
            all_actions.Action(
                "document", "Supply the documentation", guards.documentation_refusal(case)
            )
        )
    return found


@dataclass(frozen=True)
class NextStep:
    """The one primary action of a person: its title, what it brings about, and what it is about.

    `kind`: "decide" (a step), "exception" (one to grant: its row), "act" (an action, perhaps
    barred: it `opens` later, or `asks` for words), or "none". `rollback` is offered beside whatever
    else there is.
    """

    kind: str
    title: str
    sentence: str = ""
    step: Step | None = None
    ahead: Any = None
    before: Any = None
    row: FreezeException | None = None
    action: all_actions.Action | None = None
    rollback: all_actions.Action | None = None
    opens: datetime | None = None
    asks: str = ""


def _next_step(case: Case, found: list[all_actions.Action]) -> NextStep:
    """What this person is asked for now; what is barred is shown with its reason."""
    if case.mine:
        step = case.mine[0]
        instead = case.standing_in_for(step)
        return NextStep(
            "decide",
            f"{step.label} for {instead}" if instead else f"Your {step.label.lower()} is open",
            f"{rounds.what_approving_does(step, case.steps)} {duty.bars(case, step)}".rstrip(),
            step=step,
            ahead=case.signs_ahead(step),
            before=case.judged_before(step),
        )
    if asked := case.exception_to_grant:
        title = f"A freeze exception waits for you: {say_instant(asked.row.slot_start)}"
        sentence = f"“{asked.row.reason}” {asked.row.author}"
        return NextStep("exception", title, sentence, row=asked.row)
    by_name = {action.name: action for action in found}
    candidates = [by_name[name] for name in PRIMARY if name in by_name]
    if case.change.is_emergency and case.actor.is_devops:
        # it starts at once; whoever runs it is asked for that, not for a slot
        candidates.remove(by_name["schedule"])
    chosen = next((a for a in candidates if a.allowed), None) or next(
        (a for a in candidates if _could_be(case, a)), None
    )
    if chosen is None and (barred := _barred_decision(case, by_name["approve"])):
        chosen = barred
    rollback = by_name["roll_back"]
    rolling = rollback if rollback.allowed and case.change.state in RUNNING else None
    if chosen is None:
        waits = _waits(case) if case.change.state == State.IN_REVIEW else ("", "")
        return NextStep("none", waits[0] or _standing(case), waits[1], rollback=rolling)
    title, sentence = _words(case, chosen)
    starts_before = chosen.name == "start" and case.starts_before
    asks = "Nobody has authorised it: whom did you call, and when?" if starts_before else ""
    times = (reason.next_allowed_at for reason in chosen.reasons)
    opens = next((at for at in times if at), None)
    return NextStep("act", title, sentence, action=chosen, rollback=rolling, opens=opens, asks=asks)


def _words(case: Case, chosen: all_actions.Action) -> tuple[str, str]:
    """(title, sentence) of the next step: what it is, and what it will bring about."""
    change = case.change
    title, sentence = TITLES.get(chosen.name, chosen.label), SENTENCES.get(chosen.name, "")
    match chosen.name:
        case "finish_rollback" if change.no_way_back:
            return "The recovery", sentence.replace("rollback", "recovery")
        case "submit":
            return _submitting(change, chosen)
        case "schedule" if case.lost_slot:
            verb = {"missed": "missed", "displaced": "lost"}.get(
                case.lost_slot.get("kind", ""), "gave up"
            )
            slot = case.lost_slot.get("slot")
            title = f"It {verb} its slot" + (
                f", {say_instant(datetime.fromisoformat(slot))}" if slot else ""
            )
            return (
                title,
                f"{case.lost_slot['reason'].rstrip('.')}. Choose another; the approval stands.",
            )
        case "start" if case.starts_before:
            told = (
                "CTO and emergency contacts are told at once, and say within 24 hours whether it"
                " was right."
            )
            return "Start it before it is authorised", told
    return title, sentence


def _submitting(change: ChangeRequest, submit: all_actions.Action) -> tuple[str, str]:
    if change.state == State.CHANGES_REQUESTED:
        return (
            "Changes were requested",
            "Answer by editing, then submit it again: its reviewers are asked anew.",
        )
    if not submit.allowed:
        return (
            "It waits for a change manager"
            if submit.reasons[0].code == "recorded_late"
            else "Not complete yet"
        ), ""
    if late_records.needs_acceptance(change):
        return (
            "Record what was done?",
            "It began more than 72 hours ago: this asks a change manager to accept that first.",
        )
    if late_records.is_due(change):
        return (
            "Record what was done?",
            (
                "It is kept with its real times; whoever could have authorised it says whether it"
                " was right."
            ),
        )
    return TITLES["submit"], SENTENCES["submit"]


def _could_be(case: Case, action: all_actions.Action) -> bool:
    """Whether a blocked action is this person's kind of step, so that it is shown with its reason
    and never just absent (X10).
    """
    first = action.reasons[0].code
    if (
        first in ("state", "by_itself", "read_only")
        or case.change.state not in TRANSITIONS.get(action.name, ((case.change.state,), ""))[0]
    ):
        return False
    if first == "not_yours":  # somebody else implements it: who could take over sees that
        return (
            action.name in RUN and case.actor.is_devops and case.change.implementer_id is not None
        )
    return first != "own_change" or action.name in ("confirm",)


RUN = ("start", "finish", "complete", "finish_rollback")


def _barred_decision(case: Case, approve: all_actions.Action) -> all_actions.Action | None:
    """A step that the person's roles are for, and that they may not give: with why."""
    if case.change.state != State.IN_REVIEW or not case.actor.may_write:
        return None
    roles = case.capacities[0].roles if case.capacities else frozenset()
    asked = [
        step
        for step in case.steps
        if not step.deferred and not step.is_settled and roles & set(step.roles)
    ]
    reasons = [reason for step in asked for reason in case.decision_refusal(step)]
    return replace(approve, reasons=reasons[:1]) if reasons else None


TITLES = {
    "approve": "Your verdict",
    "accept-late-record": "It waits for you, before it can be recorded",
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
    "approve": "Your role gives this step.",
    "accept-late-record": (
        "It began more than 72 hours ago; its requester submits it again once you accept that, and"
        " the report says so."
    ),
    "submit": (
        "Submitting asks the reviewers at the right; you can still edit, which asks them again."
    ),
    "start": "Starting judges calendar, approvals and checklist once more, at this instant.",
    "finish": "Finishing ends the work; verification and the 30-minute watch begin.",
    "complete": "Completing ends the implementation; the review is due within 24 hours.",
    "finish_rollback": (
        "Finishing the rollback resolves the issues that it answers; the review is due within 24"
        " hours."
    ),
    "review": "Say what happened and what was learned.",
    "confirm": "Confirming says that the review tells what happened.",
    "document": "An emergency's missing fields are due 24 hours after its end.",
    "schedule": "Booking takes the place in the window for the whole plan.",
}


def _still_asked(step: Step) -> list[str]:
    """The roles that a step still needs."""
    given = {decision.role for decision in step.decisions.all()} if step.mode == "all" else set()
    return [role for role in step.roles if role not in given]


NAMED = 3  # of those who could decide


def _waits(case: Case) -> tuple[str, str]:
    """(whom a change in review waits for, by name; what happens meanwhile), for whom nothing waits
    here (X18).
    """
    asked = [step for step in case.steps if step.state == step.State.OPEN and not step.deferred]
    if not asked:
        return "It waits for its reviewers.", ""
    decided = {
        person
        for step in case.steps
        if step.stage == asked[0].stage
        for d in step.decisions.all()
        for person in d.people
    }
    names = reminders.who_could(asked, {step.pk: case.authors | decided for step in asked})
    said = []
    for step in asked:
        some, more = names[step.pk][:NAMED], len(names[step.pk]) - NAMED
        people = [*some, f"{more} more"] if more > 0 else some
        who = (
            f" ({', '.join(people[:-1])} or {people[-1]})"
            if len(people) > 1
            else f" ({people[0]})"
            if people
            else ""
        )
        said.append(f"{step.label.lower()} by {step.quorum.words(_still_asked(step))}{who}")
    due = min((at for step in asked if (at := reminders.decide_by(step))), default=None)
    waits, meanwhile = f"It waits for the {'; '.join(said)}.", _meanwhile(asked)
    if due is None:
        return waits, f"{meanwhile[0].upper()}{meanwhile[1:]}"
    expected = "Expected" if due > case.at else "It was expected"
    return waits, f"{expected} by {say_instant(due)}; {meanwhile}"


def _meanwhile(asked: list[Step]) -> str:
    """What is done about steps that wait: only what is still to come is promised."""
    chased = [step for step in asked if step.remind_hours is not None]
    if any(step.reminded_at is None for step in chased):
        return "whoever has not answered is reminded, and later the change manager is told."
    if any(step.escalated_at is None for step in chased):
        return "whoever has not answered has been reminded; later the change manager is told."
    return (
        "whoever has not answered has been reminded, and the change manager told."
        if chased
        else "whoever could answer has been told."
    )


def _standing(case: Case) -> str:
    """Where it stands, for whom nothing waits here."""
    change = case.change
    if change.state == State.APPROVED and change.is_emergency:
        return "Authorised: it may start at once."
    if change.state == State.SCHEDULED:
        said = (
            f"Booked; {change.implementer} implements it."
            if change.implementer
            else "Booked; a DevOps engineer starts it."
        )
        return f"{said} {duty.warning(case)}".rstrip()
    return {
        State.APPROVED: "Approved, without a slot.",
        State.IMPLEMENTING: "It is being implemented.",
        State.VERIFYING: "It is being verified.",
        State.ROLLING_BACK: f"Its {change.way_back.lower()} is running.",
        State.CLOSED: "Closed: everything owed is in.",
        State.REJECTED: "Rejected. Copy it to ask again.",
        State.CANCELLED: "Cancelled.",
        State.DRAFT: f"A draft of {change.requester}.",
        State.CHANGES_REQUESTED: f"Changes were requested; {change.requester} answers them.",
    }.get(State(change.state), "It has ended; what is owed is listed below.")


# --- what every tab shows -------------------------------------------------------------------------


def _may(case: Case) -> dict[str, bool]:
    """What this person may do beside the actions, each by its own refusal."""
    change, actor = case.change, case.actor
    takes_over = case.left_run is not None and not guards.accept_take_over_refusal(case)
    late = late_records.is_due(change) and not late_records.accept_refusal(change, actor)
    risky = change.state == State.IN_REVIEW and change.risk_now in ("medium", "high")
    return {
        "may_edit": actor.may_write and not taking_back.edit_refusal(change, actor),
        "may_accept_take_over": takes_over,
        "may_accept_late": late,
        "may_transfer": actor.may_write and not changes.transfer_refusal(change, actor),
        "may_add_security": _may_add_security(case),
        "may_assess": risky and bool(case.mine),
        "may_extend": not guards.extend_refusal(change, actor),
    }


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
        "not_needed": _not_needed(case),
        "vacancies": case.vacancies,
        "my_steps": case.mine,
        "advances": case.advances,
        "actions": by_name,
        "next": _next_step(case, found),
        "more": [
            by_name[name]
            for name in ("escalate", "unschedule", "roll_back", "fail", "cancel")
            if by_name[name].allowed
        ],
        "take_over": _take_over(case),
        "left_run": case.left_run,
        **_may(case),
        **_sharing(case),
        "watched": change.watches.filter(user=actor).exists(),
        "kinds": ChangeRequest.EmergencyKind.choices,
        "triggers": matrix.TRIGGERS.items(),
        "failed": Failure(),
        "post_to": "",
        "documented": case.documentation.values if case.documentation else {},
        **_by_telephone(case),
    }


@dataclass(frozen=True)
class TakeOver:
    """Whether a person may take the run over, what they must say for it, or why they may not."""

    may: bool = False
    asks: str = ""
    why_not: str = ""


def _take_over(case: Case) -> TakeOver:
    """Whether this person may take the run over, must say why, or may not and why (A28, A37)."""
    if not (case.actor.may_write and case.actor.is_devops):
        return TakeOver()
    refusal = guards.take_over_refusal(case)
    if not refusal:
        return TakeOver(may=True)
    first = refusal[0]
    if first.code == "reason":
        return TakeOver(may=True, asks=first.message)
    return (
        TakeOver(why_not=first.message) if first.code in ("judged", "only_approver") else TakeOver()
    )


def _may_add_security(case: Case) -> bool:
    """By the facts that the case has: a reviewer of the open review stage, which has no security
    review (A16).
    """
    stage = [
        step
        for step in case.steps
        if not step.deferred and step.stage == added_security.REVIEW_STAGE
    ]
    if (
        case.change.state != State.IN_REVIEW
        or case.change.is_emergency
        or any(step.kind == policy.SECURITY for step in stage)
    ):
        return False
    roles = case.capacities[0].roles if case.capacities else frozenset()
    mine = any(roles & set(step.roles) for step in stage) and case.actor.pk not in case.authors
    return mine and any(step.state == step.State.OPEN for step in stage)


def _not_needed(case: Case) -> list[str]:
    """The template's boxes that this change's policy does not ask for (R33-R35, A2)."""
    kinds = {step.kind for step in case.steps}
    if not kinds or case.change.is_emergency:
        return []
    return [policy.KIND_LABELS[kind] for kind in policy.REVIEWERS if kind not in kinds]


def _sharing(case: Case) -> dict[str, Any]:
    """Who else sees a confidential change, for whoever may say so."""
    if not case.change.confidential or sharing.refusal(case.change, case.actor):
        return {"may_share": False}
    return {
        "may_share": True,
        "grants": sharing.grants_of(case.change),
        "roles_to_choose": sharing.roles_to_choose(),
    }


def _by_telephone(case: Case) -> dict[str, Any]:
    """For an emergency: the step whose approval the on-call engineer may record, and the answer
    that this person owes (A4).
    """
    if not case.change.is_emergency:
        return {"telephone": None, "to_ratify": None, "asked": None}
    step = next(
        (
            s
            for s in case.steps
            if s.kind == policy.EMERGENCY
            and not s.deferred
            and s.state == s.State.OPEN
            and s.ratify_by is None
        ),
        None,
    )
    on_call = (
        step is not None and case.actor.may_write and case.actor.has_role(Role.ON_CALL_ENGINEER)
    )
    return {
        "telephone": (
            {
                "step": step,
                "people": who_decides.people_for(step).exclude(pk=case.actor.pk)[:50],
                "own": bool(who_decides.telephone_refusal(step, case.actor)),
            }
            if step and on_call
            else None
        ),
        "to_ratify": case.to_ratify,
        "asked": telephone.waiting_for(case.actor).filter(decision__change=case.change).first(),
    }


def ended(case: Case) -> dict[str, Any]:
    """What an ended change shows of its review, and of what it still owes."""
    if case.change.state not in ENDED:
        return {"review": None, "owed": [], "supplied": []}
    return {
        "review": case.review,
        "owed": guards.owed(case) if case.change.state != State.CLOSED else [],
        "owed_fields": [content.BY_NAME[name] for name in guards.documentation_owed(case)],
        "may_review": not guards.review_refusal(case),
        "may_confirm": not guards.confirmation_refusal(case),
        "may_document": not guards.documentation_refusal(case),
        "supplied": _supplied(case),
        "review_parts": _review_parts(case),
        "review_said": _review_said(case.review),
        "left_out": (
            case.unsettled(ChecklistItem.Phase.PRE)
            if case.change.is_emergency and case.change.state != State.CLOSED
            else []
        ),
    }


def _supplied(case: Case) -> list[tuple[str, str]]:
    """What a P0 supplied after its authorisation, labelled, in the template's order (A22)."""
    values = case.documentation.values if case.documentation else {}

    def said(name: str) -> str:
        value = values[name]
        if name == "rollback_tested":
            return ", ".join(
                str(value[part]) for part in ("what", "where", "when", "link") if value.get(part)
            )
        if name == "dependencies" and not value:
            return "None"
        return f"{value} min" if name.endswith("_minutes") else content.as_text(value)

    return [
        (field.label, said(field.name))
        for field in content.FIELDS
        if values.get(field.name) is not None
    ]


def _review_said(review: Review | None) -> dict[str, str]:
    """What the review's form begins with: the version before."""
    if review is None:
        return {}
    answer = {True: "yes", False: "no", None: ""}[review.runbook_updated]
    return {name: getattr(review, name) for name in reviews.WRITTEN} | {"runbook_updated": answer}


def _review_parts(case: Case) -> list[tuple[str, str]]:
    review = case.review
    if review is None:
        return []
    answers = {True: "Yes", False: "No", None: ""}
    parts = [
        ("Summary", review.summary),
        ("Deviations", review.deviations),
        ("Lessons learned", review.lessons),
        ("Improvements", review.improvements),
        ("Runbook updated", answers[review.runbook_updated]),
        ("Right to make it an emergency", answers[review.p0_justified]),
    ]
    return [(label, text) for label, text in parts if text]
