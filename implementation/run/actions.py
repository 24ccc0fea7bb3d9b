"""Every transition, for one person and one change: allowed or not, and why. One table for API and
page (promise 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accounts.models import User
from approvals.deciding import decisions, late_records
from approvals.models import Step
from approvals.rounds import submission, taking_back
from implementation.run import afterwards, guards
from implementation.run.case import Case
from language.refusal import Reason
from requests import lifecycle
from requests.models import ChangeRequest
from windows.booking import bookings

Guard = Callable[[Case], list[Reason]]


@dataclass(frozen=True)
class Action:
    """One transition as this person finds it now."""

    name: str
    label: str
    reasons: list[Reason] = field(default_factory=list)

    @property
    def allowed(self) -> bool:
        return not self.reasons

    @property
    def is_mine(self) -> bool:
        """Whether only the state of things is in the way, not the person."""
        return not any(
            reason.code in {"not_yours", "own_change", "read_only", "by_itself"}
            for reason in self.reasons
        )


def _decide(case: Case, name: str) -> list[Reason]:
    """Approve, reject, request changes: whether one of the open steps waits for this person, else
    why each does not.
    """
    if refusal := lifecycle.state_refusal(case.change, name):
        return refusal
    open_steps = [
        step for step in case.steps if step.state == Step.State.OPEN and not step.deferred
    ]
    if any(step in case.mine for step in open_steps):
        return []
    return [reason for step in open_steps for reason in case.decision_refusal(step)]


def _reschedule(case: Case) -> list[Reason]:
    return bookings.schedule_refusal(case.change, case.actor) or lifecycle.state_refusal(
        case.change, "reschedule"
    )


def _schedule(case: Case) -> list[Reason]:
    return bookings.schedule_refusal(case.change, case.actor) or lifecycle.state_refusal(
        case.change, "schedule"
    )


def _submit(case: Case) -> list[Reason]:
    refusal = decisions.submit_refusal(case.change, case.actor)
    return refusal or [
        Reason("incomplete", text, rule=field)
        for field, text in submission.submit_problems(case.change).items()
    ]


def _record(case: Case) -> list[Reason]:
    if not late_records.is_due(case.change):
        return [
            Reason(
                "by_itself", "It happens when a P0 is submitted with the real start of its work."
            )
        ]
    return _submit(case)


def _of(guard: Callable[[ChangeRequest, User], list[Reason]]) -> Guard:
    """A guard of a lower app, which asks about the change and the person alone."""
    return lambda case: guard(case.change, case.actor)


def _by_itself(sentence: str) -> Guard:
    return lambda case: [Reason("by_itself", sentence)]


GUARDS: dict[str, Guard] = {
    "submit": _submit,
    "approve": lambda case: _decide(case, "approve"),
    "request_changes": lambda case: _decide(case, "request_changes"),
    "reject": lambda case: _decide(case, "reject"),
    "revise": _by_itself("It happens by itself when the content is edited in review or later."),
    "record": _record,
    "expire": _by_itself(
        "It happens by itself when an emergency's authorisation is not used in time."
    ),
    "lapse": _by_itself("It happens by itself when an approval is not used in time."),
    "escalate": _of(taking_back.escalate_refusal),
    "schedule": _schedule,
    "reschedule": _reschedule,
    "unschedule": _of(bookings.unschedule_refusal),
    "start": guards.start_refusal,
    "finish": guards.finish_refusal,
    "complete": guards.complete_refusal,
    "roll_back": guards.roll_back_refusal,
    "finish_rollback": guards.finish_rollback_refusal,
    "fail": guards.fail_refusal,
    "close": afterwards.close_refusal,
    "cancel": _of(taking_back.cancel_refusal),
}


def actions_for(case: Case) -> list[Action]:
    """All transitions in the order of the lifecycle."""
    found = []
    for name, guard in GUARDS.items():
        reasons = guard(case)
        if not case.actor.may_write and not reasons:
            reasons = [Reason("read_only", "Your roles read; they change nothing.")]
        found.append(Action(name, lifecycle.label(case.change, name), reasons))
    return found
