"""iCalendar feeds: made, revoked, and written as their owner may see things at this moment (item 9,
F33).

Events keep their UID; SEQUENCE grows with each move of a slot; a slot that was lost is told as
CANCELLED.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from audit import trail
from language.refusal import Invalid, Missing, Reason
from requests.models import ChangeQuerySet, ChangeRequest, Component
from requests.states import State
from windows.calendar.recurrence import PLANNED, Occurrence, Window
from windows.calendar.verdict import (
    Calendar,
    closure_occurrences,
    united,
    window_occurrences,
    without,
)
from windows.models import Feed, FeedEntry, calendar_since

BACK, AHEAD = timedelta(days=60), timedelta(days=400)
MOST_EVENTS = 2000
MOST_FEEDS = 20
SEEN_EVERY = timedelta(minutes=10)


def teams() -> list[str]:
    """The teams that the catalogue of components names."""
    return list(
        Component.objects.exclude(team="")
        .order_by("team")
        .values_list("team", flat=True)
        .distinct()
    )


@transaction.atomic
def make(*, actor: User, kind: str, team: str = "") -> tuple[Feed, str]:
    """A new feed and the secret of its address, which is not kept and cannot be shown again."""
    if kind not in Feed.Kind.values:
        raise Invalid(
            fields={"kind": "Feed: choose my changes, a team's, or windows and freezes alone."}
        )
    if kind == Feed.Kind.TEAM and team not in teams():
        raise Invalid(fields={"team": "Team: choose one of the list."})
    if actor.feeds.filter(revoked_at__isnull=True).count() >= MOST_FEEDS:
        raise Invalid(fields={"kind": f"Feed: you have {MOST_FEEDS} already; revoke one first."})
    secret = secrets.token_urlsafe(32)
    made = Feed.objects.create(
        user=actor,
        kind=kind,
        team=team if kind == Feed.Kind.TEAM else "",
        digest=_digest(secret),
        created_at=timezone.now(),
    )
    trail.record(
        "feed.create", actor=actor, data={"feed": made.pk, "kind": kind, "team": made.team}
    )
    return made, secret


@transaction.atomic
def revoke(*, actor: User, key: int) -> Feed:
    """End one's own feed: its address opens nothing any more."""
    found = Feed.objects.select_for_update().filter(user=actor, revoked_at__isnull=True)
    feed: Feed | None = found.filter(pk=key).first() if 0 < key < 2**63 else None
    if feed is None:
        raise Missing([Reason("missing", "There is no such feed.")])
    feed.revoked_at = timezone.now()
    feed.save(update_fields=["revoked_at"])
    trail.record("feed.revoke", actor=actor, data={"feed": feed.pk})
    return feed


def on_tokens_revoked(sender: type[User], person: User, **kwargs: object) -> None:
    """Whatever ends a person's tokens ends their feeds (F56)."""
    Feed.objects.filter(user=person, revoked_at__isnull=True).update(revoked_at=timezone.now())


def _digest(secret: str) -> str:
    # A fast hash suffices: the secret has 256 random bits, there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def opened_by(secret: str) -> Feed | None:
    """The feed of that address, if it stands and its owner is active."""
    feed = (
        Feed.objects.select_related("user")
        .filter(digest=_digest(secret), revoked_at__isnull=True)
        .first()
    )
    if feed is None or not feed.user.is_active:
        return None
    now = timezone.now()
    if feed.last_used_at is None or now - feed.last_used_at > SEEN_EVERY:
        Feed.objects.filter(pk=feed.pk).update(last_used_at=now)
    return feed


# --- writing --------------------------------------------------------------------------------------


def write(feed: Feed) -> bytes:
    """The feed as iCalendar: open windows, freezes and blackouts, and the owner's or the team's
    slots.
    """
    now = timezone.now()
    start, end = (now - BACK).replace(microsecond=0), (now + AHEAD).replace(microsecond=0)
    found = icalendar.Calendar()
    found.add("prodid", "-//changemgmt//calendar//EN")
    found.add("version", "2.0")
    found.add("method", "PUBLISH")
    found.add("name", _title(feed))
    found.add("x-wr-calname", _title(feed))
    found.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for event in _rule_events(calendar_since(start), start, end, now):
        found.add_component(event)
    if feed.kind != Feed.Kind.PUBLIC:
        for change in _changes(feed, start, end):
            found.add_component(_change_event(change, now))
    found.add_missing_timezones()
    return bytes(found.to_ical())


def _title(feed: Feed) -> str:
    return {
        "personal": "My changes",
        "team": f"Changes of {feed.team}",
        "public": "Maintenance windows and freezes",
    }[feed.kind]


def _host() -> str:
    return settings.BASE_URL.split("//")[-1].split("/")[0].split(":")[0]


def _rule_events(
    rules: Calendar, start: datetime, end: datetime, now: datetime
) -> Iterator[icalendar.Event]:
    closures = closure_occurrences(rules, start, end)
    for window in window_occurrences(rules, start, end):
        yield from _window_events(window, closures, now)
    for closure in closures:
        stop = min(closure.end, end)
        event = _event(
            f"{closure.kind}-{closure.rule.key}-{closure.start:%Y%m%dT%H%M}",
            closure.name[:1].upper() + closure.name[1:],
            now,
        )
        event.add("dtstart", closure.start)
        event.add("dtend", stop)
        event.add("description", f"Only {closure.admitted} may start.")
        event.add("categories", [closure.kind.upper()])
        event.add("transp", "TRANSPARENT")
        yield event


def _window_events(
    window: Occurrence, closures: list[Occurrence], now: datetime
) -> Iterator[icalendar.Event]:
    """The parts of the window that are open to somebody who plans; what a freeze takes is not
    there.
    """
    rule = window.rule
    assert isinstance(rule, Window)
    near = [c for c in closures if c.start < window.end and window.start < c.end]
    open_to: list[tuple[datetime, datetime]] = []
    for priority in sorted(rule.priorities & set(PLANNED)):
        shut = united((c.start, c.end) for c in near if c.shuts(priority, rule.scope))
        open_to += without([(window.start, window.end)], shut)
    zone = ZoneInfo(rule.zone)
    for begin, stop in united(open_to):
        event = _event(f"window-{rule.key}-{begin:%Y%m%dT%H%M}", f"{window.name} window", now)
        for name, at in zip(("dtstart", "dtend"), _in_zone(begin, stop, zone), strict=True):
            event.add(name, at)
        where = f" on {', '.join(sorted(rule.scope))}" if rule.scope else ""
        event.add("description", f"{window.admitted} may start{where}.")
        event.add("categories", ["WINDOW"])
        event.add("transp", "TRANSPARENT")
        yield event


def _in_zone(begin: datetime, stop: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """In the rule's zone; in UTC if a clock time of the two comes twice there, or clocks change
    between them: readers differ then.
    """
    local = begin.astimezone(zone), stop.astimezone(zone)
    plain = all(at.replace(fold=0).utcoffset() == at.replace(fold=1).utcoffset() for at in local)
    if zone.key != "UTC" and plain and local[0].utcoffset() == local[1].utcoffset():
        return local
    return begin.astimezone(UTC), stop.astimezone(UTC)


def _event(uid: str, summary: str, now: datetime) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", f"{uid}@{_host()}")
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("summary", summary)
    return event


def _changes(feed: Feed, start: datetime, end: datetime) -> ChangeQuerySet:
    """The slots that the owner may see at this moment: their own and watched changes, or those on
    the team's components.
    """
    rows = ChangeRequest.objects.visible_to(feed.user).select_related("feed_entry", "requester")
    slot = Q(slot_start__gte=start, slot_start__lt=end) | Q(
        slot_start__isnull=True, feed_entry__start__gte=start, feed_entry__start__lt=end
    )
    if feed.kind == Feed.Kind.TEAM:
        named = ChangeRequest.components.through.objects.filter(component__team=feed.team)
        mine = Q(pk__in=named.values("changerequest"))
    else:
        mine = (
            Q(requester=feed.user)
            | Q(implementer=feed.user)
            | Q(pk__in=feed.user.watches.values("change"))
        )
    return rows.filter(slot, mine).order_by("-slot_start", "-id")[:MOST_EVENTS]


def _change_event(change: ChangeRequest, now: datetime) -> icalendar.Event:
    entry: FeedEntry | None = getattr(change, "feed_entry", None)
    start, end = (
        (change.slot_start, change.slot_end)
        if change.slot_start
        else (entry.start, entry.end)
        if entry
        else (None, None)
    )
    event = _event(
        change.number, f"{change.priority} {change.summary}", entry.updated_at if entry else now
    )
    event.add("dtstart", _whole(start or now))
    event.add("dtend", _whole(end or now))
    event.add("sequence", entry.sequence if entry else 0)
    gone = change.slot_start is None or change.state == State.CANCELLED
    event.add("status", "CANCELLED" if gone else "CONFIRMED")
    event.add("url", f"{settings.BASE_URL}{change.get_absolute_url()}")
    event.add(
        "description",
        f"{change.number}: {State(change.state).label}. Requested by {change.requester}.",
    )
    event.add("categories", ["CHANGE"])
    return event


def _whole(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
