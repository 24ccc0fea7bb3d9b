"""Suggested text: a reviewer words a field, the requester takes it over with one click (issue 3
item 6).

The content is then the requester's, who made the edit; whoever suggested wrote nothing on the
change and stays free to decide.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from approvals.rounds import taking_back
from audit import trail
from language import reading
from language.refusal import Blocked, Invalid, Missing, Reason, raise_refusal
from notifications import outbox
from requests import access, cleaning, content, watching
from requests.models import ChangeRequest, Suggestion
from requests.states import State

FIELDS = (
    *("summary", "reason", "implementation_steps", "rollback_plan", "testing_plan"),
    *("user_impact", "performance_impact", "security_impact"),
)
OPEN_STATES = (State.IN_REVIEW, State.CHANGES_REQUESTED)
MOST_OPEN = 30  # on one change


def refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person may not suggest text now."""
    if not actor.may_write:
        return [Reason("read_only", "Your roles read only.")]
    if actor.pk == change.requester_id:
        return [Reason("own_change", "You requested it: edit it instead.")]
    if change.state not in OPEN_STATES:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; text is suggested while"
                " it is in review.",
            )
        ]
    return []


def check_field(field: str) -> content.Field:
    """The field, if a text of it may be suggested; else raises Missing."""
    if field not in FIELDS:
        raise Missing([Reason("missing", "There is no such text.")])
    return content.BY_NAME[field]


@transaction.atomic
def suggest(*, actor: User, number: str, field: str, text: str, comment: str = "") -> Suggestion:
    """Word a field of somebody else's change. Raises Invalid for a text that says what stands
    there, or that the field cannot hold.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(refusal(change, actor))
    label = check_field(field).label
    cleaned = cleaning.clean({field: text}, change)[field]  # by the field's own rules
    comment = reading.said("comment", comment, "Comment")
    before = getattr(change, field)
    if not cleaned or cleaned == before:
        raise Invalid(fields={field: f"{label}: write what it should say; this is what it says."})
    if change.suggestions.filter(state=Suggestion.State.OPEN).count() >= MOST_OPEN:
        many = f"{change.number} has {MOST_OPEN} open suggestions; comment, or request changes."
        raise Blocked([Reason("too_many", many)])
    made = Suggestion.objects.create(
        change=change,
        author=actor,
        field=field,
        before=before,
        text=cleaned,
        comment=comment,
        created_at=timezone.now(),
    )
    trail.record(
        "change.suggest",
        actor=actor,
        change=change,
        data={"suggestion": made.pk, "field": field, "text": made.text, "note": made.comment},
    )
    outbox.tell(
        [change.requester],
        kind="suggestion",
        occasion=f"{made.pk}",
        change=change,
        subject=f"{change.number}: {actor} suggests new text for {label.lower()}",
        body=(f"{comment}\n\n" if comment else "") + cleaned,
    )
    return made


@transaction.atomic
def accept(*, actor: User, number: str, key: int, version: int) -> Suggestion:
    """The requester takes the text over: an edit of theirs. Blocked when the field says something
    else by now.
    """
    change, found = _open(actor, number, key)
    if getattr(change, found.field) != found.before:
        raise Blocked(
            [
                Reason(
                    "edited",
                    "The field says something else since this was suggested; compare, and edit it"
                    " yourself.",
                )
            ]
        )
    taking_back.edit(actor=actor, number=number, version=version, values={found.field: found.text})
    return _answered(found, actor, Suggestion.State.ACCEPTED)


@transaction.atomic
def decline(*, actor: User, number: str, key: int) -> Suggestion:
    """Leave the text as it is. Raises NotYours, Missing, Blocked if it is answered already."""
    _, found = _open(actor, number, key)
    return _answered(found, actor, Suggestion.State.DECLINED)


def _open(actor: User, number: str, key: int) -> tuple[ChangeRequest, Suggestion]:
    change = access.change_to_write(actor, number)
    if actor.pk != change.requester_id:
        raise_refusal(
            [Reason("not_yours", f"{change.requester} takes suggestions over, or declines them.")]
        )
    found = (
        change.suggestions.select_for_update().filter(pk=key).first() if 0 < key < 2**63 else None
    )
    if found is None:
        raise Missing([Reason("missing", "There is no such suggestion.")])
    if found.state != Suggestion.State.OPEN:
        raise Blocked(
            [Reason("settled", f"It was {Suggestion.State(found.state).label.lower()} already.")]
        )
    return change, found


def _answered(found: Suggestion, actor: User, state: str) -> Suggestion:
    found.state, found.answered_at = state, timezone.now()
    found.save(update_fields=["state", "answered_at"])
    trail.record(
        "change.suggestion_" + state,
        actor=actor,
        change=found.change,
        data={"suggestion": found.pk, "field": found.field, "by": found.author_id},
    )
    word = Suggestion.State(state).label.lower()
    outbox.tell(
        watching.visible(found.change, [found.author]),
        kind="suggestion_answered",
        occasion=f"{found.pk}",
        change=found.change,
        subject=(
            f"{found.change.number}: {actor} {word} your text for"
            f" {content.BY_NAME[found.field].label.lower()}"
        ),
        body=f"“{found.change.summary}”.",
    )
    return found
