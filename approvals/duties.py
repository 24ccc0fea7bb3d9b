"""What the clock owes to approvals."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from approvals import reconciler
from approvals.deciding import authorisation, ratification, telephone
from approvals.models import Confirmation, Step
from approvals.people import stand_ins, vacancies
from approvals.policy import policy
from approvals.rounds import reminders, rounds, taking_back
from requests.duties import BATCH, each_change
from requests.models import ChangeRequest
from requests.states import State
from windows.calendar.verdict import closed_time, closure_occurrences
from windows.models import calendar_since


def lapses() -> int:
    """An approval unused for too long goes back; weeks in which its priority could not start do not
    count (A7).
    """
    now, allowance = timezone.now(), settings.APPROVAL_LAPSES_AFTER
    unused = ChangeRequest.objects.filter(
        state=State.APPROVED, approved_at__lte=now - allowance
    ).exclude(priority="P0")
    unused = unused.order_by(
        "approved_at", "id"
    )  # an emergency's authorisation lapses much sooner, and otherwise (A32)
    rows = list(
        unused.annotate(scope=ArrayAgg("components__slug")).values_list(
            "pk", "priority", "approved_at", "scope"
        )
    )
    first = rows[0][2] or now if rows else now
    closures = closure_occurrences(calendar_since(first), first, now) if rows else []
    due = {
        pk: approved
        for pk, priority, approved, scope in rows
        if approved
        and now
        - approved
        - closed_time(priority, frozenset(filter(None, scope)), approved, now, closures)
        > allowance
    }

    def act(change: ChangeRequest) -> bool:
        if change.state != State.APPROVED or change.approved_at != due[change.pk]:
            return False
        taking_back.lapse(change)
        return True

    return each_change(list(due)[:BATCH], act)


def authorisations() -> int:
    """An emergency's authorisation that was not used in time lapses; its people are warned before
    (A32).
    """
    expired = each_change(
        list(authorisation.lapsed().values_list("pk", flat=True)[:BATCH]), authorisation.expire
    )
    return expired + each_change(
        list(authorisation.ending().values_list("pk", flat=True)[:BATCH]), authorisation.warn
    )


def overdue_confirmations() -> int:
    """An approval by telephone that nobody confirmed within 24 hours is escalated, once (A4)."""
    now, count = timezone.now(), 0
    unanswered = Confirmation.objects.filter(
        answered_at__isnull=True, overdue_at__isnull=True, due_at__lte=now
    )
    for pk in list(unanswered.order_by("due_at", "id").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            found = (
                Confirmation.objects.select_for_update(of=("self",))
                .select_related("decision__change")
                .get(pk=pk)
            )
            if found.overdue_at is None and found.answered_at is None:
                telephone.mark_overdue(found)
                count += 1
    return count


def deputies() -> int:
    """An emergency that nobody has authorised for five minutes calls the next contact on duty, and
    so on (A3).
    """
    waiting = Step.objects.filter(
        kind=policy.EMERGENCY, state=Step.State.OPEN, ratify_by__isnull=True, deferred=False
    )
    return _each_step(
        waiting.filter(opened_at__lte=timezone.now() - rounds.CALL_NEXT_AFTER), rounds.call_next
    )


def approvals_waiting() -> int:
    """Whoever could decide is reminded, and what stays stuck is told to the change managers; a
    window that passes meanwhile is said.
    """
    passed = each_change(
        list(reminders.windows_passed().order_by("id").values_list("pk", flat=True)[:BATCH]),
        reminders.say_window_passed,
    )
    return (
        passed
        + _each_step(reminders.to_remind(), reminders.remind)
        + _each_step(reminders.to_escalate(), reminders.escalate)
    )


def overdue_ratifications() -> int:
    """A start before authorisation that nobody has ratified within 24 hours is escalated, once
    (A4).
    """

    def act(step: Step) -> bool:
        if step.state != Step.State.OPEN or step.ratify_overdue_at:
            return False
        ratification.mark_overdue(step)
        return True

    return _each_step(
        Step.objects.filter(
            state=Step.State.OPEN, ratify_by__lte=timezone.now(), ratify_overdue_at__isnull=True
        ),
        act,
    )


def ratifications_waiting() -> int:
    """Whoever could say whether a start before authorisation was right is asked again every 15
    minutes (A33).
    """
    return _each_step(
        Step.objects.filter(state=Step.State.OPEN, ratify_by__gt=timezone.now()),
        ratification.page_again,
    )


def _each_step(due: QuerySet[Step], act: Callable[[Step], bool]) -> int:
    """Run `act` on each step, its change locked first, then it."""
    count = 0
    for change, pk in due.order_by("opened_at", "id").values_list("change_id", "pk")[:BATCH]:

        def locked(change: ChangeRequest, pk: int = pk) -> bool:
            step = Step.objects.select_for_update().get(pk=pk)
            step.change = change
            return act(step)

        count += each_change([change], locked)
    return count


def vacancies_found() -> int:
    """What nobody there can give any more is told to requester and change managers, once (A43)."""
    return vacancies.look()


def faults() -> int:
    """What somebody did to the rows past the application is found, and told (X25)."""
    return reconciler.reconcile()


#: Name → what is done; each returns how often it did something.
DUTIES: dict[str, Callable[[], int]] = {
    "lapses": lapses,
    "authorisations": authorisations,
    "overdue_confirmations": overdue_confirmations,
    "deputies": deputies,
    "vacancies": vacancies_found,
    "stand_ins": stand_ins.end_due,
    "approvals_waiting": approvals_waiting,
    "overdue_ratifications": overdue_ratifications,
    "ratifications_waiting": ratifications_waiting,
    "faults": faults,
}
