"""Rounds: the policy copied onto a change, stage by stage, and the people who are asked
(A2, A3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from approvals.models import Advance, Decision, Policy, Step
from approvals.people import vacancies, who_decides
from approvals.policy import policy
from approvals.policy.quorum import NUMBERS
from approvals.rounds import mail_links, reminders
from audit import trail
from language.say import say_instant
from notifications import outbox
from notifications.models import Message
from requests import content, lifecycle
from requests.models import ChangeRequest
from requests.states import State


def current_rules() -> Mapping[str, Any]:
    """The rules of the newest policy; the document's own where none was published."""
    newest = Policy.objects.order_by("-version").first()
    return newest.rules if newest else policy.DEFAULT


def facts_of(change: ChangeRequest) -> policy.Facts:
    """What the policy asks of a change, as the policy wants it told."""
    return policy.Facts(
        priority=change.priority,
        security_answers=change.needs_security_review,
        security_component=any(component.security_review for component in change.components.all()),
        downtime=bool(change.downtime_required),
        users_affected=bool(change.users_affected),
        risk=change.risk,
        components=frozenset(component.slug for component in change.components.all()),
        no_way_back=change.no_way_back,
    )


def why_security(change: ChangeRequest, steps: Sequence[Step]) -> str:
    """Why the round asks for a security review, in words; nothing if it does not (A16)."""
    step = next(
        (step for step in steps if step.kind == policy.SECURITY and not step.deferred), None
    )
    if step is None:
        return ""
    if step.asked_by:
        return f"{step.asked_by} added it"
    found = ["a security question is answered yes"] if change.needs_security_review else []
    always = [component.slug for component in change.components.all() if component.security_review]
    found += [f"{', '.join(always)} always asks for one"] if always else []
    return " and ".join(found) or "the policy asks for it"


def expected_steps(change: ChangeRequest) -> list[policy.StepPlan]:
    """Who will be asked if the change is submitted as it is now; empty without a priority."""
    return policy.plan(current_rules(), facts_of(change)) if change.priority else []


def verdicts_given(changes: Iterable[ChangeRequest]) -> dict[int, tuple[int, int]]:
    """Of changes in review, by key: how many steps of the round are settled, and of how many. One
    query, or none.
    """
    reviewed = [change.pk for change in changes if change.state == State.IN_REVIEW]
    if not reviewed:
        return {}
    steps = (
        Step.objects.filter(change__in=reviewed, round=F("change__round"), deferred=False)
        .values("change")
        .order_by()
    )
    rows = steps.annotate(
        settled=Count("id", filter=Q(state__in=[Step.State.APPROVED, Step.State.WAIVED])),
        of=Count("id"),
    )
    return {row["change"]: (row["settled"], row["of"]) for row in rows}


def open_round(change: ChangeRequest) -> list[Step]:
    """Copy the policy onto a locked change as its new round, first stage open; earlier steps become
    stale (A2).
    """
    withdraw_round(change)
    steps = _copy(change, policy.plan(current_rules(), facts_of(change)), deferred=False)
    added = (
        change.steps.filter(round=change.round - 1, kind=policy.SECURITY, asked_by__isnull=False)
        .select_related("asked_by")
        .first()
    )
    if (
        added
        and not change.is_emergency
        and not any(step.kind == policy.SECURITY for step in steps)
    ):
        steps.append(
            add_security(change, added.asked_by, state=Step.State.WAITING)
        )  # what a reviewer asked for holds for the next round, too
    change.decider_roles = sorted({role for step in steps for role in step.roles})
    change.save(update_fields=["decider_roles"])
    said = {
        "round": change.round,
        "content_hash": change.content_hash,
        "content": content.as_data(change.content()),
    }
    trail.record(
        "approval.open_round", change=change, data=said
    )  # what is judged, word for word (A41)
    _open_stage(change, 1)
    return steps


def _copy(change: ChangeRequest, plans: list[policy.StepPlan], *, deferred: bool) -> list[Step]:
    steps = [
        Step(
            change=change,
            round=change.round,
            stage=plan.stage,
            position=position,
            kind=plan.kind,
            roles=list(plan.roles),
            mode=plan.mode,
            needed=plan.needed,
            checklist=list(plan.checklist),
            waivable=plan.waivable,
            deferred=deferred,
            content_hash=change.content_hash,
            priority=change.priority,
            **{name: getattr(plan, name) for name in policy.HOURS},
        )
        for position, plan in enumerate(plans, start=1)
    ]
    return Step.objects.bulk_create(steps)


def add_security(
    change: ChangeRequest, asked_by: User | None, state: str = Step.State.OPEN
) -> Step:
    """A security review beside the other reviews, which somebody asked for beyond the policy (A16);
    it may be waived.
    """
    rule = policy.rule_for(current_rules(), change.priority, policy.SECURITY)
    beside = Step.objects.filter(
        change=change, round=change.round, stage=REVIEW_STAGE, deferred=False
    )
    step = Step.objects.create(
        change=change,
        round=change.round,
        stage=REVIEW_STAGE,
        position=beside.count() + 1,
        kind=policy.SECURITY,
        waivable=True,
        asked_by=asked_by,
        state=state,
        content_hash=change.content_hash,
        priority=change.priority,
        opened_at=timezone.now() if state == Step.State.OPEN else None,
        **{name: rule[name] for name in ("roles", "mode", "needed", "checklist", *policy.HOURS)},
    )
    change.decider_roles = sorted({*change.decider_roles, *step.roles})
    change.save(update_fields=["decider_roles"])
    return step


def withdraw_round(change: ChangeRequest) -> None:
    """No earlier decision carries over: what is open or waiting becomes stale, its messages are not
    sent any more.
    """
    unsettled = change.steps.filter(deferred=False).exclude(state=Step.State.STALE)
    unsettled.filter(round__lt=change.round).update(state=Step.State.STALE)
    if change.state not in (State.IN_REVIEW,):
        unsettled.filter(state__in=[Step.State.OPEN, Step.State.WAITING]).update(
            state=Step.State.STALE
        )
    end_advances(
        Advance.objects.filter(step__change=change).exclude(
            step__state__in=[Step.State.WAITING, Step.State.OPEN]
        )
    )
    outbox.withdraw(change_id=change.pk, kind="approval_waiting")


def end_advances(open_ones: QuerySet[Advance]) -> None:
    """What was signed in advance of a step that is over can count no more."""
    open_ones.filter(ended_at__isnull=True).update(
        ended_at=timezone.now(), outcome=Advance.Outcome.VOID
    )


def _open_stage(change: ChangeRequest, stage: int) -> None:
    now = timezone.now()
    steps = list(change.steps.filter(round=change.round, deferred=False, stage=stage))
    Step.objects.filter(pk__in=[step.pk for step in steps]).update(
        state=Step.State.OPEN, opened_at=now
    )
    ask(change, steps)


REVIEW_STAGE = 1
CALL_NEXT_AFTER = timedelta(minutes=5)


def ask(change: ChangeRequest, steps: list[Step]) -> None:
    """Tell everybody who could decide; what nobody can give is told to requester and change
    managers (A3, A43).
    """
    round_steps = list(change.steps.filter(round=change.round))
    for step in steps:
        step.change = change
        people = who_decides.people_to_ask(step)
        tell_waiting(step, who_decides.asked_first(step, people), round_steps)
    vacancies.look(vacancies.waiting_steps().filter(change=change))


def tell_waiting(step: Step, people: Iterable[User], round_steps: Sequence[Step]) -> None:
    """A step waits for these people; whoever was told of it is not told again."""
    change = step.change
    outbox.tell(
        people,
        kind="approval_waiting",
        occasion=f"{step.pk}",
        change=change,
        subject=f"{change.priority} {change.number} waits for your {step.label.lower()}",
        body=(
            f"“{change.summary}”, requested by {change.requester}."
            f" {what_approving_does(step, round_steps)}"
        )
        + (f" Decide by {say_instant(until)}." if (until := reminders.decide_by(step)) else "")
        + mail_links.invitation(step),
        path=mail_links.path_for(step),
        gather=not change.is_emergency
        and not reminders.is_near(change)
        and not _due_before_digest(step),
    )


def _due_before_digest(step: Step) -> bool:
    until = reminders.decide_by(step)
    return until is not None and until < outbox.next_digest(timezone.now())


def still_waiting(person: User, messages: list[Message]) -> set[int]:
    """Of gathered messages, those whose step still waits for this person: neither given meanwhile,
    nor their role or delegation over.
    """
    steps = {message.pk: int(message.key.split(":")[2]) for message in messages}
    waiting = (
        set(
            who_decides.waiting_for(person)
            .filter(pk__in=steps.values())
            .values_list("pk", flat=True)
        )
        if steps
        else set()
    )
    return {key for key, step in steps.items() if step in waiting}


def call_next(step: Step) -> bool:
    """The clock's verb: an emergency has waited, so that the next contact on duty is called, one
    more every five minutes.

    `step` is locked. Says whether somebody was called who had not been.
    """
    roster = who_decides.contacts_on_duty()
    due = 1 + int((timezone.now() - (step.opened_at or timezone.now())) / CALL_NEXT_AFTER)
    if step.state != Step.State.OPEN or min(due, len(roster)) <= step.called:
        return False
    step.called = min(due, len(roster))
    step.save(update_fields=["called"])
    people = who_decides.people_to_ask(step, called=step.called)
    tell_waiting(step, people, list(step.change.steps.filter(round=step.round)))
    called = [person for group in roster[: step.called] for person in group]
    trail.record(
        "approval.call_next",
        change=step.change,
        data={"step": step.pk, "place": step.called, "people": called},
    )
    return True


def _given(change: ChangeRequest) -> set[str]:
    """The kinds of review that were given in full, to the content as it stands, by people who have
    not become authors of it since.
    """
    authors, found = who_decides.authors_of(change), set()
    for step in (
        change.steps.filter(content_hash=change.content_hash, deferred=False)
        .exclude(kind=policy.SIGN_OFF)
        .with_decisions()
    ):
        said = list(step.decisions.all())
        sound = {
            d.principal_id: frozenset(d.roles_held)
            for d in said
            if d.verdict == Decision.Verdict.APPROVE and not d.people & authors
        }
        objected = any(
            d.verdict in (Decision.Verdict.REJECT, Decision.Verdict.REQUEST_CHANGES) for d in said
        )
        waived = any(d.verdict == Decision.Verdict.WAIVE and not d.people & authors for d in said)
        if not objected and (waived or step.quorum.is_met(sound)):
            found.add(step.kind)
    return found


def add_deferred_reviews(change: ChangeRequest) -> None:
    """A P0's reviews, owed once its implementation has ended (A2); those given before an escalation
    count while the content stands.
    """
    if change.steps.filter(deferred=True, round=change.round).exists():
        return
    given = _given(change)
    plans = [
        plan
        for plan in policy.plan(current_rules(), facts_of(change), deferred=True)
        if plan.kind not in given
    ]
    steps = _copy(change, plans, deferred=True)
    Step.objects.filter(pk__in=[step.pk for step in steps]).update(
        state=Step.State.OPEN, opened_at=timezone.now()
    )
    change.decider_roles = sorted(
        {*change.decider_roles, *(role for step in steps for role in step.roles)}
    )
    change.save(update_fields=["decider_roles"])
    ask(change, steps)


def what_approving_does(step: Step, steps: Sequence[Step]) -> str:
    """One sentence for the button, the card and the mail; `steps` are those of the step's round."""
    if step.deferred:
        return "Approving settles this review of an emergency that has been implemented."
    if step.kind == policy.EMERGENCY:
        return "Approving authorises the emergency: it may start at once."
    others = [other for other in steps if not other.deferred and other.pk != step.pk]
    open_beside = [other for other in others if other.stage == step.stage and not other.is_settled]
    missing = step.quorum.size - step.quorum.filled(who_decides.approvals_of(step)) - 1
    if missing > 0:
        others_give = (
            "the other must come from somebody else"
            if missing == 1
            else f"{missing} more must come from others"
        )
        return (
            f"Approving gives one of {NUMBERS.get(step.quorum.size, step.quorum.size)} verdicts"
            f" that this asks for; {others_give}."
        )
    if open_beside:
        names = " and ".join(f"the {other.label.lower()}" for other in open_beside)
        return (
            f"Approving settles this review; {names} still"
            f" {'waits' if len(open_beside) == 1 else 'wait'}."
        )
    later = [other for other in others if other.stage > step.stage]
    if later:
        names = " and ".join(other.label.lower() for other in later)
        return f"Approving ends this stage; {names} by {later[0].quorum.words()} opens."
    if step.change.priority == "P3" or step.change.requested_window_start:
        return "Approving approves the change, and books its slot at once where that is free."
    return "Approving approves the change; then its slot can be booked."


def waits_for(change: ChangeRequest) -> str:
    """What a change in review still waits for, in one sentence."""
    labels = change.steps.filter(
        round=change.round, deferred=False, state=Step.State.OPEN
    ).order_by("position")
    waiting = [f"the {step.label.lower()}" for step in labels]
    return f"It still waits for {' and '.join(waiting)}." if waiting else ""


def close_step(step: Step, state: str) -> None:
    """Settle a step; whoever else was asked for it is not asked any more."""
    step.state, step.settled_at = state, timezone.now()
    step.save(update_fields=["state", "settled_at"])
    end_advances(Advance.objects.filter(step=step))
    outbox.withdraw(change_id=step.change_id, kind="approval_waiting", occasion=f"{step.pk}")


def advance(change: ChangeRequest, stage: int) -> None:
    """Open the next stage when every step of this one is settled; approve after the last."""
    steps = list(change.steps.filter(round=change.round, deferred=False))
    if any(not step.is_settled for step in steps if step.stage == stage):
        return
    if any(step.stage > stage for step in steps):
        _open_stage(change, stage + 1)
    else:
        lifecycle.perform(
            change, "approve", actor=None, content_hash=change.content_hash, round=change.round
        )
