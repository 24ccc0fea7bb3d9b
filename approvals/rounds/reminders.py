"""No stuck work: reminders, escalation, a window that passes while an approval waits, and who is
blocking what (issue 3 item 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import (
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    prefetch_related_objects,
)
from django.utils import timezone

from accounts.models import Delegation, User
from accounts.roles import Role
from approvals.models import Decision, Step, StepQuerySet
from approvals.people import who_decides
from approvals.policy import policy
from approvals.rounds import mail_links
from audit import trail
from audit.models import Event
from language.say import say_instant, say_length
from notifications import outbox
from requests.models import Author, ChangeRequest
from requests.states import State
from windows.booking.questions import NOTICE

#: Where the window asked for opens soon, nobody waits longer than this, whatever the policy allows.
NEAR = timedelta(hours=48)
REMIND_WHEN_NEAR, ESCALATE_WHEN_NEAR = timedelta(hours=4), timedelta(hours=24)


def decide_by(step: Step) -> datetime | None:
    """Until when a verdict is expected: by the policy's hours, and early enough to keep the window
    asked for, with its day's notice.
    """
    window, due = step.change.requested_window_start, None
    if step.opened_at and step.due_hours is not None:
        due = step.opened_at + timedelta(hours=step.due_hours)
    notice = (
        timedelta(0) if step.change.requested_window_reason.strip() else NOTICE
    )  # who said why it cannot wait keeps the window itself
    keeps = window - notice if window and not step.deferred else None
    return min((at for at in (due, keeps) if at), default=None)


def is_near(change: ChangeRequest) -> bool:
    """Whether the window asked for opens so soon that a mail of the day would be late."""
    return (
        change.requested_window_start is not None
        and change.requested_window_start <= timezone.now() + NEAR
    )


def _waiting_longer(hours: str, when_near: timedelta) -> QuerySet[Step]:
    """Open steps that have waited longer than their policy's hours, or than a near window allows.
    An emergency's authorisation has no hours: it calls the next contact instead.
    """
    now = timezone.now()
    patience = ExpressionWrapper(F(hours) * Value(timedelta(hours=1)), output_field=DurationField())
    near = Q(
        deferred=False,
        change__requested_window_start__lte=now + NEAR,
        opened_at__lte=now - when_near,
    )
    steps = Step.objects.filter(state=Step.State.OPEN).exclude(kind=policy.EMERGENCY)
    return steps.filter(
        near | Q(opened_at__lte=Value(now) - patience)
    )  # no hours: null, never less than anything


def to_remind() -> QuerySet[Step]:
    """Open steps whose deciders are due for a reminder that they have not had."""
    return _waiting_longer("remind_hours", REMIND_WHEN_NEAR).filter(reminded_at__isnull=True)


def to_escalate() -> QuerySet[Step]:
    """Open steps that are due to be escalated and were not yet."""
    return _waiting_longer("escalate_hours", ESCALATE_WHEN_NEAR).filter(escalated_at__isnull=True)


def remind(step: Step) -> bool:
    """The clock's verb: whoever could still decide is told once more. `step` is locked."""
    if step.state != Step.State.OPEN or step.reminded_at:
        return False
    step.reminded_at = timezone.now()
    step.save(update_fields=["reminded_at"])
    decided = who_decides.decided_in_stage(step)
    people = [person for person in who_decides.people_to_ask(step) if person.pk not in decided]
    until = decide_by(step)
    outbox.tell(
        people,
        kind="approval_reminder",
        occasion=f"{step.pk}",
        change=step.change,
        subject=f"Still waiting: {step.change.number}, your {step.label.lower()}",
        body=f"“{step.change.summary}” has waited {_waited(step)}."
        + (f" Decide by {say_instant(until)}." if until else "")
        + mail_links.invitation(step),
        path=mail_links.path_for(step),
    )
    trail.record(
        "approval.remind",
        change=step.change,
        data={"step": step.pk, "people": [person.pk for person in people]},
    )
    return True


def escalate(step: Step) -> bool:
    """The clock's verb: reminders did not help; change managers and requester are told who could
    decide. `step` is locked.
    """
    if step.state != Step.State.OPEN or step.escalated_at:
        return False
    step.escalated_at = timezone.now()
    step.save(update_fields=["escalated_at"])
    could = ", ".join(blockers([step])[step.pk][:5]) or "nobody who is there"
    managers = User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    outbox.tell(
        [step.change.requester, *managers],
        kind="approval_stuck",
        occasion=f"{step.pk}",
        change=step.change,
        subject=(
            f"{step.change.number} is stuck: its {step.label.lower()} has waited {_waited(step)}"
        ),
        body=f"Who could give it: {could}. “{step.change.summary}”.",
    )
    trail.record("approval.escalate", change=step.change, data={"step": step.pk})
    return True


def _waited(step: Step) -> str:
    return say_length(timezone.now() - (step.opened_at or timezone.now()))


# --- a window that passes -------------------------------------------------------------------------


def windows_passed() -> QuerySet[ChangeRequest]:
    """Changes in review whose requested window has come and gone, of which that has not
    been said.
    """
    said = Event.objects.filter(
        change_id=OuterRef("pk"),
        action="approval.window_passed",
        at__gte=OuterRef("requested_window_start"),
    )
    return ChangeRequest.objects.filter(
        ~Exists(said), state=State.IN_REVIEW, requested_window_start__lte=timezone.now()
    )


def say_window_passed(change: ChangeRequest) -> bool:
    """The clock's verb: the window asked for is over while an approval waits; requester and those
    who could decide hear it.
    """
    if (
        change.state != State.IN_REVIEW
        or change.requested_window_start is None
        or change.requested_window_start > timezone.now()
    ):
        return False
    waiting = list(
        Step.objects.filter(
            change=change, round=change.round, state=Step.State.OPEN, deferred=False
        )
    )
    people = {person.pk: person for step in waiting for person in who_decides.people_to_ask(step)}
    outbox.tell(
        [change.requester, *people.values()],
        kind="window_passed",
        occasion=f"{change.round} {change.requested_window_start}",
        change=change,
        subject=f"{change.number}: the window asked for has passed, and it is still in review",
        body=(
            f"It asked for {say_instant(change.requested_window_start)}. Its requester can ask for"
            " another; once approved it is booked, or the next that fits is proposed."
            f" “{change.summary}”."
        ),
    )
    trail.record(
        "approval.window_passed",
        change=change,
        data={"start": change.requested_window_start.isoformat()},
    )
    return True


# --- who is blocking what -------------------------------------------------------------------------


def blockers(steps: Sequence[Step]) -> dict[int, list[str]]:
    """Step → the names of who could bring it further today: neither authors, nor who has decided in
    its stage, nor whose part is given; whoever decides for one of them now is named with them. Six
    queries, however many steps.
    """
    changes = [step.change_id for step in steps]
    authors, decided = (
        defaultdict[int, set[int]](set),
        defaultdict[tuple[int, int, bool, int], set[int]](set),
    )
    for change, person in Author.objects.filter(change__in=changes).values_list("change", "user"):
        authors[change].add(person)
    given = Decision.objects.filter(change__in=changes).values_list(
        "change", "round", "deferred", "stage", "actor", "on_behalf_of"
    )
    for change, number, deferred, stage, actor, named in given:
        decided[change, number, deferred, stage] |= {actor, named or actor}
    prefetch_related_objects(list(steps), StepQuerySet.decisions())
    return who_could(
        steps, {step.pk: authors[step.change_id] | decided[_stage(step)] for step in steps}
    )


def who_could(steps: Sequence[Step], out: Mapping[int, Collection[int]]) -> dict[int, list[str]]:
    """Step → those names, for steps with their decisions; `out`: of each step the keys of who may
    not. Three queries.
    """
    holders = who_decides.holders({role for step in steps for role in step.roles})
    away = {d.giver_id: d.receiver for d in Delegation.objects.current().select_related("receiver")}
    return {step.pk: _could_decide(step, holders, set(out[step.pk]), away) for step in steps}


def _stage(step: Step) -> tuple[int, int, bool, int]:
    return step.change_id, step.round, step.deferred, step.stage


def _could_decide(
    step: Step, holders: Mapping[str, Mapping[int, str]], out: set[int], away: Mapping[int, User]
) -> list[str]:
    held: dict[int, set[str]] = defaultdict(set)
    names: dict[int, str] = {}
    for role in step.roles:
        for pk, name in holders[role].items():
            held[pk].add(role)
            names[pk] = name
    approvals = who_decides.approvals_of(step)
    found = [
        pk for pk in names if pk not in out and step.quorum.helps(approvals, frozenset(held[pk]))
    ]
    return sorted(
        f"{names[pk]} (or {away[pk]})" if pk in away and away[pk].pk not in out else names[pk]
        for pk in found
    )
