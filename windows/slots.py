"""Where a change's plan would fit: what others have booked, what stands against a start, and which starts are free. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import Q

from accounts.models import User
from accounts.roles import Role
from audit.refusal import Reason
from requests.models import ChangeQuerySet, ChangeRequest, Component
from requests.say import say_length, say_span
from requests.states import RUNNING, State
from windows.calendar import LOCKDOWN, Calendar, Occurrence, Verdict, decide, excepted, open_stretches, window_at
from windows.models import current_calendar, lifted_for

SEARCH = timedelta(days=90)
AROUND = timedelta(days=1)  # wider than any window, so that its places are counted right
LONGEST_SLOT = timedelta(days=7)  # nothing that is booked lasts longer; an emergency that does is shown where it began
#: Who books looks past a lockdown: its end is not known, bookings are kept meanwhile, and `start` asks again.
LOOKING_AHEAD = frozenset({LOCKDOWN})
BOOKED = (State.SCHEDULED, State.IMPLEMENTING, State.VERIFYING, State.ROLLING_BACK)


def scope_of(change: ChangeRequest) -> frozenset[str]:
    return frozenset(component.slug for component in change.components.all())


def verdict_for(
    change: ChangeRequest, start: datetime, calendar: Calendar | None = None, end: datetime | None = None, slot: datetime | None = None
) -> Verdict:
    """Whether the plan may be booked at `start`, or until `end`: a granted freeze exception counts (A6), a lockdown does not."""
    return _verdict(change, start, end or start + change.plan_length, calendar or current_calendar(), slot or start, LOOKING_AHEAD)


def start_verdict(change: ChangeRequest, at: datetime, calendar: Calendar) -> Verdict:
    """Whether the plan may begin at that instant: everything counts, but for an exception granted to its slot (A6)."""
    return _verdict(change, at, at + change.plan_length, calendar, change.slot_start, frozenset())


def _verdict(
    change: ChangeRequest, start: datetime, end: datetime, calendar: Calendar, slot: datetime | None, ignoring: frozenset[str]
) -> Verdict:
    scope = scope_of(change)
    verdict = decide(change.priority, start, end, calendar, scope, ignoring)
    if any(reason.code == "freeze" for reason in verdict.reasons) and (lifted := lifted_for(change, slot)):
        return excepted(verdict, decide(change.priority, start, end, calendar.lifting(lifted), scope, ignoring))
    return verdict


@dataclass(frozen=True)
class Plan:
    """What is to be fitted in: a change's, or one that nobody has written down yet. `components` are keys and names."""

    priority: str
    components: Mapping[int, str]
    length: timedelta
    implementer: User | None = None
    change: int | None = None
    from_day: date | None = None

    @classmethod
    def of(cls, change: ChangeRequest) -> Plan:
        components = {component.pk: component.slug for component in change.components.all()}
        implementer = change.implementer if change.implementer_id else None
        return cls(change.priority, components, change.plan_length, implementer, change.pk, change.requested_date)

    @property
    def scope(self) -> frozenset[str]:
        return frozenset(self.components.values())

    def earliest(self, after: datetime) -> datetime:
        """The first minute that may be asked for: the requested date is a lower bound (A7)."""
        if self.from_day:
            after = max(after, datetime.combine(self.from_day, time(0), UTC))
        return whole_minute(after)


@dataclass(frozen=True)
class Taken:
    """Another change's slot or run, as far as it matters to ours. A P0 runs without a slot."""

    change: ChangeRequest
    start: datetime | None
    end: datetime | None
    same: frozenset[str]
    related: frozenset[str]
    needed: frozenset[str]

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.start is not None and self.end is not None and self.start < end and start < self.end

    @property
    def is_running(self) -> bool:
        return self.change.state in RUNNING


def _related_components(own: Collection[int]) -> list[tuple[int, str, bool]]:
    """Those that depend on our components or that they depend on: key, name, and whether ours need it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, c.slug, d.from_component_id = ANY(%s) FROM requests_component c JOIN requests_component_depends_on d"
            " ON (d.from_component_id = c.id AND d.to_component_id = ANY(%s)) OR (d.to_component_id = c.id AND d.from_component_id = ANY(%s))",
            [list(own)] * 3,
        )
        return [row for row in cursor.fetchall() if row[0] not in own]


def taken_between(plan: Plan, start: datetime, end: datetime, *, and_running: bool = False) -> list[Taken]:
    """Slots of other changes between the instants, and with `and_running` whatever runs now; three queries."""
    wanted = Q(state__in=BOOKED, slot_start__lt=end, slot_end__gt=start)
    if and_running:
        wanted |= Q(state__in=RUNNING)
    others = ChangeRequest.objects.filter(wanted).exclude(pk=plan.change or 0).select_related("requester").prefetch_related("components")
    return _as_seen_from(plan.components, _related_components(plan.components), others.order_by("slot_start", "id"))


def _as_seen_from(own: Mapping[int, str], related: list[tuple[int, str, bool]], others: Iterable[ChangeRequest]) -> list[Taken]:
    """What others have taken, each with the components that it shares with ours or that depend on them."""
    names, needed = {key: slug for key, slug, _ in related}, {key for key, _, is_needed in related if is_needed}
    found = []
    for other in others:
        theirs = {component.pk for component in other.components.all()}
        found.append(
            Taken(
                other,
                other.slot_start,
                other.slot_end,
                same=frozenset(own[key] for key in theirs & own.keys()),
                related=frozenset(names[key] for key in theirs & names.keys()),
                needed=frozenset(names[key] for key in theirs & needed),
            )
        )
    return found


class Book:
    """Every slot of a span of time, read once and asked for many changes; four queries."""

    def __init__(self, start: datetime, end: datetime) -> None:
        others = ChangeRequest.objects.filter(state__in=BOOKED, slot_start__lt=end, slot_end__gt=start).select_related(
            "requester", "implementer"
        )
        self.changes = list(others.prefetch_related("components", "depends_on").order_by("slot_start", "id"))
        self.slugs = dict(Component.objects.values_list("id", "slug"))
        self.edges = list(Component.depends_on.through.objects.values_list("from_component", "to_component"))

    def taken(self, plan: Plan) -> list[Taken]:
        """As `taken_between` finds it for this plan."""
        own = plan.components
        related = [(to, self.slugs[to], True) for begin, to in self.edges if begin in own and to not in own]
        related += [(begin, self.slugs[begin], False) for begin, to in self.edges if to in own and begin not in own]
        return _as_seen_from(own, related, (other for other in self.changes if other.pk != plan.change))


def conflicts(
    plan: Plan,
    start: datetime,
    calendar: Calendar,
    taken: Sequence[Taken],
    needs: Sequence[ChangeRequest],
    actor: User | None = None,
) -> list[Reason]:
    """What stands against booking the plan at `start`: each kind a reason of its own, naming the other change.

    `taken` is from `taken_between`, `needs` are the changes that this one depends on. The change manager may override each (A27).
    """
    end = start + plan.length
    found = [reason for slot in taken if slot.overlaps(start, end) for reason in _against(plan, slot, actor)]
    if full := _full(window_at(calendar, start, end, plan.priority, plan.scope), calendar, taken):
        found.append(full)
    return found + [_out_of_order(needed, actor) for needed in needs if not comes_before(needed, start)]


def _conflict(code: str, message: str, rule: str, until: datetime | None = None) -> Reason:
    return Reason(code, message, rule=rule, until=until, override_roles=(Role.CHANGE_MANAGER,))


def _against(plan: Plan, slot: Taken, actor: User | None) -> Iterator[Reason]:
    """What one overlapping slot has against ours: its components, and its implementer."""
    assert slot.start is not None
    assert slot.end is not None
    name, span = named(slot.change, actor), say_span(slot.start, slot.end)
    owner = f" Talk to {slot.change.requester}." if name == slot.change.number else " Talk to the change manager."
    if slot.same:
        text = f"Booked by {name} on {', '.join(sorted(slot.same))}, {span}.{owner}"
        yield _conflict("same_component", text, "Same component", slot.end)
    elif slot.related:
        relation = "which depends on this change's components or is needed by them"
        text = f"Booked by {name} on {', '.join(sorted(slot.related))}, {relation}, {span}.{owner}"
        yield _conflict("dependent_component", text, "Dependent component", slot.end)
    if plan.implementer and plan.implementer.pk == slot.change.implementer_id:
        yield _conflict("implementer_busy", f"{plan.implementer} implements {name} then, {span}.{owner}", "Implementer busy", slot.end)


def _full(window: Occurrence | None, calendar: Calendar, taken: Sequence[Taken]) -> Reason | None:
    """A window with a capacity that is used up: by what is booked or runs in it, also since before its rule was edited."""
    if window is None or window.capacity is None:
        return None
    used = sum(slot.overlaps(window.start, window.end) and _is_in(slot, window, calendar) for slot in taken)
    if used < window.capacity:
        return None
    text = f"{window.name} on {say_span(window.start, window.end)} has {window.capacity} places, all taken."
    return _conflict("window_full", text, window.name, window.end)


def _is_in(slot: Taken, window: Occurrence, calendar: Calendar) -> bool:
    assert slot.start is not None
    begin = max(slot.start, window.start)
    own = window_at(calendar, begin, max(begin, slot.end or begin), slot.change.priority, scope_of(slot.change))
    return own is not None and own.name == window.name


def comes_before(needed: ChangeRequest, start: datetime) -> bool:
    """Whether what is needed is done, or booked to end before that start."""
    booked_before = needed.state in BOOKED and needed.slot_end is not None and needed.slot_end <= start
    return needed.is_done or booked_before


def _out_of_order(needed: ChangeRequest, actor: User | None) -> Reason:
    text = f"This change needs {named(needed, actor)}, which is neither completed nor booked to end before it."
    return _conflict("dependency_order", text, "Dependency")


def named(change: ChangeRequest, actor: User | None) -> str:
    """The other change's number, for whoever may see it; said to nobody in particular, nobody may."""
    if change.confidential and (actor is None or not ChangeRequest.objects.visible_to(actor).filter(pk=change.pk).exists()):
        return "a confidential change"
    return change.number


def free_slots(change: ChangeRequest, *, after: datetime, limit: int, actor: User | None = None) -> tuple[list[datetime], list[Reason]]:
    """The earliest starts after `after` that fit calendar, plan and other bookings; if none within 90 days, why."""
    if change.is_emergency:
        return [whole_minute(after)], []  # any time, once authorised (R74)
    plan = Plan.of(change)
    after = plan.earliest(after)
    taken, needs = taken_between(plan, after - AROUND, after + SEARCH), list(change.depends_on.all())
    return fitting(plan, after, limit, current_calendar(), taken, needs, actor)


def fitting(
    plan: Plan,
    after: datetime,
    limit: int,
    calendar: Calendar,
    taken: Sequence[Taken],
    needs: Sequence[ChangeRequest] = (),
    actor: User | None = None,
) -> tuple[list[datetime], list[Reason]]:
    """`free_slots` by values: up to `limit` starts within 90 days, one per open stretch; if none, why."""
    end, length = after + SEARCH, plan.length
    found: list[datetime] = []
    in_the_way: list[Reason] = []
    for opening, closing in open_stretches(plan.priority, after, end, calendar, plan.scope, LOOKING_AHEAD):
        for start in _starts_within(max(opening, after), closing - length, taken):
            against = conflicts(plan, start, calendar, taken, needs, actor)
            if not against:
                found.append(start)
                break  # one proposal per stretch: the earliest
            in_the_way = in_the_way or against
        if len(found) >= limit:
            break
    return found, [] if found else in_the_way or _why_none(plan, after, calendar)


def _why_none(plan: Plan, after: datetime, calendar: Calendar) -> list[Reason]:
    """No stretch of 90 days is long enough, or none is open at all: which of the two, and what could be done."""
    stretches = list(open_stretches(plan.priority, after, after + SEARCH, calendar, plan.scope, LOOKING_AHEAD))
    if not stretches:
        return list(decide(plan.priority, after, after + plan.length, calendar, plan.scope, LOOKING_AHEAD).reasons)
    begin, stop = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    longest = f"the longest window within 90 days has {say_length(stop - begin)} ({say_span(begin, stop)})"
    text = f"The plan takes {say_length(plan.length)}, and {longest}. Split it, shorten it, or ask for a one-off opening."
    return [Reason("no_fit", text, rule="Maintenance windows")]


def _starts_within(begin: datetime, latest: datetime, taken: Sequence[Taken]) -> list[datetime]:
    """The starts worth trying in a stretch: its beginning, and the end of each slot in it."""
    ends = {whole_minute(slot.end) for slot in taken if slot.end is not None}
    return sorted(start for start in {begin, *ends} if begin <= start <= latest)


def whole_minute(at: datetime) -> datetime:
    floored = at.replace(second=0, microsecond=0)
    return floored if floored == at else floored + timedelta(minutes=1)


def bookings_between(actor: User, start: datetime, end: datetime) -> ChangeQuerySet:
    """Visible changes with a slot in `[start, end)`, by start, for the calendar."""
    near = ChangeRequest.objects.visible_to(actor).filter(slot_start__gte=start - LONGEST_SLOT)
    return near.filter(slot_start__lt=end, slot_end__gt=start).order_by("slot_start", "id")
