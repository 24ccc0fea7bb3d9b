"""Takes what people and pipelines send for a calendar rule and makes it a version's values, or says
per field what is wrong (F52).

Form, API and import all come through `clean`. A window has `name rule begins minutes zone
priorities scope capacity until skips`, a closure `name kind first last starts ends admits scope`;
days are as `windows.calendar.recurrence.Day` takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from language import reading
from language.reading import Wrong
from language.refusal import Invalid
from requests import cleaning
from windows.calendar.days import a_date, check_year, day
from windows.calendar.grammar import recurrence
from windows.calendar.recurrence import EMERGENCY, LONGEST_WINDOW, PLANNED, Day
from windows.calendar.zones import zone
from windows.models import Closure, MaintenanceWindow

LOOKED_AHEAD = timedelta(days=5 * 366)
Clean = Callable[[Any], Any]


def _name(value: Any) -> str:
    text = " ".join(reading.prose(value).split())
    if not text:
        raise Wrong("give it a name; refusals say it, like “the code freeze for Thanksgiving”.")
    if len(text) > 80:
        raise Wrong(f"shorten it to 80 characters; it has {len(text)}.")
    return text


def _local(value: Any) -> datetime:
    """A local time without an offset, to the minute, kept as if it were UTC."""
    text = reading.prose(value)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(
            "choose the day and the time at which it opens, like 2026-11-03T02:00."
        ) from None
    if found.tzinfo is not None:
        raise Wrong("leave the offset out; the time zone has its own field.")
    check_year(found.year)
    return found.replace(second=0, microsecond=0, tzinfo=UTC)


def _instant(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    found = reading.instant(value)
    check_year(found.year)
    return found.replace(second=0, microsecond=0)


def _whole(least: int, most: int, like: str) -> Callable[[Any], int | None]:
    def clean(value: Any) -> int | None:
        if value in (None, ""):
            return None
        if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(f"give a whole number from {least} to {most:,}, like {like}.")
        return value

    return clean


def _priorities(choices: tuple[str, ...]) -> Clean:
    def clean(value: Any) -> list[str]:
        if not isinstance(value, list) or any(name not in choices for name in value):
            raise Wrong(f"choose among {', '.join(choices)}.")
        return sorted(set(value))

    return clean


def _scope(value: Any) -> list[str]:
    if isinstance(value, str):
        value = reading.names(value)
    return sorted({component.slug for component in cleaning.component_list(value)}) if value else []


def _dates(value: Any) -> list[date]:
    if isinstance(value, str):
        value = reading.names(value)
    if not isinstance(value, list) or len(value) > 400:
        raise Wrong("list at most 400 days, like 2026-11-03, 2026-11-05.")
    return sorted({day for day in map(a_date, value) if day})


def _kind(value: Any) -> str:
    if value not in (Closure.Kind.FREEZE, Closure.Kind.BLACKOUT):
        raise Wrong("choose freeze or blackout.")
    return str(value)


WINDOW: dict[str, Clean] = {
    "name": _name,
    "rule": recurrence,
    "begins": _local,
    "minutes": _whole(1, int(LONGEST_WINDOW.total_seconds() // 60), "120"),
    "zone": zone,
    "priorities": _priorities(PLANNED),
    "scope": _scope,
    "capacity": _whole(1, 500, "4"),
    "until": a_date,
    "skips": _dates,
}
CLOSURE: dict[str, Clean] = {
    "name": _name,
    "kind": _kind,
    "first": day,
    "last": day,
    "starts": _instant,
    "ends": _instant,
    "admits": _priorities((EMERGENCY, *PLANNED)),
    "scope": _scope,
}
LABELS = {
    "name": "Name",
    "rule": "Recurrence",
    "begins": "Opens",
    "minutes": "Length",
    "zone": "Time zone",
    "priorities": "Priorities",
    "scope": "Components",
    "capacity": "Places",
    "until": "Last day",
    "skips": "Days left out",
    "kind": "Kind",
    "first": "First day",
    "last": "Last day",
    "starts": "Start",
    "ends": "End",
    "admits": "Who is admitted",
}


def clean(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of a version of that kind (window or closure), or Invalid with what is wrong, by
    field.
    """
    cleaners = WINDOW if kind == "window" else CLOSURE
    wrong = {
        str(name)[:60]: f"There is no such field; there are {', '.join(sorted(cleaners))}."
        for name in values
        if name not in cleaners
    }
    found: dict[str, Any] = {}
    for name, cleaner in cleaners.items():
        try:
            found[name] = cleaner(values.get(name, _unsaid(kind).get(name)))
        except Wrong as problem:
            text = str(problem)
            plain = text[1:2].islower() or text[1:2] == " "
            wrong[name] = f"{LABELS[name]}: {text[:1].lower() + text[1:] if plain else text}"
    if not wrong:
        wrong = dict(_amiss_window(found) if kind == "window" else _amiss_closure(found))
    if wrong:
        raise Invalid(fields=wrong)
    return found


def _unsaid(kind: str) -> dict[str, Any]:
    """What a field is if nothing is said of it."""
    return (
        {"priorities": list(PLANNED), "scope": [], "skips": []}
        if kind == "window"
        else {"admits": [EMERGENCY], "scope": []}
    )


def _amiss_window(found: dict[str, Any]) -> dict[str, str]:
    """What does not go together in a window, and a rule that can never match."""
    if found["minutes"] is None:
        return {"minutes": "Length: say how long it is open, in minutes, like 120."}
    if not found["priorities"]:
        return {"priorities": "Priorities: choose at least one; nobody could work in it."}
    made = window_version(found).value()
    begins = found["begins"]
    if (
        next(iter(made.occurrences(begins - timedelta(days=2), begins + LOOKED_AHEAD)), None)
        is None
    ):
        if found["until"] and found["until"] < begins.date():
            return {"until": "Last day: it lies before the first start; choose a later one."}
        return {
            "rule": (
                "Recurrence: it matches no day within five years of its first start; no window"
                " would ever open."
            )
        }
    return {}


def _amiss_closure(found: dict[str, Any]) -> dict[str, str]:
    """What does not go together in a freeze or blackout, and days that never come."""
    by_days, by_instants = found["first"] or found["last"], found["starts"] or found["ends"]
    if by_days and by_instants:
        return {"starts": "Start: give days that come every year, or one start and end; not both."}
    return _amiss_days(found) if by_days else _amiss_instants(found)


def _amiss_instants(found: dict[str, Any]) -> dict[str, str]:
    if not found["starts"]:
        like = "say when it begins, like 2026-12-01T00:00Z; or choose a first and a last day."
        return {"starts": f"Start: {like}"}
    if not found["ends"]:
        return {"ends": "End: say when it ends; what has no end is a lockdown."}
    if found["ends"] <= found["starts"]:
        return {"ends": "End: it lies before the start; choose a later one."}
    return {}


def _amiss_days(found: dict[str, Any]) -> dict[str, str]:
    for name in ("first", "last"):
        if not found[name]:
            return {name: f"{LABELS[name]}: give both days; they may be the same."}
        this_year = timezone.now().year
        fixed = date.fromisoformat(found[name]["on"]).year if "on" in found[name] else this_year
        if not any(Day(**found[name]).of(year) for year in range(fixed, fixed + 5)):
            never = "that day does not come within five years; no freeze would ever begin."
            return {name: f"{LABELS[name]}: {never}"}
    days = [
        Day(**found[name]).of(date.fromisoformat(found[name]["on"]).year)
        for name in ("first", "last")
        if "on" in found[name]
    ]
    if len(days) == 2 and days[0] and days[1] and days[1] < days[0]:
        return {"last": "Last day: it lies before the first; choose a later one."}
    since = datetime.combine(days[0], time(0), UTC) if days and days[0] else timezone.now()
    rule = closure_version(found).value()
    if next(iter(rule.occurrences(since - timedelta(days=400), since + LOOKED_AHEAD)), None):
        return {}
    return {"last": f"Last day: {NEVER}"}


NEVER = (
    "with that first day it never comes; "
    "for one time across the year's end, give a start and an end."
)


def window_version(found: Mapping[str, Any]) -> MaintenanceWindow:
    """A window of cleaned values, not yet stored."""
    return MaintenanceWindow(**found)


def closure_version(found: Mapping[str, Any]) -> Closure:
    """A closure of cleaned values, not yet stored."""
    plain = {name: value for name, value in found.items() if name not in ("starts", "ends")}
    return Closure(**plain, starts_at=found["starts"], ends_at=found["ends"])


def version(kind: str, found: Mapping[str, Any]) -> MaintenanceWindow | Closure:
    """An unsaved version with these clean values."""
    return window_version(found) if kind == "window" else closure_version(found)


def as_sent(row: MaintenanceWindow | Closure) -> dict[str, Any]:
    """A version as `clean` takes it: what an editor starts from, and what a proposal and the trail
    keep.
    """
    if isinstance(row, MaintenanceWindow):
        begins = row.begins.replace(tzinfo=None).isoformat(timespec="minutes")
        return {
            "name": row.name,
            "rule": row.rule,
            "begins": begins,
            "minutes": row.minutes,
            "zone": row.zone,
            "priorities": list(row.priorities),
            "scope": list(row.scope),
            "capacity": row.capacity,
            "until": row.until.isoformat() if row.until else None,
            "skips": [day.isoformat() for day in row.skips],
        }
    return {
        "name": row.name,
        "kind": row.kind,
        "first": row.first,
        "last": row.last,
        "starts": row.starts_at.isoformat() if row.starts_at else None,
        "ends": row.ends_at.isoformat() if row.ends_at else None,
        "admits": list(row.admits),
        "scope": list(row.scope),
    }
