"""What the change page says around its tabs: header, stepper, the one next step of this person,
calendar and clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.roles import Role
from approvals.deciding import added_security, late_records, telephone
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import taking_back
from implementation import matrix
from implementation.run import actions as all_actions
from implementation.run import afterwards, guards
from implementation.run.case import Case
from pages.change.failure import Failure
from pages.change.next_step import next_step
from requests import changes, sharing
from requests.models import ChangeRequest
from requests.states import ENDED, State

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
        found.append(
            all_actions.Action("review", "Write the review", afterwards.review_refusal(case))
        )
    if change.confirmation_owed and review and review.written_at and not review.confirmed_at:
        found.append(
            all_actions.Action(
                "confirm", "Confirm the review", afterwards.confirmation_refusal(case)
            )
        )
    if afterwards.documentation_owed(case):
        found.append(
            all_actions.Action(
                "document", "Supply the documentation", afterwards.documentation_refusal(case)
            )
        )
    return found


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
        "next": next_step(case, found),
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
