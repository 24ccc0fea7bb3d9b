"""Everything that the process document states, as rows: what `setup_process` makes and never
overwrites.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

TWO_IN_THE_MORNING = datetime(
    2000, 1, 4, 2, 0, tzinfo=UTC
)  # default rules run from 2000 without end

WINDOWS: list[dict[str, Any]] = [
    {
        "name": "Primary",
        "rule": "FREQ=WEEKLY;BYDAY=TU",
        "begins": TWO_IN_THE_MORNING,
        "minutes": 120,
        "zone": "UTC",
    },  # R72
    {
        "name": "Secondary",
        "rule": "FREQ=WEEKLY;BYDAY=TH",
        "begins": TWO_IN_THE_MORNING,
        "minutes": 120,
        "zone": "UTC",
    },  # R73
]

THANKSGIVING = {"country": "US", "holiday": "Thanksgiving Day"}
CHRISTMAS = {"country": "US", "holiday": "Christmas Day"}
NEW_YEAR = {"country": "US", "holiday": "New Year's Day"}
FOURTH_THURSDAY = {"month": 11, "weekday": 3, "nth": 4}


def _freeze(name: str, holiday: dict[str, str]) -> dict[str, Any]:
    """From 14 days before the holiday to its end (R75, A5)."""
    return {
        "name": f"the code freeze for {name}",
        "kind": "freeze",
        "first": {**holiday, "offset": -14},
        "last": holiday,
    }


CLOSURES: list[dict[str, Any]] = [
    _freeze("Thanksgiving", THANKSGIVING),
    _freeze("Christmas", CHRISTMAS),
    _freeze("New Year", NEW_YEAR),
    # R76: the shop's own days; no holiday calendar has them.
    {
        "name": "the Black Friday blackout",
        "kind": "blackout",
        "first": {**FOURTH_THURSDAY, "offset": 1},
        "last": {**FOURTH_THURSDAY, "offset": 1},
    },
    {
        "name": "the Cyber Monday blackout",
        "kind": "blackout",
        "first": {**FOURTH_THURSDAY, "offset": 4},
        "last": {**FOURTH_THURSDAY, "offset": 4},
    },
    {
        "name": "the holiday shopping season",
        "kind": "blackout",
        "first": {**FOURTH_THURSDAY, "offset": 1},
        "last": {"month": 12, "day": 31},
    },
]
