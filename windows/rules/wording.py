"""How a calendar rule is said: “every Tuesday, 02:00 to 04:00 UTC”."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from language.say import say_date, say_instant
from windows.calendar.recurrence import rule_parts
from windows.models import Closure, MaintenanceWindow

WEEKDAYS = {
    "MO": "Monday",
    "TU": "Tuesday",
    "WE": "Wednesday",
    "TH": "Thursday",
    "FR": "Friday",
    "SA": "Saturday",
    "SU": "Sunday",
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
UNITS = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}


def listed(names: list[str]) -> str:
    """Names joined with commas and an “and”; at least one."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def say_rule(row: MaintenanceWindow) -> str:
    """When a window opens."""
    begins = row.begins
    ends = begins + timedelta(minutes=row.minutes)
    until = "24:00" if f"{ends:%H:%M}" == "00:00" else f"{ends:%H:%M}"
    hours = f"{begins:%H:%M} to {until} {row.zone}" + (
        " the next day" if ends.date() > begins.date() and until != "24:00" else ""
    )
    if not row.rule:
        return f"once, {say_date(begins)}, {hours}"
    last = f", until {say_date(row.until)}" if row.until else ""
    skips = f", but on {len(row.skips)} day{'s' if len(row.skips) > 1 else ''}" if row.skips else ""
    return f"{_recurs(row)}, {hours}{last}{skips}"


def _recurs(row: MaintenanceWindow) -> str:
    parts = rule_parts(row.rule)
    every, freq = int(parts.get("INTERVAL", 1)), parts["FREQ"]
    unit = UNITS[freq]
    often = f"every {every} {unit}s" if every > 1 else f"every {unit}"
    days = parts.get("BYDAY", "").split(",") if parts.get("BYDAY") else []
    if set(parts) - {"FREQ", "INTERVAL", "BYDAY", "WKST"}:
        return f"{often} ({row.rule})"
    if freq == "WEEKLY":
        names = listed([WEEKDAYS[day] for day in days]) if days else f"{row.begins:%A}"
        return f"every {names}" if every == 1 else f"{often} on {names}"
    if freq == "MONTHLY" and days and all(len(day) > 2 for day in days):
        named = [f"{NTH.get(int(day[:-2]), day[:-2])} {WEEKDAYS[day[-2:]]}" for day in days]
        return f"{often} on the {listed(named)}"
    return f"{often} on {listed([WEEKDAYS.get(day, day) for day in days])}" if days else often


def say_closure(row: Closure) -> str:
    """When a freeze or blackout holds."""
    if row.starts_at is not None:
        return (
            f"{say_instant(row.starts_at)} to {say_instant(row.ends_at)}"
            if row.ends_at
            else f"since {say_instant(row.starts_at)}"
        )
    first, last = say_a_day(row.first or {}), say_a_day(row.last or {})
    return first if row.first == row.last else f"{first} to {last}"


def say_a_day(day: dict[str, Any]) -> str:
    """A day as `windows.calendar.recurrence.Day` takes it."""
    offset = day.get("offset", 0)
    moved = (
        f"{abs(offset)} day{'s' if abs(offset) > 1 else ''} {'after' if offset > 0 else 'before'} "
        if offset
        else ""
    )
    if day.get("holiday"):
        return f"{moved}{day['holiday']} ({day['country']})"
    if day.get("on"):
        return f"{moved}{day['on']}"
    if day.get("nth"):
        weekday = list(WEEKDAYS.values())[day["weekday"]]
        return f"{moved}the {NTH[day['nth']]} {weekday} of {MONTHS[day['month'] - 1]}"
    return f"{moved}{day['day']} {MONTHS[day['month'] - 1]}"


def say(row: MaintenanceWindow | Closure) -> str:
    """A rule of the calendar in a sentence."""
    return say_rule(row) if isinstance(row, MaintenanceWindow) else say_closure(row)


def say_for(row: MaintenanceWindow | Closure) -> str:
    """For whom: priorities, components, places."""
    who = (
        ", ".join(row.priorities)
        if isinstance(row, MaintenanceWindow)
        else f"only {', '.join(row.admits) or 'nobody'}"
    )
    where = f", on {', '.join(row.scope)}" if row.scope else ""
    places = (
        f", {row.capacity} places" if isinstance(row, MaintenanceWindow) and row.capacity else ""
    )
    return f"{who}{where}{places}"
