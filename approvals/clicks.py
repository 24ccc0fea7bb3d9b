"""Clicks on a change that ask for approval, take part in it, or take it back."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from approvals.deciding import (
    added_security,
    ahead,
    decisions,
    lowered_risk,
    ratification,
    recording,
    suggestions,
    telephone,
)
from approvals.rounds import submission, taking_back
from web.clicks import Posted, click


@click("submit", submission.said)
def submit(actor: User, number: str, posted: Posted) -> Any:
    return decisions.submit(actor=actor, number=number)


@click("cancel", "Cancelled.")
def cancel(actor: User, number: str, posted: Posted) -> Any:
    return taking_back.cancel(
        actor=actor,
        number=number,
        reason=posted.text("reason"),
        duplicate_of=posted.text("duplicate_of").strip(),
    )


@click("escalate", "It is a P0 now; who can authorise it has been told.")
def escalate(actor: User, number: str, posted: Posted) -> Any:
    kind, reference = posted.text("emergency_kind"), posted.text("emergency_reference")
    return taking_back.escalate(
        actor=actor,
        number=number,
        reason=posted.text("reason"),
        emergency_kind=kind,
        emergency_reference=reference,
    )


@click("confirm-phone", "Your answer is recorded.")
def confirm_phone(actor: User, number: str, posted: Posted) -> Any:
    return telephone.confirm(
        actor=actor, number=number, step_id=posted.key("step"), answer=posted.text("answer")
    )


@click("accept-suggestion", "The text is yours now.")
def accept_suggestion(actor: User, number: str, posted: Posted) -> Any:
    return suggestions.accept(
        actor=actor, number=number, key=posted.key("suggestion"), version=posted.key("version")
    )


@click("decline-suggestion", "Declined; its author has been told.")
def decline_suggestion(actor: User, number: str, posted: Posted) -> Any:
    return suggestions.decline(actor=actor, number=number, key=posted.key("suggestion"))


@click("take-back", "Taken back; it waits for you when its stage opens.")
def take_back(actor: User, number: str, posted: Posted) -> Any:
    return ahead.take_back(actor=actor, number=number, step_id=posted.key("step"))


@click("ratify", "Your answer is recorded.")
def ratify(actor: User, number: str, posted: Posted) -> Any:
    return ratification.answer(
        actor=actor, number=number, step_id=posted.key("step"), answer=posted.text("answer")
    )


@click("add-security", "The security review is added; security has been told.")
def add_security(actor: User, number: str, posted: Posted) -> Any:
    return added_security.add(actor=actor, number=number, reason=posted.text("reason"))


@click("assess", "The risk is lowered, for this round.")
def assess(actor: User, number: str, posted: Posted) -> Any:
    return lowered_risk.lower(
        actor=actor, number=number, level=posted.text("level"), reason=posted.text("reason")
    )


@click("accept-late-record", "Accepted; its requester submits it again.")
def accept_late_record(actor: User, number: str, posted: Posted) -> Any:
    return recording.accept_late(actor=actor, number=number, reason=posted.text("reason"))
