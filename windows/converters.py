"""A day in an address."""

from __future__ import annotations

from datetime import date


class DayConverter:
    """`2026-11-24`, of a year that the calendar knows."""

    regex = r"(?:19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]"

    def to_python(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_url(self, value: date) -> str:
        return value.isoformat()
