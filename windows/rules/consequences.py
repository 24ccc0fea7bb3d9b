"""What an edit of the calendar would bring about: who loses a slot, what is shut, when next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from language.refusal import Reason
from requests.models import ChangeRequest
from requests.states import State
from windows.booking.free_starts import fitting
from windows.booking.openness import Openness
from windows.booking.questions import NOTICE, Around
from windows.booking.slots import AROUND, SEARCH, Book, Plan
from windows.calendar import effects
from windows.calendar.verdict import HORIZON, Calendar
from windows.calendar.widening import widens
from windows.models import FreezeException, current_calendar, lifted_for
from windows.rules.rules import Edit, Prepared, _check_names, _check_once, _made, _prepared

SHOWN_DISPLACED = 50


MOST_SHOWN_COMPONENTS = 8


@dataclass(frozen=True)
class Displaced:
    """A booked change that the edit would move, why, and where it would fit next."""

    change: ChangeRequest
    was: datetime | None
    reasons: tuple[Reason, ...]
    next_start: datetime | None


@dataclass
class Consequence:
    """Everything that an edit would do, for whoever is about to save it."""

    before: Calendar
    after: Calendar
    widens: list[str] = field(default_factory=list)
    effects: list[effects.Effect] = field(default_factory=list)
    displaced: list[Displaced] = field(default_factory=list)
    displaced_count: int = 0

    @property
    def hidden(self) -> int:
        """Displaced changes that are not listed: there are too many, or this person may not see
        them.
        """
        return self.displaced_count - len(self.displaced)

    @property
    def warnings(self) -> list[str]:
        """What whoever saves it must know at once (item 1): a priority shut out for long, or for
        good.
        """
        found = []
        for effect in self.effects:
            names = ", ".join(effect.priorities) + (
                f" on {', '.join(effect.components)}" if any(effect.components) else ""
            )
            if effect.never and not effect.is_none:
                found.append(f"{names} could not start at all within the next 400 days.")
            elif effect.too_long and effect.shut.after:
                days = effects.length(effect.shut.after).days
                found.append(f"{names} could not start for {days} days at a stretch.")
        if self.widens and self.effects and all(effect.is_none for effect in self.effects):
            found.append(
                "It opens nothing within 400 days: a freeze covers it, or another window is open"
                " then anyway."
            )
        return found


def consequence(edits: Sequence[Edit], actor: User) -> Consequence:
    """What the edits would do; anybody may look. A fixed number of queries, and nothing is
    stored.
    """
    now, before = timezone.now(), current_calendar()
    _check_once(edits)
    ready = [_prepared(edit, _made(edit)) for edit in edits]
    _check_names(ready)
    after = _edited(before, ready)
    lines = [
        line
        for old, new, _ in ready
        for line in widens(old.value() if old else None, new.value() if new else None, now)
    ]
    found = Consequence(before, after, lines, _effects(before, after, ready, now))
    _displaced(found, actor, now)
    return found


def _effects(
    before: Calendar, after: Calendar, ready: Sequence[Prepared], now: datetime
) -> list[effects.Effect]:
    """The effect on everything, if a rule is for everything, and on each component that the rules
    name; those alike are one.
    """
    touched = [rule for old, new, _ in ready for rule in (old, new) if rule]
    named = sorted(frozenset().union(*(rule.scope for rule in touched)))[:MOST_SHOWN_COMPONENTS]
    everything = [""] if any(not rule.scope for rule in touched) else []
    found: list[effects.Effect] = []
    for component in [*everything, *named]:
        for effect in effects.compare(before, after, now, component):
            alike = next((one for one in found if one.is_like(effect)), None)
            if alike is None:
                found.append(effect)
            else:
                alike.components.append(component)
    return found


def _edited(before: Calendar, ready: Sequence[Prepared]) -> Calendar:
    """The calendar with the edits in it."""
    gone = [old.value() for old, _, _ in ready if old]
    return Calendar.of(
        [
            *(rule for rule in before.rules if rule not in gone),
            *(new.value() for _, new, _ in ready if new),
        ]
    )


def _displaced(found: Consequence, actor: User, now: datetime) -> None:
    """The booked changes that the edit shuts out, in the order of their slots, each with the slot
    that it would get in its turn.
    """
    book = Book(now, now + HORIZON)
    waiting = [
        change
        for change in book.changes
        if change.state == State.SCHEDULED and not change.is_emergency
    ]
    granted = set(
        FreezeException.objects.filter(slot_start__gte=now).values_list("change", "slot_start")
    )
    was, will = (
        Openness(found.before, now, now + HORIZON),
        Openness(found.after, now, now + HORIZON),
    )
    shut = [
        (change, reasons)
        for change in waiting
        if (reasons := _shut_out(change, was, will, granted))
    ]
    found.displaced_count = len(shut)
    slots = {change.pk: change.slot_start for change, _ in shut}
    for change, _ in shut:
        change.slot_start = change.slot_end = (
            None  # the book holds the same objects: its slot is free for the others
        )
    visible = set(
        ChangeRequest.objects.visible_to(actor).filter(pk__in=slots).values_list("pk", flat=True)
    )
    for change, reasons in [pair for pair in shut if pair[0].pk in visible][:SHOWN_DISPLACED]:
        start = _next_start(change, found.after, book, now)
        change.slot_start, change.slot_end = start, start + change.plan_length if start else None
        found.displaced.append(Displaced(change, slots[change.pk], reasons, start))


def _shut_out(
    change: ChangeRequest, was: Openness, will: Openness, granted: set[tuple[int, datetime]]
) -> tuple[Reason, ...]:
    """Why the edit lets its slot in no longer; empty if it does, or did not before either."""
    if will.holds(change):
        return ()
    lifted = (
        lifted_for(change, change.slot_start)
        if (change.pk, change.slot_start) in granted
        else frozenset()
    )
    if not was.holds(change) and not (lifted and not was.reasons(change, lifted)):
        return ()
    return will.reasons(change, lifted)


def _next_start(
    change: ChangeRequest, calendar: Calendar, book: Book, now: datetime
) -> datetime | None:
    plan = Plan.of(change)
    after = plan.earliest(now + NOTICE)
    until = after + SEARCH
    taken = [
        slot
        for slot in book.taken(plan)
        if slot.start and slot.end and slot.end > after - AROUND and slot.start < until
    ]
    starts, _ = fitting(after, 1, Around(plan, after, until, calendar=calendar, taken=taken))
    return starts[0] if starts else None
