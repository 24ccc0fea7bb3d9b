"""Whether an edit of a calendar rule allows what was not allowed (A27): judged by comparing where
both versions fall, as values.

One rule is compared with its next version. What it allows counts even where another rule shuts it
today: that other rule may go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from language.say import say_date, say_length, say_span
from windows.calendar.recurrence import Closure, Rule, Window
from windows.calendar.verdict import united, without

#: Every rule that `windows.rules.fields` takes comes round within this time.
COMPARED = timedelta(days=12 * 366)


def widens(old: Rule | None, new: Rule | None, at: datetime) -> list[str]:
    """Sentences: what `new` in place of `old` would allow, from `at` on, that is not allowed now;
    empty if nothing.
    """
    if isinstance(old, Window) or isinstance(new, Window):
        assert old is None or isinstance(old, Window)
        assert new is None or isinstance(new, Window)
        return list(_window(old, new, at)) if new else []
    return list(_closure(old, new, at)) if old else []


def _window(old: Window | None, new: Window, at: datetime) -> Iterator[str]:
    if old is None:
        if first := next(iter(_always(new).occurrences(at, at + COMPARED)), None):
            more = "" if not new.rule else ", and again by its rule"
            yield (
                f"{', '.join(sorted(new.priorities))} may start in {new.name}:"
                f" {say_span(first.start, first.end)} {first.start.year}{more}."
            )
        elif new.begins.date() > at.date():
            yield (
                f"{', '.join(sorted(new.priorities))} may start in {new.name}, from"
                f" {say_date(new.begins)} on."
            )
        return
    if added := sorted(new.priorities - old.priorities):
        yield f"{', '.join(added)} may start in {new.name}."
    if old.scope and (not new.scope or new.scope - old.scope):
        yield f"It is open to {', '.join(sorted(new.scope - old.scope)) or 'every component'}, too."
    if old.capacity is not None and (new.capacity is None or new.capacity > old.capacity):
        yield f"It has {new.capacity or 'unlimited'} places instead of {old.capacity}."
    yield from _gained(_falls(old, at), _falls(new, at), "It opens")
    if (
        old.until
        and (new.until is None or new.until > old.until)
        and old.until >= (at + COMPARED).date()
    ):
        yield f"It opens after {say_date(old.until)}."


def _closure(old: Closure, new: Closure | None, at: datetime) -> Iterator[str]:
    """A freeze or blackout that is shorter, admits more, covers less, or is gone."""
    if new is None:
        if first := next(iter(_always(old).occurrences(at, at + COMPARED)), None):
            yield (
                f"{old.name[:1].upper()}{old.name[1:]} would be gone, next from"
                f" {say_date(first.start)}."
            )
        return
    if added := sorted(new.admits - old.admits):
        yield f"{', '.join(added)} would be admitted."
    if new.scope and (not old.scope or old.scope - new.scope):
        yield (
            "It would not hold for"
            f" {', '.join(sorted(old.scope - new.scope)) or 'every other component'} any more."
        )
    if old.kind == "blackout" and new.kind == "freeze":
        yield "CTO and a change manager could grant an exception, which a blackout has none of."
    yield from _gained(_falls(new, at), _falls(old, at), "It would be open")


def _always(rule: Rule) -> Rule:
    return replace(rule, since=None, till=None)


def _falls(rule: Rule, at: datetime) -> list[tuple[datetime, datetime]]:
    return united(
        (max(found.start, at), found.end) for found in _always(rule).occurrences(at, at + COMPARED)
    )


def _gained(
    fewer: list[tuple[datetime, datetime]], more: list[tuple[datetime, datetime]], what: str
) -> Iterator[str]:
    """The time of `more` that `fewer` lacks, as one sentence with the first of it."""
    found = list(without(more, fewer))
    if found:
        begin, end = found[0]
        year = begin.year
        length = sum(
            ((stop - start) for start, stop in found if start.year in (year, year + 1)),
            timedelta(0),
        )
        span = (
            say_span(begin, end)
            if end - begin < timedelta(days=2)
            else f"from {say_date(begin)} to {say_date(end)}"
        )
        often = (
            f", and {len(found) - 1} more times in twelve years, {say_length(length)} by the end of"
            f" {year + 1}"
            if len(found) > 1
            else ""
        )
        yield f"{what} {span} {year}{often}."
