"""How pages say instants and lengths: absolute in UTC; `parts/times.html` puts the exact instant on
hover.

Every public function here is a filter of the templates.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.utils import timezone

from language import say
from language.say import iso, say_instant, say_until

__all__ = ["iso", "say_instant", "say_until"]  # filters, too


def exact(at: datetime) -> str:
    """2027-01-05 02:00:00 UTC: what stands on hover."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def say_short(at: datetime) -> str:
    """Thu 8 Oct 02:00, with the year where it is not this one."""
    return f"{day(at)} {clock(at)}"


def say_relative(at: datetime) -> str:
    """“in 1 d 11 h”, “6 min ago”, “now”."""
    distance = at - timezone.now()
    if abs(distance) < timedelta(seconds=1):
        return "now"
    length = say.say_length(distance)
    return f"in {length}" if distance > timedelta(0) else f"{length} ago"


def say_span(start: datetime, end: datetime) -> str:
    """Thu 8 Oct, 02:00 to 04:00 UTC."""
    return say.say_span(start, end)


def day(at: datetime | date | None) -> str:
    """Thu 8 Oct, with the year where it is not this one."""
    if not at:
        return ""
    return say.say_day(at) if at.year == timezone.now().year else say.say_date(at)


def clock(at: datetime | None) -> str:
    """02:00, in UTC."""
    return f"{at.astimezone(UTC):%H:%M}" if at else ""


def since(at: datetime | None) -> str:
    """How long ago, without “ago”."""
    return say.say_length(timezone.now() - at) if at else ""


def left(at: datetime | None) -> str:
    """How long it still is: 1 d 11 h."""
    return say.say_length(at - timezone.now()) if at else ""


def after(end: datetime | None, start: datetime | None) -> str:
    """How long it took: 38 min."""
    return say.say_length(end - start) if end and start else "–"


def span_length(span: tuple[datetime, datetime]) -> str:
    """How long a stretch of time is: 55 d 22 h."""
    return say.say_length(span[1] - span[0])


def lasting(value: timedelta | int | None) -> str:
    """A length, or a number of minutes: 1 h 30 min."""
    if value is None:
        return ""
    return say.say_length(value if isinstance(value, timedelta) else timedelta(minutes=value))


def countdown(at: datetime) -> str:
    """h:mm:ss between now and the instant, in either direction; app.js goes on counting."""
    seconds = int(abs(at - timezone.now()).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


# --- in the zone that the page shows; UTC unless somebody chose another ---------------------------


def _here(at: datetime) -> datetime:
    return timezone.localtime(at)


def local_clock(at: datetime) -> str:
    """02:00."""
    return f"{_here(at):%H:%M}"


def local_end(at: datetime) -> str:
    """An end: 24:00 rather than 00:00."""
    return "24:00" if local_midnight(at) else local_clock(at)


def local_midnight(at: datetime) -> bool:
    """Whether a day begins there."""
    return local_clock(at) == "00:00"


def local_day(at: datetime | None) -> str:
    """Tue 5 Jan 2027; the year where it is not this one."""
    return day(_here(at)) if at else ""


def local_last_day(at: datetime | None) -> str:
    """The day that an end belongs to: midnight is the day before."""
    return day(_here(at) - timedelta(seconds=1)) if at else ""


def local_iso_day(at: datetime) -> str:
    """2027-01-05: that day's page."""
    return f"{_here(at):%Y-%m-%d}"
