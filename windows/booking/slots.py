"""What others have booked or are running, and what of that stands against a plan at a start. Reads
only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import Q

from accounts.models import User
from accounts.roles import Role
from language.refusal import Reason
from language.say import say_span
from requests import access
from requests.dependencies import REMEDY, ended_otherwise
from requests.models import ChangeQuerySet, ChangeRequest, Component
from requests.states import RUNNING, State
from windows.calendar.verdict import EMERGENCY, Calendar, Occurrence, window_at

SEARCH = timedelta(days=90)
AROUND = timedelta(days=1)  # wider than any window, so that its places are counted right
LONGEST_SLOT = timedelta(
    days=7
)  # nothing that is booked lasts longer; an emergency that does is shown where it began
BOOKED = (State.SCHEDULED, State.IMPLEMENTING, State.VERIFYING, State.ROLLING_BACK)


def scope_of(change: ChangeRequest) -> frozenset[str]:
    """The slugs of its components."""
    return frozenset(component.slug for component in change.components.all())


@dataclass(frozen=True)
class Plan:
    """What is to be fitted in: a change's, or one that nobody has written down yet. `components`
    are keys and names.
    """

    priority: str
    components: Mapping[int, str]
    length: timedelta
    implementer: User | None = None
    change: ChangeRequest | None = None
    from_day: date | None = None
    canary: bool = False

    @classmethod
    def of(cls, change: ChangeRequest) -> Plan:
        components = {component.pk: component.slug for component in change.components.all()}
        implementer = change.implementer if change.implementer_id else None
        canary = change.strategy == ChangeRequest.Strategy.CANARY
        return cls(
            change.priority,
            components,
            change.plan_length,
            implementer,
            change,
            change.requested_date,
            canary,
        )

    @property
    def scope(self) -> frozenset[str]:
        return frozenset(self.components.values())

    @property
    def is_emergency(self) -> bool:
        return self.priority == EMERGENCY

    @property
    def key(self) -> int:
        """Of its change; 0 while nobody has saved it."""
        return self.change.pk or 0 if self.change else 0

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
        return (
            self.start is not None
            and self.end is not None
            and self.start < end
            and start < self.end
        )

    @property
    def is_running(self) -> bool:
        return self.change.state in RUNNING


def _related_components(own: Collection[int]) -> list[tuple[int, str, bool]]:
    """Those that depend on our components or that they depend on: key, name, and whether ours need
    it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, c.slug, d.from_component_id = ANY(%s) FROM requests_component c JOIN"
            " requests_component_depends_on d ON (d.from_component_id = c.id AND d.to_component_id"
            " = ANY(%s)) OR (d.to_component_id = c.id AND d.from_component_id = ANY(%s))",
            [list(own)] * 3,
        )
        return [row for row in cursor.fetchall() if row[0] not in own]


def taken_between(
    plan: Plan, start: datetime, end: datetime, *, and_running: bool = False
) -> list[Taken]:
    """Slots of other changes between the instants, and with `and_running` whatever runs now; three
    queries.
    """
    wanted = Q(state__in=BOOKED, slot_start__lt=end, slot_end__gt=start) | _held(start, end)
    if and_running:
        wanted |= Q(state__in=RUNNING)
    others = (
        ChangeRequest.objects.filter(wanted)
        .exclude(pk=plan.key)
        .select_related("requester")
        .prefetch_related("components")
    )
    return _as_seen_from(
        plan.components, _related_components(plan.components), others.order_by("slot_start", "id")
    )


def _held(start: datetime, end: datetime) -> Q:
    """Slots that are kept for a change while it is approved again (A35)."""
    return Q(state=State.IN_REVIEW, hold_start__lt=end, hold_end__gt=start)


def _as_seen_from(
    own: Mapping[int, str], related: list[tuple[int, str, bool]], others: Iterable[ChangeRequest]
) -> list[Taken]:
    """What others have taken, each with the components that it shares with ours or that depend on
    them.
    """
    names, needed = (
        {key: slug for key, slug, _ in related},
        {key for key, _, is_needed in related if is_needed},
    )
    found = []
    for other in others:
        theirs = {component.pk for component in other.components.all()}
        found.append(
            Taken(
                other,
                other.slot_start or other.hold_start,
                other.slot_end or other.hold_end,
                same=frozenset(own[key] for key in theirs & own.keys()),
                related=frozenset(names[key] for key in theirs & names.keys()),
                needed=frozenset(names[key] for key in theirs & needed),
            )
        )
    return found


class Book:
    """Every slot of a span of time, read once and asked for many changes; four queries."""

    def __init__(self, start: datetime, end: datetime) -> None:
        booked = Q(state__in=BOOKED, slot_start__lt=end, slot_end__gt=start) | _held(start, end)
        others = ChangeRequest.objects.filter(booked).select_related("requester", "implementer")
        self.changes = list(
            others.prefetch_related("components", "depends_on").order_by("slot_start", "id")
        )
        self.slugs = dict(Component.objects.values_list("id", "slug"))
        self.edges = list(
            Component.depends_on.through.objects.values_list("from_component", "to_component")
        )

    def taken(self, plan: Plan) -> list[Taken]:
        """As `taken_between` finds it for this plan."""
        own = plan.components
        related = [
            (to, self.slugs[to], True) for begin, to in self.edges if begin in own and to not in own
        ]
        related += [
            (begin, self.slugs[begin], False)
            for begin, to in self.edges
            if to in own and begin not in own
        ]
        return _as_seen_from(
            own, related, (other for other in self.changes if other.pk != plan.key)
        )


def conflicts(
    plan: Plan,
    start: datetime,
    calendar: Calendar,
    taken: Sequence[Taken],
    needs: Sequence[ChangeRequest],
    actor: User | None = None,
    needed_by: Sequence[ChangeRequest] = (),
) -> list[Reason]:
    """What stands against booking the plan at `start`: each kind a reason of its own, naming the
    other change.

    `taken` is from `taken_between`, `needs` are the changes that this one depends on, `needed_by`
    those that are booked and depend on it (A38). The change manager may override each (A27).
    """
    end = start + plan.length
    found = [
        reason
        for slot in taken
        if slot.overlaps(start, end)
        for reason in _against(plan, slot, actor)
    ]
    if full := _full(window_at(calendar, start, end, plan.priority, plan.scope), calendar, taken):
        found.append(full)
    found += [_out_of_order(needed, actor) for needed in needs if not comes_before(needed, start)]
    return found + [
        _waits_for_us(other, actor)
        for other in needed_by
        if other.slot_start and other.slot_start < end
    ]


def _conflict(code: str, message: str, rule: str, until: datetime | None = None) -> Reason:
    return Reason(code, message, rule=rule, until=until, override_roles=(Role.CHANGE_MANAGER,))


def _against(plan: Plan, slot: Taken, actor: User | None) -> Iterator[Reason]:
    """What one overlapping slot has against ours: its components, and its implementer."""
    assert slot.start is not None
    assert slot.end is not None
    name, span = named(slot.change, actor), say_span(slot.start, slot.end)
    owner = (
        f" Talk to {slot.change.requester}."
        if name == slot.change.number
        else " Talk to the change manager."
    )
    verb = "Booked" if slot.change.slot_start else "Held"
    if slot.same:
        text = f"{verb} by {name} on {', '.join(sorted(slot.same))}, {span}.{owner}"
        yield _conflict("same_component", text, "Same component", slot.end)
    elif slot.related:
        relation = "which depends on this change's components or is needed by them"
        text = f"{verb} by {name} on {', '.join(sorted(slot.related))}, {relation}, {span}.{owner}"
        yield _conflict("dependent_component", text, "Dependent component", slot.end)
    if plan.implementer and plan.implementer.pk == slot.change.implementer_id:
        yield _conflict(
            "implementer_busy",
            f"{plan.implementer} implements {name} then, {span}.{owner}",
            "Implementer busy",
            slot.end,
        )


def _full(window: Occurrence | None, calendar: Calendar, taken: Sequence[Taken]) -> Reason | None:
    """A window with a capacity that is used up: by what is booked or runs in it, also since before
    its rule was edited.
    """
    if window is None or window.capacity is None:
        return None
    used = sum(
        slot.overlaps(window.start, window.end) and _is_in(slot, window, calendar) for slot in taken
    )
    if used < window.capacity:
        return None
    text = (
        f"{window.name} on {say_span(window.start, window.end)} has {window.capacity} places, all"
        " taken."
    )
    return _conflict("window_full", text, window.name, window.end)


def _is_in(slot: Taken, window: Occurrence, calendar: Calendar) -> bool:
    assert slot.start is not None
    begin = max(slot.start, window.start)
    own = window_at(
        calendar, begin, max(begin, slot.end or begin), slot.change.priority, scope_of(slot.change)
    )
    return own is not None and own.name == window.name


def comes_before(needed: ChangeRequest, start: datetime) -> bool:
    """Whether what is needed is done, or booked to end before that start."""
    booked_before = (
        needed.state in BOOKED and needed.slot_end is not None and needed.slot_end <= start
    )
    return needed.is_done or booked_before


def _out_of_order(needed: ChangeRequest, actor: User | None) -> Reason:
    how = ended_otherwise(needed)
    why = f"{how}. {REMEDY}" if how else "is neither completed nor booked to end before it."
    return _conflict(
        "dependency_order", f"This change needs {named(needed, actor)}, which {why}", "Dependency"
    )


def _waits_for_us(other: ChangeRequest, actor: User | None) -> Reason:
    span = say_span(other.slot_start, other.slot_end) if other.slot_start and other.slot_end else ""
    text = (
        f"{named(other, actor)} needs this change completed before it, and is booked for {span}:"
        " dependency not completed before."
    )
    return _conflict("dependency_order", text, "Dependency")


def named(change: ChangeRequest, actor: User | None) -> str:
    """The other change's number, for whoever may see it; said to nobody in particular,
    nobody may.
    """
    if change.confidential and (actor is None or not access.may_see(actor, change)):
        return "a confidential change"
    return change.number


def whole_minute(at: datetime) -> datetime:
    """The instant itself if it is a whole minute, else the next one: slots begin on minutes."""
    floored = at.replace(second=0, microsecond=0)
    return floored if floored == at else floored + timedelta(minutes=1)


def bookings_between(actor: User, start: datetime, end: datetime) -> ChangeQuerySet:
    """Visible changes with a slot in `[start, end)`, by start, for the calendar."""
    near = ChangeRequest.objects.visible_to(actor).filter(slot_start__gte=start - LONGEST_SLOT)
    return near.filter(slot_start__lt=end, slot_end__gt=start).order_by("slot_start", "id")
