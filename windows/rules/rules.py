"""The rules of the calendar: saved, ended, and what an edit would do before it is (R72-R77, A5-A7,
A27).

What narrows is in effect at once; what allows more waits as a proposal for its second person.
Either way the booked changes that a rule no longer lets in are moved once it is stored
(`windows.booking.enforcement`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail
from audit.models import Event
from language import reading
from language.refusal import Blocked, Invalid, Missing, NotYours, Reason, Stale, raise_refusal
from proposals import second_person
from proposals.models import Proposal
from windows.booking import locks, openings
from windows.calendar.verdict import LOCKDOWN
from windows.calendar.widening import widens
from windows.models import Closure, MaintenanceWindow
from windows.rules import fields

KIND = "calendar"  # of its proposals
MODELS: dict[str, type[MaintenanceWindow] | type[Closure]] = {
    "window": MaintenanceWindow,
    "closure": Closure,
}
MOST_RULES = 500
Row = MaintenanceWindow | Closure


@dataclass(frozen=True)
class Edit:
    """One rule and what becomes of it: `values` in place of the version `key`; no key: a new rule;
    no values: it ends.
    """

    kind: str
    key: int | None = None
    values: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": self.key,
            "values": dict(self.values) if self.values is not None else None,
        }


def edit_refusal(user: User) -> list[Reason]:
    """Why this person may not edit the calendar."""
    if user.may_write and user.has_role(Role.CHANGE_MANAGER):
        return []
    return [
        Reason(
            "not_yours",
            "The change manager edits windows and freezes; everybody may read them and see what an"
            " edit would do.",
        )
    ]


def row_of(kind: str, key: int) -> Row:
    """A version in force. Raises Missing, or Stale when it has been edited or ended since."""
    model = MODELS.get(kind)
    rows = (
        model.objects.select_related("made_by", "ended_by") if model and 0 < key < 2**63 else None
    )
    found: Row | None = rows.filter(pk=key).first() if rows is not None else None
    if found is None:
        raise Missing([Reason("missing", "There is no such rule.")])
    if found.till is not None:
        who = f"{found.ended_by} " if found.ended_by else ""
        raise Stale(
            [
                Reason(
                    "stale",
                    f"{who}edited or ended “{found.name}” since you opened it. Look at it as it is"
                    " now.".strip(),
                )
            ]
        )
    return found


# --- found right as they are ----------------------------------------------------------------------


#: Events that say that somebody who may has made the calendar theirs.
LOOKED_AT = ("calendar.confirm", "calendar.add", "calendar.edit", "calendar.end")


def is_looked_at() -> bool:
    """Whether somebody has edited the rules that the process brought, or found them right."""
    return Event.objects.filter(action__in=LOOKED_AT, actor__isnull=False).exists()


@transaction.atomic
def confirm(*, actor: User) -> None:
    """The change manager finds the rules right as they stand: an installation's first look, kept in
    the trail. Twice is once.
    """
    raise_refusal(edit_refusal(actor))
    locks.edit_calendar()
    if not is_looked_at():
        rules = [
            row.name for model in MODELS.values() for row in model.objects.in_force().order_by("pk")
        ]
        trail.record("calendar.confirm", actor=actor, data={"rules": rules})


# --- saving ---------------------------------------------------------------------------------------


@transaction.atomic
def save(*, actor: User, edits: Sequence[Edit], reason: str) -> Proposal | None:
    """Put the edits into effect, all or none; or, if any of them allows more than now, propose them
    (A27). The proposal, if so.

    Raises NotYours, Stale (somebody edited the rule since), Invalid (fields, by name).
    """
    raise_refusal(edit_refusal(actor))
    _check_once(edits)
    reason = reading.said(
        "reason", reason, "Reason", "say why; whoever looks at the calendar reads it."
    )
    made = [_made(edit) for edit in edits]
    locks.edit_calendar()  # what takes time is done before
    now = timezone.now()
    ready = [_prepared(edit, new) for edit, new in zip(edits, made, strict=True)]
    _check_names(ready)
    _check_something_changes(ready)
    lines = [
        line
        for old, new, _ in ready
        for line in widens(old.value() if old else None, new.value() if new else None, now)
    ]
    if lines:
        return _propose(actor, ready, reason, lines)
    _apply(ready, actor=actor, confirmed_by=None, reason=reason)
    return None


def _check_once(edits: Sequence[Edit]) -> None:
    """One rule edited twice would be two rules, each of them no wider than the one."""
    keys = [(edit.kind, edit.key) for edit in edits if edit.key is not None]
    if len(keys) != len(set(keys)):
        raise Invalid(fields={"edits": "Edits: a rule may be edited once in one save."})


def _made(edit: Edit) -> Row | None:
    """The version that an edit begins, unsaved; Invalid names what is wrong with it."""
    if edit.kind not in MODELS:
        raise Invalid(fields={"kind": "Kind: choose window or closure."})
    return (
        None
        if edit.values is None
        else fields.version(edit.kind, fields.clean(edit.kind, edit.values))
    )


Prepared = tuple[Row | None, Row | None, Edit]


def _prepared(edit: Edit, new: Row | None) -> Prepared:
    """The version that ends, as it is now, the one that begins, and the edit."""
    old = row_of(edit.kind, edit.key) if edit.key is not None else None
    if isinstance(old, Closure) and old.kind == LOCKDOWN:
        raise Blocked([Reason("state", "A lockdown is lifted, not edited.")])
    if old is None and new is None:
        raise Invalid(fields={"key": "Key: say which rule ends."})
    return old, new, edit


def _check_names(ready: Sequence[Prepared]) -> None:
    """No two rules of a kind in force share a name, nor are there too many."""
    for kind, model in MODELS.items():
        gone = [old.pk for old, _, edit in ready if old and edit.kind == kind]
        new = [made.name for _, made, edit in ready if made and edit.kind == kind]
        kept = model.objects.in_force().exclude(pk__in=gone)
        if new and kept.count() + len(new) > MOST_RULES:
            raise Invalid(
                fields={
                    "name": (
                        f"Name: there are {MOST_RULES} rules of this kind already; end some first."
                    )
                }
            )
        taken = set(kept.filter(name__in=new).values_list("name", flat=True))
        twice = next(
            (name for index, name in enumerate(new) if name in taken or name in new[:index]), None
        )
        if twice:
            raise Invalid(fields={"name": f"Name: “{twice}” is taken; choose another."})


def _check_something_changes(ready: Sequence[Prepared]) -> None:
    if all(old and new and fields.as_sent(old) == fields.as_sent(new) for old, new, _ in ready):
        raise Invalid(fields={"name": "Nothing is different from the rule as it is now."})


def _propose(actor: User, ready: Sequence[Prepared], reason: str, lines: list[str]) -> Proposal:
    hands = openings.hands_in(
        new for _, new, _ in ready if isinstance(new, MaintenanceWindow) and new.is_once
    )
    if own := hands.get(actor.pk):
        why = (
            f"{own}, which you requested, edited or implement, asks for a time in this opening:"
            " another change manager proposes it."
        )
        raise Blocked([Reason("own_opening", why)])
    names = ", ".join(dict.fromkeys(rule.name for old, new, _ in ready[:3] if (rule := new or old)))
    more = f" and {len(ready) - 3} more" if len(ready) > 3 else ""
    payload: dict[str, Any] = {"edits": [edit.as_dict() for _, _, edit in ready]}
    if hands:
        payload |= {"barred": sorted(hands)}
    return second_person.propose(
        actor=actor,
        kind=KIND,
        subject=f"Calendar: {names}{more}",
        reason=reason,
        widens=lines[:50],
        payload=payload,
    )


def _apply(
    ready: Sequence[Prepared], *, actor: User, confirmed_by: User | None, reason: str
) -> None:
    """End the old versions and begin the new ones, now; then move what no longer fits."""
    from windows.booking import enforcement

    now = timezone.now()
    for old, _, _ in ready:
        if old:
            old.till, old.ended_by = now, actor
            old.save(update_fields=["till", "ended_by"])
    for old, new, edit in ready:
        if new:
            new.line, new.since, new.made_by, new.confirmed_by, new.reason = (
                (old.first_key if old else 0),
                now,
                actor,
                confirmed_by,
                reason,
            )
            new.save()
        verb = "end" if new is None else "edit" if old else "add"
        trail.record(
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
    """A second person has confirmed: it takes effect as it was proposed, if nobody has edited the
    rules meanwhile.
    """
    locks.edit_calendar()
    edits = [Edit(**edit) for edit in proposal.payload["edits"]]
    try:
        raise_refusal(
            edit_refusal(proposal.author)
        )  # whoever may edit no more proposes nothing any more
        _check_once(edits)
        ready = [_prepared(edit, _made(edit)) for edit in edits]
        _check_names(ready)
    except (Stale, Missing, Invalid, NotYours) as refused:
        why = (
            f"It cannot be carried out any more: {refused} Decline it, or let {proposal.author}"
            " withdraw it."
        )
        raise Blocked([Reason("overtaken", why)]) from None
    _apply(ready, actor=proposal.author, confirmed_by=actor, reason=proposal.reason)


def _second_refusal(proposal: Proposal, second: User) -> list[Reason]:
    """Whoever had a hand in a change that the opening was proposed for; who gets one later is
    refused where it is booked (A37).
    """
    if second.pk not in proposal.payload.get("barred", ()):
        return []
    why = (
        "A change that you requested, edited or implement asks for a time in this opening: it takes"
        " somebody else to confirm it."
    )
    return [Reason("own_change", why)]


proposals_kind = second_person.Kind(carry_out=_carry_out, second_refusal=_second_refusal)
