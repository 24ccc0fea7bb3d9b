"""The one clock. `django.utils.timezone.now()` is the only way that the product asks for the time;
here it can be set.

Two needs: `CHANGEMGMT_CLOCK` lets a whole run live in October although today lies in a freeze, and
`tick --at` judges and stamps by an instant given. Both go through here; production refuses the
first.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.utils import timezone

_fixed: ContextVar[datetime | None] = ContextVar("fixed clock", default=None)
_offset = timedelta(0)


def parse(text: str) -> datetime:
    """An ISO instant; without a zone it is UTC."""
    at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def offset_from_environment() -> timedelta:
    """How far our clock stands from the machine's: zero, unless CHANGEMGMT_CLOCK is set.

    `script/server` hands the same offset to all its processes; a command typed beside it finds that
    offset in the anchor that the server left in its data folder.
    """
    if shared := os.environ.get("CHANGEMGMT_CLOCK_OFFSET"):
        return timedelta(seconds=float(shared))
    if wanted := os.environ.get("CHANGEMGMT_CLOCK"):
        return _anchored(wanted) or parse(wanted) - datetime.now(UTC)
    return timedelta(0)


def _anchored(wanted: str) -> timedelta | None:
    """The offset of a server that runs by this clock now, from the anchor in its data folder; None
    without one.
    """
    var = Path(os.environ.get("CHANGEMGMT_VAR") or Path(__file__).resolve().parents[1] / "var")
    try:
        anchor = json.loads(
            (var / f"clock-{parse(wanted):%Y-%m-%dT%H%MZ}" / "clock.json").read_text()
        )
        os.kill(anchor["pid"], 0)
        return timedelta(seconds=anchor["offset_seconds"])
    except (OSError, ValueError, KeyError):
        return None


def is_set() -> bool:
    """Whether CHANGEMGMT_CLOCK shifts the clock, which every page then says."""
    return bool(os.environ.get("CHANGEMGMT_CLOCK"))


def now() -> datetime:
    """The instant: the machine's, shifted, or the one that is fixed for a while."""
    return _fixed.get() or datetime.now(UTC) + _offset


def install() -> None:
    """Let `timezone.now` tell the shifted time, in every process of the product."""
    global _offset
    _offset = offset_from_environment()
    timezone.now = now


@contextlib.contextmanager
def standing_at(instant: datetime) -> Iterator[None]:
    """Within the block it is `instant`, for this thread or task alone."""
    token = _fixed.set(instant)
    try:
        yield
    finally:
        _fixed.reset(token)
