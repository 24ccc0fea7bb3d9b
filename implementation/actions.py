"""Every transition, for one person and one change: allowed or not, and why. One table for API and page (promise 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accounts.models import User
from approvals import access as approvals_access
from approvals import services as approvals
from approvals.models import Step
from audit.refusal import Reason
from implementation import guards
from requests import lifecycle
from requests.models import ChangeRequest
from requests.states import State
from windows import services as windows


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
        return not any(reason.code in {"not_yours", "own_change", "read_only", "by_itself"} for reason in self.reasons)


def _decide(change: ChangeRequest, actor: User, name: str) -> list[Reason]:
    """Approve, reject, request changes: whether one of the open steps waits for this person, else why each does not."""
    if refusal := lifecycle.state_refusal(change, name):
        return refusal
    all_steps = list(change.steps.filter(round=change.round, deferred=False).prefetch_related("decisions__actor"))
    steps = [step for step in all_steps if step.state == Step.State.OPEN]
    roles, author = approvals_access.roles_for_deciding(actor), approvals_access.is_author(change, actor)
    reasons: list[Reason] = []
    for step in steps:
        decided = any(
            decision.actor_id == actor.pk for other in all_steps if other.stage == step.stage for decision in other.decisions.all()
        )
        refusal = approvals_access.decision_refusal(step, actor, roles=roles, is_author=author, decided_in_stage=decided)
        if not refusal:
            return []
        reasons += refusal
    return reasons


def _by_itself(sentence: str) -> Callable[[ChangeRequest, User], list[Reason]]:
    def guard(change: ChangeRequest, actor: User) -> list[Reason]:
        return [Reason("by_itself", sentence)]

    return guard


def _start(change: ChangeRequest, actor: User) -> list[Reason]:
    return guards.start_refusal(change, actor)


GUARDS: dict[str, Callable[[ChangeRequest, User], list[Reason]]] = {
    "submit": approvals.submit_refusal,
    "approve": lambda change, actor: _decide(change, actor, "approve"),
    "request_changes": lambda change, actor: _decide(change, actor, "request_changes"),
    "reject": lambda change, actor: _decide(change, actor, "reject"),
    "revise": _by_itself("It happens by itself when the content is edited in review or later."),
    "lapse": _by_itself("It happens by itself when an approval is not used in time."),
    "escalate": approvals.escalate_refusal,
    "schedule": windows.schedule_refusal,
    "reschedule": lambda change, actor: lifecycle.state_refusal(change, "reschedule") or windows.schedule_refusal(change, actor),
    "unschedule": windows.unschedule_refusal,
    "start": _start,
    "finish": guards.finish_refusal,
    "complete": guards.complete_refusal,
    "roll_back": guards.roll_back_refusal,
    "finish_rollback": guards.finish_rollback_refusal,
    "fail": guards.fail_refusal,
    "close": guards.close_refusal,
    "cancel": approvals.cancel_refusal,
}


def actions_for(change: ChangeRequest, actor: User) -> list[Action]:
    """All transitions in the order of the lifecycle."""
    found = []
    for name, guard in GUARDS.items():
        reasons = guard(change, actor)
        if name == "submit" and not reasons and (missing := change.missing_fields()):
            reasons = [Reason("incomplete", text, rule=field) for field, text in missing.items()]
        if not actor.may_write and not reasons:
            reasons = [Reason("read_only", "Your roles read; they change nothing.")]
        if name == "schedule" and change.state == State.SCHEDULED:
            reasons = lifecycle.state_refusal(change, "schedule")
        found.append(Action(name, lifecycle.LABELS[name], reasons))
    return found
