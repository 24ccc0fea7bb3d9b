"""Slots and the calendar over the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from ninja import Router

from language import reading
from language.refusal import Invalid
from requests import access, cleaning
from requests.models import ChangeRequest
from requests.shapes import change_out
from web.doors import PERSON, Body, ReasonIn, check_person
from web.http import Request
from windows.booking import (
    bookings,
    exceptions_shown,
    free_starts,
    freeze_exceptions,
    slots,
)
from windows.calendar.explain import explain
from windows.calendar.recurrence import Occurrence
from windows.calendar.verdict import closure_occurrences, window_occurrences
from windows.models import FreezeException, calendar_since, current_calendar

router = Router(tags=["Calendar"])
LONGEST = timedelta(days=400)


def instant(value: str, field: str) -> datetime:
    """An instant, or a day's beginning; Invalid names the field."""
    try:
        return reading.instant(value)
    except reading.Wrong as problem:
        raise Invalid(fields={field: f"{field}: {problem}"}) from None


class ScheduleIn(Body):
    start: str
    short_notice_reason: str = ""
    override_reason: str = ""


@router.post("/changes/{number}/schedule", operation_id="schedule_change")
def schedule(request: Request, number: str, body: ScheduleIn) -> Any:
    """Book the plan at `start`; a refusal carries `next_allowed_at`, a conflict names the other
    change.
    """
    if body.override_reason:
        check_person(request)
    change = bookings.schedule(
        actor=request.user,
        number=number,
        start=instant(body.start, "start"),
        short_notice_reason=body.short_notice_reason,
        override_reason=body.override_reason,
    )
    return change_out(change)


@router.post("/changes/{number}/unschedule", operation_id="unschedule_change")
def unschedule(request: Request, number: str, body: ReasonIn | None = None) -> Any:
    return change_out(
        bookings.unschedule(actor=request.user, number=number, reason=body.reason if body else "")
    )


class ExceptionIn(Body):
    slot_start: str
    reason: str


@router.post(
    "/changes/{number}/freeze-exception", operation_id="grant_freeze_exception", auth=PERSON
)
def freeze_exception(request: Request, number: str, body: ExceptionIn) -> Any:
    """One of the two grants, CTO's or change manager's, for one slot inside a code freeze; it
    counts when both are given.
    """
    return change_out(
        freeze_exceptions.grant(
            actor=request.user,
            number=number,
            slot_start=instant(body.slot_start, "slot_start"),
            reason=body.reason,
        )
    )


@router.get("/changes/{number}/freeze-exceptions", operation_id="list_freeze_exceptions")
def list_freeze_exceptions(request: Request, number: str) -> Any:
    """Those asked for slots that lie ahead: who asked and why, who has granted or declined."""
    change = access.change_for(request.user, number)
    authors = change.authors.values_list("user", flat=True)
    found = exceptions_shown.as_found(
        exceptions_shown.of_change(change), change, request.user, current_calendar(), authors
    )
    return {"items": [_exception_out(asked.row, asked.standing) for asked in found]}


def _exception_out(row: FreezeException, standing: str) -> dict[str, Any]:
    people = {
        name: getattr(row, name).username if getattr(row, name) else None
        for name in ("asked_by", "cto", "change_manager", "declined_by")
    }
    return {
        "slot_start": row.slot_start,
        "reason": row.reason,
        "standing": standing,
        **people,
        "declined_reason": row.declined_reason or None,
    }


@router.post("/changes/{number}/freeze-exception/ask", operation_id="ask_for_freeze_exception")
def ask_for_exception(request: Request, number: str, body: ExceptionIn) -> Any:
    """Ask CTO and change managers to let the change into one slot inside a code freeze."""
    return change_out(
        freeze_exceptions.ask(
            actor=request.user,
            number=number,
            slot_start=instant(body.slot_start, "slot_start"),
            reason=body.reason,
        )
    )


@router.post(
    "/changes/{number}/freeze-exception/decline",
    operation_id="decline_freeze_exception",
    auth=PERSON,
)
def decline_exception(request: Request, number: str, body: ExceptionIn) -> Any:
    """Say no, or take a grant back; a slot booked by it is lost."""
    return change_out(
        freeze_exceptions.decline(
            actor=request.user,
            number=number,
            slot_start=instant(body.slot_start, "slot_start"),
            reason=body.reason,
        )
    )


@router.get("/changes/{number}/slots", operation_id="list_slots")
def next_slots(request: Request, number: str, after: str = "", limit: int = 5) -> Any:
    """The next slots that fit calendar, plan and bookings; if none within 90 days, `reasons` say
    why.
    """
    change = access.change_for(request.user, number)
    if not 1 <= limit <= 200:
        raise Invalid(fields={"limit": "limit: give between 1 and 200."})
    starts, why = free_starts.free_slots(
        change,
        after=instant(after, "after") if after else timezone.now(),
        limit=limit,
        actor=request.user,
    )
    items = [{"start": start, "end": start + change.plan_length} for start in starts]
    return {"items": items, "reasons": [reason.as_dict() for reason in why]}


def _window(found: Occurrence, closures: Sequence[Occurrence]) -> dict[str, Any]:
    return {
        "name": found.name,
        "start": found.start,
        "end": found.end,
        "priorities": sorted(found.priorities),
        "capacity": found.capacity,
        "scope": sorted(found.rule.scope),
        "shut_by": [c.name for c in closures if c.start < found.end and found.start < c.end],
    }


def _freeze(closure: Occurrence) -> dict[str, Any]:
    return {
        "name": closure.name,
        "kind": closure.kind,
        "start": closure.start,
        "end": None if closure.is_open_ended else closure.end,
        "admits": sorted(closure.priorities),
        "scope": sorted(closure.rule.scope),
    }


@router.get("/calendar", operation_id="get_calendar")
def calendar(request: Request) -> Any:
    """Windows (also those that a freeze shuts), freezes and bookings between `from` and `to`, up to
    400 days, any year.
    """
    start = instant(request.GET.get("from") or timezone.now().date().isoformat(), "from")
    end = instant(request.GET["to"], "to") if request.GET.get("to") else start + timedelta(days=31)
    if end <= start:
        raise Invalid(fields={"to": "to: the end must lie after the start."})
    if end - start > LONGEST:
        raise Invalid(fields={"to": "to: ask for at most 400 days."})
    rules = calendar_since(start)
    closures = closure_occurrences(rules, start, end)
    booked = slots.bookings_between(request.user, start, end).prefetch_related("components")
    return {
        "windows": [_window(found, closures) for found in window_occurrences(rules, start, end)],
        "freezes": [_freeze(closure) for closure in closures],
        "bookings": [_booking(change) for change in booked],
    }


def _booking(change: ChangeRequest) -> dict[str, Any]:
    return {
        "change": change.number,
        "summary": change.summary,
        "priority": change.priority,
        "state": change.state,
        "start": change.slot_start,
        "end": change.slot_end,
        "window": change.window_name,
        "components": sorted(c.slug for c in change.components.all()),
    }


@router.get("/calendar/state", operation_id="get_calendar_state")
def state(request: Request, at: str = "", priority: str = "P1", component: str = "") -> Any:
    """Is it open at that instant for that priority: with rule, until when, and when next."""
    if priority not in ChangeRequest.Priority.values:
        raise Invalid(fields={"priority": "priority: choose one of P0, P1, P2, P3."})
    when = instant(at, "at") if at else timezone.now()
    try:
        scope = (
            frozenset(found.slug for found in cleaning.component_list(component.split(",")))
            if component
            else frozenset()
        )
    except reading.Wrong as problem:
        raise Invalid(fields={"component": f"component: {problem}"}) from None
    answer = explain(priority, when, current_calendar(), scope)
    return {
        "open": answer.open,
        "sentence": answer.sentence,
        "rule": answer.rule,
        "until": answer.until,
        "reasons": [reason.as_dict() for reason in answer.reasons],
        "next_transition_at": answer.next_transition,
        "next_open_at": answer.next_start,
    }
