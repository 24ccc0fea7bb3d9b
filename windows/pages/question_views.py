"""Questions to the calendar: “is it open?”, the slot finder, a move before it is made."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from language import reading
from language.refusal import Invalid
from requests import access, cleaning
from requests.models import ChangeRequest, plan_length
from web.http import Fields, Request
from windows.booking import (
    asked_openings,
    bookings,
    exceptions_shown,
    free_starts,
    freeze_exceptions,
    questions,
    slots,
)
from windows.calendar.explain import explain
from windows.models import current_calendar


@require_safe
def is_open(request: Request) -> HttpResponse:
    """“Is it open at T for P?”, with the rule, until when, and the next start (item 7)."""
    query, errors = request.GET, {}
    at, scope, priority = timezone.now(), frozenset[str](), query.get("priority", "P1")
    if priority not in ChangeRequest.Priority.values:
        errors["priority"], priority = "Priority: choose one of P0, P1, P2, P3.", "P1"
    try:
        at = reading.instant(query["at"]) if query.get("at") else at
    except reading.Wrong as problem:
        errors["at"] = f"When: {problem}"
    try:
        scope = _scope(query.get("component", ""))
    except reading.Wrong as problem:
        errors["component"] = f"Components: {problem}"
    context = {
        "errors": Fields(errors),
        "values": Fields({"at": query.get("at", ""), "component": query.get("component", "")}),
        "priority": priority,
        "priorities": ChangeRequest.Priority.values,
        "answer": None if errors else explain(priority, at, current_calendar(), scope),
        "at": at,
    }
    return render(request, "windows/pages/is_open.html", context, status=422 if errors else 200)


def _scope(text: str) -> frozenset[str]:
    return frozenset(c.slug for c in cleaning.component_list(reading.names(text)))


@require_safe
def find(request: Request) -> HttpResponse:
    """The slot finder for a plan that nobody has written down yet: the earliest starts that fit
    everything, or why none does.
    """
    query = request.GET
    values = {name: query.get(name, "") for name in ("component", "work", "rollback", "from")}
    context: dict[str, Any] = {
        "values": Fields(values),
        "errors": Fields(),
        "plan": None,
        "priority": query.get("priority", "P2"),
        "canary": query.get("canary") == "yes",
    }
    if query:
        try:
            plan = _typed_plan(request)
            after = plan.earliest(timezone.now() + questions.NOTICE)
            around = questions.Around(
                plan, after - slots.AROUND, after + slots.SEARCH, reader=request.user
            )
            starts, why = free_starts.fitting(after, 8, around)
            context |= {
                "starts": [(start, start + plan.length) for start in starts],
                "why": why,
                "plan": plan,
            }
        except Invalid as refused:
            context["errors"] = Fields(refused.fields)
    return render(
        request, "windows/pages/find.html", context, status=422 if context["errors"] else 200
    )


def _typed_plan(request: Request) -> slots.Plan:
    query, wrong = request.GET, {}
    minutes: dict[str, int] = {}
    for name, label, least in (("work", "Work", 1), ("rollback", "Rollback", 0)):
        text = query.get(name, "").strip() or "0"
        if not re.fullmatch(r"\d{1,5}", text) or int(text) < least:
            wrong[name] = f"{label}: give whole minutes, like 45."
        else:
            minutes[name] = int(text)
    priority = query.get("priority", "P2")
    if priority not in ("P1", "P2", "P3"):
        wrong["priority"] = "Priority: choose P1, P2 or P3; a P0 may start at any time."
    components, first = {}, None
    try:
        found = cleaning.component_list(reading.names(query.get("component", "")))
        components = {component.pk: component.slug for component in found}
    except reading.Wrong as problem:
        wrong["component"] = f"Components: {problem}"
    try:
        first = reading.calendar_day(query.get("from", ""))
    except reading.Wrong as problem:
        wrong["from"] = f"From: {problem}"
    if wrong:
        raise Invalid(fields=wrong)
    strategy = ChangeRequest.Strategy.CANARY if query.get("canary") == "yes" else ""
    return slots.Plan(
        priority,
        components,
        plan_length(minutes["work"], minutes["rollback"], strategy),
        from_day=first,
    )


def _exception(change: ChangeRequest, found: questions.Bookable, viewer: User) -> str:
    """About a freeze that alone stands in the way (A6): “asked” already, “ask” if this person may,
    or nothing.
    """
    if not found.is_frozen:
        return ""
    if any(
        row.slot_start == found.start and row.declined_at is None
        for row in exceptions_shown.of_change(change)
    ):
        return "asked"
    return "ask" if viewer.may_write and not freeze_exceptions.ask_refusal(change, viewer) else ""


@require_safe
def move(request: Request) -> HttpResponse:
    """A change that was dragged to another time: the verdict there, and a button. Looking moves
    nothing.
    """
    change = access.change_for(request.user, request.GET.get("change", "")[:40])
    try:
        start = reading.instant(request.GET.get("start", ""))
    except reading.Wrong as problem:
        raise Invalid(fields={"start": f"Start: {problem}"}) from None
    plan, refusal = slots.Plan.of(change), bookings.schedule_refusal(change, request.user)
    around = questions.Around.slot(plan, start, reader=request.user)
    found = questions.may_be_booked(plan, start, around)
    may_ask_opening = request.user.may_write and not asked_openings.opening_refusal(
        change, request.user
    )
    context = {
        "change": change,
        "bookable": found,
        "refusal": refusal,
        "is_short": questions.needs_notice(change.priority, start),
        "may_override": (
            bool(found.conflicts) and not bookings.override_refusal(change, request.user)
        ),
        "may": found.verdict.allowed and not refusal and not found.untimely,
        "exception": _exception(change, found, request.user),
        "remedy": found.remedy if may_ask_opening else "",
        "opening_from": f"{start:%Y-%m-%dT%H:%M}",
        "starts": (
            []
            if found.allowed
            else free_starts.fitting(plan.earliest(max(start, timezone.now())), 3, around)[0]
        ),
    }
    return render(request, "windows/pages/move.html", context)
