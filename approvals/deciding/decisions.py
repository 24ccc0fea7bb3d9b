"""Submission and decisions: `submit`, `decide`, and what a decision brings about (R37-R53,
A2-A4).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import stepup
from accounts.models import Delegation, User
from approvals.deciding import authorisation, late_records, telephone
from approvals.deciding.answers import checked
from approvals.models import Advance, Decision, Step
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import rounds, submission
from audit import trail
from language import reading
from language.refusal import (
    Blocked,
    Invalid,
    NotYours,
    Reason,
    Refused,
    Stale,
    raise_refusal,
    refuse_if,
)
from notifications import outbox
from requests import access, cleaning, lifecycle, watching
from requests.models import ChangeRequest
from requests.states import State

# --- submit ---------------------------------------------------------------------------------------


def submit_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot submit the change now; its content is asked apart."""
    if actor != change.requester:
        return [
            Reason(
                "not_yours",
                f"Only the requester, {change.requester}, submits it; the change manager can"
                " transfer it.",
            )
        ]
    return lifecycle.state_refusal(change, "submit") or late_records.refusal(change)


def submit(*, actor: User, number: str) -> ChangeRequest:
    """Hand a complete change to its reviewers (A22). Raises Invalid with one entry per missing
    field; nothing is lost then.

    An emergency with a real start is recorded instead (A33).
    """
    with transaction.atomic():
        change, refusal = _submit(actor, number)
    refuse_if(refusal)  # outside: whom it asked stays asked
    return change


def _submit(actor: User, number: str) -> tuple[ChangeRequest, list[Reason]]:
    change = access.change_to_write(actor, number)
    raise_refusal(submit_refusal(change, actor))
    if problems := submission.submit_problems(change):
        raise Invalid(fields=problems)
    change.requester_role = actor.role_label[:200]
    change.judge_anew()
    if late_records.is_due(change):
        from approvals.deciding import recording

        return change, recording.record(change, actor)
    lifecycle.perform(
        change, "submit", actor=actor, round=change.round + 1, content_hash=change.content_hash
    )
    rounds.open_round(change)
    return change, []


# --- decide ---------------------------------------------------------------------------------------


@transaction.atomic
def decide(
    *,
    actor: User,
    number: str,
    step_id: int,
    verdict: str,
    version: int,
    comment: str = "",
    checklist: Mapping[str, Any] | None = None,
    on_behalf_of: str = "",
    valid_hours: int | None = None,
) -> Decision:
    """Record one person's verdict on one step and move the change on once its stage is settled
    (R37-R53, A2-A4).

    `version` is the change's version that the person saw. With `on_behalf_of`, the on-call engineer
    records that this person authorised the emergency by telephone. `valid_hours`: for how long an
    authorisation holds (A32).

    Raises NotYours, Blocked (settled: who was first), Stale (the content changed since)
    and Invalid (comment or checklist missing, a person who could not have approved).
    """
    step = who_decides.step_for(actor, number, step_id, lock=True)
    change = step.change
    principal, capacity, refusal = capacity_for(step, actor, verdict, on_behalf_of)
    is_named = bool(on_behalf_of)
    if is_named and refusal and refusal[0].code in who_decides.NOT_YOURS:
        text = f"{principal} cannot give the {step.label.lower()} of this change now."
        raise Invalid(fields={"on_behalf_of": f"On behalf of: {text}"})
    _check_step(step, refusal, verdict, version)
    comment, answers = checked(step, verdict, comment, checklist or {})
    if step.kind == policy.EMERGENCY and verdict == Decision.Verdict.APPROVE:
        stepup.require(actor)
        hours = authorisation.hours_asked(change, valid_hours)
        change.authorised_until = timezone.now() + timedelta(hours=hours)
    assert capacity is not None
    roles = capacity.roles & set(step.roles)
    decision = keep(step, actor, principal, roles, verdict, comment, answers, by_telephone=is_named)
    _settle(step, decision)
    return decision


STALE = "The change was edited since you opened it. Look at what changed, then decide."


def _check_step(step: Step, refusal: list[Reason], verdict: str, version: int) -> None:
    """Raises whatever stands against the verdict, in the order in which it is said: whose it is
    not, what has changed since, what the step and the change are.
    """
    change = step.change
    if refusal and refusal[0].code in who_decides.NOT_YOURS:
        raise_refusal(refusal)
    if version != change.version:
        raise Stale([Reason("stale", STALE)])
    raise_refusal(refusal)
    if not step.deferred and change.state != State.IN_REVIEW:
        raise Blocked(lifecycle.state_refusal(change, "approve"))
    if verdict == Decision.Verdict.WAIVE and not step.waivable:
        is_security = step.kind == policy.SECURITY
        why = "a security question was answered yes" if is_security else "the policy asks for it"
        text = f"The {step.label.lower()} cannot be waived, only decided: {why}."
        raise Blocked([Reason("not_waivable", text)])


def capacity_for(
    step: Step, actor: User, verdict: str, on_behalf_of: str
) -> tuple[User, who_decides.Capacity | None, list[Reason]]:
    """Whose verdict it will be, by which roles, and why it may not be given."""
    authors, decided = who_decides.authors_of(step.change), who_decides.decided_in_stage(step)
    named = _principal(step, actor, verdict, on_behalf_of)
    if on_behalf_of:
        own = who_decides.Capacity(named.pk, who_decides.roles_for_deciding(named))
        return (
            named,
            own,
            who_decides.decision_refusal(step, named, own, authors=authors, decided=decided),
        )
    capacity, refusal = who_decides.best_capacity(
        step, actor, who_decides.capacities_of(actor), authors=authors, decided=decided
    )
    if capacity is None or capacity.principal == actor.pk:
        return actor, capacity, refusal
    return User.objects.get(pk=capacity.principal), capacity, refusal


def _principal(step: Step, actor: User, verdict: str, username: str) -> User:
    """Whose verdict it is: the actor's own, or, by telephone, that of the person named."""
    if not username:
        return actor
    raise_refusal(who_decides.telephone_refusal(step, actor))
    if verdict != Decision.Verdict.APPROVE:
        raise Invalid(fields={"verdict": "Verdict: by telephone only an approval is recorded."})
    try:
        named = cleaning.person(username)
    except reading.Wrong as problem:
        raise Invalid(fields={"on_behalf_of": f"On behalf of: {problem}"}) from None
    if named is None or named == actor:
        raise Invalid(
            fields={
                "on_behalf_of": (
                    "On behalf of: name the person who approved by telephone; your own verdict you"
                    " give yourself."
                )
            }
        )
    return named


def _save(decision: Decision) -> None:
    try:
        with transaction.atomic():
            decision.save()
    except IntegrityError:
        said = "You have decided in this stage already, or wrote on this change."
        raise Blocked([Reason("decided", said)]) from None


def keep(
    step: Step,
    actor: User,
    principal: User,
    held: frozenset[str],
    verdict: str,
    comment: str,
    answers: dict[str, Any],
    *,
    by_telephone: bool,
) -> Decision:
    """Store the decision and its event; for an approval by telephone also ask the person named to
    confirm it (A4).
    """
    itself = principal == actor
    role = step.quorum.acting_role(who_decides.approvals_of(step), held)
    decision = Decision(
        step=step,
        change=step.change,
        round=step.round,
        stage=step.stage,
        deferred=step.deferred,
        actor=actor,
        on_behalf_of=None if itself else principal,
        delegation=None if by_telephone or itself else _delegation(principal, actor),
        stand_in_id=actor.stand_ins.get(role) if itself else None,
        role=role,
        roles_held=sorted(held),
        verdict=verdict,
        comment=comment,
        checklist=answers,
        content_hash=step.change.content_hash,
        at=timezone.now(),
    )
    _save(decision)
    _record(decision)
    if by_telephone:
        telephone.ask(decision)
    return decision


def _record(decision: Decision) -> None:
    """The decision's event, in its transaction; people by key."""
    data = {
        "step": decision.step_id,
        "kind": decision.step.kind,
        "round": decision.round,
        "verdict": decision.verdict,
        "role": decision.role,
        "decision": decision.pk,
        "content_hash": decision.content_hash,
        "comment": decision.comment,
        "checklist": decision.checklist,
    }
    if spared := sorted(
        key for key, answer in decision.checklist.items() if isinstance(answer, dict)
    ):
        data["not_applicable"] = spared
    for name in ("on_behalf_of", "delegation", "stand_in"):
        if key := getattr(decision, f"{name}_id"):
            data[name] = key
    trail.record("approval.decide", actor=decision.actor, change=decision.change, data=data)


def _delegation(giver: User, receiver: User) -> Delegation:
    """By which somebody stands in for another, locked until the decision is stored: one that ends
    meanwhile ends before or after it.
    """
    found = (
        Delegation.objects.current()
        .select_for_update()
        .filter(giver=giver, receiver=receiver)
        .first()
    )
    if found is None:
        raise NotYours([Reason("not_yours", f"{giver} delegates to you no longer.")])
    return found


#: How a step closes by each objection, and the transition that it brings about.
OBJECTIONS: dict[str, tuple[str, str]] = {
    Decision.Verdict.REJECT: (Step.State.REJECTED, "reject"),
    Decision.Verdict.REQUEST_CHANGES: (Step.State.CHANGES_REQUESTED, "request_changes"),
}


def _settle(step: Step, decision: Decision) -> None:
    """What one verdict brings about: nothing yet, the next stage, approval, or the way back."""
    change, verdict = step.change, decision.verdict
    if verdict in OBJECTIONS and step.deferred:
        # An emergency that has been implemented cannot be sent back; the objection stands in the
        # review, and is settled by it.
        rounds.close_step(step, OBJECTIONS[verdict][0])
    elif verdict in OBJECTIONS:
        closed, verb = OBJECTIONS[verdict]
        rounds.close_step(step, closed)
        why = decision.comment
        lifecycle.perform(change, verb, actor=decision.actor, reason=why, step=step.pk)
        rounds.withdraw_round(change)
    elif verdict == Decision.Verdict.WAIVE:
        rounds.close_step(step, Step.State.WAIVED)
    else:
        approvals = {
            d.principal_id: frozenset(d.roles_held)
            for d in Decision.objects.filter(step=step, verdict=Decision.Verdict.APPROVE)
        }
        if step.quorum.is_met(approvals):
            rounds.close_step(step, Step.State.APPROVED)
    if step.deferred:
        lifecycle.tell("deferred_review", change, decision.actor)
    elif change.state == State.IN_REVIEW:
        rounds.advance(change, step.stage)
        _take_up(change)
    _tell_decided(step, decision)  # last: it says where the change stands now


def _take_up(change: ChangeRequest) -> None:
    """What was signed in advance counts now that its stage is open, if whoever signed it may still
    give it; else they are told.
    """
    waiting = Advance.objects.filter(
        step__change=change,
        step__round=change.round,
        step__state=Step.State.OPEN,
        ended_at__isnull=True,
    )
    while change.state == State.IN_REVIEW and (
        found := waiting.select_related("user", "principal").order_by("id").first()
    ):
        if why := _count(change, found):
            found.end(Advance.Outcome.VOID)
            outbox.tell(
                watching.visible(change, [found.user]),
                kind="advance_void",
                occasion=f"{found.pk}",
                change=change,
                subject=(
                    f"{change.number}: the {found.step.label.lower()} that you signed in advance"
                    " did not count"
                ),
                body=why,
            )


def _count(change: ChangeRequest, found: Advance) -> str:
    """Turn what was signed in advance into a decision; or why that cannot be."""
    step = Step.objects.with_decisions().get(pk=found.step_id)
    step.change = change
    if change.version != found.version:
        return "The change was edited since; look at it again, it waits for you."
    principal, capacity, refusal = capacity_for(step, found.user, Decision.Verdict.APPROVE, "")
    if refusal or capacity is None or principal != found.principal:
        return (
            refusal[0].message
            if refusal
            else f"You signed it for {found.principal}, and no longer may."
        )
    try:
        with transaction.atomic():
            decision = keep(
                step,
                found.user,
                principal,
                capacity.roles & set(step.roles),
                "approve",
                "",
                {},
                by_telephone=False,
            )
    except Refused as ended:  # a delegation that ended, or a hand in the content, at this moment
        return str(ended)
    outbox.withdraw(
        change_id=change.pk, kind="approval_waiting", occasion=f"{step.pk}", person=found.user_id
    )
    found.end(Advance.Outcome.COUNTED)  # before it settles the step, which ends what is still open
    _settle(step, decision)
    return ""


def _tell_decided(step: Step, decision: Decision) -> None:
    change = step.change
    kind = (
        "changes_requested" if decision.verdict == Decision.Verdict.REQUEST_CHANGES else "decision"
    )
    standing = f" The change is now {State(change.state).label.lower()}."
    outbox.tell(
        [change.requester],
        kind=kind,
        occasion=f"{decision.pk}",
        change=change,
        subject=f"{change.number}: {decision.said_by} {decision.did(f'the {step.label.lower()}')}",
        body=(f"{decision.comment}\n\n" if decision.comment else "")
        + f"“{change.summary}”.{standing}",
    )
