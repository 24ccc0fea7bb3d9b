"""Taking a secret out of the system: change manager and security engineer together, with a reason
(A41).

A text goes wherever the change holds it as a whole: in the trail's words with its salt, in its own
fields and those around it, and out of the mails that told of it. Digest, who, when and why stay, so
that every proof still verifies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role, listed
from audit import trail, words
from audit.models import Event, Redaction, Words
from language import reading
from language.refusal import Blocked, Invalid, Missing, Reason, raise_refusal
from notifications.models import Message
from proposals import second_person
from proposals.models import Proposal
from requests import access
from requests.models import ChangeRequest, IdempotencyKey
from requests.states import EDITABLE, RUNNING

KIND = "redaction"
ROLES = (Role.CHANGE_MANAGER, Role.SECURITY_ENGINEER)
#: Columns that hold what somebody typed, by name, besides those that are called as in the trail.
COLUMNS = words.TYPED | {
    "before",
    "values",
    "answer",
    "assessed_reason",
    "hold_reason",
    "accepted_reason",
    "declined_reason",
}

Eraser = Callable[[str], int]
_erasers: dict[str, Eraser] = {}


def erases(name: str, eraser: Eraser) -> None:
    """Called once by an app above that keeps texts of changes in another form; it answers in how
    many rows the text stood.
    """
    _erasers[name] = eraser


@dataclass(frozen=True)
class Text:
    """One text of an event: the `n`th of those that its words hold, where it stands, and what it
    says (None once it is redacted).
    """

    n: int
    place: str
    text: str | None


def texts(event: Event) -> list[Text]:
    """Every text of an event, in order of its places; empty for an event from before words were
    kept apart.
    """
    found: list[tuple[str, str | None]] = []
    if event.digests:
        for place, value in sorted(event.words.texts.items()):
            found += (
                [(place, None)]
                if value is None
                else [(place, text) for text in words.strings(value) if text.strip()]
            )
    return [Text(n, place, text) for n, (place, text) in enumerate(found)]


def event_for(user: User, key: int) -> tuple[Event, ChangeRequest | None]:
    """An event that this person may see, and its change. Raises Missing, alike for what is not
    there and for what is not theirs to see.
    """
    event = (
        Event.objects.select_related("actor", "words").filter(pk=key).first()
        if 0 < key < 2**63
        else None
    )
    if event is None:
        raise Missing([Reason("missing", "There is no such event.")])
    if event.change_id is None:
        return event, None
    number = (
        ChangeRequest.objects.filter(pk=event.change_id).values_list("number", flat=True).first()
        or ""
    )
    return event, access.change_for(user, number)


def refusal(event: Event, actor: User) -> list[Reason]:
    """Why this person may not propose to redact a text of the event."""
    if not (actor.may_write and actor.has_role(*ROLES)):
        return [
            Reason("not_yours", f"Words are redacted by {listed(list(ROLES), 'and')} together.")
        ]
    if not event.digests:
        text = (
            "This event's words stand in the chain itself, from before they were kept apart; they"
            " cannot be taken without breaking it."
        )
        return [Reason("state", text)]
    return []


def text_refusal(change: ChangeRequest | None, text: str | None) -> list[Reason]:
    """Why this text may not be taken now."""
    if text is None or text == words.REDACTED:
        return [Reason("settled", "It is redacted already.")]
    if change and change.state in EDITABLE | RUNNING and text in words.strings(change.content()):
        advice = (
            "take it out by an edit first"
            if change.state in EDITABLE
            else "it can be taken when the change has ended"
        )
        return [
            Reason(
                "state",
                f"{change.number} says this now, and it is judged and run by it: {advice}; then"
                " redact what it said before.",
            )
        ]
    return []


@transaction.atomic
def propose(*, actor: User, event_key: int, n: Any, reason: str) -> Proposal:
    """Ask the other role to agree that a text goes. Raises Missing, NotYours, Blocked, Invalid with
    the field.
    """
    event, change = event_for(actor, event_key)
    raise_refusal(refusal(event, actor))
    chosen = next((text for text in texts(event) if str(text.n) == str(n)), None)
    if chosen is None:
        raise Invalid(fields={"n": "Text: choose which of the event's texts is taken."})
    raise_refusal(text_refusal(change, chosen.text))
    reason = reading.said("reason", reason, "Reason", "say why it must go, without repeating it.")
    if chosen.text and chosen.text in reason:
        raise Invalid(
            fields={"reason": "Reason: it stays for ever; do not repeat in it what is to go."}
        )
    where = (
        "a confidential change"
        if change and change.confidential
        else change.number
        if change
        else f"event {event.pk}"
    )
    others = [role for role in ROLES if not actor.has_role(role)] or list(ROLES)
    return second_person.propose(
        actor=actor,
        kind=KIND,
        subject=f"Redact a text of {where}",
        reason=reason,
        widens=[
            f"One text ({chosen.place}) would be taken out of {where} and its history, for good."
            " Look at it before you confirm."
        ],
        payload={
            "event": event.pk,
            "n": chosen.n,
            "roles": [role.value for role in others],
            "barred": sorted(_concerned(event, change)),
        },
    )


def _concerned(event: Event, change: ChangeRequest | None) -> set[int]:
    """Keys of who wrote the words, and of who requested or edited the change that holds them."""
    found = {
        event.actor_id,
        *([change.requester_id, *change.authors.values_list("user", flat=True)] if change else []),
    }
    return {key for key in found if key is not None}


def second_refusal(proposal: Proposal, second: User) -> list[Reason]:
    """Why this person is not the second for it (A37)."""
    if second.pk not in proposal.payload["barred"]:
        return []
    text = (
        "Whoever wrote the words, or requested or edited the change, does not agree for others that"
        " they go; somebody else does."
    )
    return [Reason("own_change", text)]


def _carry_out(proposal: Proposal, second: User) -> None:
    event, change = event_for(second, proposal.payload["event"])
    proposal.payload["barred"] = sorted(_concerned(event, change))
    raise_refusal(second_refusal(proposal, second))
    chosen = next((text for text in texts(event) if text.n == proposal.payload["n"]), None)
    if not proposal.author.has_role(*ROLES):
        raise Blocked(
            [Reason("overtaken", f"{proposal.author} may not redact any more. Decline it.")]
        )
    raise_refusal(text_refusal(change, chosen.text if chosen else None))
    assert chosen is not None
    assert chosen.text is not None
    _take(event, change, chosen.text, proposal, second)


def _take(
    event: Event, change: ChangeRequest | None, text: str, proposal: Proposal, second: User
) -> None:
    rows = (
        Words.objects.filter(event__change_id=change.pk)
        if change
        else Words.objects.filter(pk=event.pk)
    )
    taken: list[dict[str, Any]] = []
    for row in rows.select_for_update(of=("self",)).select_related("event").order_by("pk"):
        places = [place for place, value in row.texts.items() if text in words.strings(value)]
        for place in places:
            Redaction.objects.create(
                words=row,
                place=place,
                at=timezone.now(),
                proposed_by=proposal.author,
                confirmed_by=second,
                reason=proposal.reason,
            )
            taken.append({"event": row.pk, "place": place, "digest": row.event.digests[place]})
        if places:
            row.texts |= dict.fromkeys(places)
            row.salts |= dict.fromkeys(places)
            row.save(update_fields=["texts", "salts"])
    data = {
        "taken": taken,
        "elsewhere": erase(change, text),
        "confirmed_by": second.pk,
        "reason": proposal.reason,
    }
    trail.record("audit.redact", actor=proposal.author, change=change, data=data)


def erase(change: ChangeRequest | None, text: str) -> dict[str, int]:
    """Take the text out of every row that belongs to the change, or to none; how many rows of which
    table held it.
    """
    found = {
        model._meta.db_table: _erase(model, path, change, text)
        for model, path in holders()
        if bool(path) == bool(change)
    }
    found |= {name: eraser(text) for name, eraser in _erasers.items()}
    # A mail that says it loses its whole body, and an answer kept for a repetition too: what stands
    # around a short secret tells of it.
    mails = Message.objects.filter(change_id=change.pk if change else None, body__contains=text)
    found["mails"] = mails.update(body=words.REDACTED)
    in_json = json.dumps(text, ensure_ascii=False)[1:-1]
    found["answers"] = IdempotencyKey.objects.filter(body__contains=in_json).update(body="{}")
    return {name: rows for name, rows in sorted(found.items()) if rows}


def holders() -> Iterator[tuple[type[models.Model], str | None]]:
    """Every table of ours that holds typed texts, and by which path its rows belong to a change
    (None: to none).
    """
    ours = {
        config.label
        for config in apps.get_app_configs()
        if Path(config.path).parent == settings.BASE_DIR
    } - {"audit"}
    for model in apps.get_models():
        if model._meta.app_label in ours and list(_text_fields(model)):
            yield model, _path(model, deep=3)


def _path(model: type[models.Model], deep: int) -> str | None:
    if model is ChangeRequest:
        return "pk"
    ways = [field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)]
    for field in ways:
        if field.related_model is ChangeRequest:
            return field.name
    for field in ways if deep else []:
        below = _path(field.related_model, deep - 1) if field.related_model is not model else None
        if below:
            return f"{field.name}__{below}"
    return None


def _text_fields(model: type[models.Model]) -> Iterator[models.Field[Any, Any]]:
    for field in model._meta.concrete_fields:
        if field.name in COLUMNS and isinstance(
            field, (models.CharField, models.TextField, models.JSONField)
        ):
            yield field


def _erase(
    model: type[models.Model], path: str | None, change: ChangeRequest | None, text: str
) -> int:
    rows = model._default_manager.all()
    if path and change:
        rows = rows.filter(**{path: change.pk})
    count = 0
    for field in _text_fields(model):
        if isinstance(field, models.JSONField):
            for row in rows.filter(**{f"{field.name}__isnull": False}).only("pk", field.name):
                value = getattr(row, field.name)
                if text in words.strings(value):
                    count += 1
                    model._default_manager.filter(pk=row.pk).update(
                        **{field.name: words.without(value, text)}
                    )
        else:
            count += rows.filter(**{field.name: text}).update(**{field.name: words.REDACTED})
    return count


proposals_kind = second_person.Kind(carry_out=_carry_out, second_refusal=second_refusal)
