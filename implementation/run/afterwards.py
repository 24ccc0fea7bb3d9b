"""What an ended change still owes before it closes, and who may write, confirm and document it."""

from __future__ import annotations

from accounts.roles import Role, listed
from approvals.policy import policy
from implementation.run.case import Case
from language.refusal import Reason
from language.say import say_instant
from requests import content, lifecycle
from requests.states import State

JUSTIFYING = (Role.CHANGE_MANAGER, Role.CTO, Role.EMERGENCY_CONTACT)  # A37


def documentation_owed(case: Case) -> list[str]:
    """The template fields that a P0 still owes (A22)."""
    if not case.change.is_emergency:
        return []
    supplied = case.documentation.values if case.documentation else {}
    values = {**case.change.content(), **supplied, "priority": "P1"}  # judged as a P1's would be
    return [
        name
        for name in content.missing_fields(values)
        if name in content.DOCUMENTATION or name == "downtime_minutes"
    ]


def owed(case: Case) -> list[Reason]:
    """What must come in before an ended change closes (A13, A22)."""
    change, review, found = case.change, case.review, []
    if review is None or review.written_at is None:
        until = review.due_at if review else None
        due = f", due {say_instant(until)}" if until else ""
        unwritten = f"The post-implementation review is not written yet{due}."
        found.append(Reason("review", unwritten, until=until))
    elif change.confirmation_owed and review.confirmed_at is None:
        found.append(
            Reason("confirmation", "Somebody who did not implement it has to confirm the review.")
        )
    if fields := documentation_owed(case):
        labels = ", ".join(content.BY_NAME[name].label.lower() for name in fields)
        found.append(Reason("documentation", f"The emergency's documentation lacks: {labels}."))
    return found + _owed_by_reviewers(case) if change.is_emergency else found


def _owed_by_reviewers(case: Case) -> list[Reason]:
    """Of an emergency: the ratification of a start before its authorisation, and what was
    deferred.
    """
    found = []
    waiting = [step for step in case.steps if step.state == step.State.OPEN]
    for step in waiting:
        if step.kind == policy.EMERGENCY and step.ratify_by:
            due = say_instant(step.ratify_by)
            said = f"Its start before authorisation is not ratified yet, due {due}."
            found.append(Reason("ratification", said, until=step.ratify_by))
    for step in waiting:
        if step.deferred:
            said = f"The {step.label.lower()}, deferred for the emergency, is not given yet."
            found.append(Reason("deferred_review", said))
    return found


def close_refusal(case: Case) -> list[Reason]:
    """Why this person cannot close it: the state, the role, or what is still owed (A13)."""
    if refusal := lifecycle.state_refusal(case.change, "close"):
        return refusal
    if not (case.actor.may_write and case.actor.has_role(Role.CHANGE_MANAGER)):
        return [
            Reason(
                "not_yours",
                "The change manager closes; by itself it closes when everything owed is in.",
            )
        ]
    return owed(case)


def _may_account_for(case: Case) -> bool:
    """Implementer, requester and change manager say what happened."""
    own = case.actor.pk in (case.change.implementer_id, case.change.requester_id)
    return case.actor.may_write and (own or case.actor.has_role(Role.CHANGE_MANAGER))


def review_refusal(case: Case) -> list[Reason]:
    """Why this person cannot write or revise its review now (R147)."""
    change, review = case.change, case.review
    if not _may_account_for(case):
        return [Reason("not_yours", "Implementer, requester or change manager write the review.")]
    if review is None:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; its review follows the"
                " implementation.",
            )
        ]
    if review.confirmed_at or change.state == State.CLOSED:
        return [Reason("settled", "The review is settled; it is not changed any more.")]
    return []


def documentation_refusal(case: Case) -> list[Reason]:
    """Why this person cannot supply what an emergency left out (R5, A22)."""
    change = case.change
    if not change.is_emergency:
        return [Reason("state", "Only an emergency is documented afterwards.")]
    if not _may_account_for(case):
        return [
            Reason("not_yours", "Implementer, requester or change manager document an emergency.")
        ]
    if change.state not in (State.COMPLETED, State.ROLLED_BACK, State.FAILED):
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; documentation follows the"
                " implementation.",
            )
        ]
    return []


def confirmation_refusal(case: Case) -> list[Reason]:
    """Why this person cannot confirm its review: whoever had a hand in it never can (A13)."""
    review = case.review
    if review is None or review.written_at is None:
        return [Reason("state", "There is no written review to confirm.")]
    if not case.change.confirmation_owed:
        return [Reason("not_needed", "A completed change's review needs no confirmation.")]
    if review.confirmed_at:
        return [Reason("settled", f"{review.confirmed_by} confirmed it already.")]
    if not case.actor.may_write:
        return [Reason("not_yours", "Your roles read; they change nothing.")]
    if case.actor.pk in review.writers or case.actor.pk in case.hands | case.authors:
        text = (
            "Somebody who neither requested, edited nor implemented the change, nor wrote the"
            " review, confirms it."
        )
        return [Reason("own_change", text)]
    return _justification_refusal(case) if case.change.is_emergency else []


def _justification_refusal(case: Case) -> list[Reason]:
    """Whether a P0 was justified is said by change manager, CTO or emergency contact, none of whom
    authorised it (A37).
    """
    if not case.actor.has_role(*JUSTIFYING):
        return [
            Reason(
                "not_yours",
                f"Whether it had to be an emergency is said by {listed(list(JUSTIFYING))}.",
            )
        ]
    authorised = {
        key
        for step in case.steps
        if step.kind == policy.EMERGENCY
        for d in step.decisions.all()
        for key in d.people
    }
    if case.actor.pk in authorised:
        return [
            Reason(
                "own_change",
                "Whoever authorised the emergency does not say whether it had to be one.",
            )
        ]
    return []
