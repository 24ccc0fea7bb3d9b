"""Takes what people and pipelines send for a calendar rule and makes it a version's values, or says per field what is wrong (F52).

Form, API and import all come through `clean`. A window has `name rule begins minutes zone priorities scope capacity until skips`, a
closure `name kind first last starts ends admits scope`; days are as `windows.recurrence.Day` takes them.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import holidays
from django.utils import timezone

from audit.refusal import Invalid
from requests import cleaning
from requests.cleaning import Wrong
from windows.models import Closure, MaintenanceWindow
from windows.recurrence import EMERGENCY, LONGEST_WINDOW, PLANNED, Day, Window, rule_parts

LOOKED_AHEAD = timedelta(days=5 * 366)
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
MOST_OFTEN = {"DAILY": 366, "WEEKLY": 53, "MONTHLY": 12, "YEARLY": 4}  # the largest INTERVAL
WEEKDAY = r"(?:MO|TU|WE|TH|FR|SA|SU)"
PARTS = {
    "FREQ": r"[A-Z]+",
    "INTERVAL": r"[1-9]\d{0,2}",
    "BYDAY": rf"(?:[+-]?[1-5])?{WEEKDAY}(?:,(?:[+-]?[1-5])?{WEEKDAY})*",
    "BYMONTH": r"(?:[1-9]|1[0-2])(?:,(?:[1-9]|1[0-2]))*",
    "BYMONTHDAY": r"-?(?:[1-9]|[12]\d|3[01])(?:,-?(?:[1-9]|[12]\d|3[01]))*",
    "BYSETPOS": r"-?[1-9]\d?(?:,-?[1-9]\d?)*",
    "WKST": WEEKDAY,
}
Clean = Callable[[Any], Any]


def _name(value: Any) -> str:
    text = " ".join(cleaning.prose(value).split())
    if not text:
        raise Wrong("give it a name; refusals say it, like “the code freeze for Thanksgiving”.")
    if len(text) > 80:
        raise Wrong(f"shorten it to 80 characters; it has {len(text)}.")
    return text


def recurrence(value: Any) -> str:
    """An RFC 5545 rule, daily or coarser and without an end of its own; empty: once."""
    text = cleaning.prose(value).upper().replace(" ", "").removeprefix("RRULE:")
    if not text:
        return ""
    if text.endswith("BYDAY="):
        raise Wrong("tick at least one day.")
    if len(text) > 200 or not re.fullmatch(r"[A-Z]+=[^=;]+(;[A-Z]+=[^=;]+)*", text):
        raise Wrong("write it like FREQ=WEEKLY;BYDAY=TU.")
    parts = rule_parts(text)
    if parts.get("FREQ") not in FREQUENCIES:
        raise Wrong("a window opens at most once a day: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY.")
    for name, found in parts.items():
        if name in ("COUNT", "UNTIL"):
            raise Wrong(f"leave {name} out and give the last day in its own field.")
        if name not in PARTS:
            raise Wrong(f"{name[:20]} is not taken here; use {', '.join(PARTS)}.")
        if not re.fullmatch(PARTS[name], found):
            raise Wrong(f"{name} cannot be “{found[:40]}”.")
    if int(parts.get("INTERVAL", 1)) > MOST_OFTEN[parts["FREQ"]]:
        raise Wrong(f"INTERVAL is at most {MOST_OFTEN[parts['FREQ']]} here; whoever looks a year ahead must see it.")
    if wrong := _no_match(parts):
        raise Wrong(wrong)
    return ";".join(f"{name}={found}" for name, found in parts.items())


def _no_match(parts: dict[str, str]) -> str:
    """What would make a rule that never matches, or that readers of calendars take in different ways: looking for its first day would
    take for ever."""
    freq, days = parts["FREQ"], [day for day in parts.get("BYDAY", "").split(",") if day]
    numbered = [day for day in days if len(day) > 2]
    unfit = {
        "DAILY": {"BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS"},
        "WEEKLY": {"BYMONTHDAY", "BYSETPOS"},
        "MONTHLY": {"BYMONTH"},
        "YEARLY": set[str](),
    }[freq] & parts.keys()
    if unfit:
        return f"{min(unfit)} does not go with FREQ={freq} here; choose a coarser FREQ."
    if numbered and freq == "WEEKLY":
        return "a number before a weekday, like 2TU, goes with FREQ=MONTHLY or YEARLY."
    if numbered and len(numbered) < len(days):
        return "give all weekdays with a number, like 1MO,2TU, or all without."
    if "BYSETPOS" not in parts:
        return _no_such_date(parts)
    months = len(parts.get("BYMONTH", "").split(",")) if freq == "YEARLY" and "BYMONTH" in parts else 1
    if numbered or ("BYMONTHDAY" in parts) == bool(days) or (freq == "YEARLY" and "BYMONTH" not in parts):
        return "BYSETPOS picks among plain weekdays or among days of the month; give one of the two, and with YEARLY the months."
    among = months * (4 * len(days) if days else len(parts["BYMONTHDAY"].split(",")))
    if any(abs(int(place)) > among for place in parts["BYSETPOS"].split(",")):
        return f"BYSETPOS picks at most the {among}th here."
    return _no_such_date(parts)


def _no_such_date(parts: dict[str, str]) -> str:
    """A day of the month that none of its months has."""
    if parts["FREQ"] != "YEARLY" or "BYMONTHDAY" not in parts or "BYMONTH" not in parts:
        return ""
    longest = max(monthrange(2024, int(month))[1] for month in parts["BYMONTH"].split(","))
    if all(abs(int(day)) > longest for day in parts["BYMONTHDAY"].split(",")):
        return "it matches no day: none of its months is that long."
    return ""


def _local(value: Any) -> datetime:
    """A local time without an offset, to the minute, kept as if it were UTC."""
    text = cleaning.prose(value)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong("choose the day and the time at which it opens, like 2026-11-03T02:00.") from None
    if found.tzinfo is not None:
        raise Wrong("leave the offset out; the time zone has its own field.")
    _reasonable(found.year)
    return found.replace(second=0, microsecond=0, tzinfo=UTC)


def _reasonable(year: int) -> None:
    if not 2000 <= year <= 2100:
        raise Wrong("choose a year from 2000 to 2100.")


def _instant(value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    found = cleaning.instant(value)
    _reasonable(found.year)
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


@cache
def zones() -> tuple[str, ...]:
    """Every zone that may be chosen, UTC first."""
    kept = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/")))
    return ("UTC", *kept)


def zone(value: Any) -> str:
    text = cleaning.prose(value) or "UTC"
    if text not in zones():
        raise Wrong("choose a zone of the IANA list, like Europe/Berlin.")
    return text


def _priorities(choices: tuple[str, ...]) -> Clean:
    def clean(value: Any) -> list[str]:
        if not isinstance(value, list) or any(name not in choices for name in value):
            raise Wrong(f"choose among {', '.join(choices)}.")
        return sorted(set(value))

    return clean


def _scope(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [slug for slug in re.split(r"[\s,]+", value) if slug]
    return sorted({component.slug for component in cleaning.component_list(value)}) if value else []


def _date(value: Any) -> date | None:
    text = cleaning.prose(value)
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Wrong("write a day like 2026-11-03.") from None
    _reasonable(found.year)
    return found


def _dates(value: Any) -> list[date]:
    if isinstance(value, str):
        value = [day for day in re.split(r"[\s,]+", value) if day]
    if not isinstance(value, list) or len(value) > 400:
        raise Wrong("list at most 400 days, like 2026-11-03, 2026-11-05.")
    return sorted({day for day in map(_date, value) if day})


def day(value: Any) -> dict[str, Any] | None:
    """A day of the year as `Day` takes it; checked to exist within five years by whoever knows today."""
    if value in (None, "", {}):
        return None
    if not isinstance(value, Mapping) or set(value) - {"month", "day", "weekday", "nth", "country", "holiday", "on", "offset"}:
        raise Wrong("give month and day, or month, weekday and nth, or country and holiday, or on; and an offset in days.")
    found = dict(value)
    offset = found.pop("offset", 0) or 0
    if isinstance(offset, bool) or not isinstance(offset, int) or not -60 <= offset <= 60:
        raise Wrong("the offset is a whole number of days from -60 to 60.")
    made = _base_day(found)
    return made | ({"offset": offset} if offset else {})


def _base_day(found: dict[str, Any]) -> dict[str, Any]:
    def number(name: str, least: int, most: int) -> int:
        given = found.get(name)
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise Wrong(f"{name} is a whole number from {least} to {most}.")
        return given

    if found.keys() == {"on"}:
        on = _date(found["on"])
        if on is None:
            raise Wrong("write a day like 2026-11-03.")
        return {"on": on.isoformat()}
    if found.keys() == {"country", "holiday"}:
        return _a_holiday(cleaning.prose(found["country"]).upper(), cleaning.prose(found["holiday"]))
    if found.keys() == {"month", "weekday", "nth"}:
        nth = number("nth", -1, 5)
        if not nth:
            raise Wrong("nth is 1 to 5, or -1 for the last.")
        return {"month": number("month", 1, 12), "weekday": number("weekday", 0, 6), "nth": nth}
    if found.keys() == {"month", "day"}:
        month, of_month = number("month", 1, 12), number("day", 1, 31)
        try:
            date(2024, month, of_month)
        except ValueError:
            raise Wrong(f"month {month} has no day {of_month}.") from None
        return {"month": month, "day": of_month}
    raise Wrong("give month and day, or month, weekday and nth, or country and holiday, or on.")


@cache
def countries() -> tuple[str, ...]:
    """ISO codes of the countries whose holidays are known."""
    return tuple(sorted(holidays.list_supported_countries(include_aliases=False)))


def _a_holiday(country: str, name: str) -> dict[str, Any]:
    """A holiday by its name, however its letters are written."""
    known = {one.casefold(): one for one in holiday_names(country)}
    if not known:
        raise Wrong(f"“{country[:10]}” is no country of the list; take two letters like US or DE.")
    if not name:
        raise Wrong("choose the holiday.")
    if name.casefold() not in known:
        near = [one for one in known.values() if name.casefold() in one.casefold()][:3] or list(known.values())[:6]
        raise Wrong(f"{country} has no “{name[:60]}”; choose one like {', '.join(near)}.")
    return {"country": country, "holiday": known[name.casefold()]}


def holiday_names(country: str) -> tuple[str, ...]:
    """The holidays of a country, as `Day` names them."""
    return _holiday_names(country) if country in countries() else ()


@cache
def _holiday_names(country: str) -> tuple[str, ...]:
    kept = holidays.country_holidays(country, years=range(2024, 2030), observed=False)
    return tuple(sorted({name for names in kept.values() for name in str(names).split("; ")}))


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
    "until": _date,
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
    """Every field of a version of that kind (window or closure), or Invalid with what is wrong, by field."""
    cleaners = WINDOW if kind == "window" else CLOSURE
    wrong = {str(name)[:60]: "There is no such field." for name in values if name not in cleaners}
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
    return {"priorities": list(PLANNED), "scope": [], "skips": []} if kind == "window" else {"admits": [EMERGENCY], "scope": []}


def _amiss_window(found: dict[str, Any]) -> dict[str, str]:
    """What does not go together in a window, and a rule that can never match."""
    if found["minutes"] is None:
        return {"minutes": "Length: say how long it is open, in minutes, like 120."}
    if not found["priorities"]:
        return {"priorities": "Priorities: choose at least one; nobody could work in it."}
    made = window_value(found)
    begins = found["begins"]
    if next(iter(made.occurrences(begins - timedelta(days=2), begins + LOOKED_AHEAD)), None) is None:
        if found["until"] and found["until"] < begins.date():
            return {"until": "Last day: it lies before the first start; choose a later one."}
        return {"rule": "Recurrence: it matches no day within five years of its first start; no window would ever open."}
    return {}


def _amiss_closure(found: dict[str, Any]) -> dict[str, str]:
    """What does not go together in a freeze or blackout, and days that never come."""
    by_days, by_instants = found["first"] or found["last"], found["starts"] or found["ends"]
    if by_days and by_instants:
        return {"starts": "Start: give days that come every year, or one start and end; not both."}
    if not by_days:
        if not found["starts"]:
            return {"starts": "Start: say when it begins, like 2026-12-01T00:00Z; or choose a first and a last day."}
        if not found["ends"]:
            return {"ends": "End: say when it ends; what has no end is a lockdown."}
        return {} if found["ends"] > found["starts"] else {"ends": "End: it lies before the start; choose a later one."}
    for name in ("first", "last"):
        if not found[name]:
            return {name: f"{LABELS[name]}: give both days; they may be the same."}
        this_year = timezone.now().year
        fixed = date.fromisoformat(found[name]["on"]).year if "on" in found[name] else this_year
        if not any(Day(**found[name]).of(year) for year in range(fixed, fixed + 5)):
            return {name: f"{LABELS[name]}: that day does not come within five years; no freeze would ever begin."}
    days = [Day(**found[name]).of(date.fromisoformat(found[name]["on"]).year) for name in ("first", "last") if "on" in found[name]]
    if len(days) == 2 and days[0] and days[1] and days[1] < days[0]:
        return {"last": "Last day: it lies before the first; choose a later one."}
    since = datetime.combine(days[0], time(0), UTC) if days and days[0] else timezone.now()
    if next(iter(closure_version(found).value().occurrences(since - timedelta(days=400), since + LOOKED_AHEAD)), None) is None:
        return {"last": "Last day: with that first day it never comes; for one time across the year's end, give a start and an end."}
    return {}


def window_value(found: Mapping[str, Any]) -> Window:
    """The window that these clean values say, unsaved."""
    return window_version(found).value()


def window_version(found: Mapping[str, Any]) -> MaintenanceWindow:
    return MaintenanceWindow(**found)


def closure_version(found: Mapping[str, Any]) -> Closure:
    plain = {name: value for name, value in found.items() if name not in ("starts", "ends")}
    return Closure(**plain, starts_at=found["starts"], ends_at=found["ends"])


def version(kind: str, found: Mapping[str, Any]) -> MaintenanceWindow | Closure:
    """An unsaved version with these clean values."""
    return window_version(found) if kind == "window" else closure_version(found)


def as_sent(row: MaintenanceWindow | Closure) -> dict[str, Any]:
    """A version as `clean` takes it: what an editor starts from, and what a proposal and the trail keep."""
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


def is_zone(name: str) -> bool:
    return name in _known_zones()


@cache
def _known_zones() -> frozenset[str]:
    """Read once: the machine's list of zones is a tree of files."""
    return frozenset(available_timezones())


def zone_of(name: str) -> ZoneInfo:
    """That zone, or UTC for a name that is none."""
    return ZoneInfo(name) if is_zone(name) else ZoneInfo("UTC")
