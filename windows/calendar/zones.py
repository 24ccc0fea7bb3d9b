"""Time zones by their names of the IANA list."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from language import reading
from language.reading import Wrong


@cache
def zones() -> tuple[str, ...]:
    """Every zone that may be chosen, UTC first."""
    kept = sorted(
        name
        for name in available_timezones()
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/"))
    )
    return ("UTC", *kept)


def zone(value: Any) -> str:
    """Reads the name of an IANA zone; nothing is UTC. Raises Wrong."""
    text = reading.prose(value) or "UTC"
    if text not in zones():
        raise Wrong("choose a zone of the IANA list, like Europe/Berlin.")
    return text


def is_zone(name: str) -> bool:
    """Whether the IANA list has that name."""
    return name in _known_zones()


@cache
def _known_zones() -> frozenset[str]:
    """Read once: the machine's list of zones is a tree of files."""
    return frozenset(available_timezones())


def zone_of(name: str) -> ZoneInfo:
    """That zone, or UTC for a name that is none."""
    return ZoneInfo(name) if is_zone(name) else ZoneInfo("UTC")
