"""The rules of the calendar: saved, ended, and what an edit would do before it is (R72-R77, A5-A7, A27).

What narrows is in effect at once; what allows more waits as a proposal for its second person. Either way the booked changes that a
rule no longer lets in are moved once it is stored (`windows.enforcement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import services as audit
from audit.refusal import Blocked, Invalid, Missing, Reason, Stale, raise_refusal
from proposals import services as proposals
from proposals.models import Proposal
from requests import cleaning
from requests.models import ChangeRequest
from requests.states import State
from windows import effects, fields
from windows.calendar import LOCKDOWN, Calendar, decide
from windows.models import Closure, FreezeException, MaintenanceWindow, current_calendar, lifted_for
from windows.slots import AROUND, LOOKING_AHEAD, SEARCH, Book, Plan, fitting, scope_of
from windows.widening import widens

KIND = "calendar"  # of its proposals
MODELS: dict[str, type[MaintenanceWindow] | type[Closure]] = {"window": MaintenanceWindow, "closure": Closure}
MOST_RULES = 500
SHOWN_DISPLACED = 50
Row = MaintenanceWindow | Closure


@dataclass(frozen=True)
class Edit:
    """One rule and what becomes of it: `values` in place of the version `key`; no key: a new rule; no values: it ends."""

    kind: str
    key: int | None = None
    values: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "key": self.key, "values": dict(self.values) if self.values is not None else None}


@dataclass(frozen=True)
class Displaced:
    """A booked change that the edit would move, why, and where it would fit next."""

    change: ChangeRequest
    name: str
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
    def warnings(self) -> list[str]:
        """What whoever saves it must know at once (item 1): a priority shut out for long, or for good."""
        found = []
        for effect in self.effects:
            names = ", ".join(effect.priorities)
            if effect.never and not effect.is_none:
                found.append(f"{names} could not start at all within the next 400 days.")
            elif effect.too_long and effect.shut.after:
                days = effects.length(effect.shut.after).days
                found.append(f"{names} could not start for {days} days at a stretch.")
        return found


def edit_refusal(user: User) -> list[Reason]:
    """Why this person may not edit the calendar."""
    if user.may_write and user.has_role(Role.CHANGE_MANAGER):
        return []
    return [Reason("not_yours", "The change manager edits windows and freezes; everybody may read them and see what an edit would do.")]


def row_of(kind: str, key: int) -> Row:
    """A version in force. Raises Missing, or Stale when it has been edited or ended since."""
    model = MODELS.get(kind)
    rows = model.objects.select_related("made_by", "ended_by") if model and 0 < key < 2**63 else None
    found: Row | None = rows.filter(pk=key).first() if rows is not None else None
    if found is None:
        raise Missing([Reason("missing", "There is no such rule.")])
    if found.till is not None:
        who = f"{found.ended_by} " if found.ended_by else ""
        raise Stale([Reason("stale", f"{who}edited or ended “{found.name}” since you opened it. Look at it as it is now.".strip())])
    return found


# --- saving --------------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def save(*, actor: User, edits: Sequence[Edit], reason: str) -> Proposal | None:
    """Put the edits into effect, all or none; or, if any of them allows more than now, propose them (A27). The proposal, if so.

    Raises NotYours, Stale (somebody edited the rule since), Invalid (fields, by name).
    """
    raise_refusal(edit_refusal(actor))
    _take_turns()
    reason = cleaning.said("reason", reason, "Reason", "say why; whoever looks at the calendar reads it.")
    now = timezone.now()
    ready = [_prepared(edit) for edit in edits]
    _check_names(ready)
    _check_something_changes(ready)
    lines = [line for old, new, _ in ready for line in widens(old.value() if old else None, new.value() if new else None, now)]
    if lines:
        return _propose(actor, ready, reason, lines)
    _apply(ready, actor=actor, confirmed_by=None, reason=reason)
    return None


def _take_turns() -> None:
    """Whoever saves waits for whoever books, and the other way round: nobody books by a rule that has just gone. Bookers share the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('calendar'))")


Prepared = tuple[Row | None, Row | None, Edit]


def _prepared(edit: Edit) -> Prepared:
    """The version that ends, the one that begins, unsaved, and the edit."""
    if edit.kind not in MODELS:
        raise Invalid(fields={"kind": "Kind: choose window or closure."})
    old = row_of(edit.kind, edit.key) if edit.key is not None else None
    if isinstance(old, Closure) and old.kind == LOCKDOWN:
        raise Blocked([Reason("state", "A lockdown is lifted, not edited.")])
    if edit.values is None:
        if old is None:
            raise Invalid(fields={"key": "Key: say which rule ends."})
        return old, None, edit
    return old, fields.version(edit.kind, fields.clean(edit.kind, edit.values)), edit


def _check_names(ready: Sequence[Prepared]) -> None:
    """No two rules of a kind in force share a name, nor are there too many."""
    for kind, model in MODELS.items():
        gone = [old.pk for old, _, edit in ready if old and edit.kind == kind]
        new = [made.name for _, made, edit in ready if made and edit.kind == kind]
        kept = model.objects.in_force().exclude(pk__in=gone)
        if new and kept.count() + len(new) > MOST_RULES:
            raise Invalid(fields={"name": f"Name: there are {MOST_RULES} rules of this kind already; end some first."})
        taken = set(kept.filter(name__in=new).values_list("name", flat=True))
        twice = next((name for index, name in enumerate(new) if name in taken or name in new[:index]), None)
        if twice:
            raise Invalid(fields={"name": f"Name: “{twice}” is taken; choose another."})


def _check_something_changes(ready: Sequence[Prepared]) -> None:
    if all(old and new and fields.as_sent(old) == fields.as_sent(new) for old, new, _ in ready):
        raise Invalid(fields={"name": "Nothing is different from the rule as it is now."})


def _propose(actor: User, ready: Sequence[Prepared], reason: str, lines: list[str]) -> Proposal:
    names = ", ".join(dict.fromkeys(rule.name for old, new, _ in ready[:3] if (rule := new or old)))
    more = f" and {len(ready) - 3} more" if len(ready) > 3 else ""
    payload = {"edits": [edit.as_dict() for _, _, edit in ready]}
    return proposals.propose(actor=actor, kind=KIND, subject=f"Calendar: {names}{more}", reason=reason, widens=lines[:50], payload=payload)


def _apply(ready: Sequence[Prepared], *, actor: User, confirmed_by: User | None, reason: str) -> None:
    """End the old versions and begin the new ones, now; then move what no longer fits."""
    from windows import enforcement

    now = timezone.now()
    for old, new, edit in ready:
        if old:
            old.till, old.ended_by = now, actor
            old.save(update_fields=["till", "ended_by"])
        if new:
            new.line, new.since, new.made_by, new.confirmed_by, new.reason = (old.first_key if old else 0), now, actor, confirmed_by, reason
            new.save()
        verb = "end" if new is None else "edit" if old else "add"
        audit.record(
            f"calendar.{verb}",
            actor=actor,
            data={
                "kind": edit.kind,
                "rule": new.pk if new else old.pk if old else None,
                "before": fields.as_sent(old) if old else None,
                "after": fields.as_sent(new) if new else None,
                "reason": reason,
                **({"confirmed_by": confirmed_by.username} if confirmed_by else {}),
            },
        )
    transaction.on_commit(enforcement.enforce_all, robust=True)


def _carry_out(proposal: Proposal, actor: User) -> None:
    """A second person has confirmed: it takes effect as it was proposed, if nobody has edited the rules meanwhile."""
    _take_turns()
    try:
        ready = [_prepared(Edit(**edit)) for edit in proposal.payload["edits"]]
        _check_names(ready)
    except (Stale, Missing, Invalid) as refused:
        why = f"It cannot be carried out any more: {refused} Decline it, or let {proposal.author} withdraw it."
        raise Blocked([Reason("overtaken", why)]) from None
    _apply(ready, actor=proposal.author, confirmed_by=actor, reason=proposal.reason)


def _nothing_held(proposal: Proposal) -> None:
    """A proposal about the calendar holds nothing back meanwhile."""


proposals_kind = proposals.Kind(carry_out=_carry_out, give_back=_nothing_held)


# --- consequences --------------------------------------------------------------------------------------------------------------------


def consequence(edits: Sequence[Edit], actor: User) -> Consequence:
    """What the edits would do; anybody may look. A fixed number of queries, and nothing is stored."""
    now, before = timezone.now(), current_calendar()
    ready = [_prepared(edit) for edit in edits]
    _check_names(ready)
    after = _edited(before, ready)
    lines = [line for old, new, _ in ready for line in widens(old.value() if old else None, new.value() if new else None, now)]
    scope = frozenset().union(*(rule.scope for old, new, _ in ready for rule in (old, new) if rule))
    shown = frozenset(sorted(scope)[:1])  # all that the rule names are alike to it
    found = Consequence(before, after, lines, effects.compare(before, after, now, shown))
    _displaced(found, actor, now)
    return found


def _edited(before: Calendar, ready: Sequence[Prepared]) -> Calendar:
    """The calendar with the edits in it."""
    gone = [old.value() for old, _, _ in ready if old]
    return Calendar.of([*(rule for rule in before.rules if rule not in gone), *(new.value() for _, new, _ in ready if new)])


def _displaced(found: Consequence, actor: User, now: datetime) -> None:
    """The booked changes that the edit shuts out, in the order of their slots, each with the slot that it would get in its turn."""
    book = Book(now, now + timedelta(days=400))
    waiting = [change for change in book.changes if change.state == State.SCHEDULED and change.slot_start and change.slot_end]
    granted = set(FreezeException.objects.filter(slot_start__gte=now).values_list("change", "slot_start"))
    shut = [(change, reasons) for change in waiting if (reasons := _shut_out(change, found, now, granted))]
    found.displaced_count = len(shut)
    for change, _ in shut:
        book.move(change, None)
    visible = set(ChangeRequest.objects.visible_to(actor).filter(pk__in=[change.pk for change, _ in shut]).values_list("pk", flat=True))
    for change, reasons in shut[:SHOWN_DISPLACED]:
        start = _next_start(change, found.after, book, now)
        book.move(change, start)
        name = change.number if change.pk in visible else "a confidential change"
        found.displaced.append(Displaced(change, name, reasons, start))


def _shut_out(change: ChangeRequest, found: Consequence, now: datetime, granted: set[tuple[int, datetime]]) -> tuple[Reason, ...]:
    """Why the edit lets its slot in no longer; empty if it does, or did not before either."""
    assert change.slot_start is not None
    assert change.slot_end is not None
    start, scope = max(change.slot_start, now), scope_of(change)
    was = decide(change.priority, start, max(change.slot_end, start), found.before, scope, LOOKING_AHEAD)
    will = decide(change.priority, start, max(change.slot_end, start), found.after, scope, LOOKING_AHEAD)
    if will.allowed or not was.allowed:
        return ()
    if (change.pk, change.slot_start) in granted and (lifted := lifted_for(change, change.slot_start)):
        will = decide(change.priority, start, change.slot_end, found.after, scope, LOOKING_AHEAD | lifted)
    return will.reasons


def _next_start(change: ChangeRequest, calendar: Calendar, book: Book, now: datetime) -> datetime | None:
    plan = Plan.of(change)
    after = plan.earliest(now + timedelta(hours=24))
    until = after + SEARCH
    taken = [slot for slot in book.taken(plan) if slot.start and slot.end and slot.end > after - AROUND and slot.start < until]
    starts, _ = fitting(plan, after, 1, calendar, taken, list(change.depends_on.all()))
    return starts[0] if starts else None
