"""An .ics file as calendar rules: each event a freeze, a blackout or a window (item 9). Values in,
values out; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

from language import reading
from language.refusal import Invalid
from windows.calendar import grammar
from windows.calendar.recurrence import FOREVER, LONGEST_WINDOW, PLANNED
from windows.rules import fields

LARGEST = 1_000_000
MOST_EVENTS = 2_000
MOST_RULES = 300
AHEAD = timedelta(days=400)
TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
AS = {"freeze": "closure", "blackout": "closure", "window": "window"}


@dataclass
class Read:
    """What a file holds: the values of each rule that it would make, and what of it was left out,
    and why.
    """

    edits: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    past: int = 0


def read(data: bytes, *, as_kind: str, now: datetime, scope: list[str], admits: list[str]) -> Read:
    """The rules that the file's events make from `now` on. Raises Invalid when it is no calendar at
    all.
    """
    if as_kind not in AS:
        raise Invalid(fields={"as": "Import as: choose freezes, blackouts or windows."})
    found, names = Read(), set[str]()
    for event in _events(data):
        name = _name(event)
        try:
            for values in _values(event, as_kind, now, scope, admits):
                if len(found.edits) >= MOST_RULES:
                    found.left_out.append(
                        f"Only the first {MOST_RULES} were taken; import the rest by itself."
                    )
                    return found
                values["name"] = _unique(name, values, names)
                fields.clean(AS[as_kind], values)
                found.edits.append({"kind": AS[as_kind], "key": None, "values": values})
        except _Past:
            found.past += 1
        except Invalid as refused:
            found.left_out.append(f"“{name}”: {refused}")
        except (
            reading.Wrong,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
        ) as problem:
            found.left_out.append(
                f"“{name}”:"
                f" {problem if isinstance(problem, reading.Wrong) else 'its times cannot be read'}"
            )
    return found


class _Past(Exception):
    """The event lies wholly in the past."""


def _events(data: bytes) -> Iterator[icalendar.Event]:
    if len(data) > LARGEST:
        raise Invalid(fields={"file": "File: at most 1 MB; split it."})
    try:
        calendars = icalendar.Calendar.from_ical(data, multiple=True)
        events = [event for found in calendars for event in found.walk("VEVENT")]
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        UnicodeDecodeError,
        RecursionError,
    ) as problem:
        raise Invalid(
            fields={
                "file": (
                    f"File: this is not an iCalendar file that can be read ({str(problem)[:120]})."
                )
            }
        ) from None
    if not events:
        raise Invalid(
            fields={"file": "File: it holds no events; choose an .ics file with VEVENTs."}
        )
    if len(events) > MOST_EVENTS:
        raise Invalid(
            fields={
                "file": f"File: it holds {len(events):,} events; at most {MOST_EVENTS:,} are taken."
            }
        )
    yield from (event for event in events if isinstance(event, icalendar.Event))


def _name(event: icalendar.Event) -> str:
    text = "".join(
        letter for letter in str(event.get("SUMMARY", "")) if letter.isprintable() or letter == " "
    )
    return " ".join(text.split())[:60] or "Imported event"


def _unique(name: str, values: dict[str, Any], names: set[str]) -> str:
    """No two rules of a kind share a name: the day, then a number, tells them apart."""
    day = str(values.get("starts") or values.get("begins"))[:10]
    for candidate in (
        name,
        f"{name}, {day}",
        *(f"{name}, {day}, {number}" for number in range(2, 500)),
    ):
        if candidate not in names:
            names.add(candidate)
            return candidate
    return name


def _values(
    event: icalendar.Event, as_kind: str, now: datetime, scope: list[str], admits: list[str]
) -> Iterator[dict[str, Any]]:
    if "DTSTART" not in event:
        raise reading.Wrong("it has no start")
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        raise reading.Wrong("it is cancelled")
    spans = list(_spans(event, now))
    if not spans:
        raise _Past
    for begin, end in spans:
        if as_kind != "window":
            yield {
                "kind": as_kind,
                "starts": _said(begin),
                "ends": _said(end),
                "admits": admits,
                "scope": scope,
            }
            continue
        if end - begin > LONGEST_WINDOW:
            raise reading.Wrong(
                "a window lasts at most 24 hours; import it as a freeze, or make windows by hand"
            )
        minutes = int((end - begin).total_seconds() // 60)
        yield {
            "rule": "",
            "begins": f"{begin:%Y-%m-%dT%H:%M}",
            "minutes": minutes,
            "zone": "UTC",
            "priorities": list(PLANNED),
            "scope": scope,
        }


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}Z"


def _spans(event: icalendar.Event, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """When it takes place from now on, within 400 days if it comes again and again; in UTC."""
    rules: Any = event.get("RRULE")
    if rules is None and "RDATE" not in event:
        begin, end = _span(event)
        if end > now:
            yield begin, end
        return
    for rule in rules if isinstance(rules, list) else [rules] if rules is not None else []:
        _check_rule(rule)
    alone = icalendar.Calendar()
    alone.add_component(event)
    for occurrence in recurring_ical_events.of(alone, skip_bad_series=False).between(
        now, now + AHEAD
    )[:MOST_RULES]:
        yield _span(occurrence)


def _check_rule(rule: Any) -> None:
    """The grammar of our own rules, with an end: anything else could be expanded for ever."""
    parts = {str(name).upper(): [str(value) for value in values] for name, values in rule.items()}
    if TOO_OFTEN & {freq.upper() for freq in parts.get("FREQ", [])}:
        raise reading.Wrong("it comes more than once a day, which no rule here may")
    kept = {name: values for name, values in parts.items() if name not in ("COUNT", "UNTIL")}
    grammar.recurrence(";".join(f"{name}={','.join(values)}" for name, values in kept.items()))


def _span(event: icalendar.Event) -> tuple[datetime, datetime]:
    start: Any = event.decoded("DTSTART")
    if "DTEND" in event:
        end: Any = event.decoded("DTEND")
    elif "DURATION" in event:
        end = start + event.decoded("DURATION")
    else:
        end = start if isinstance(start, datetime) else start + timedelta(days=1)
    begin, stop = _utc(start), _utc(end)
    if stop <= begin:
        raise reading.Wrong("it ends before it begins")
    if stop >= FOREVER - AHEAD or begin.year < 1990:
        raise reading.Wrong("its times cannot be read")
    return begin, stop


def _utc(at: date | datetime) -> datetime:
    """In UTC; a time without a zone is taken as UTC, a day begins at its midnight."""
    if not isinstance(at, datetime):
        return datetime.combine(at, time(0), UTC)
    return (
        (at if at.tzinfo else at.replace(tzinfo=ZoneInfo("UTC")))
        .astimezone(UTC)
        .replace(second=0, microsecond=0)
    )
