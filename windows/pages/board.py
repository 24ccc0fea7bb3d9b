"""What a stretch of the calendar holds, for pages to show: windows open and shut, closures,
bookings, conflicts. Reads only.

Days and hours are those of the zone asked for; everything else stays in UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, Value
from django.db.models.functions import Coalesce, NullIf

from accounts.models import User
from requests.models import ChangeRequest, Component, plan_length
from requests.states import State
from windows.booking.slots import LONGEST_SLOT
from windows.calendar.recurrence import PLANNED, Closure, Occurrence, Window
from windows.calendar.verdict import (
    Calendar,
    Span,
    closure_occurrences,
    united,
    window_occurrences,
    without,
)
from windows.models import calendar_since

MOST_SAID = 3  # conflicts of one booking that are put into words
OVER = frozenset({State.COMPLETED, State.ROLLED_BACK, State.FAILED, State.CLOSED})


@dataclass(frozen=True)
class Filters:
    """What part of the calendar somebody looks at: one priority or all planned ones, some
    components or all.
    """

    priority: str = ""
    components: frozenset[str] = frozenset()

    @property
    def priorities(self) -> tuple[str, ...]:
        return (self.priority,) if self.priority else PLANNED


@dataclass(slots=True)
class Item:
    """A booked slot, or one held until its change is approved (A7), and what it gets in the way of.

    It holds what a calendar says of a change and no more: a busy month has 800 of them.
    """

    pk: int
    number: str
    summary: str
    priority: str
    state: str
    window_name: str
    implementer_id: int | None
    owner: str  # whom to talk to about it
    slugs: frozenset[str]
    start: datetime
    end: datetime
    held: bool
    conflicts: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"/changes/{self.number}/"

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def may_move(self) -> bool:
        return self.state == State.SCHEDULED


@dataclass
class Shown:
    """A window occurrence as a page shows it: for whom it is open and when, what shuts it, what is
    in it.
    """

    occurrence: Occurrence | None
    start: datetime
    end: datetime
    name: str
    open_for: dict[str, list[Span]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    shut_by: list[Occurrence] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def is_emergency(self) -> bool:
        """Work outside every window: an emergency needs none."""
        return self.occurrence is None

    @property
    def is_shut(self) -> bool:
        return self.occurrence is not None and not any(self.open_for.values())

    @property
    def only(self) -> str:
        """Who alone may work in it, where that is not everybody asked about."""
        names = [name for name, spans in self.open_for.items() if spans]
        return ", ".join(names) if len(names) < len(self.asked) else ""

    @property
    def partly(self) -> list[Span]:
        """The part that is open, where a closure takes another part of it."""
        spans = united(span for found in self.open_for.values() for span in found)
        return spans if spans and spans != [(self.start, self.end)] else []

    @cached_property
    def conflicts(self) -> list[str]:
        return list(dict.fromkeys(text for item in self.items for text in item.conflicts))

    @property
    def booked(self) -> int:
        return sum(not item.held for item in self.items)

    @property
    def held(self) -> int:
        return sum(item.held for item in self.items)

    @property
    def capacity(self) -> int | None:
        return self.occurrence.capacity if self.occurrence else None

    @property
    def is_once(self) -> bool:
        return (
            self.occurrence is not None
            and isinstance(self.occurrence.rule, Window)
            and not self.occurrence.rule.rule
        )


@dataclass
class Board:
    """What the calendar page shows of a span: windows with their bookings, and closures."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    rules: Calendar
    closures: list[Occurrence]
    windows: list[Shown]

    def on(self, day: date) -> list[Shown]:
        """The windows that open on that local day."""
        return self._by_day.get(day, [])

    @cached_property
    def _by_day(self) -> dict[date, list[Shown]]:
        found: dict[date, list[Shown]] = defaultdict(list)
        for window in self.windows:
            found[window.start.astimezone(self.zone).date()].append(window)
        return found

    def closures_on(self, day: date) -> list[Occurrence]:
        begin, end = day_span(day, self.zone)
        return [closure for closure in self.closures if closure.start < end and begin < closure.end]


def day_span(day: date, zone: ZoneInfo) -> Span:
    """Local midnight to local midnight, as instants."""
    begin, end = (
        datetime.combine(found, time(0), zone).astimezone(UTC)
        for found in (day, day + timedelta(days=1))
    )
    return begin, end


def read(viewer: User, first: date, days: int, zone: ZoneInfo, filters: Filters) -> Board:
    """Everything between two local midnights; four queries at most, whatever it holds."""
    start, end = day_span(first, zone)[0], day_span(first + timedelta(days=days), zone)[0]
    rules = calendar_since(start)
    closures = [c for c in closure_occurrences(rules, start, end) if _concerns(c, filters)]
    windows = [
        _shown(o, closures, filters)
        for o in window_occurrences(rules, start, end)
        if _is_asked(o, filters)
    ]
    items = _items(viewer, start, end, filters)
    _find_conflicts(items)
    outside = _place(items, windows)
    return Board(
        start,
        end,
        zone,
        rules,
        closures,
        sorted([*windows, *outside], key=lambda window: (window.start, window.name)),
    )


def _concerns(closure: Occurrence, filters: Filters) -> bool:
    rule = closure.rule
    assert isinstance(rule, Closure)
    for_these = not filters.components or not rule.scope or bool(rule.scope & filters.components)
    return for_these and (not filters.priority or filters.priority not in rule.admits)


def _is_asked(window: Occurrence, filters: Filters) -> bool:
    rule = window.rule
    assert isinstance(rule, Window)
    for_these = not filters.components or not rule.scope or bool(rule.scope & filters.components)
    return for_these and (not filters.priority or filters.priority in rule.priorities)


def _shown(occurrence: Occurrence, closures: Sequence[Occurrence], filters: Filters) -> Shown:
    rule = occurrence.rule
    assert isinstance(rule, Window)
    asked = tuple(name for name in filters.priorities if name in rule.priorities)
    scope = filters.components or rule.scope
    near = [c for c in closures if c.start < occurrence.end and occurrence.start < c.end]
    open_for = {
        name: list(
            without(
                [(occurrence.start, occurrence.end)],
                united((c.start, c.end) for c in near if c.shuts(name, scope)),
            )
        )
        for name in asked
    }
    shut_by = [c for c in near if any(c.shuts(name, scope) for name in asked)]
    return Shown(
        occurrence,
        occurrence.start,
        occurrence.end,
        occurrence.name,
        open_for,
        filters.priorities,
        shut_by,
    )


def _items(viewer: User, start: datetime, end: datetime, filters: Filters) -> list[Item]:
    """Visible changes with a slot in the time, or that hold a requested window in it; one query."""
    booked = Q(slot_start__lt=end, slot_start__gte=start - LONGEST_SLOT, slot_end__gt=start)
    held = Q(
        state=State.IN_REVIEW, requested_window_start__lt=end, requested_window_start__gte=start
    )
    rows = ChangeRequest.objects.visible_to(viewer).filter(booked | held)
    if filters.priority:
        rows = rows.filter(priority__in=[filters.priority, "P0"])
    if filters.components:
        named = ChangeRequest.components.through.objects.filter(
            component__slug__in=filters.components
        )
        rows = rows.filter(pk__in=named.values("changerequest"))
    touched = ChangeRequest.components.through.objects.filter(changerequest=OuterRef("pk"))
    owner = Coalesce(NullIf("requester__name", Value("")), "requester__username")
    slugs = ArraySubquery(touched.values("component__slug"))
    return [
        _item(*row)
        for row in rows.order_by("slot_start", "id").values_list(*SAID, owner, slugs, *TIMES)
    ]


SAID = ("pk", "number", "summary", "priority", "state", "window_name", "implementer_id")
TIMES = (
    "slot_start",
    "slot_end",
    "requested_window_start",
    "estimated_minutes",
    "rollback_minutes",
    "strategy",
)


def _item(*row: Any) -> Item:
    """The columns SAID, owner, slugs and TIMES."""
    (
        pk,
        number,
        summary,
        priority,
        state,
        window,
        implementer,
        owner,
        slugs,
        start,
        end,
        asked,
        work,
        rollback,
        strategy,
    ) = row
    held = start is None
    if held:
        start, end = asked, asked + max(plan_length(work, rollback, strategy), timedelta(minutes=1))
    return Item(
        pk,
        number,
        summary,
        priority,
        state,
        window,
        implementer,
        owner,
        frozenset(slugs),
        start,
        end,
        held,
    )


def _find_conflicts(items: list[Item]) -> None:
    """Who is in whose way: the same component, one that depends on it, the same implementer. What
    is over is in nobody's way.
    """
    needs, running = _needs() if len(items) > 1 else {}, defaultdict[str, list[Item]](list)
    for item in sorted((item for item in items if not item.is_over), key=lambda found: found.start):
        own = [*item.slugs, f"@{item.implementer_id}"] if item.implementer_id else list(item.slugs)
        near = {
            slug
            for name in item.slugs
            for slug in (*needs.get(name, ()), *needs.get(f"{name}<", ()))
        }
        met: dict[int, Item] = {}
        for key in {*own, *near}:
            running[key] = [other for other in running[key] if other.end > item.start]
            met.update((other.pk, other) for other in running[key])
        for other in met.values():
            if len(item.conflicts) < MOST_SAID or len(other.conflicts) < MOST_SAID:
                _say_conflict(other, item, needs)
        for key in own:
            running[key].append(item)


def _say_conflict(one: Item, other: Item, needs: dict[str, frozenset[str]]) -> None:
    if text := _against(one, other, needs):
        one.conflicts.append(text)
        other.conflicts.append(text)


def _needs() -> dict[str, frozenset[str]]:
    """Component → those that it depends on, and as `slug<` those that depend on it."""
    edges = Component.depends_on.through.objects.values_list(
        "from_component__slug", "to_component__slug"
    )
    found: dict[str, set[str]] = defaultdict(set)
    for begin, to in edges:
        found[begin].add(to)
        found[f"{to}<"].add(begin)
    return {slug: frozenset(needed) for slug, needed in found.items()}


def _against(one: Item, other: Item, needs: dict[str, frozenset[str]]) -> str:
    names = f"{one.number} ({one.owner}) and {other.number} ({other.owner})"
    if same := one.slugs & other.slugs:
        return f"Same component: {names} both touch {', '.join(sorted(same))}."
    for first, second in ((one, other), (other, one)):
        needed = (
            frozenset().union(*(needs.get(slug, frozenset()) for slug in first.slugs))
            & second.slugs
        )
        if needed:
            what, number = ", ".join(sorted(needed)), f"{second.number} ({second.owner})"
            return (
                f"Dependent component: {first.number} ({first.owner}) works on what needs {what},"
                f" which {number} touches."
            )
    if one.implementer_id and one.implementer_id == other.implementer_id:
        return f"Implementer busy: one person implements {names} at the same time."
    return ""


def _place(items: list[Item], windows: list[Shown]) -> list[Shown]:
    """Put each item into its window: the one of its name, else the first that holds its start; what
    is outside of all is shown by itself.
    """
    outside: dict[tuple[datetime, str], Shown] = {}
    for item in items:
        holding = [window for window in windows if window.start <= item.start < window.end]
        named = [window for window in holding if window.name == item.window_name]
        if holding:
            (named or holding)[0].items.append(item)
            continue
        name = "Emergency" if item.priority == "P0" else "Outside a window"
        outside.setdefault(
            (item.start, name), Shown(None, item.start, item.end, name)
        ).items.append(item)
    return list(outside.values())
