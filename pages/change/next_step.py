"""What a person is asked for on a change now, in a sentence or two, or why there is nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from approvals.deciding import late_records
from approvals.models import Step
from approvals.rounds import reminders, rounds
from implementation.run import actions as all_actions
from implementation.run import duty
from implementation.run.case import Case
from language.say import say_instant
from requests.models import ChangeRequest
from requests.states import RUNNING, TRANSITIONS, State
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


def next_step(case: Case, found: list[all_actions.Action]) -> NextStep:
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
