"""Drafts, copies, comments and transfer: the verbs that touch the change alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from audit import trail
from language import reading
from language.refusal import Invalid, Reason, raise_refusal
from requests import access, apart, cleaning, dependencies, lifecycle, watching
from requests.components import retired_problem
from requests.models import Author, ChangeRequest, Comment, Component
from requests.states import EDITABLE, State

COPIED_BESIDES = ("external_refs", "major", "confidential")

SAME_COMMENT = timedelta(
    seconds=30
)  # the same words by the same person: a second click, not a second thought


def next_number(day: date) -> str:
    """CR-YYYY-MM-DD-XXX: the UTC day and its next sequence number, at least three digits, never
    reused (R14, A14).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO requests_daycounter (day, last) VALUES (%s, 1)"
            " ON CONFLICT (day) DO UPDATE SET last = requests_daycounter.last + 1 RETURNING last",
            [day],
        )
        return f"CR-{day:%Y-%m-%d}-{cursor.fetchone()[0]:03d}"


def assign(change: ChangeRequest, values: Mapping[str, Any], actor: User) -> None:
    """Put cleaned values on a change; many-to-many fields need it saved already.

    A number among the dependencies links to a change that the person may see (or that is linked
    already); any other is text, so that nobody learns from the answers what exists (promise 6).
    """
    for name, value in values.items():
        if name == "requested_window":
            change.requested_window_start, change.requested_window_reason = value or (None, "")
        elif name != "components":
            setattr(change, name, value)
    if change.pk and "components" in values:
        _check_not_retired(change, values["components"])
        change.components.set(values["components"])
    if change.pk and "dependencies" in values:
        numbers = [item for item in values["dependencies"] or [] if cleaning.NUMBER.match(item)]
        named = ChangeRequest.objects.filter(number__in=numbers)
        visible = ChangeRequest.objects.visible_to(actor).values("pk")
        needed = list(named.filter(Q(pk__in=visible) | Q(pk__in=change.depends_on.values("pk"))))
        dependencies.check_no_ring(change, needed, actor)
        change.depends_on.set(needed)


def _check_not_retired(change: ChangeRequest, named: Iterable[Component]) -> None:
    """A change that was submitted takes no retired component in later; a draft is told when it is
    submitted (A36).
    """
    if change.submitted_at is None or change.is_emergency:
        return
    added = {component for component in named if component.retired_at} - set(
        change.components.all()
    )
    if added:
        raise Invalid(
            fields={"components": retired_problem(sorted(component.slug for component in added))}
        )


def remember_author(change: ChangeRequest, user: User) -> None:
    """From now on they are barred from deciding on it (promise 1)."""
    Author.objects.get_or_create(change=change, user=user)


@transaction.atomic
def create(
    *, actor: User, values: Mapping[str, Any], copied_from: ChangeRequest | None = None
) -> ChangeRequest:
    """A new draft with a number of its own. Raises Invalid for wrong values; missing ones are asked
    for at submission.
    """
    access.check_may_write(actor)
    cleaned = cleaning.clean(values)
    now = timezone.now()
    change = ChangeRequest(
        requester=actor,
        requester_role=actor.role_label[:200],
        created_at=now,
        updated_at=now,
        copied_from=copied_from,
    )
    assign(change, cleaned, actor)
    change.number = next_number(now.date())
    change.save()
    assign(
        change,
        {name: cleaned[name] for name in ("components", "dependencies") if name in cleaned},
        actor,
    )
    change.judge_anew()
    change.save(update_fields=["content_hash", "content_scheme"])
    remember_author(change, actor)
    data = {"number": change.number} | (
        {"copied_from": copied_from.pk} if copied_from else {}
    )  # by key: it may be confidential
    trail.record("change.create", actor=actor, change=change, data=data)
    return change


def copyable(change: ChangeRequest) -> dict[str, Any]:
    """The values of a change as a new draft would take them: dates, windows and evidence of the old
    one stay behind.
    """
    values = {name: value for name, value in change.content().items() if value not in (None, "")}
    for name in ("requested_date", "rollback_tested", "emergency_reference"):
        values.pop(name, None)
    return values | {name: getattr(change, name) for name in COPIED_BESIDES}


@transaction.atomic
def clone(*, actor: User, number: str) -> ChangeRequest:
    """A new draft with the same content, linked to where it came from."""
    source = access.change_for(actor, number)
    return create(actor=actor, values=copyable(source), copied_from=source)


@transaction.atomic
def split(*, actor: User, number: str) -> ChangeRequest:
    """A second part of a change that is too long for any window: a draft with the same content that
    waits for the first (item 3).
    """
    source = access.change_for(actor, number)
    values = copyable(source)
    first, part = re.subn(r" \(part (\d+)\)$", "", source.summary)
    count = int(source.summary.rpartition("(part ")[2].rstrip(")")) if part else 1
    values["summary"] = f"{first[:185]} (part {count + 1})"
    values["dependencies"] = [*(source.dependencies or []), source.number][-cleaning.MAX_ITEMS :]
    made = create(actor=actor, values=values, copied_from=source)
    trail.record("change.split", actor=actor, change=made, data={"from": source.pk})
    return made


@transaction.atomic
def comment(*, actor: User, number: str, text: str) -> Comment:
    """Say something on a change without deciding."""
    change = access.change_for(actor, number)
    access.check_may_write(actor)
    try:
        text = reading.prose(text)
    except reading.Wrong as problem:
        raise Invalid(fields={"text": f"Comment: {problem}"}) from None
    if not text:
        raise Invalid(fields={"text": "Comment: write something first."})
    ChangeRequest.objects.select_for_update(of=("self",), no_key=True).get(
        pk=change.pk
    )  # two clicks are one comment
    recent = change.comments.filter(
        author=actor, text=text, created_at__gt=timezone.now() - SAME_COMMENT
    ).first()
    if recent:
        return recent
    made = Comment.objects.create(change=change, author=actor, text=text, created_at=timezone.now())
    trail.record(
        "change.comment", actor=actor, change=change, data={"comment": made.pk, "text": made.text}
    )
    watching.commented(made)
    return made


def transfer_refusal(change: ChangeRequest, actor: User) -> list[Reason]:
    """Why this person cannot hand the change to another requester."""
    if actor != change.requester and not actor.has_role(Role.CHANGE_MANAGER):
        return [
            Reason(
                "not_yours",
                "Only the requester or the change manager hands a change to somebody else.",
            )
        ]
    if change.state not in EDITABLE:
        return [
            Reason(
                "state",
                f"{change.number} is {State(change.state).label.lower()}; its requester stays.",
            )
        ]
    return []


@transaction.atomic
def transfer(*, actor: User, number: str, requester: str) -> ChangeRequest:
    """Give the change another requester; both, old and new, stay barred from approving it (A28)."""
    change = access.change_to_write(actor, number)
    raise_refusal(transfer_refusal(change, actor))
    try:
        heir = cleaning.person(requester)
    except reading.Wrong as problem:
        raise Invalid(fields={"requester": str(problem)}) from None
    if heir is None or not heir.may_write:
        raise Invalid(fields={"requester": "Name somebody who may request changes."})
    if change.decisions.filter(Q(actor=heir) | Q(on_behalf_of=heir), round=change.round).exists():
        # Otherwise their verdict would stand on a change of their own (promise 1).
        raise Invalid(
            fields={"requester": f"{heir} has decided on this change; name somebody who has not."}
        )
    if found := apart.judge_refusal(change, heir, "requests"):
        raise Invalid(fields={"requester": f"Requester: {found[0].message}"})
    before, change.requester = change.requester, heir
    change.requester_role = heir.role_label[:200]
    change.updated_at = timezone.now()
    change.save()
    remember_author(change, heir)
    trail.record(
        "change.transfer", actor=actor, change=change, data={"from": before.pk, "to": heir.pk}
    )
    lifecycle.tell("transfer", change, actor)
    return change
