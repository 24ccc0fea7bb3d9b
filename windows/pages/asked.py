"""What a page of the calendar was asked for: a day, a view, a zone, filters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from django.utils import timezone

from language import reading
from requests import cleaning
from web.http import Request
from windows.calendar import zones
from windows.pages.board import Filters

VIEWS = {"month": "Month", "week": "Week", "timeline": "By component", "agenda": "Agenda"}


#: Zones to choose from without typing; whoever needs another writes it into the address, and their
#: own is offered by the page.
ZONES = (
    *(
        "UTC",
        "America/Los_Angeles",
        "America/Denver",
        "America/Chicago",
        "America/New_York",
        "America/Sao_Paulo",
        "Europe/London",
    ),
    *(
        "Europe/Berlin",
        "Europe/Helsinki",
        "Africa/Johannesburg",
        "Asia/Dubai",
        "Asia/Kolkata",
        "Asia/Singapore",
        "Asia/Tokyo",
    ),
    *("Australia/Sydney", "Pacific/Auckland"),
)


@dataclass(frozen=True)
class Asked:
    """What the address asks for; whatever cannot be taken is left out and said in `wrong`."""

    view: str
    at: date
    zone: ZoneInfo
    filters: Filters
    wrong: tuple[str, ...]

    @classmethod
    def of(cls, request: Request) -> Asked:
        query, wrong = request.GET, []
        zone_name = query.get("zone", "UTC")[:60] or "UTC"
        if not zones.is_zone(zone_name):
            wrong.append(f"There is no time zone “{zone_name}”; times are in UTC.")
        zone = zones.zone_of(zone_name)
        priority = query.get("priority", "")
        if priority and priority not in ("P1", "P2", "P3"):
            wrong.append("Choose P1, P2 or P3; a P0 may start at any time.")
            priority = ""
        try:
            found = frozenset(
                component.slug
                for component in cleaning.component_list(reading.names(query.get("component", "")))
            )
        except reading.Wrong as problem:
            wrong.append(str(problem))
            found = frozenset()
        today = timezone.now().astimezone(zone).date()
        view = query.get("view", "month")
        return cls(
            view if view in VIEWS else "month",
            _day(query.get("at", ""), today),
            zone,
            Filters(priority, found),
            tuple(wrong),
        )


def _day(text: str, today: date) -> date:
    """A day, or a month's first; today for what is neither."""
    if re.fullmatch(r"(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])(-[0-3][0-9])?", text):
        try:
            return date.fromisoformat(text if len(text) == 10 else f"{text}-01")
        except ValueError:
            pass
    return today
