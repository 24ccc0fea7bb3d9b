"""The recurrences that are taken: RFC 5545 rules, daily or coarser, without an end of their own,
that come round soon and read one way.
"""

from __future__ import annotations

import re
from calendar import monthrange
from typing import Any

from language import reading
from language.reading import Wrong
from windows.calendar.recurrence import rule_parts

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


def recurrence(value: Any) -> str:
    """An RFC 5545 rule, daily or coarser and without an end of its own; empty: once."""
    text = reading.prose(value).upper().replace(" ", "").removeprefix("RRULE:")
    if not text:
        return ""
    if text.endswith("BYDAY="):
        raise Wrong("tick at least one day.")
    if len(text) > 200 or not re.fullmatch(r"[A-Z]+=[^=;]+(;[A-Z]+=[^=;]+)*", text):
        raise Wrong("write it like FREQ=WEEKLY;BYDAY=TU.")
    named = [part.partition("=")[0] for part in text.split(";")]
    if twice := next((name for name in named if named.count(name) > 1), ""):
        raise Wrong(f"{twice[:20]} stands twice; give it once, its values separated by commas.")
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
        values = found.split(",")
        if twice := next((value for value in values if values.count(value) > 1), ""):
            raise Wrong(f"{name} names {twice} twice; once is enough.")
    if int(parts.get("INTERVAL", 1)) > MOST_OFTEN[parts["FREQ"]]:
        raise Wrong(
            f"INTERVAL is at most {MOST_OFTEN[parts['FREQ']]} here; whoever looks a year ahead must"
            " see it."
        )
    if wrong := _no_match(parts):
        raise Wrong(wrong)
    return ";".join(f"{name}={found}" for name, found in parts.items())


def _no_match(parts: dict[str, str]) -> str:
    """What would make a rule that never matches, or that readers of calendars take in different
    ways: looking for its first day would take for ever.
    """
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
    if (
        numbered
        or ("BYMONTHDAY" in parts) == bool(days)
        or (freq == "YEARLY" and "BYMONTH" not in parts)
    ):
        return (
            "BYSETPOS picks among plain weekdays or among days of the month; give one of the two,"
            " and with YEARLY the months."
        )
    among = _days_to_pick_from(parts, len(days))
    if among and any(abs(int(place)) > among for place in parts["BYSETPOS"].split(",")):
        return f"BYSETPOS picks at most the {_ordinal(among)} here."
    return _no_such_date(parts)


def _days_to_pick_from(parts: dict[str, str], weekdays: int) -> int:
    """How many days there are for BYSETPOS: of weekdays those that every month has, of days of the
    month those of the longest.
    """
    months = [int(month) for month in parts["BYMONTH"].split(",")] if "BYMONTH" in parts else [1]
    if weekdays:
        return len(months) * 4 * weekdays
    lengths = [monthrange(2024, month)[1] for month in months]
    given = [int(day) for day in parts["BYMONTHDAY"].split(",")]
    return sum(
        len({day if day > 0 else length + 1 + day for day in given if abs(day) <= length})
        for length in lengths
    )


def _ordinal(number: int) -> str:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _no_such_date(parts: dict[str, str]) -> str:
    """A day of the month that none of its months has."""
    if parts["FREQ"] != "YEARLY" or "BYMONTHDAY" not in parts or "BYMONTH" not in parts:
        return ""
    longest = max(monthrange(2024, int(month))[1] for month in parts["BYMONTH"].split(","))
    if all(abs(int(day)) > longest for day in parts["BYMONTHDAY"].split(",")):
        return "it matches no day: none of its months is that long."
    return ""
