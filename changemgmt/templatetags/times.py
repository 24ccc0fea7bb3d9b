"""How pages say instants and lengths: absolute in UTC, the exact instant on hover."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from language import say

register = template.Library()


def _time(at: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', say.iso(at), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", text)


@register.filter
def instant(at: datetime | None) -> SafeString:
    """Tue 5 Jan 2027, 02:00 UTC."""
    return _time(at, say.say_instant(at)) if at else SafeString("")


@register.filter
def until(at: datetime | None) -> SafeString:
    """An end: Thu 26 Nov, 24:00 UTC."""
    return _time(at, say.say_until(at)) if at else SafeString("")


@register.filter
def short(at: datetime | None) -> SafeString:
    """Thu 8 Oct 02:00, with the year where it is not this one."""
    if not at:
        return SafeString("")
    day = say.say_day(at) if at.year == timezone.now().year else say.say_date(at)
    return _time(at, f"{day} {at.astimezone(UTC):%H:%M}")


@register.filter
def day(at: datetime | date | None) -> str:
    if not at:
        return ""
    return say.say_day(at) if at.year == timezone.now().year else say.say_date(at)


@register.filter
def relative(at: datetime | None) -> SafeString:
    """“in 1 d 11 h”, “6 min ago”, “now”; the instant itself on hover."""
    if not at:
        return SafeString("")
    distance = at - timezone.now()
    if abs(distance) < timedelta(seconds=1):
        return _time(at, "now")
    length = say.say_length(distance)
    return _time(at, f"in {length}" if distance > timedelta(0) else f"{length} ago")


@register.filter
def since(at: datetime | None) -> str:
    """How long ago, without “ago”."""
    return say.say_length(timezone.now() - at) if at else ""


@register.filter
def left(at: datetime | None) -> str:
    return say.say_length(at - timezone.now()) if at else ""


@register.simple_tag
def span(start: datetime | None, end: datetime | None) -> SafeString:
    """Thu 8 Oct, 02:00 to 04:00 UTC."""
    return _time(start, say.say_span(start, end)) if start and end else SafeString("")


def _here(at: datetime) -> datetime:
    """In the zone that the page shows; UTC unless somebody chose another."""
    return timezone.localtime(at)


@register.filter
def local_clock(at: datetime | None) -> SafeString:
    """02:00, in the zone that the page shows."""
    return _time(at, f"{_here(at):%H:%M}") if at else SafeString("")


@register.filter
def local_end(at: datetime | None) -> SafeString:
    """An end: 24:00 rather than 00:00, in the zone that the page shows."""
    return _time(at, "24:00" if f"{_here(at):%H:%M}" == "00:00" else f"{_here(at):%H:%M}") if at else SafeString("")


@register.filter
def local_day(at: datetime | None) -> str:
    """Tue 5 Jan 2027, in the zone that the page shows; the year where it is not this one."""
    return day(_here(at)) if at else ""


@register.filter
def local_last_day(at: datetime | None) -> str:
    """The day that an end belongs to: midnight is the day before."""
    return day(_here(at) - timedelta(seconds=1)) if at else ""


@register.filter
def local_iso_day(at: datetime) -> str:
    """2027-01-05: that day's page, in the zone that this one shows."""
    return f"{_here(at):%Y-%m-%d}"


@register.filter
def local_midnight(at: datetime) -> bool:
    return f"{_here(at):%H:%M}" == "00:00"


@register.filter
def unlocalised(value: float) -> str:
    """A number as a stylesheet takes it."""
    return f"{value:g}"


@register.filter
def span_length(span: tuple[datetime, datetime]) -> str:
    """How long a stretch of time is: 55 d 22 h."""
    return say.say_length(span[1] - span[0])


@register.filter
def lasting(value: timedelta | int | None) -> str:
    if value is None:
        return ""
    return say.say_length(value if isinstance(value, timedelta) else timedelta(minutes=value))


@register.filter
def countdown(at: datetime) -> str:
    """h:mm:ss between now and the instant, in either direction; app.js goes on counting."""
    seconds = int(abs(at - timezone.now()).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


@register.filter
def clock(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%H:%M}" if at else ""


@register.filter
def after(end: datetime | None, start: datetime | None) -> str:
    """How long it took: 38 min."""
    return say.say_length(end - start) if end and start else "–"


@register.filter
def iso(at: datetime) -> str:
    return say.iso(at)
