"""Days of a year as `windows.calendar.recurrence.Day` takes them, from what people and pipelines
send.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import holidays

from language import reading
from language.reading import Wrong


def check_year(year: int) -> None:
    """Raises Wrong for a year that calendars are not kept for."""
    if not 2000 <= year <= 2100:
        raise Wrong("choose a year from 2000 to 2100.")


def a_date(value: Any) -> date | None:
    """Reads a day, or none. Raises Wrong."""
    text = reading.prose(value)
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Wrong("write a day like 2026-11-03.") from None
    check_year(found.year)
    return found


def day(value: Any) -> dict[str, Any] | None:
    """A day of the year as `Day` takes it; checked to exist within five years by whoever knows
    today.
    """
    if value in (None, "", {}):
        return None
    if not isinstance(value, Mapping) or set(value) - {
        "month",
        "day",
        "weekday",
        "nth",
        "country",
        "holiday",
        "on",
        "offset",
    }:
        raise Wrong(
            "give month and day, or month, weekday and nth, or country and holiday, or on; and an"
            " offset in days."
        )
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
        on = a_date(found["on"])
        if on is None:
            raise Wrong("write a day like 2026-11-03.")
        return {"on": on.isoformat()}
    if found.keys() == {"country", "holiday"}:
        return _a_holiday(reading.prose(found["country"]).upper(), reading.prose(found["holiday"]))
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
        near = [one for one in known.values() if name.casefold() in one.casefold()][:3] or list(
            known.values()
        )[:6]
        raise Wrong(f"{country} has no “{name[:60]}”; choose one like {', '.join(near)}.")
    return {"country": country, "holiday": known[name.casefold()]}


def holiday_names(country: str) -> tuple[str, ...]:
    """The holidays of a country, as `Day` names them."""
    return _holiday_names(country) if country in countries() else ()


@cache
def _holiday_names(country: str) -> tuple[str, ...]:
    kept = holidays.country_holidays(country, years=range(2024, 2030), observed=False)
    return tuple(sorted({name for names in kept.values() for name in str(names).split("; ")}))
