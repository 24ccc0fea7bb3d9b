"""The bars of one window's bookings in lanes: which overlap, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from windows.pages.board import Item, Shown

MOST_LANES, MOST_LEVELS = 20, 8


@dataclass(frozen=True)
class Bar:
    """An item on a line of time, in per cent of it; `level` where others overlap it."""

    item: Item
    left: float
    width: float
    level: int


@dataclass(frozen=True)
class Lane:
    """One component's bookings; `hidden` are those for which there was no room."""

    name: str
    bars: list[Bar]
    hidden: int = 0

    @property
    def levels(self) -> int:
        return max((bar.level for bar in self.bars), default=0) + 1


def lanes(window: Shown) -> list[Lane]:
    """A window's bookings by component, to scale, as far as a page has room."""
    names = sorted({slug for item in window.items for slug in item.slugs})
    return [
        _lane(
            name,
            bars([item for item in window.items if name in item.slugs], window.start, window.end),
        )
        for name in names[:MOST_LANES]
    ]


def _lane(name: str, placed: list[Bar]) -> Lane:
    shown = [bar for bar in placed if bar.level < MOST_LEVELS]
    return Lane(name, shown, len(placed) - len(shown))


def bars(items: Sequence[Item], start: datetime, end: datetime) -> list[Bar]:
    """Items on the line from `start` to `end`; one that overlaps another goes a level down."""
    whole, found = end - start, []
    ends: list[datetime] = []
    for item in sorted(items, key=lambda each: (each.start, each.pk)):
        level = next((index for index, free in enumerate(ends) if free <= item.start), len(ends))
        ends[level : level + 1] = [item.end]
        left = max(0.0, (item.start - start) / whole * 100)
        right = min(100.0, (item.end - start) / whole * 100)
        found.append(Bar(item, round(left, 2), round(max(right - left, 2), 2), level))
    return found
