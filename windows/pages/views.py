"""The calendar's pages: month, week, by component, agenda; and a date."""

from __future__ import annotations

import calendar as gregorian
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from web.http import Request
from windows.calendar.recurrence import Occurrence
from windows.calendar.verdict import EMERGENCY, decide, open_stretches, window_occurrences
from windows.pages import board, lanes
from windows.pages.asked import VIEWS, ZONES, Asked
from windows.pages.board import Board, Shown
from windows.rules import lockdown

SHOWN_PER_WINDOW = 6
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


#: The first day shown, how many, and a day of the span before and of the one after.
Span = tuple[date, int, date, date]


def _week_around(at: date) -> Span:
    first, week = at - timedelta(days=at.weekday()), timedelta(days=7)
    return first, 7, first - week, first + week


def _month_around(first: date) -> Span:
    before, length = gregorian.monthrange(first.year, first.month)
    previous = (first - timedelta(days=1)).replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first - timedelta(days=before), (before + length + 6) // 7 * 7, previous, following


@require_safe
def calendar(request: Request) -> HttpResponse:
    """A month or a week in the zone asked for: four queries, whatever it holds."""
    asked, now = Asked.of(request), timezone.now()
    month = asked.at.replace(day=1)
    by_week = asked.view in ("week", "timeline")
    first, days, previous, following = _week_around(asked.at) if by_week else _month_around(month)
    found = board.read(request.user, first, days, asked.zone, asked.filters)
    begin, end = (first, first + timedelta(days=7)) if by_week else (month, following)
    last, today = end - timedelta(days=1), now.astimezone(asked.zone).date()
    context = {
        "asked": asked,
        "views": VIEWS,
        "title": (
            f"{first.day} {first:%b} to {last.day} {last:%b %Y}" if by_week else f"{month:%B %Y}"
        ),
        "previous": previous,
        "following": following,
        "today": today,
        "zones": ZONES if asked.zone.key in ZONES else (*ZONES, asked.zone.key),
        "weekdays": WEEKDAYS,
        "summary": _summary(found, begin, end, asked, now),
        "agenda": _agenda(found, begin, end),
        "lockdowns": (
            lockdown.in_force() if any(c.kind == "lockdown" for c in found.closures) else []
        ),
        "may_edit": request.user.may_write and request.user.has_role("change-manager"),
        "may_move": request.user.is_devops or request.user.has_role("change-manager"),
        **PARTS[asked.view](found, first, days, month, today, now),
    }
    with timezone.override(asked.zone):
        return render(request, "windows/pages/calendar.html", context)


def _summary(found: Board, first: date, end: date, asked: Asked, now: datetime) -> dict[str, Any]:
    """How many windows are open in the time shown, and when the next start after it is."""
    begin, stop = board.day_span(first, asked.zone)[0], board.day_span(end, asked.zone)[0]
    shown = [
        window for window in found.windows if window.occurrence and begin <= window.start < stop
    ]
    open_ones = [window for window in shown if not window.is_shut]
    priority, scope = asked.filters.priorities[0], asked.filters.components
    last = max((window.end for window in open_ones), default=max(begin, now))
    shutting = [c for c in found.closures if c.shuts(priority, scope) and last <= c.start < stop]
    after = (
        decide(priority, max(stop, now), max(stop, now), found.rules, scope)
        if shutting or not open_ones
        else None
    )
    return {
        "count": len(open_ones),
        "shut": len(shown) - len(open_ones),
        "then": min((c.start for c in shutting), default=None),
        "next": after.next_allowed_start if after else None,
        "is_past": stop <= now,
    }


def _month(
    found: Board, first: date, days: int, month: date, today: date, now: datetime
) -> dict[str, Any]:
    weeks = [
        _week_row(found, first + timedelta(weeks=index), month, today) for index in range(days // 7)
    ]
    return {"grid": weeks, "panel": _panel(found, now), "cut": SHOWN_PER_WINDOW}


def _week_row(found: Board, monday: date, month: date, today: date) -> dict[str, Any]:
    """Seven days and the closure bands that run over them."""
    bands = _bands(found, monday)
    covered = {column for band in bands for column in range(band["from"], band["to"])}
    days = []
    for offset in range(7):
        day = monday + timedelta(days=offset)
        place = {
            "column": offset + 1,
            "out": day.month != month.month,
            "today": day == today,
            "in_band": offset + 1 in covered,
        }
        days.append({"date": day, "windows": found.on(day), **place})
    return {"days": days, "bands": bands}


def _bands(found: Board, monday: date) -> list[dict[str, Any]]:
    """Overlapping closures are one band with all its reasons (A6); a band breaks where its reasons
    change.
    """
    bands: list[dict[str, Any]] = []
    for offset in range(7):
        over = sorted(
            found.closures_on(monday + timedelta(days=offset)), key=lambda c: c.end - c.start
        )  # the rarest name first
        reasons = [(c.kind, c.name) for c in over]
        if not reasons:
            continue
        if bands and bands[-1]["to"] == offset + 1 and bands[-1]["reasons"] == reasons:
            bands[-1]["to"] = offset + 2
        else:
            names = ", ".join(name.removeprefix("the ") for _, name in reasons)
            kinds = {kind for kind, _ in reasons}
            kind = next(kind for kind in ("lockdown", "blackout", "freeze") if kind in kinds)
            bands.append(
                {
                    "from": offset + 1,
                    "to": offset + 2,
                    "reasons": reasons,
                    "kind": kind,
                    "text": names[:1].upper() + names[1:],
                }
            )
    return bands


def _panel(found: Board, now: datetime) -> dict[str, Any] | None:
    """The window to look at closely: the next with a conflict, else the next with something
    in it.
    """
    ahead = [
        window
        for window in found.windows
        if window.end > now and window.items and window.occurrence
    ]
    chosen = next((window for window in ahead if window.conflicts), ahead[0] if ahead else None)
    return _laned(chosen, now) if chosen else None


def _laned(window: Shown, now: datetime) -> dict[str, Any]:
    length = window.end - window.start
    marks = [window.start + length * part / 4 for part in range(4)]
    passed = (
        round((now - window.start) / length * 100, 2) if window.start <= now < window.end else None
    )
    return {"window": window, "lanes": lanes.lanes(window), "marks": marks, "now": passed}


def _timeline(
    found: Board, first: date, days: int, month: date, today: date, now: datetime
) -> dict[str, Any]:
    return {"panels": [_laned(window, now) for window in found.windows]}


LEAST_HOURS = 4
CHIPS_PER_HOUR = 4  # as high as the stylesheet makes an hour


def _week(
    found: Board, first: date, days: int, month: date, today: date, now: datetime
) -> dict[str, Any]:
    """Seven days beside each other, from the first hour in which anything happens to the last."""
    hours = [_hours(window.start, window.end, found.zone) for window in found.windows]
    begin = int(min((begin for begin, _ in hours), default=0))
    end = min(
        24,
        max(
            int(max((stop for _, stop in hours), default=LEAST_HOURS) + 0.999), begin + LEAST_HOURS
        ),
    )
    begin = max(0, min(begin, end - LEAST_HOURS))
    columns = []
    for offset in range(7):
        day = first + timedelta(days=offset)
        columns.append(
            {
                "date": day,
                "today": day == today,
                "closures": found.closures_on(day),
                "shut": [
                    _shut_block(c, day, found.zone, begin, end)
                    for c in found.closures_on(day)
                    if not c.rule.scope
                ],
                "windows": [_block(window, found.zone, begin, end) for window in found.on(day)],
                "now": _share(now.astimezone(found.zone), begin, end) if day == today else None,
            }
        )
    return {
        "columns": columns,
        "hours": [f"{hour:02}:00" for hour in range(begin, end)],
        "hour_count": end - begin,
    }


def _hours(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[float, float]:
    """Local hours of the day on which it begins; what runs past midnight ends at 24."""
    begin = start.astimezone(zone)
    first = begin.hour + begin.minute / 60
    return first, min(24.0, first + (end - start).total_seconds() / 3600)


def _shut_block(
    closure: Occurrence, day: date, zone: ZoneInfo, begin: int, end: int
) -> dict[str, Any]:
    """The hours of a day that a closure takes, as far as the grid shows them."""
    first, last = board.day_span(day, zone)
    start, stop = max(closure.start, first), min(closure.end, last)
    top = max(0.0, ((start - first).total_seconds() / 3600 - begin) / (end - begin) * 100)
    bottom = min(100.0, ((stop - first).total_seconds() / 3600 - begin) / (end - begin) * 100)
    return {"kind": closure.kind, "top": round(top, 2), "height": round(max(0.0, bottom - top), 2)}


def _share(at: datetime, begin: int, end: int) -> float | None:
    hour = at.hour + at.minute / 60
    return round((hour - begin) / (end - begin) * 100, 2) if begin <= hour < end else None


def _block(window: Shown, zone: ZoneInfo, begin: int, end: int) -> dict[str, Any]:
    first, last = _hours(window.start, window.end, zone)
    top, height = (first - begin) / (end - begin) * 100, (last - first) / (end - begin) * 100
    room = max(1, int((last - first) * CHIPS_PER_HOUR) - 1)
    place = {"top": round(top, 2), "height": round(height, 2)}
    return place | {"window": window, "shown": room, "more": len(window.items) - room}


PARTS = {"month": _month, "week": _week, "timeline": _timeline, "agenda": lambda *_: {}}


def _agenda(found: Board, first: date, end: date) -> list[dict[str, Any]]:
    """The time shown as rows: windows open or partly open with their bookings, and closures with
    the windows that they shut.
    """
    begin, stop = board.day_span(first, found.zone)[0], board.day_span(end, found.zone)[0]
    rows: list[dict[str, Any]] = []
    for closure in found.closures:
        if closure.start < stop and closure.end > begin:
            rows.append(
                {
                    "at": max(closure.start, begin),
                    "closure": closure,
                    "shut": _shut_windows(found, closure),
                }
            )
    rows += [
        {"at": w.start, "window": w}
        for w in found.windows
        if begin <= w.start < stop and (not w.is_shut or w.items)
    ]
    return sorted(rows, key=lambda row: (row["at"], "window" in row))


def _shut_windows(found: Board, closure: Occurrence) -> int:
    """How many windows the whole closure takes, also those outside the time shown."""
    if closure.is_open_ended:
        return 0
    falling = window_occurrences(found.rules, closure.start, closure.end)
    return sum(
        any(closure.shuts(p, o.rule.scope or closure.rule.scope) for p in o.priorities)
        for o in falling
    )


# --- one date -------------------------------------------------------------------------------------


@require_safe
def day(request: Request, day: date) -> HttpResponse:
    """What is open on a date, for whom and why; what is booked."""
    asked, now = Asked.of(request), timezone.now()
    found = board.read(request.user, day, 1, asked.zone, asked.filters)
    rows = [_day_row(priority, found, asked) for priority in (EMERGENCY, *asked.filters.priorities)]
    context = {
        "day": day,
        "asked": asked,
        "zones": ZONES if asked.zone.key in ZONES else (*ZONES, asked.zone.key),
        "previous": day - timedelta(days=1),
        "following": day + timedelta(days=1),
        "today": now.astimezone(asked.zone).date(),
        "rows": rows,
        "board": found,
    }
    with timezone.override(asked.zone):
        return render(request, "windows/pages/day.html", context)


def _day_row(priority: str, found: Board, asked: Asked) -> dict[str, Any]:
    if priority == EMERGENCY:
        return {"priority": priority, "always": True}
    scope = asked.filters.components
    spans = list(open_stretches(priority, found.start, found.end, found.rules, scope))
    shut = [c for c in found.closures if c.shuts(priority, scope)]
    but = [
        c for c in found.closures if c not in shut and priority not in c.priorities and not scope
    ]
    verdict = decide(priority, found.start, found.start, found.rules, scope)
    return {
        "priority": priority,
        "spans": spans,
        "shut": shut,
        "but": but,
        "next": None if spans else verdict.next_allowed_start,
    }
