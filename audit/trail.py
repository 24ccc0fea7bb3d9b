"""Writing and verifying the trail."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from audit import words
from audit.models import Event, Redaction, Words

_via: ContextVar[str] = ContextVar("audit via", default="system")


@contextlib.contextmanager
def acting_via(door: str) -> Iterator[None]:
    """Within the block, events say through which door they came: page, api, token:7, system."""
    token = _via.set(door)
    try:
        yield
    finally:
        _via.reset(token)


def set_via(door: str) -> None:
    """By which door the present request came; events say so."""
    _via.set(door)


def record(
    action: str, *, actor: Any = None, change: Any = None, data: dict[str, Any] | None = None
) -> Event:
    """Write one event, in the caller's transaction: what is rolled back was never said (R148-R151).

    `actor` is None for what the clock does. `change` is the change it belongs to. `data` is JSON
    and names people by key; what somebody typed (`words.TYPED`) is kept beside the event, which
    holds its digest (A41).
    """
    key = change.pk if change is not None else None
    facts, texts = words.split(_plain(data or {}))
    salts, digests = words.sealed(texts)
    facts |= {words.DIGESTS: digests} if digests else {}
    event = Event(
        at=timezone.now(), action=action, actor=actor, change_id=key, data=facts, via=_via.get()
    )
    with transaction.atomic(
        savepoint=False
    ):  # words come with their event, also where the caller is in no transaction
        event.save(force_insert=True)
        if texts:
            event.words = Words.objects.create(event=event, texts=texts, salts=salts)
    return event


_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d+)?\+00:00")


def _plain(value: Any) -> Any:
    """Facts as the trail keeps them: instants in UTC with Z, whole seconds, like everywhere else
    (contract).
    """
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str) and (found := _INSTANT.fullmatch(value)):
        return f"{found[1]}Z"
    return value


def change_numbers(events: Iterable[Event]) -> dict[int, str]:
    """The numbers of the changes that the events belong to, in one query."""
    keys = list({event.change_id for event in events if event.change_id})
    with connection.cursor() as cursor:  # the trail imports no app above it
        cursor.execute("SELECT id, number FROM requests_changerequest WHERE id = ANY(%s)", [keys])
        return dict(cursor.fetchall())


@dataclass(frozen=True)
class Verification:
    """What `verify` found: `events` checked, the chain's `head`, the first place that does not fit,
    and how many texts were redacted.
    """

    ok: bool
    events: int
    head: str
    problem: str = ""
    redacted: int = 0


def verify() -> Verification:
    """Recompute the whole chain from the events and words as they are now, and say where it breaks
    (A: tampering is detected).

    The text that was hashed is rendered by the database's `audit_text()`; the hashing is done here,
    independently of it.
    """
    head, position, wrong = "", 0, ""
    with connection.cursor() as cursor:
        for place, stored, event, text in _links(cursor):
            if place != position + 1:
                wrong = f"link {position + 1} is missing"
            elif event is None:
                wrong = f"the event of link {place} is missing"
            else:
                head, position = hashlib.sha256((head + text).encode()).hexdigest(), place
                wrong = "" if head == stored else f"event {event} is not what was recorded"
            if wrong:
                return Verification(False, position, head, wrong)
        wrong = _wrong_ends(cursor, head, position)
    if wrong:
        return Verification(False, position, head, wrong)
    wrong, redacted = _verify_words()
    return Verification(not wrong, position, head, wrong, redacted)


LINKS = """
SELECT link.position, link.hash, event.id, audit_text(event)
FROM audit_link link LEFT JOIN audit_event event ON event.id = link.event_id
WHERE link.position > %s ORDER BY link.position LIMIT 20000
"""
UNLINKED = """
SELECT count(*) FROM audit_event event
WHERE NOT EXISTS (SELECT 1 FROM audit_link link WHERE link.event_id = event.id)
"""


def _links(cursor: Any) -> Iterator[tuple[int, str, int | None, str]]:
    """(position, hash, event, its text as the database renders it) of every link, in order."""
    last = 0
    while True:
        cursor.execute(LINKS, [last])
        rows = cursor.fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def _wrong_ends(cursor: Any, head: str, position: int) -> str:
    """What does not fit of the head that is kept, and of events that no link names."""
    cursor.execute("SELECT position, hash FROM audit_head")
    kept = cursor.fetchone()
    if kept is None and position:
        return f"the head is missing, though there are {position} links"
    if kept and kept[0] != position:
        return f"the chain ends at {position}, but {kept[0]} events were recorded"
    if kept and kept[1] != head:
        return "the head is not that of the chain"
    cursor.execute(UNLINKED)
    unlinked = cursor.fetchone()[0]
    return f"{unlinked} events stand outside the chain" if unlinked else ""


def _events_with_words() -> Iterator[Event]:
    """All of them with their words, some at a time by key: no cursor is held, so that a pooler may
    stand between.
    """
    events = (
        Event.objects.filter(data__has_key=words.DIGESTS).select_related("words").order_by("pk")
    )
    found = list(events[:2000])
    while found:
        yield from found
        found = list(events.filter(pk__gt=found[-1].pk)[:2000])


def _verify_words() -> tuple[str, int]:
    """(what is wrong with the first words that do not fit, how many texts were redacted): each is
    what its event's digest says, or was taken by two people (A41).
    """
    taken = set(Redaction.objects.values_list("words_id", "place"))
    for event in _events_with_words():
        kept: Words | None = getattr(event, "words", None)
        if (
            kept is None
            or kept.texts.keys() != event.digests.keys()
            or kept.salts.keys() != event.digests.keys()
        ):
            return f"the words of event {event.pk} are missing", len(taken)
        for place, digest in event.digests.items():
            text, salt = kept.texts[place], kept.salts[place]
            if text is None and salt is None:
                if (event.pk, place) not in taken:
                    return f"{place} of event {event.pk} is gone, and nobody redacted it", len(
                        taken
                    )
            elif words.digest(str(salt), text) != digest:
                return f"{place} of event {event.pk} is not what was said", len(taken)
    strangers = (
        Words.objects.exclude(event__data__has_key=words.DIGESTS)
        .values_list("pk", flat=True)
        .first()
    )
    return (f"words stand beside event {strangers} that are not its own" if strangers else ""), len(
        taken
    )
