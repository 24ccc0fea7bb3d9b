"""A second opinion on the calendar, written from its description alone and in another way than the
product.

Times are whole seconds since 1970. A rule is asked about one date after another, whether it opens
on it; local times are turned into instants by trying offsets; nothing is merged or swept: every
instant at which anything begins or ends cuts time into pieces, and the middle of each piece is
asked which rules cover it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from windows.calendar.verdict import Calendar, Closure, Day, Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
HORIZON = 400 * DAY
FOR_EVER = 6_000 * 365 * DAY
BLOCK = 32  # how many days are looked at together
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
Extent = tuple[int, int]


def seconds(moment: datetime) -> int:
    return round((moment - EPOCH).total_seconds())


def instant(moment: int) -> datetime:
    return EPOCH + timedelta(seconds=moment)


# Local time


@cache
def offset_at(zone: str, moment: int) -> int:
    """How many seconds the clocks of the zone are ahead of UTC; asked from UTC, where no time is
    missing or comes twice.
    """
    ahead = instant(moment).astimezone(ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return round(ahead.total_seconds())


@cache
def changes(zone: str, first: int, last: int) -> list[tuple[int, int, int]]:
    """Every change of the clocks in those years: the instant, and the offsets before and
    after it.
    """
    found = []
    moment, end = (
        seconds(datetime(first, 1, 1, tzinfo=UTC)),
        seconds(datetime(last + 1, 1, 1, tzinfo=UTC)),
    )
    here = ZoneInfo(zone)
    before = datetime.fromtimestamp(moment, here).utcoffset()
    while moment < end:
        moment += 3600
        after = datetime.fromtimestamp(moment, here).utcoffset()
        if after != before:
            minute = next(
                m
                for m in range(moment - 3540, moment + 60, 60)
                if datetime.fromtimestamp(m, here).utcoffset() == after
            )
            found.append((minute, offset_at(zone, minute - 60), offset_at(zone, minute)))
        before = after
    return found


@cache
def first_instant_of(zone: str, day: date, minute: int) -> int:
    """When the clocks of the zone first show that minute of that day; if they skip it, when they
    would without the skip.
    """
    shown = (day.toordinal() - EPOCH.toordinal()) * DAY + minute * 60
    before, after = offset_at(zone, shown - 26 * 3600), offset_at(zone, shown + 26 * 3600)
    if before == after:
        return shown - before
    fitting = [
        shown - ahead for ahead in (before, after) if offset_at(zone, shown - ahead) == ahead
    ]
    return min(fitting, default=shown - before)


# Rules of windows


@dataclass(frozen=True)
class Parts:
    freq: str
    interval: int
    weekdays: frozenset[tuple[int, int]]  # (0 or which of them, weekday)
    months: frozenset[int]
    monthdays: frozenset[int]
    places: frozenset[int]
    week_begins: int


@cache
def parts_of(rule: str) -> Parts:
    said = dict(part.split("=") for part in rule.split(";"))

    def numbers(name: str) -> frozenset[int]:
        return (
            frozenset(int(number) for number in said[name].split(","))
            if name in said
            else frozenset()
        )

    return Parts(
        freq=said["FREQ"],
        interval=int(said.get("INTERVAL", "1")),
        weekdays=(
            frozenset(
                (int(day[:-2] or "0"), WEEKDAYS.index(day[-2:])) for day in said["BYDAY"].split(",")
            )
            if "BYDAY" in said
            else frozenset()
        ),
        months=numbers("BYMONTH"),
        monthdays=numbers("BYMONTHDAY"),
        places=numbers("BYSETPOS"),
        week_begins=WEEKDAYS.index(said.get("WKST", "MO")),
    )


def length_of_month(day: date) -> int:
    return next(n for n in (31, 30, 29, 28) if _exists(day.year, day.month, n))


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def monday_like(day: date, week_begins: int) -> int:
    """The number of the day on which that week began."""
    number = day.toordinal()
    while (number - 1) % 7 != week_begins:  # day 1 was a Monday
        number -= 1
    return number


def period_of(parts: Parts, day: date) -> tuple[int, int, int]:
    """The day, week, month or year in which it lies: its number, its first and its last day."""
    if parts.freq == "DAILY":
        return day.toordinal(), day.toordinal(), day.toordinal()
    if parts.freq == "WEEKLY":
        first = monday_like(day, parts.week_begins)
        return first // 7, first, first + 6
    if parts.freq == "MONTHLY":
        return (
            day.year * 12 + day.month,
            day.replace(day=1).toordinal(),
            day.replace(day=length_of_month(day)).toordinal(),
        )
    return day.year, date(day.year, 1, 1).toordinal(), date(day.year, 12, 31).toordinal()


def counted(parts: Parts, day: date) -> tuple[int, int]:
    """Which of its weekday the day is in its month (or in its year, where the rule counts by
    years), from the front and the back.
    """
    by_year = parts.freq == "YEARLY" and not parts.months
    front = back = 1
    other = day - timedelta(days=7)
    while other.year == day.year and (by_year or other.month == day.month):
        front, other = front + 1, other - timedelta(days=7)
    other = day + timedelta(days=7)
    while other.year == day.year and (by_year or other.month == day.month):
        back, other = back + 1, other + timedelta(days=7)
    return front, -back


def fits(parts: Parts, begins: date, day: date) -> bool:
    """Whether the day has what the rule asks of days, wherever its period stands."""
    if parts.months and day.month not in parts.months:
        return False
    if (
        parts.monthdays
        and day.day not in parts.monthdays
        and day.day - length_of_month(day) - 1 not in parts.monthdays
    ):
        return False
    if parts.weekdays:
        weekday = (day.toordinal() - 1) % 7
        if (0, weekday) in parts.weekdays:
            return True
        if all(weekday != named for _, named in parts.weekdays):
            return False
        return any((nth, weekday) in parts.weekdays for nth in counted(parts, day))
    if parts.monthdays or parts.freq == "DAILY":
        return True
    if parts.freq == "WEEKLY":
        return (day - begins).days % 7 == 0
    return day.day == begins.day and (
        parts.freq == "MONTHLY" or bool(parts.months) or day.month == begins.month
    )


@cache
def chosen(parts: Parts, begins: date, first: int, last: int) -> frozenset[int]:
    """The days of one period that the rule picks by their place among those that fit."""
    fitting = [
        number for number in range(first, last + 1) if fits(parts, begins, date.fromordinal(number))
    ]
    return frozenset(
        number
        for at, number in enumerate(fitting)
        if at + 1 in parts.places or at - len(fitting) in parts.places
    )  # 1 is the first, -1 the last


def opens_on(window: Window, day: date) -> bool:
    begins = window.begins.date()
    if day < begins or day in window.skips or (window.until is not None and day > window.until):
        return False
    if not window.rule:
        return day == begins
    parts = parts_of(window.rule)
    if parts.months and day.month not in parts.months:
        return False
    number, first, last = period_of(parts, day)
    if (number - period_of(parts, begins)[0]) % parts.interval:
        return False
    return (
        day.toordinal() in chosen(parts, begins, first, last)
        if parts.places
        else fits(parts, begins, day)
    )


def clipped(extent: Extent, rule: Window | Closure) -> Extent:
    """What of it lies in the time for which this version of the rule counts; empty if it ends
    before it begins.
    """
    start, end = extent
    if rule.since is not None and seconds(rule.since) > start:
        start = seconds(rule.since)
    if rule.till is not None and seconds(rule.till) < end:
        end = seconds(rule.till)
    return start, end


# Days of closures


def easter(year: int) -> date:
    """By the table of golden numbers as good as 1900-2199 needs it."""
    moon = date(year, 3, 21) + timedelta(days=(24 + 19 * (year % 19)) % 30)
    if (24 + 19 * (year % 19)) % 30 == 29 or (
        (24 + 19 * (year % 19)) % 30 == 28 and year % 19 > 10
    ):
        moon -= timedelta(days=1)
    return next(
        moon + timedelta(days=n) for n in range(1, 8) if (moon + timedelta(days=n)).weekday() == 6
    )


def weekday_of_month(year: int, month: int, weekday: int, nth: int) -> date | None:
    found = [
        date(year, month, day)
        for day in range(1, 32)
        if _exists(year, month, day) and date(year, month, day).weekday() == weekday
    ]
    if nth == -1:
        return found[-1]
    return found[nth - 1] if nth <= len(found) else None


def holiday(country: str, name: str, year: int) -> date | None:
    """The holidays that the tests use, by hand."""
    return {
        ("US", "Thanksgiving Day"): weekday_of_month(year, 11, 3, 4),
        ("US", "Labor Day"): weekday_of_month(year, 9, 0, 1),
        ("US", "Memorial Day"): weekday_of_month(year, 5, 0, -1),
        ("US", "Independence Day"): date(year, 7, 4),
        ("US", "Christmas Day"): date(year, 12, 25),
        ("US", "New Year's Day"): date(year, 1, 1),
        ("GB", "Good Friday"): easter(year) - timedelta(days=2),
        ("US", "No Such Day"): None,
    }[country, name]


@cache
def day_of(day: Day, year: int) -> date | None:
    found: date | None
    if day.on:
        found = date.fromisoformat(day.on) if day.on.startswith(f"{year}-") else None
    elif day.country:
        found = holiday(day.country, day.holiday, year)
    elif day.nth:
        found = weekday_of_month(year, day.month, day.weekday, day.nth)
    else:
        found = date(year, day.month, day.day) if _exists(year, day.month, day.day) else None
    return None if found is None else found + timedelta(days=day.offset)


def closed_in(closure: Closure, year: int) -> Extent | None:
    assert closure.first is not None
    assert closure.last is not None
    first, last = day_of(closure.first, year), day_of(closure.last, year)
    if first is None or last is None:
        return None
    if last < first:
        last = day_of(closure.last, year + 1)
        if last is None:
            return None
    following = last + timedelta(days=1)
    return (
        min(first_instant_of(zone, first, 0) for zone in closure.zones),
        max(first_instant_of(zone, following, 0) for zone in closure.zones),
    )


# The verdict


@dataclass(frozen=True)
class Question:
    priority: str
    scope: frozenset[str] = frozenset()
    ignoring: frozenset[str] = frozenset()


Covered = tuple[int, int, Window | Closure]


@dataclass
class Oracle:
    calendar: Calendar
    by_day: dict[int, list[Covered]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    cut_days: dict[Question, dict[int, list[tuple[int, int, bool]]]] = field(default_factory=dict)

    def windows_of(self, first: int, last: int) -> Iterator[Covered]:
        """What the windows open that may touch the days from `first` to `last` (numbers since 1970,
        in UTC), and perhaps a little more.
        """
        for window in self.calendar.windows:
            minute = window.begins.hour * 60 + window.begins.minute
            for number in range(first - 2, last + 2):  # a day for the length, a day for the zone
                day = date.fromordinal(EPOCH.toordinal() + number)
                if opens_on(window, day):
                    start = first_instant_of(window.zone, day, minute)
                    start, end = clipped((start, start + window.minutes * 60), window)
                    if start < end:
                        yield start, end, window

    def closures_of(self, first: int, last: int) -> Iterator[Covered]:
        for closure in self.calendar.closures:
            extents: list[Extent | None]
            if closure.starts is not None:
                extents = [
                    (
                        seconds(closure.starts),
                        seconds(closure.ends) if closure.ends is not None else FOR_EVER,
                    )
                ]
            else:
                years = range(instant(first * DAY).year - 2, instant(last * DAY).year + 3)
                extents = [closed_in(closure, year) for year in years]
            for extent in extents:
                if extent is not None:
                    start, end = clipped(extent, closure)
                    if start < end:
                        yield start, end, closure

    def on(self, day: int) -> list[Covered]:
        """Everything that covers some of that day."""
        block = day // BLOCK
        if block not in self.seen:
            self.seen.add(block)
            first, last = block * BLOCK, block * BLOCK + BLOCK - 1
            for each in range(first, last + 1):
                self.by_day[each] = []
            for what in (*self.windows_of(first, last), *self.closures_of(first, last)):
                for each in range(max(first, what[0] // DAY), min(last, (what[1] - 1) // DAY) + 1):
                    self.by_day[each].append(what)
        return self.by_day[day]

    def occurrences(self, start: int, end: int) -> tuple[list[Covered], list[Covered]]:
        """The windows and the closures that overlap that time."""
        found = (
            self.windows_of(start // DAY, end // DAY),
            self.closures_of(start // DAY, end // DAY),
        )
        windows, closures = (
            [what for what in whats if what[0] < end and what[1] > start] for whats in found
        )
        return windows, closures

    def edges(self, start: int, end: int) -> list[int]:
        """Every instant in that time at which anything begins or ends."""
        found = {
            edge
            for day in range(start // DAY, end // DAY + 1)
            for what in self.on(day)
            for edge in what[:2]
        }
        return sorted(edge for edge in found if start <= edge <= end)

    def is_open(self, question: Question, moment: float) -> bool:
        if question.priority == "P0":
            return True
        here = [what[2] for what in self.on(int(moment // DAY)) if what[0] <= moment < what[1]]
        if not here:
            return False
        for component in question.scope or ("a component that no rule names",):
            concerning = [rule for rule in here if not rule.scope or component in rule.scope]
            if not any(
                isinstance(rule, Window) and question.priority in rule.priorities
                for rule in concerning
            ):
                return False
            for rule in concerning:
                if (
                    isinstance(rule, Closure)
                    and question.priority not in rule.admits
                    and rule.kind not in question.ignoring
                ):
                    return False
        return True

    def cut(self, question: Question, lower: int, upper: int) -> list[tuple[int, int, bool]]:
        """A day, or some of one, cut wherever anything begins or ends, and whether each piece is
        open.
        """
        cuts = {lower, upper}
        for start, end, _ in self.on(lower // DAY):
            if lower < start < upper:
                cuts.add(start)
            if lower < end < upper:
                cuts.add(end)
        return [(a, b, self.is_open(question, (a + b) / 2)) for a, b in pairwise(sorted(cuts))]

    def pieces(self, question: Question, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The pieces of the time from `start` to `end`; whole days are kept for the next time that
        they are asked for.
        """
        days = self.cut_days.setdefault(question, {})
        for day in range(start // DAY, (end - 1) // DAY + 1):
            if start <= day * DAY and (day + 1) * DAY <= end:
                if day not in days:
                    days[day] = self.cut(question, day * DAY, (day + 1) * DAY)
                yield from days[day]
            else:
                yield from self.cut(question, max(start, day * DAY), min(end, (day + 1) * DAY))

    def allows(self, question: Question, start: int, end: int) -> bool:
        if start == end:
            return self.is_open(question, start)
        return all(fine for _, _, fine in self.pieces(question, start, end))

    def earliest_start(self, question: Question, start: int, length: int) -> int | None:
        began: int | None = None
        for a, b, fine in self.pieces(question, start, start + HORIZON):
            if not fine:
                began = None
                continue
            began = a if began is None else began
            if b - began >= length:
                return began
        return None

    def open_until(self, question: Question, start: int) -> int | None:
        return next(
            (a for a, _, fine in self.pieces(question, start, start + HORIZON) if not fine), None
        )

    def next_transition(self, question: Question, at: int) -> int | None:
        pieces = self.pieces(question, at, at + HORIZON)
        _, _, now = next(pieces)
        return next((a for a, _, fine in pieces if fine != now), None)

    def stretches(self, question: Question, start: int, end: int) -> list[Extent]:
        """The open pieces, those that touch put together."""
        opening, ending = [], []
        before = False
        for a, _, fine in self.pieces(question, start, end):
            if fine and not before:
                opening.append(a)
            if before and not fine:
                ending.append(a)
            before = fine
        return list(zip(opening, [*ending, end], strict=False))
