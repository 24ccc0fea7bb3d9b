"""The calendar: a month as a picture, and the same as a table."""

from __future__ import annotations

import calendar as gregorian
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from changemgmt.http import Request
from requests.models import ChangeRequest
from windows import slots
from windows.calendar import Calendar, Occurrence, closure_occurrences, decide, window_occurrences
from windows.models import current_calendar

SHOWN_PER_WINDOW = 6


@require_safe
def calendar(request: Request) -> HttpResponse:
    """One month in UTC: windows open and shut, closures, bookings; four queries, whatever the month holds."""
    now = timezone.now()
    month = _month(request.GET.get("month", ""), now.date())
    first, days = gregorian.monthrange(month.year, month.month)
    grid_start = month - timedelta(days=first)
    weeks = (first + days + 6) // 7
    start = datetime.combine(grid_start, time(0), UTC)
    end = start + timedelta(weeks=weeks)
    rules = current_calendar()
    closures = closure_occurrences(rules, start, end)
    windows = _windows(request, rules, closures, start, end)
    grid = [_week(grid_start + timedelta(weeks=index), month, now.date(), windows, closures) for index in range(weeks)]
    next_month, previous = (month + timedelta(days=32)).replace(day=1), (month - timedelta(days=1)).replace(day=1)
    verdict = decide("P1", max(now, datetime.combine(month, time(0), UTC)), max(now, datetime.combine(month, time(0), UTC)), rules)
    in_month = [window for window in windows if window["start"].month == month.month]
    context = {
        "month": month,
        "previous": previous,
        "following": next_month,
        "today": now.date(),
        "grid": grid,
        "open_count": sum(not w["shut_by"] for w in in_month),
        "next_open": verdict.next_allowed_start,
        "is_open": verdict.allowed,
        "agenda": _agenda(rules, windows, closures, month, next_month),
        "is_ahead": month > now.date(),
        "weekdays": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    }
    return render(request, "windows/calendar.html", context)


def _month(text: str, today: date) -> date:
    if re.fullmatch(r"(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])", text):
        return date.fromisoformat(f"{text}-01")
    return today.replace(day=1)


def _windows(request: Request, rules: Calendar, closures: list[Occurrence], start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Every window occurrence with what is booked or held in it and what shuts it."""
    booked = list(slots.bookings_between(request.user, start, end))
    held = list(slots.held_between(request.user, start, end))
    found: list[dict[str, Any]] = []
    for occurrence in window_occurrences(rules, start, end):
        inside = [
            _booking(change, "booked") for change in booked if change.slot_start and occurrence.start <= change.slot_start < occurrence.end
        ]
        inside += [
            _booking(change, "held")
            for change in held
            if change.requested_window_start and occurrence.start <= change.requested_window_start < occurrence.end
        ]
        shut_by = [closure.name for closure in closures if closure.start < occurrence.end and occurrence.start < closure.end]
        found.append(
            {
                "start": occurrence.start,
                "end": occurrence.end,
                "name": occurrence.name,
                "shut_by": shut_by,
                "bookings": inside[:SHOWN_PER_WINDOW],
                "more": max(0, len(inside) - SHOWN_PER_WINDOW),
                "count": len(inside),
                "capacity": occurrence.capacity,
            }
        )
    outside = [change for change in booked if change.slot_start and not any(w["start"] <= change.slot_start < w["end"] for w in found)]
    for change in outside:  # an emergency needs no window
        found.append(
            {
                "start": change.slot_start,
                "end": change.slot_end,
                "name": "Emergency",
                "shut_by": [],
                "bookings": [_booking(change, "booked")],
                "more": 0,
                "count": 1,
                "capacity": None,
                "emergency": True,
            }
        )
    return sorted(found, key=lambda window: window["start"])


def _booking(change: ChangeRequest, kind: str) -> dict[str, Any]:
    return {
        "number": change.number,
        "summary": change.summary,
        "priority": change.priority,
        "kind": kind,
        "url": change.get_absolute_url(),
        "state": change.state,
    }


def _week(monday: date, month: date, today: date, windows: Iterable[dict[str, Any]], closures: list[Occurrence]) -> dict[str, Any]:
    """Seven days and the closure bands that run over them."""
    days = []
    for offset in range(7):
        day = monday + timedelta(days=offset)
        days.append(
            {
                "date": day,
                "out": day.month != month.month,
                "today": day == today,
                "column": offset + 1,
                "windows": [window for window in windows if window["start"].date() == day],
            }
        )
    bands = _bands(monday, closures)
    covered = {column for band in bands for column in range(band["from"], band["to"])}
    for row in days:
        row["in_band"] = row["column"] in covered
    return {"days": days, "bands": bands}


def _bands(monday: date, closures: list[Occurrence]) -> list[dict[str, Any]]:
    """Overlapping closures are one band with all its reasons; a band breaks where its reasons change."""
    by_day: list[tuple[str, ...]] = []
    for offset in range(7):
        begin = datetime.combine(monday + timedelta(days=offset), time(0), UTC)
        by_day.append(tuple(f"{c.kind}|{c.name}" for c in closures if c.start < begin + timedelta(days=1) and begin < c.end))
    bands: list[dict[str, Any]] = []
    for offset, reasons in enumerate(by_day):
        if not reasons:
            continue
        if bands and bands[-1]["to"] == offset + 1 and bands[-1]["reasons"] == reasons:
            bands[-1]["to"] = offset + 2
        else:
            kinds = {reason.split("|")[0] for reason in reasons}
            names = [reason.split("|")[1].removeprefix("the ") for reason in reasons]
            bands.append(
                {
                    "from": offset + 1,
                    "to": offset + 2,
                    "reasons": reasons,
                    "kind": "blackout" if "blackout" in kinds else "freeze",
                    "text": _sentence_case(", ".join(names)),
                }
            )
    return bands


def _sentence_case(text: str) -> str:
    """The first letter alone: names keep theirs."""
    return text[:1].upper() + text[1:]


def _agenda(rules: Calendar, windows: list[dict[str, Any]], closures: list[Occurrence], start: date, end: date) -> list[dict[str, Any]]:
    """The month as rows: open windows with their bookings, and closures with the windows that they shut."""
    rows: list[dict[str, Any]] = []
    for closure in closures:
        last = closure.end - timedelta(seconds=1)
        if closure.start.date() < end and last.date() >= start:
            shut = len(window_occurrences(rules, closure.start, closure.end))
            rows.append({"at": closure.start, "closure": closure, "last": last, "shut": shut})
    rows += [{"at": w["start"], "window": w} for w in windows if start <= w["start"].date() < end and not w["shut_by"]]
    return sorted(rows, key=lambda row: row["at"])
