"""Emergencies started before anybody answered: by whoever is on call alone, ratified within 24
hours, reported by name (A4, A33).
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts import stepup
from accounts.models import Duty, User
from accounts.roles import Role
from approvals.deciding.decisions import capacity_for, keep
from approvals.models import Confirmation, Decision, Step
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import rounds
from audit import trail
from language.refusal import Blocked, Invalid, Reason, raise_refusal
from language.say import say_instant
from notifications import outbox
from notifications.models import Message
from requests import lifecycle
from requests.models import ChangeRequest
from requests.states import State

RATIFY_WITHIN = timedelta(hours=24)
ANSWERS = {"ratified": Decision.Verdict.APPROVE, "not_ratified": Decision.Verdict.REJECT}


def waits_unauthorised(change: ChangeRequest) -> bool:
    """Whether it is an emergency that nobody has answered yet, and the policy lets whoever is alone
    start it (A33).

    Who was asked by telephone and says that they did not approve has answered: it must be
    authorised then.
    """
    if not (
        change.is_emergency
        and change.state == State.IN_REVIEW
        and rounds.current_rules()["P0"].get("starts_before", True)
    ):
        return False
    denied = Confirmation.objects.filter(
        decision__step__change=change.pk, answer=Confirmation.Answer.NOT_APPROVED
    )
    return not denied.exists()


def may_start_before(change: ChangeRequest, actor: User) -> bool:
    """Whether this person may start it all the same: the on-call engineer on duty, who may be its
    requester (A33).
    """
    if not (
        actor.may_write and actor.has_role(Role.ON_CALL_ENGINEER) and waits_unauthorised(change)
    ):
        return False
    return Duty.objects.current().filter(kind=Duty.Kind.ON_CALL, user=actor).exists()


def start_before(change: ChangeRequest, actor: User, called: str) -> None:
    """The emergency goes on as if authorised. `called`: whom the person called, and when. Runs
    within `start`.
    """
    step = _owe_answer(change)
    lifecycle.perform(
        change,
        "approve",
        actor=None,
        content_hash=change.content_hash,
        round=change.round,
        unauthorised=True,
    )
    subject = f"{change.number}: {actor} has started an emergency before its authorisation"
    _ask_afterwards(
        step,
        kind="started_before",
        subject=subject,
        body=f"“{change.summary}”. {actor} says: {called}",
    )


def ask_afterwards(change: ChangeRequest, *, kind: str, subject: str, body: str) -> None:
    """What was done before anybody authorised it is ratified within 24 hours: everybody who could
    have done so is told at once (A4, A33).
    """
    _ask_afterwards(_owe_answer(change), kind=kind, subject=subject, body=body)


def _owe_answer(change: ChangeRequest) -> Step:
    step = change.steps.select_for_update().get(
        round=change.round, kind=policy.EMERGENCY, state=Step.State.OPEN
    )
    step.ratify_by, step.change = timezone.now() + RATIFY_WITHIN, change
    step.save(update_fields=["ratify_by"])
    return step


def _ask_afterwards(step: Step, *, kind: str, subject: str, body: str) -> None:
    assert step.ratify_by is not None
    outbox.withdraw(change_id=step.change_id, kind="approval_waiting")
    until = say_instant(step.ratify_by)
    _alert(
        step,
        kind=kind,
        subject=subject,
        body=f"{body}\nWhoever could have authorised it says whether it was right, by {until}.",
    )


PAGE_EVERY = timedelta(minutes=15)


def page_again(step: Step) -> bool:
    """The clock's verb: CTO and emergency contacts are told again every 15 minutes until one
    answers; after a pause once, not in a burst.
    """
    assert step.ratify_by is not None
    now = timezone.now()
    turn = int((now - (step.ratify_by - RATIFY_WITHIN)) / PAGE_EVERY)
    told = Message.objects.filter(
        change_id=step.change_id, kind="ratify_again", key__contains=f":{step.pk} {turn}:"
    )
    if step.state != Step.State.OPEN or turn < 1 or now >= step.ratify_by or told.exists():
        return False
    people = [
        *who_decides.people_to_ask(step, called=99),
        *User.objects.filter(groups__name=Role.CTO, is_active=True),
    ]
    outbox.tell(
        people,
        kind="ratify_again",
        occasion=f"{step.pk} {turn}",
        change=step.change,
        subject=(
            f"{step.change.number} was started before its authorisation: nobody has answered yet"
        ),
        body=(
            f"“{step.change.summary}”. Say whether it was right, by {say_instant(step.ratify_by)}."
        ),
        due_at=step.ratify_by - RATIFY_WITHIN + turn * PAGE_EVERY,
    )
    return True


def refusal(step: Step, actor: User) -> list[Reason]:
    """Why this person may not ratify the start; the step's own rule says who may."""
    if step.ratify_by is None:
        return [
            Reason(
                "not_needed",
                "This emergency was not started before its authorisation; there is nothing to"
                " ratify.",
            )
        ]
    return capacity_for(step, actor, "", "")[2]


@transaction.atomic
def answer(*, actor: User, number: str, step_id: int, answer: str) -> Step:
    """Say whether the start was right. “Not ratified” changes nothing of the run; it alerts, and is
    reported.
    """
    step = who_decides.step_for(actor, number, step_id, lock=True)
    if answer not in ANSWERS:
        raise Invalid(fields={"answer": f"Answer: say one of {', '.join(ANSWERS)}."})
    raise_refusal(refusal(step, actor))
    principal, capacity, _ = capacity_for(step, actor, "", "")
    if capacity is None or step.ratify_by is None:
        raise Blocked([Reason("settled", "Somebody was first.")])
    if answer == "ratified":
        stepup.require(actor)
    late = timezone.now() > step.ratify_by
    keep(
        step,
        actor,
        principal,
        capacity.roles & set(step.roles),
        ANSWERS[answer],
        "",
        {},
        by_telephone=False,
    )
    rounds.close_step(step, Step.State.APPROVED if answer == "ratified" else Step.State.REJECTED)
    trail.record(
        "approval.ratify",
        actor=actor,
        change=step.change,
        data={"step": step.pk, "answer": answer, "late": late},
    )
    word = "ratified" if answer == "ratified" else "did not ratify"
    _alert(
        step,
        kind="ratification",
        subject=f"{step.change.number}: {actor} {word} the start before authorisation",
        body=f"“{step.change.summary}” is {State(step.change.state).label.lower()}.",
    )
    lifecycle.tell("deferred_review", step.change, actor)  # it may have been the last thing owed
    return step


def mark_overdue(step: Step) -> None:
    """The clock's verb: nobody answered within 24 hours. Escalated once, and reported."""
    assert step.ratify_by is not None
    step.ratify_overdue_at = timezone.now()
    step.save(update_fields=["ratify_overdue_at"])
    trail.record(
        "approval.ratification_overdue",
        change=step.change,
        data={"step": step.pk, "due_at": step.ratify_by.isoformat()},
    )
    _alert(
        step,
        kind="ratification_overdue",
        subject=f"{step.change.number}: a start before authorisation is not ratified",
        body=f"There is no answer after 24 hours. “{step.change.summary}”.",
    )


def _alert(step: Step, *, kind: str, subject: str, body: str) -> None:
    managers = User.objects.filter(
        groups__name__in=[Role.CTO, Role.CHANGE_MANAGER], is_active=True
    ).distinct()
    people = [*who_decides.people_to_ask(step, called=99), *managers, step.change.requester]
    outbox.tell(
        people, kind=kind, occasion=f"{step.pk}", change=step.change, subject=subject, body=body
    )
