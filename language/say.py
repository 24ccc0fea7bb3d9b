"""How instants, days and lengths are said, everywhere the same. Windows absolute, with the zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any


def say_day(at: datetime | date) -> str:
    """Tue 24 Nov."""
    return f"{at:%a} {at.day} {at:%b}"


def say_date(at: datetime | date) -> str:
    """Tue 24 Nov 2026."""
    return f"{say_day(at)} {at.year}"


def say_instant(at: datetime) -> str:
    """Tue 5 Jan 2027, 02:00 UTC."""
    at = at.astimezone(UTC)
    return f"{say_date(at)}, {at:%H:%M} UTC"


def say_until(at: datetime) -> str:
    """An end: midnight belongs to the day that it ends (Thu 26 Nov, 24:00 UTC)."""
    at = at.astimezone(UTC)
    if at.time() == time(0):
        return f"{say_day(at - timedelta(days=1))}, 24:00 UTC"
    return f"{say_day(at)}, {at:%H:%M} UTC"


def say_span(start: datetime, end: datetime) -> str:
    """Thu 8 Oct, 02:00 to 04:00 UTC."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if start.date() == end.date() or (end - start <= timedelta(days=1) and end.time() == time(0)):
        return (
            f"{say_day(start)}, {start:%H:%M} to"
            f" {'24:00' if end.time() == time(0) else f'{end:%H:%M}'} UTC"
        )
    return f"{say_day(start)}, {start:%H:%M} to {say_until(end)}"


def say_length(length: timedelta) -> str:
    """1 d 11 h; 11 h 40 min; 6 min; less than a minute; 0 min only where there is none at all."""
    if timedelta(0) < abs(length) < timedelta(minutes=1):
        return "less than a minute"
    minutes = int(abs(length).total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{rest} min"


def iso(at: datetime) -> str:
    """ISO 8601, UTC, whole seconds, Z."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def plain(value: Any) -> Any:
    """JSON-ready: instants in UTC with Z, whole seconds."""
    match value:
        case datetime():
            return iso(value)
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return value
