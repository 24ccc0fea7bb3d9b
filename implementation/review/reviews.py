"""After the run: the post-implementation review, an emergency's documentation, closing (R5, R147,
R151, A13, A22).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.models import Decision
from approvals.policy import policy
from audit import trail
from audit.models import Event
from implementation.models import Documentation, Review
from implementation.run import afterwards
from implementation.run.case import Case
from language import reading
from language.refusal import Invalid, raise_refusal
from language.say import say_instant
from notifications import outbox
from requests import apart, cleaning, content, lifecycle
from requests.access import change_to_write
from requests.models import Author, ChangeRequest
from requests.states import ENDED, State

WRITTEN = ("summary", "deviations", "lessons", "improvements")


def _sign(review: Review, actor: User) -> datetime:
    """The next version is this person's, from now on; the first writer stays named."""
    now = timezone.now()
    review.version += 1
    if review.written_at is None:
        review.written_by, review.written_at = actor, now
    else:
        review.revised_by, review.revised_at = actor, now
    review.writers = sorted({*review.writers, actor.pk})
    return now


@transaction.atomic
def write_review(
    *,
    actor: User,
    number: str,
    summary: str,
    deviations: str = "",
    lessons: str = "",
    improvements: str = "",
    runbook_updated: bool | None = None,
) -> Review:
    """The post-implementation review (R147), and its later versions until it is settled. For a
    major change it says whether the runbook was updated (R161, A23). The trail keeps the words of
    every version (A41).
    """
    change = change_to_write(actor, number)
    case = Case(change, actor)
    raise_refusal(afterwards.review_refusal(case))
    review = case.review
    assert review is not None
    if change.is_major and runbook_updated is None:
        raise Invalid(fields={"runbook_updated": f"Runbook updated: {ANSWER}"})
    before = {name: getattr(review, name) for name in (*WRITTEN, "runbook_updated")}
    review.summary = reading.written("summary", summary, "Summary")
    others = {"deviations": deviations, "lessons": lessons, "improvements": improvements}
    for name, value in others.items():
        setattr(review, name, reading.written(name, value, name.capitalize(), needed=False))
    review.runbook_updated = runbook_updated
    said = {name: getattr(review, name) for name in (*WRITTEN, "runbook_updated")}
    if review.version and said == before:
        return review
    now = _sign(review, actor)
    review.save(update_fields=[*said, *WHO_AND_WHEN])
    late = review.version == 1 and now > review.due_at
    data = {"review": review.pk, "version": review.version, "late": late, **said}
    trail.record("implementation.review", actor=actor, change=change, data=data)
    close_if_nothing_owed(change)
    return review


ANSWER = "this is a major change; answer yes or no."
WHO_AND_WHEN = ("version", "written_by", "written_at", "revised_by", "revised_at", "writers")


@transaction.atomic
def confirm_review(*, actor: User, number: str, p0_justified: bool | None = None) -> Review:
    """Somebody who did not implement it agrees with the review; for a P0 they say whether P0 was
    justified (A13).
    """
    change = change_to_write(actor, number)
    case = Case(change, actor)
    raise_refusal(afterwards.confirmation_refusal(case))
    review = case.review
    assert review is not None
    if change.is_emergency and p0_justified is None:
        raise Invalid(
            fields={
                "p0_justified": "P0 justified: say whether it had to be an emergency, yes or no."
            }
        )
    review.confirmed_by, review.confirmed_at, review.p0_justified = (
        actor,
        timezone.now(),
        p0_justified,
    )
    review.save(update_fields=["confirmed_by", "confirmed_at", "p0_justified"])
    data = {"review": review.pk, "p0_justified": p0_justified}
    data |= actor.as_stand_in(*afterwards.JUSTIFYING) if change.is_emergency else {}
    trail.record("implementation.review_confirm", actor=actor, change=change, data=data)
    close_if_nothing_owed(change)
    return review


def _cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read like a change's fields, but for the date: one that has passed is right here, the work is
    done.
    """
    cleaned = cleaning.clean({key: said for key, said in values.items() if key != "requested_date"})
    if values.get("requested_date"):
        try:
            cleaned["requested_date"] = str(reading.calendar_day(values["requested_date"]))
        except reading.Wrong as problem:
            raise Invalid(fields={"requested_date": f"Requested date: {problem}"}) from None
    return cleaned


@transaction.atomic
def document(*, actor: User, number: str, values: Mapping[str, Any]) -> Documentation:
    """Supply what a P0 left out before its authorisation (R5, A22), as a version of its own; the
    authorised content stays.
    """
    change = change_to_write(actor, number)
    case = Case(change, actor)
    raise_refusal(afterwards.documentation_refusal(case))
    if unknown := set(values) - set(content.DOCUMENTATION) - {"users_affected", "downtime_minutes"}:
        raise Invalid(
            fields={
                name: f"{cleaning.label(name)}: this was authorised and is not changed afterwards."
                for name in unknown
            }
        )
    cleaned = _cleaned(values)
    last = change.documentation.order_by("-version").first()
    kept = Documentation.objects.create(
        change=change,
        version=(last.version if last else 0) + 1,
        values={**(last.values if last else {}), **cleaned},
        by=actor,
        at=timezone.now(),
    )
    late = case.review is not None and kept.at > case.review.due_at
    said = {"fields": sorted(cleaned), "late": late, "content": content.as_data(cleaned)}
    data = {"version": kept.version, **said}
    trail.record("implementation.document", actor=actor, change=change, data=data)
    close_if_nothing_owed(change)
    return kept


@transaction.atomic
def close(*, actor: User, number: str) -> ChangeRequest:
    """Close an ended change by hand, once nothing is owed (A13)."""
    change = change_to_write(actor, number)
    raise_refusal(afterwards.close_refusal(Case(change, actor)))
    lifecycle.perform(change, "close", actor=actor)
    return change


def close_if_nothing_owed(change: ChangeRequest, actor: User | None = None) -> None:
    """A change closes in the transaction that brings the last thing owed."""
    # What is owed is the same whoever asks.
    if change.state in (State.COMPLETED, State.ROLLED_BACK, State.FAILED) and not afterwards.owed(
        Case(change, change.requester)
    ):
        lifecycle.perform(change, "close", actor=None)


#: Whose homes a review's confirmation waits on, though anybody who had no hand in the change may
#: give it.
CONFIRMING = (
    Role.TECH_LEAD,
    Role.CTO,
    Role.CHANGE_MANAGER,
    Role.DEVOPS_LEAD,
    Role.ENGINEERING_MANAGER,
)


def waiting_for(user: User) -> QuerySet[Review]:
    """Reviews that this person has to write as implementer, or could confirm (A13, A37):
    `afterwards.confirmation_refusal` as one query.
    """
    open_ones = Review.objects.filter(
        superseded=False, confirmed_at__isnull=True, change__state__in=ENDED - {State.CLOSED}
    )
    hand = Event.objects.filter(change_id=OuterRef("change_id"), action__in=apart.RAN, actor=user)
    author = Author.objects.filter(change=OuterRef("change_id"), user=user)
    given = Decision.objects.filter(change=OuterRef("change_id"), step__kind=policy.EMERGENCY)
    authorised = given.filter(Q(actor=user) | Q(on_behalf_of=user))
    apart_from_it: Any = (
        ~Q(writers__contains=[user.pk])
        & ~Q(change__implementer=user)
        & ~Q(change__requester=user)
        & ~Exists(hand)
        & ~Exists(author)
    )
    emergency, undone = (
        Q(change__priority="P0"),
        Q(change__outcome__in=[State.ROLLED_BACK, State.FAILED]),
    )
    wanted: Any = Q(written_at__isnull=True, change__implementer=user) & ~Q(change__requester=user)
    if user.has_role(*afterwards.JUSTIFYING):
        wanted |= Q(written_at__isnull=False) & apart_from_it & emergency & ~Exists(authorised)
    if user.has_role(*CONFIRMING):
        wanted |= Q(written_at__isnull=False) & apart_from_it & ~emergency & undone
    return (
        open_ones.filter(wanted, change__in=ChangeRequest.objects.visible_to(user))
        .select_related("change")
        .order_by("due_at", "id")
    )


def mark_overdue(review: Review) -> None:
    """A review that was not written in time: escalated once (A13)."""
    review.overdue_at = timezone.now()
    review.save(update_fields=["overdue_at"])
    trail.record(
        "implementation.review_overdue",
        change=review.change,
        data={"review": review.pk, "due_at": review.due_at.isoformat()},
    )
    subject = f"{review.change.number}: its review is overdue since {say_instant(review.due_at)}"
    _escalate(
        review,
        "review_overdue",
        subject,
        "ended without a post-implementation review within 24 hours.",
    )


def mark_documentation_overdue(review: Review) -> bool:
    """An emergency's missing fields have the review's deadline; late ones are escalated once (A13,
    A22). False if none is owed.
    """
    change = review.change
    fields = afterwards.documentation_owed(Case(change, change.requester))
    if not fields:
        return False
    review.documentation_overdue_at = timezone.now()
    review.save(update_fields=["documentation_overdue_at"])
    trail.record(
        "implementation.documentation_overdue",
        change=change,
        data={"fields": fields, "due_at": review.due_at.isoformat()},
    )
    subject = f"{change.number}: its documentation is overdue since {say_instant(review.due_at)}"
    labels = ", ".join(content.BY_NAME[name].label.lower() for name in fields)
    _escalate(
        review, "documentation_overdue", subject, f"was an emergency, and still lacks: {labels}."
    )
    return True


def _escalate(review: Review, kind: str, subject: str, what: str) -> None:
    change = review.change
    managers = User.objects.filter(groups__name=Role.CHANGE_MANAGER, is_active=True)
    people = [person for person in (change.implementer, change.requester, *managers) if person]
    outbox.tell(
        people,
        kind=kind,
        occasion=f"{review.pk}",
        change=change,
        subject=subject,
        body=f"“{change.summary}” {what}",
    )
