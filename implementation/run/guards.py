"""Why a run may not move: one function per transition, asked by services, `actions`, gate and page
alike. Empty means it may.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from accounts.models import User
from accounts.roles import Role
from approvals.deciding import authorisation, ratification
from approvals.models import Decision
from implementation.models import ChecklistItem
from implementation.run.case import LEFT_AFTER, Case
from language.refusal import Reason
from language.say import say_instant, say_length
from requests import apart, lifecycle
from requests.models import ChangeRequest
from requests.states import RUNNING, State
from windows.booking.beginning import Beginning, may_begin, may_go_on, run_ends

MONITORING = timedelta(minutes=30)  # R82, R71
REOPEN_WITHIN = timedelta(days=7)  # A30


# --- who ------------------------------------------------------------------------------------------


def is_implementer(change: ChangeRequest, actor: User) -> bool:
    """The person in the field, or while it is empty any DevOps role (A28)."""
    if not actor.may_write:
        return False
    return change.implementer_id == actor.pk if change.implementer_id else actor.is_devops


def implementer_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person does not run it; who could by taking it over is told so."""
    if is_implementer(change, actor):
        return []
    if change.implementer_id and actor.is_devops:
        return [
            Reason(
                "not_yours",
                f"{change.implementer} implements it; take it over first, with one click.",
            )
        ]
    return [Reason("not_yours", "Implementing is for the implementer, a DevOps role.")]


def take_over_refusal(case: Case, *, reason: str = "") -> list[Reason]:
    """A28, A37: any DevOps role takes over; whoever judged the change only a run that its
    implementer has left, saying why.
    """
    change, actor = case.change, case.actor
    if not actor.is_devops:
        return [Reason("not_yours", "A DevOps role or the on-call engineer takes over.")]
    if change.implementer_id == actor.pk:
        return [Reason("yours_already", "You implement it already.")]
    if change.state not in {State.APPROVED, State.SCHEDULED, *RUNNING}:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; there is nothing to take"
                " over.",
            )
        ]
    barred = apart_refusal(case)
    if not barred or change.state not in RUNNING:
        return barred
    if not case.is_left:
        at_it = f"{change.implementer} was at it {say_length(case.at - case.last_act)} ago"
        left = f"a run left for {say_length(LEFT_AFTER)} may be taken over"
        return [replace(barred[0], message=f"{barred[0].message} {at_it}; {left}.")]
    if not reason.strip():
        return [
            Reason(
                "reason",
                "You judged this change: say why you take over the run that its implementer has"
                " left.",
            )
        ]
    return []


def apart_refusal(case: Case) -> list[Reason]:
    """Why this person may not run the change: they judged it, or gave its last stage alone (A2,
    A37).
    """
    if case.judged:
        return [Reason("judged", f"You {case.judged}; somebody else must run it.")]
    return _only_approver_refusal(case)


def _implementer_or(change: ChangeRequest, actor: User, *roles: str) -> list[Reason]:
    if is_implementer(change, actor) or (actor.may_write and actor.has_role(*roles)):
        return []
    return [
        Reason(
            "not_yours",
            "This is for the implementer"
            + (
                ", the on-call engineer."
                if Role.ON_CALL_ENGINEER in roles
                else " or the change manager."
            ),
        )
    ]


# --- start, and the gate --------------------------------------------------------------------------


def start_refusal(case: Case) -> list[Reason]:
    """Everything that stands against this person's starting at the case's instant, each with its
    remedy (promises 1 and 2).
    """
    if case.starts_before:
        return []  # whoever is alone takes it in hand, whoever was named (A33)
    return _starter_refusal(case) or _unauthorised_refusal(case) or run_refusal(case)


def _unauthorised_refusal(case: Case) -> list[Reason]:
    """An emergency that waits for its authorisation: who could start it all the same (A33)."""
    if not ratification.waits_unauthorised(case.change):
        return []
    text = (
        "Nobody has authorised it yet. The on-call engineer on duty may start it all the same,"
        " saying whom they called."
    )
    return [
        Reason(
            "not_approved",
            text,
            rule="Emergency authorisation",
            override_roles=(Role.ON_CALL_ENGINEER,),
        )
    ]


def _starter_refusal(case: Case) -> list[Reason]:
    return implementer_refusal(case.change, case.actor) or apart_refusal(case)


def _only_approver_refusal(case: Case) -> list[Reason]:
    """Whoever gave the only approval of the last stage, or in whose name it was given, does not
    start it (A2, A37).

    Who only recorded it by telephone has not given it.
    """
    required = [step for step in case.steps if not step.deferred]
    last = max((step.stage for step in required), default=0)
    given = [
        decision
        for step in required
        if step.stage == last
        for decision in step.decisions.all()
        if decision.verdict == Decision.Verdict.APPROVE
    ]
    if len(given) != 1:
        return []
    alone = given[0].people if given[0].delegation_id else {given[0].principal_id}
    if case.actor.pk not in alone:
        return []
    whose = (
        "You alone gave"
        if case.actor.pk == given[0].actor_id
        else f"{given[0].actor} gave in your name"
    )
    return [Reason("only_approver", f"{whose} the last approval; somebody else must start it.")]


def run_refusal(case: Case) -> list[Reason]:
    """What the gate answers at the case's instant, the caller's role apart."""
    change = case.change
    if change.state == State.APPROVED and not change.is_emergency:
        return [Reason("not_scheduled", f"{change.number} has no slot; book one first.")]
    if refusal := authorisation.expired_refusal(change, case.at):
        return refusal
    if refusal := lifecycle.state_refusal(change, "start"):
        return refusal
    if refusal := _approval_refusal(case):
        return refusal
    if change.is_emergency:
        return []  # any time, once authorised; no checklist or component in the way (R74, A29)
    beginning = Beginning(change, case.at, case.calendar, case.taken, case.needs, case.reader)
    return [*may_begin(beginning), *_checklist_refusal(case, ChecklistItem.Phase.PRE)]


def _approval_refusal(case: Case) -> list[Reason]:
    """Approvals are read again, against the content itself and not what was noted of it (X25)."""
    change, steps = case.change, [step for step in case.steps if not step.deferred]
    given, fingerprint = (
        [decision for step in steps for decision in step.decisions.all()],
        change.fingerprint,
    )
    unsound = any(
        case.authors & decision.people or decision.content_hash != fingerprint for decision in given
    )
    if (
        not steps
        or any(not step.is_settled for step in steps)
        or change.approved_hash != fingerprint
        or unsound
    ):
        return [
            Reason("not_approved", f"{change.number} lacks an approval that its policy demands.")
        ]
    return []


def _checklist_refusal(case: Case, *phases: str) -> list[Reason]:
    waiting = [] if case.change.is_recorded else case.unsettled(*phases)
    if not waiting:
        return []
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    text = f"The checklist waits for “{waiting[0].text}”{more}: do it, or skip it and say why."
    return [Reason("checklist", text, rule="Checklist")]


def gate(case: Case) -> tuple[bool, list[Reason], datetime | None, datetime | None]:
    """(allow, reasons, next_allowed_at, until): exactly what `start` would answer at that instant,
    the caller's role apart.

    While it runs, true until the end of its window, or of its slot where that was extended; a P0
    needs neither (R74).
    """
    change, at = case.change, case.at
    if change.state == State.ROLLING_BACK:
        return True, [], None, None  # back is never refused: no window, freeze or lockdown (A30)
    if change.state == State.IMPLEMENTING:
        reasons = may_go_on(change, at, case.calendar)
        return not reasons, reasons, None, None if reasons else run_ends(change)
    if reasons := run_refusal(case):
        upcoming = next(
            (reason.next_allowed_at for reason in reasons if reason.next_allowed_at), None
        )
        return False, reasons, upcoming, None
    return True, [], at, change.window_end


# --- finish, complete, roll back, fail, close -----------------------------------------------------


def forward_refusal(case: Case) -> list[Reason]:
    """A run taken over by somebody who judged the change goes forward when a second person accepts
    that (A37).
    """
    if case.left_run is None or case.left_run.accepted_by_id:
        return []
    text = (
        "You judged this change and took over its run: a DevOps lead or the on-call engineer must"
        " accept that it goes forward."
    )
    return [Reason("second_person", f"{text} You may roll it back or record it as failed at once.")]


def accept_take_over_refusal(case: Case) -> list[Reason]:
    """Why this person may not be the second one who lets such a run go forward."""
    if case.left_run is None:
        return [Reason("not_needed", "Nobody who judged this change has taken over its run.")]
    if case.left_run.accepted_by_id:
        return [Reason("settled", f"{case.left_run.accepted_by} accepted it already.")]
    if not (case.actor.may_write and case.actor.has_role(Role.DEVOPS_LEAD, Role.ON_CALL_ENGINEER)):
        return [
            Reason(
                "not_yours", "A DevOps lead or the on-call engineer accepts it, as a second person."
            )
        ]
    return apart.hand_refusal(
        case.change, case.actor, "accepts it", case.hands | case.authors
    ) or apart_refusal(case)


def finish_refusal(case: Case) -> list[Reason]:
    """Why the work cannot be called done: the run must stand, its steps be settled."""
    return (
        lifecycle.state_refusal(case.change, "finish")
        or implementer_refusal(case.change, case.actor)
        or forward_refusal(case)
        or _checklist_refusal(case, ChecklistItem.Phase.START, ChecklistItem.Phase.DURING)
    )


def monitoring_left(change: ChangeRequest, at: datetime) -> timedelta:
    """How much of the 30 minutes' watch is left at that instant (R82)."""
    return (
        max(timedelta(0), change.finished_at + MONITORING - at)
        if change.finished_at
        else timedelta(0)
    )


def complete_refusal(case: Case, *, reason: str = "") -> list[Reason]:
    """Why it cannot be completed: items, failed checks, or the watch without a `reason`."""
    change = case.change
    if found := lifecycle.state_refusal(change, "complete") or implementer_refusal(
        change, case.actor
    ):
        return found
    found = [*_checklist_refusal(case, ChecklistItem.Phase.POST), *_failed_checks(case)]
    left = monitoring_left(change, case.at)
    if left and not reason.strip():
        until = case.at + left
        text = (
            f"Monitoring runs until {until:%H:%M} UTC, {say_length(left)} more; to shorten it, give"
            " a reason."
        )
        found.append(
            Reason("monitoring", text, rule="30-minute watch", until=until, next_allowed_at=until)
        )
    return found


def _failed_checks(case: Case) -> list[Reason]:
    """The latest result of each check counts; a failed one may be accepted by a second person."""
    latest = {check.name: check for check in case.checks}
    remedy = "repeat it, or have a DevOps lead or the on-call engineer accept it"
    return [
        Reason("check_failed", f"The latest “{check.name}” failed; {remedy}.", rule="Checks")
        for check in latest.values()
        if not check.passed
        and (check.accepted_by_id is None or check.accepted_by_id in case.hands | case.authors)
    ]


def accept_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not accept a failed check."""
    if not (actor.may_write and actor.has_role(Role.DEVOPS_LEAD, Role.ON_CALL_ENGINEER)):
        return [
            Reason(
                "not_yours",
                "A failed check is accepted by a DevOps lead or the on-call engineer, as a second"
                " person.",
            )
        ]
    return apart.hand_refusal(change, actor, "accepts a failed check")


def _reopened_in_time(case: Case, name: str) -> list[Reason]:
    """Ended changes can be rolled back or failed until 7 days after completion (A30)."""
    change = case.change
    if refusal := lifecycle.state_refusal(change, name):
        return refusal
    if change.state in RUNNING:
        return []
    if change.outcome != State.COMPLETED:
        return [
            Reason("state", f"{change.number} was {State(change.outcome).label.lower()} already.")
        ]
    if change.completed_at and case.at - change.completed_at > REOPEN_WITHIN:
        return [
            Reason(
                "too_late",
                f"It was completed more than 7 days ago, on {say_instant(change.completed_at)};"
                " request a new change.",
            )
        ]
    return []


def roll_back_refusal(case: Case) -> list[Reason]:
    """Refused by no window, freeze, training or checklist: only by the state, and to people who may
    not (A30).
    """
    return _reopened_in_time(case, "roll_back") or _implementer_or(
        case.change, case.actor, Role.ON_CALL_ENGINEER
    )


def finish_rollback_refusal(case: Case) -> list[Reason]:
    """Why the rollback cannot be called done: its items must be settled."""
    return (
        lifecycle.state_refusal(case.change, "finish_rollback")
        or implementer_refusal(case.change, case.actor)
        or _checklist_refusal(case, ChecklistItem.Phase.ROLLBACK)
    )


def fail_refusal(case: Case) -> list[Reason]:
    """Why it cannot be called failed, in a run or within the days that reopen it (A30)."""
    return _reopened_in_time(case, "fail") or _implementer_or(
        case.change, case.actor, Role.CHANGE_MANAGER
    )


def extend_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot lengthen its running slot."""
    if not (actor.may_write and actor.has_role(Role.CHANGE_MANAGER, Role.ON_CALL_ENGINEER)):
        return [Reason("not_yours", "The change manager or the on-call engineer extends a slot.")]
    if change.state not in {State.IMPLEMENTING, State.VERIFYING} or change.slot_end is None:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; a running slot is"
                " extended.",
            )
        ]
    return []
