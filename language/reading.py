"""What people and pipelines send, read: texts, choices, days, instants; or why it cannot be taken
and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from language.refusal import Invalid

MAX_TEXT = 20_000


class Wrong(Exception):
    """One field's value cannot be taken; the text says why and what to do."""


#: White space, and signs that have no width: a text of these alone is none.
UNSEEN = " \t\n\r\f\v\u00a0\u200b\u200c\u200d\u2060\u3000\ufeff"


def text(limit: int) -> Callable[[Any], str]:
    """Reads a text of at most `limit` characters; nothing is an empty one. Raises Wrong."""

    def cleaner(value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Wrong("Write text.")
        if len(value) > limit:
            raise Wrong(f"Shorten it to {limit:,} characters; it has {len(value):,}.")
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Wrong("It has characters that cannot be stored; remove them.")
        return value.replace("\r\n", "\n").strip(UNSEEN)

    return cleaner


#: A text as people write it: reasons, comments, notes.
prose = text(MAX_TEXT)


def said(field: str, value: Any, what: str, if_empty: str = "", limit: int = 2000) -> str:
    """A reason as it is kept, or Invalid at its field; `if_empty` makes it needed and says what to
    write.
    """
    try:
        read = text(limit)(value)
    except Wrong as problem:
        raise Invalid(fields={field: f"{what}: {problem}"}) from None
    if if_empty and not read:
        raise Invalid(fields={field: f"{what}: {if_empty}"})
    return read


def written(
    field: str, value: Any, what: str, *, needed: bool = True, limit: int = MAX_TEXT
) -> str:
    """A longer text of a run, needed unless said otherwise."""
    return said(
        field, value, what, "this is needed; a sentence is enough." if needed else "", limit
    )


def is_web_address(value: str) -> bool:
    """Whether it is a link that a browser may follow."""
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def one_of(choices: list[str]) -> Callable[[Any], str]:
    """Reads one of the choices; nothing is an empty one. Raises Wrong."""

    def cleaner(value: Any) -> str:
        if value in (None, ""):
            return ""
        if value not in choices:
            raise Wrong(f"Choose one of: {', '.join(choices)}.")
        return str(value)

    return cleaner


def yes_no(value: Any) -> bool | None:
    """Reads yes, no, or no answer yet. Raises Wrong."""
    if value is not None and not isinstance(value, bool):
        raise Wrong("Answer yes or no (true or false).")
    return value


def flag(value: Any) -> bool:
    """Reads true or false, and nothing else. Raises Wrong."""
    if not isinstance(value, bool):
        raise Wrong("Answer true or false.")
    return value


def calendar_day(value: Any) -> date | None:
    """Reads a day of the years 2000 to 2100, or none. Raises Wrong."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            day = date.fromisoformat(value.strip())
        elif isinstance(value, date) and not isinstance(value, datetime):
            day = value
        else:
            raise ValueError
    except ValueError:
        raise Wrong("Write the date as YYYY-MM-DD, like 2026-10-06.") from None
    if not 2000 <= day.year <= 2100:
        raise Wrong("Give a date between 2000 and 2100.")
    return day


def instant(value: Any) -> datetime:
    """An ISO 8601 instant, in UTC and whole seconds; without a zone it is UTC. Raises Wrong."""
    try:
        at = (
            value
            if isinstance(value, datetime)
            else datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
        )
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise Wrong("Write the instant as 2026-10-06T02:00Z.") from None
    if not 1900 <= at.year <= 2199:
        raise Wrong("Give an instant between 1900 and 2199.")
    return at


def names(text: str) -> list[str]:
    """What somebody typed between commas and spaces."""
    return [name for name in re.split(r"[\s,]+", text) if name]
