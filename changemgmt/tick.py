"""The tick: everything that is due by an instant, done once, however often it is called and however late (promise 5).

Level-triggered: it asks what should be true now, never what happened since last time, so that after days of downtime one tick
makes everything true again. Each thing is done in a transaction of its own; one that fails is logged and does not hold up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection, transaction
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from approvals import reconciler
from approvals.deciding import authorisation, ratification, telephone
from approvals.models import Confirmation, Step
from approvals.people import stand_ins, vacancies
from approvals.policy import policy
from approvals.rounds import reminders, rounds, taking_back
from audit import trail
from audit.models import Event
from changemgmt import clock
from changemgmt.models import Heartbeat
from implementation.models import Review
from implementation.review import reviews
from implementation.run import foresight, verbs
from language.refusal import Refused
from language.say import say_until
from notifications import outbox
from reports import reporting
from requests.models import ChangeRequest, IdempotencyKey
from requests.states import State
from windows.booking import bookings, enforcement
from windows.calendar.verdict import closed_time, closure_occurrences
from windows.models import calendar_since
from windows.rules import lockdown

log = logging.getLogger(__name__)
BATCH = 200
RETRY_BOOKING = timedelta(days=1)
ROUNDS = 50
AT_WORK = (State.IMPLEMENTING, State.ROLLING_BACK)
ONE_AT_A_TIME = 7_301_140  # advisory lock: a second beat finds it taken and leaves


def tick(at: datetime | None = None) -> dict[str, int]:
    """Do what is due by `at` (default: now) and say how much of each; judged and stamped by that instant."""
    with clock.standing_at(at or timezone.now()):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [ONE_AT_A_TIME])
            if not cursor.fetchone()[0]:
                return {}
        trail.set_via("system")
        try:
            return _everything()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])


def _everything() -> dict[str, int]:
    done: dict[str, int] = {}
    for _ in range(ROUNDS):
        this_round = {name: _safely(name, duty) for name, duty in DUTIES.items()}
        for name, count in this_round.items():
            done[name] = done.get(name, 0) + count
        if not any(this_round.values()):
            break
    Heartbeat.beat("tick")
    return done


def _safely(name: str, duty: Callable[[], int]) -> int:
    """One duty that fails is logged; the others, and the heartbeat, go on."""
    try:
        return duty()
    except Exception:
        log.exception("Tick: %s", name)
        return 0


def _each_change(numbers: Iterable[int], act: Callable[[ChangeRequest], bool]) -> int:
    """Run `act` on each change, locked, in a transaction of its own; it looks again whether it is still due."""
    count = 0
    for pk in numbers:
        try:
            with transaction.atomic():
                change = ChangeRequest.objects.select_for_update(of=("self",)).select_related("requester", "implementer").get(pk=pk)
                count += act(change)
        except Refused as refused:
            log.warning("Tick: change %s: %s", pk, refused)
        except Exception:
            log.exception("Tick: change %s", pk)
    return count


def _due(**conditions: object) -> list[int]:
    return list(ChangeRequest.objects.filter(**conditions).order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH])


def missed_slots() -> int:
    """A window that passes unused frees its change; a P3 is booked again (A7)."""
    now = timezone.now()

    def act(change: ChangeRequest) -> bool:
        end = change.window_end or change.slot_end
        if change.state != State.SCHEDULED or end is None or end > now:
            return False
        held = lockdown.held_until_its_end(change)
        why = f"{held[:1].upper()}{held[1:]} held it until its window ended" if held else "Its slot passed unused: the window ended"
        bookings.displace(change, kind="displaced" if held else "missed", reason=f"{why} {say_until(end)}.", due_at=end)
        return True

    over = ChangeRequest.objects.filter(state=State.SCHEDULED, slot_start__lt=now)
    over = over.annotate(over_at=F("window_end")).filter(over_at__lte=now) | over.filter(window_end__isnull=True, slot_end__lte=now)
    return _each_change(list(over.order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH]), act)


def void_slots() -> int:
    """Bookings that the calendar no longer lets in lose their slot, whoever or whatever edited it (item 4)."""
    return enforcement.enforce_all()


def slots_ahead() -> int:
    """A day and two hours before a slot what would stop it is told, and when it opens, that it may start (item 8)."""
    return _each_change(list(foresight.due().order_by("slot_start", "id").values_list("pk", flat=True)[:BATCH]), foresight.tell)


def overruns() -> int:
    """Work past its slot's end is marked, once; the 30-minute watch may run past, and a late rollback is none (A25)."""
    now = timezone.now()

    def act(change: ChangeRequest) -> bool:
        if change.state not in AT_WORK or change.overrun_at or change.slot_end is None or change.slot_end > now:
            return False
        verbs.mark_overrun(change)
        return True

    return _each_change(_due(state__in=AT_WORK, slot_end__lte=now, overrun_at__isnull=True, completed_at__isnull=True), act)


def lapses() -> int:
    """An approval unused for too long goes back; weeks in which its priority could not start do not count (A7)."""
    now, allowance = timezone.now(), settings.APPROVAL_LAPSES_AFTER
    unused = ChangeRequest.objects.filter(state=State.APPROVED, approved_at__lte=now - allowance).exclude(priority="P0")
    unused = unused.order_by("approved_at", "id")  # an emergency's authorisation lapses much sooner, and otherwise (A32)
    rows = list(unused.annotate(scope=ArrayAgg("components__slug")).values_list("pk", "priority", "approved_at", "scope"))
    first = rows[0][2] or now if rows else now
    closures = closure_occurrences(calendar_since(first), first, now) if rows else []
    due = {
        pk: approved
        for pk, priority, approved, scope in rows
        if approved and now - approved - closed_time(priority, frozenset(filter(None, scope)), approved, now, closures) > allowance
    }

    def act(change: ChangeRequest) -> bool:
        if change.state != State.APPROVED or change.approved_at != due[change.pk]:
            return False
        taking_back.lapse(change)
        return True

    return _each_change(list(due)[:BATCH], act)


def authorisations() -> int:
    """An emergency's authorisation that was not used in time lapses; its people are warned before (A32)."""
    expired = _each_change(list(authorisation.lapsed().values_list("pk", flat=True)[:BATCH]), authorisation.expire)
    return expired + _each_change(list(authorisation.ending().values_list("pk", flat=True)[:BATCH]), authorisation.warn)


def unbooked() -> int:
    """A P3 that found no slot is tried again a day later, until it has one or a person has taken it in hand (A7)."""
    now = timezone.now()
    last = Event.objects.filter(change_id=OuterRef("pk"), action__in=["change.no_slot", "change.schedule", "change.unschedule"])
    last = last.order_by("-id")
    waiting = ChangeRequest.objects.filter(state=State.APPROVED, priority="P3").annotate(
        said=Subquery(last.values("action")[:1]), said_at=Subquery(last.values("at")[:1])
    )
    due = waiting.filter(said="change.no_slot", said_at__lte=now - RETRY_BOOKING).order_by("said_at", "id").values_list("pk", flat=True)

    def act(change: ChangeRequest) -> bool:
        if change.state != State.APPROVED or change.priority != "P3":
            return False
        return bookings.book_earliest(change)

    return _each_change(list(due[:BATCH]), act)


def overdue_reviews() -> int:
    """A review not written within 24 hours becomes overdue, once (A13)."""
    return _each_review(reviews.mark_overdue, written_at__isnull=True, overdue_at__isnull=True)


def overdue_documentation() -> int:
    """An emergency's missing documentation becomes overdue with its review, once (A13, A22)."""
    ended = [State.COMPLETED, State.ROLLED_BACK, State.FAILED]
    return _each_review(
        reviews.mark_documentation_overdue, documentation_overdue_at__isnull=True, change__priority="P0", change__state__in=ended
    )


def _each_review(mark: Callable[[Review], bool | None], **due: Any) -> int:
    """Mark each review that is past its deadline and still answers to `due`, looked at again under lock."""
    now, count = timezone.now(), 0
    late = Review.objects.filter(superseded=False, due_at__lte=now, **due).order_by("due_at", "id")
    for pk in list(late.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            locked = late.select_for_update(of=("self",)).select_related("change__requester", "change__implementer")
            review = locked.filter(pk=pk).first()
            count += review is not None and mark(review) is not False
    return count


def overdue_confirmations() -> int:
    """An approval by telephone that nobody confirmed within 24 hours is escalated, once (A4)."""
    now, count = timezone.now(), 0
    unanswered = Confirmation.objects.filter(answered_at__isnull=True, overdue_at__isnull=True, due_at__lte=now)
    for pk in list(unanswered.order_by("due_at", "id").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            found = Confirmation.objects.select_for_update(of=("self",)).select_related("decision__change").get(pk=pk)
            if found.overdue_at is None and found.answered_at is None:
                telephone.mark_overdue(found)
                count += 1
    return count


def deputies() -> int:
    """An emergency that nobody has authorised for five minutes calls the next contact on duty, and so on (A3)."""
    waiting = Step.objects.filter(kind=policy.EMERGENCY, state=Step.State.OPEN, ratify_by__isnull=True, deferred=False)
    return _each_step(waiting.filter(opened_at__lte=timezone.now() - rounds.CALL_NEXT_AFTER), rounds.call_next)


def approvals_waiting() -> int:
    """Whoever could decide is reminded, and what stays stuck is told to the change managers; a window that passes meanwhile is said."""
    passed = _each_change(list(reminders.windows_passed().order_by("id").values_list("pk", flat=True)[:BATCH]), reminders.say_window_passed)
    return passed + _each_step(reminders.to_remind(), reminders.remind) + _each_step(reminders.to_escalate(), reminders.escalate)


def overdue_ratifications() -> int:
    """A start before authorisation that nobody has ratified within 24 hours is escalated, once (A4)."""

    def act(step: Step) -> bool:
        if step.state != Step.State.OPEN or step.ratify_overdue_at:
            return False
        ratification.mark_overdue(step)
        return True

    return _each_step(Step.objects.filter(state=Step.State.OPEN, ratify_by__lte=timezone.now(), ratify_overdue_at__isnull=True), act)


def ratifications_waiting() -> int:
    """Whoever could say whether a start before authorisation was right is asked again every 15 minutes (A33)."""
    return _each_step(Step.objects.filter(state=Step.State.OPEN, ratify_by__gt=timezone.now()), ratification.page_again)


def _each_step(due: QuerySet[Step], act: Callable[[Step], bool]) -> int:
    """Run `act` on each step, its change locked first, then it."""
    count = 0
    for change, pk in due.order_by("opened_at", "id").values_list("change_id", "pk")[:BATCH]:

        def locked(change: ChangeRequest, pk: int = pk) -> bool:
            step = Step.objects.select_for_update().get(pk=pk)
            step.change = change
            return act(step)

        count += _each_change([change], locked)
    return count


def monthly_reports() -> int:
    """Made on the first of the month, issued on the third, for every month that has passed (A31)."""
    return reporting.make_what_is_due()


def digests() -> int:
    """The mail of the day: what waits for each person's approval, in one."""
    return outbox.send_digests()


def messages() -> int:
    """Whatever the outbox holds; the worker's mail queue normally was faster."""
    return outbox.deliver_due()


def vacancies_found() -> int:
    """What nobody there can give any more is told to requester and change managers, once (A43)."""
    return vacancies.look()


def faults() -> int:
    """What somebody did to the rows past the application is found, and told (X25)."""
    return reconciler.reconcile()


def old_keys() -> int:
    """Idempotency keys are kept for a day."""
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
    return 0


DUTIES: dict[str, Callable[[], int]] = {
    "missed_slots": missed_slots,
    "void_slots": void_slots,
    "slots_ahead": slots_ahead,
    "overruns": overruns,
    "lapses": lapses,
    "authorisations": authorisations,
    "unbooked": unbooked,
    "overdue_reviews": overdue_reviews,
    "overdue_documentation": overdue_documentation,
    "overdue_confirmations": overdue_confirmations,
    "deputies": deputies,
    "vacancies": vacancies_found,
    "stand_ins": stand_ins.end_due,
    "approvals_waiting": approvals_waiting,
    "overdue_ratifications": overdue_ratifications,
    "ratifications_waiting": ratifications_waiting,
    "monthly_reports": monthly_reports,
    "digests": digests,
    "messages": messages,
    "faults": faults,
    "old_keys": old_keys,
}
