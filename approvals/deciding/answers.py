"""The answers to a step's checklist: what was given, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.models import User
from approvals.models import Decision, Step
from approvals.policy import policy
from language import reading
from language.refusal import (
    Invalid,
)
from requests import evidence
from requests.models import ChangeRequest

NEEDS_COMMENT = {Decision.Verdict.REJECT, Decision.Verdict.REQUEST_CHANGES, Decision.Verdict.WAIVE}


def checked(
    step: Step, verdict: str, comment: str, checklist: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Comment and checklist as they are kept, or Invalid."""
    if verdict not in Decision.Verdict.values:
        raise Invalid(
            fields={"verdict": f"Verdict: choose one of {', '.join(Decision.Verdict.values)}."}
        )
    try:
        comment = reading.prose(comment)
    except reading.Wrong as problem:
        raise Invalid(fields={"comment": f"Comment: {problem}"}) from None
    if verdict in NEEDS_COMMENT and not comment:
        word = {"reject": "reject", "request_changes": "request changes", "waive": "waive"}[verdict]
        raise Invalid(
            fields={
                "comment": f"Comment: to {word}, say why; {step.change.requester} will read it."
            }
        )
    known = {item["key"] for item in step.checklist}
    answers = {key: _answer(key, answer) for key, answer in checklist.items() if key in known}
    if verdict != Decision.Verdict.APPROVE:
        return comment, answers
    no_evidence = (
        evidence_problem(step.change)
        if any(item["key"] == policy.EVIDENCE_ITEM for item in step.checklist)
        else ""
    )
    if problems := policy.check_checklist(step.checklist, answers, no_evidence=no_evidence):
        raise Invalid(fields={f"checklist.{key}": text for key, text in problems.items()})
    return comment, answers


def evidence_problem(change: ChangeRequest) -> str:
    """Why nothing shows that the rollback works, in the content, or for an emergency in what was
    supplied afterwards (A19); or nothing.
    """
    if change.no_way_back:
        return ""  # T2 asks something else then (A46)
    found = evidence.of(change)
    supplied = (
        change.documentation.order_by("-version").first()
        if change.is_emergency and not found.counts
        else None
    )
    return (
        evidence.of(change, supplied.values.get("rollback_tested") or {}).problem
        if supplied
        else found.problem
    )


def _answer(key: str, answer: Any) -> Any:
    """One checklist answer as it is kept: ticked, or not applicable and why; anything else is no
    answer.
    """
    if isinstance(answer, Mapping) and isinstance(answer.get("not_applicable"), str):
        return {"not_applicable": reading.said(f"checklist.{key}", answer["not_applicable"], key)}
    return answer is True


def answers_before(actor: User, step_id: int) -> dict[str, Any]:
    """The checklist as this person answered it when they approved the same step of an earlier
    round; nothing if they did not.
    """
    step = Step.objects.filter(pk=step_id).first()
    if step is None:
        return {}
    earlier = Decision.objects.filter(
        actor=actor, change=step.change_id, step__kind=step.kind, round__lt=step.round
    )
    last = earlier.filter(verdict=Decision.Verdict.APPROVE).order_by("-id").first()
    return dict(last.checklist) if last else {}
