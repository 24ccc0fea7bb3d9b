"""What takes approvals back: an edit of the content, escalation to P0, cancelling, and an approval
that was not used (A2, A7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.models import Decision, Step
from approvals.rounds import rounds, submission
from audit import trail
from language import reading
from language.refusal import Invalid, Reason, Stale, raise_refusal
from notifications import outbox
from requests import access, apart, changes, cleaning, content, lifecycle, risk
from requests.models import ChangeRequest
from requests.states import EDITABLE, State


def edit_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot change its fields now; empty if they can."""
    if actor != change.requester and not actor.has_role(Role.CHANGE_MANAGER):
        return [Reason("not_yours", "Only the requester or the change manager edits a change.")]
    if change.state not in EDITABLE:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; its fields are not"
                " changed any more.",
            )
        ]
    return [] if actor == change.requester else apart.judge_refusal(change, actor, "edits")


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [content.as_text(before[name]), content.as_text(after[name])]
        for name in content.NAMES
        if before[name] != after[name]
    }


@transaction.atomic
def edit(*, actor: User, number: str, version: int, values: Mapping[str, Any]) -> ChangeRequest:
    """Change fields. An edit of the content in review or after voids every approval and opens a new
    round (revise).

    `version` is the one that the person saw: Stale if somebody else's edit came between.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(edit_refusal(change, actor))
    if version != change.version:
        raise Stale([Reason("stale", STALE)])
    cleaned = cleaning.clean(values, change)
    _check_allowed(change, cleaned)
    before, besides = change.content(), _besides(change)
    changes.assign(change, cleaned, actor)
    change._prefetched_objects_cache = {}  # type: ignore[attr-defined]
    changed = _differences(before, change.content())
    changed_besides = {
        name: [old, new] for name, new in _besides(change).items() if (old := besides[name]) != new
    }
    if not changed and not changed_besides:
        return change
    change.version += 1
    change.updated_at = timezone.now()
    if changed:
        change.judge_anew()
        changes.remember_author(change, actor)
    if changed and change.state in (State.IN_REVIEW, State.APPROVED, State.SCHEDULED):
        _revise(change, actor, changed)
    else:
        change.save()
        if changed:
            said = {"fields": changed, "version": change.version}
            if change.submitted_at and before["priority"] != "P0" and change.is_emergency:
                said["raised"] = True
            trail.record("change.edit", actor=actor, change=change, data=said)
    if changed_besides:
        noted = {"fields": changed_besides, "version": change.version}
        trail.record("change.note", actor=actor, change=change, data=noted)
    return change


STALE = "Somebody edited this change since you opened it. Look at what changed, then edit again."
RISK = "once submitted it is lowered by a reviewer, with a reason; you may raise it."


def _check_allowed(change: ChangeRequest, cleaned: Mapping[str, Any]) -> None:
    """Raises Invalid for a value that is well formed and not this change's to take."""
    wanted = cleaned.get("risk", change.risk)
    if change.submitted_at and risk.rank(wanted) < risk.rank(change.risk):
        raise Invalid(fields={"risk": f"Risk: {RISK}"})
    if not cleaned.get("implementer"):
        return
    if found := apart.judge_refusal(change, cleaned["implementer"], "implements"):
        raise Invalid(fields={"implementer": f"Implementer: {found[0].message}"})


def _besides(change: ChangeRequest) -> dict[str, Any]:
    """The writable fields that are not content, as the trail keeps them: people by key."""
    start = change.requested_window_start
    return {
        "requested_window": start.isoformat() if start else None,
        "requested_window_reason": change.requested_window_reason,
        "external_refs": change.external_refs,
        "implementer": change.implementer_id,
        "confidential": change.confidential,
        "major": change.major,
    }


def _revise(change: ChangeRequest, actor: User, changed: dict[str, list[str]]) -> None:
    if missing := submission.content_problems(change):
        raise Invalid(fields=missing)
    lifecycle.perform(
        change,
        "revise",
        actor=actor,
        fields=changed,
        version=change.version,
        round=change.round + 1,
        content_hash=change.content_hash,
    )
    rounds.open_round(change)


# --- escalate, cancel, lapse ----------------------------------------------------------------------


def escalate_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot make it a P0; empty if they can (R2)."""
    if actor != change.requester and not actor.has_role(Role.ON_CALL_ENGINEER, Role.CHANGE_MANAGER):
        return [
            Reason(
                "not_yours",
                "The requester, the on-call engineer or the change manager raises a change to P0.",
            )
        ]
    if change.is_emergency:
        return [Reason("state", f"{change.number} is a P0 already.")]
    return lifecycle.state_refusal(change, "escalate")


@transaction.atomic
def escalate(
    *, actor: User, number: str, reason: str, emergency_kind: str, emergency_reference: str
) -> ChangeRequest:
    """Make it a P0 under the same number: a new round with the emergency authorisation alone
    (R2-R4).
    """
    change = access.change_to_write(actor, number)
    raise_refusal(escalate_refusal(change, actor))
    p0 = {"emergency_kind": emergency_kind, "emergency_reference": emergency_reference}
    values = cleaning.clean({"priority": "P0", **p0}, change)
    reason = reading.said("reason", reason, "Reason")
    wrong = {} if reason else {"reason": "Reason: say what makes it an emergency."}
    was = change.priority
    # What reviewers saw stands: the hash that their verdicts carry is compared without the fields
    # that make it a P0.
    verdicts = change.content_hash
    changes.assign(change, values, actor)
    wrong |= change.missing_fields()
    if wrong:
        raise Invalid(fields=wrong)
    change.version += 1
    change.judge_anew()
    changes.remember_author(change, actor)
    lifecycle.perform(
        change,
        "escalate",
        actor=actor,
        reason=reason,
        priority=[was, "P0"],
        kind=emergency_kind,
        round=change.round + 1,
    )
    change.steps.filter(content_hash=verdicts, decisions__verdict=Decision.Verdict.APPROVE).update(
        content_hash=change.content_hash
    )
    rounds.open_round(change)
    return change


def cancel_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot cancel it; empty if they can."""
    if actor != change.requester and not actor.has_role(Role.CHANGE_MANAGER):
        return [Reason("not_yours", "The requester or the change manager cancels a change.")]
    return lifecycle.state_refusal(change, "cancel")


@transaction.atomic
def cancel(*, actor: User, number: str, reason: str, duplicate_of: str = "") -> ChangeRequest:
    """End a change that was not started; it keeps its number and its history."""
    change = access.change_to_write(actor, number)
    raise_refusal(cancel_refusal(change, actor))
    reason, duplicate_of = (
        reading.said("reason", reason, "Reason"),
        reading.said("duplicate_of", duplicate_of, "Duplicate of", limit=40),
    )
    if not reason and not duplicate_of:
        raise Invalid(fields={"reason": "Reason: say why it is cancelled."})
    if duplicate_of:
        original = (
            ChangeRequest.objects.visible_to(actor)
            .filter(number=duplicate_of)
            .exclude(pk=change.pk)
            .first()
        )
        if original is None:
            raise Invalid(
                fields={
                    "duplicate_of": f"Duplicate of: there is no other change {duplicate_of[:30]}."
                }
            )
        change.duplicate_of = original
    lifecycle.perform(
        change, "cancel", actor=actor, reason=reason, duplicate_of=change.duplicate_of_id
    )
    rounds.withdraw_round(change)
    _tell_cancelled(change, actor, reason)
    return change


def _tell_cancelled(change: ChangeRequest, actor: User, reason: str) -> None:
    """Whoever has put work into it should not go on: its people, and who decided in this round."""
    deciders = User.objects.filter(
        pk__in=change.decisions.filter(round=change.round).values("actor")
    )
    instead = (
        f" {change.duplicate_of.number} is done instead."
        if change.duplicate_of and not change.duplicate_of.confidential
        else ""
    )
    outbox.tell(
        [
            person
            for person in (change.requester, change.implementer, *deciders)
            if person and person != actor
        ],
        kind="cancelled",
        occasion="once",
        change=change,
        subject=f"{change.number} was cancelled by {actor}",
        body=f"“{change.summary}”. {reason}{instead}",
    )


def lapse(change: ChangeRequest) -> None:
    """The clock's verb: an approval that was not used in time goes back to its requester (A7)."""
    lifecycle.perform(change, "lapse", actor=None, reason="The approval was not used in time.")
    rounds.withdraw_round(change)
    change.steps.filter(round=change.round, deferred=False).update(state=Step.State.STALE)
    outbox.tell(
        [change.requester],
        kind="lapsed",
        occasion=f"{change.round}",
        change=change,
        subject=f"{change.number}: its approval has lapsed",
        body="It was approved and not used for too long. Look it over and submit it again.",
    )
