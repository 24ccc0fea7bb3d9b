"""When: the calendar's verdict on a change, its plan to scale, free slots, freeze exceptions, and
the clocks of a run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from approvals.rounds import rounds
from implementation.models import Issue
from implementation.run import guards
from implementation.run.case import Case
from language.refusal import Reason
from language.say import say_length, say_span
from requests import access
from requests.models import ChangeRequest
from requests.states import EDITABLE, ENDED, RUNNING, State
from windows.booking import (
    asked_openings,
    bookings,
    exceptions_shown,
    forecast,
    freeze_exceptions,
    questions,
    slots,
)
from windows.booking.free_starts import free_slots
from windows.booking.questions import Around, Bookable, may_be_booked, needs_notice, remedy


def plan(change: ChangeRequest) -> dict[str, Any] | None:
    """Work, canary stages and rollback time to scale."""
    work, back = change.estimated_minutes or 0, change.rollback_minutes or 0
    if not work:
        return None
    canary = int(change.plan_length.total_seconds() // 60) - work - back
    start = change.slot_start or change.requested_window_start
    turn_back = (
        start + timedelta(minutes=work + canary) if start and change.state not in ENDED else None
    )
    return {
        "work": work,
        "canary": canary,
        "rollback": back,
        "total": work + canary + back,
        "start": start,
        "turn_back": turn_back,
    }


def calendar(case: Case, *, wants_slots: bool, foresees: bool = True) -> dict[str, Any]:
    """The calendar's verdict on the slot booked or asked for, and free slots to choose from where
    that is the next thing.
    """
    change = case.change
    can_be_held = (
        change.state in (State.APPROVED, State.SCHEDULED, *RUNNING) and not change.is_emergency
    )
    rail: dict[str, Any] = {
        "held": next(iter(case.lockdowns), None) if can_be_held else None,
        "bookable": None,
        "forecast": None,
        "remedy": "",
        "slots": [],
        "no_slots": "",
        "may_schedule": False,
    }
    start = change.slot_start or change.requested_window_start
    planned = change.state in EDITABLE and not change.is_emergency
    if start and planned and change.estimated_minutes:
        bookable = _bookable(case, start)
        rail |= {"bookable": bookable, "remedy": bookable.remedy}
        if bookable.is_frozen:
            rail["exception_slot"] = f"{start:%Y-%m-%dT%H:%M}"
    may = case.actor.may_write and planned and not bookings.schedule_refusal(change, case.actor)
    rail |= _opening(case)
    if may and (change.state == State.APPROVED or wants_slots):
        free, why = _free(case)
        found = rail["remedy"] or remedy(why)
        rail |= {"slots": free, "no_slots": why, "remedy": found, "may_schedule": True}
    elif foresees and change.state in EDITABLE:  # who sees free slots sees when it could be
        live = None if case.vacancies else forecast.of(change, case.calendar, case.needs)
        rail |= {"forecast": live, "remedy": rail["remedy"] or (live.remedy if live else "")}
    return rail


def _bookable(case: Case, start: datetime) -> Bookable:
    """Whether the plan may be booked then; of its own slot, whether the calendar still lets it."""
    plan = slots.Plan.of(case.change)
    if case.change.slot_start:
        verdict = questions.slot_verdict(plan, start, case.calendar)
        return Bookable(start, start + plan.length, verdict, canary=plan.canary)
    span = (start - slots.AROUND, start + slots.AROUND)
    around = Around(plan, *span, reader=case.actor, calendar=case.calendar, needs=case.needs)
    return may_be_booked(plan, start, around)


def _free(case: Case) -> tuple[list[tuple[datetime, datetime, bool]], list[Reason]]:
    """Up to four free slots, with their ends and whether notice is short; why there is none."""
    change = case.change
    starts, why = free_slots(
        change,
        after=case.at,
        limit=4,
        actor=case.actor,
        calendar=case.calendar,
        needs=case.needs,
    )
    others = [start for start in starts if start != change.slot_start]
    ends = [(s, s + change.plan_length, needs_notice(change.priority, s)) for s in others]
    return ends, why


def what_came_of_it(change: ChangeRequest, actor: User) -> str:
    """What a verdict has brought about, for whoever gave it: the slot, or what is still missing
    (X12).
    """
    if not access.may_see(actor, change):
        return ""
    if change.state == State.SCHEDULED and change.slot_start and change.slot_end:
        short = ", at short notice" if needs_notice(change.priority, change.slot_start) else ""
        return (
            f"It is booked for {say_span(change.slot_start, change.slot_end)}, in"
            f" {say_length(change.slot_start - timezone.now())}{short}."
        )
    if change.state == State.APPROVED:
        if change.is_emergency:
            return "It may start at once."
        return f"It is approved and has no slot yet; {change.requester} or a DevOps role books one."
    if change.state == State.IN_REVIEW:
        return rounds.waits_for(change)
    return ""


def _opening(case: Case) -> dict[str, Any]:
    """Whether this person may ask for a window that the plan fits, and from when it would be."""
    change = case.change
    if not case.actor.may_write or asked_openings.opening_refusal(change, case.actor):
        return {"may_ask_opening": False}
    start = change.requested_window_start
    return {"may_ask_opening": True, "opening_from": f"{start:%Y-%m-%dT%H:%M}" if start else ""}


def exceptions_of(case: Case) -> dict[str, Any]:
    """What was asked of CTO and change managers for slots inside a freeze, and whether there is
    something to ask (A6).
    """
    ended = next(
        (
            asked.row
            for asked in case.asked_exceptions
            if asked.standing not in ("waits", "granted")
        ),
        None,
    )
    may_ask = case.actor.may_write and not freeze_exceptions.ask_refusal(case.change, case.actor)
    return {
        "exceptions": case.asked_exceptions,
        "exception_slot": f"{ended.slot_start:%Y-%m-%dT%H:%M}" if ended else "",
        "may_ask_exception": (
            may_ask
            and (
                bool(case.asked_exceptions)
                or exceptions_shown.is_freeze_ahead(case.change, case.calendar, case.at)
            )
        ),
        "may_book": case.actor.may_write and not bookings.schedule_refusal(case.change, case.actor),
    }


@dataclass(frozen=True)
class Clock:
    """One instant that matters to whoever runs it, counted down to (or up from: `since`)."""

    icon: str
    title: str
    at: datetime
    note: str
    tone: str = "neutral"
    since: bool = False
    overdue: bool = False

    def judged(self, now: datetime) -> Clock:
        """Overdue where it has passed and that matters."""
        if self.at > now or self.since or self.tone == "ok":
            return self
        return replace(self, tone="danger", overdue=True)


def clocks(change: ChangeRequest, issues: list[Issue], now: datetime) -> list[Clock]:
    """What is left of slot, way back, watch and open issues."""
    if change.state not in RUNNING:
        return []
    found = []
    if change.slot_end:
        found.append(Clock("calendar-clock", "Slot left", change.slot_end, "ends"))
    elif change.started_at:
        found.append(Clock("timer", "Running for", change.started_at, "since", since=True))
    if change.slot_end and change.rollback_minutes and change.state == State.IMPLEMENTING:
        back = change.slot_end - timedelta(minutes=change.rollback_minutes)
        kept = f"{change.rollback_minutes} min are kept for it, from"
        found.append(Clock("undo-2", "Left to turn back", back, kept))
    if change.state == State.VERIFYING and change.finished_at:
        until = change.finished_at + guards.MONITORING
        tone = "ok" if until <= now else "neutral"
        found.append(Clock("scan-eye", "Monitoring left", until, "watched until", tone=tone))
    for issue in issues:
        if issue.resolved_at is None and (end := issue.row.band_ends_at(issue.detected_at)):
            title, note = f"{issue.severity} issue, time left", f"{issue.row.action}; until"
            found.append(Clock("triangle-alert", title, end, note, tone="warn"))
    return [clock.judged(now) for clock in found]
