"""What plain SQL could still do is found within a tick, and told to change managers and auditors
(X25).

It changes nothing: it compares what stands in the rows with what the trail says was done. Each
finding is an event, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Prefetch

from accounts.models import User
from accounts.roles import Role
from approvals.models import Step
from audit import trail
from audit.models import Event
from notifications import outbox
from requests.models import ChangeRequest
from requests.states import RUNNING, State

LOOKED_AT = (State.IN_REVIEW, State.APPROVED, State.SCHEDULED, *RUNNING)
AT_A_TIME = 5_000
ACTION = "integrity.fault"


@dataclass(frozen=True)
class Finding:
    """One thing that no verb of the application can have done. `mark` tells it from others of the
    same change.
    """

    change: int | None
    mark: str
    text: str


def findings() -> Iterator[Finding]:
    """Everything that does not fit. A fixed number of queries over what is under way."""
    yield from _rewritten()
    yield from _unheard_of()
    yield from _undecided()
    yield from _of_the_trail()


def _rewritten() -> Iterator[Finding]:
    """Content that is not what its fingerprint says; a requester who is none of its authors."""
    rows = ChangeRequest.objects.filter(
        state__in=LOOKED_AT, origin=ChangeRequest.Origin.APP
    ).exclude(content_hash="")
    rows = rows.prefetch_related("components", Prefetch("authors")).order_by("id")
    for change in rows[:AT_A_TIME]:
        fingerprint = change.fingerprint
        if fingerprint != change.content_hash:
            yield Finding(
                change.pk, f"content {fingerprint[:16]}", "its content was changed without an edit"
            )
        if change.requester_id not in {author.user_id for author in change.authors.all()}:
            yield Finding(
                change.pk, f"author {change.requester_id}", "its requester is not among its authors"
            )


#: What a row says against what the trail last said of it: (what, SQL of the row's value, actions,
#: SQL of the event's).
COMPARED = (
    (
        "state",
        "c.state",
        "e.data ? 'to' AND e.action LIKE 'change.%%' AND e.action <> 'change.transfer'",
        "e.data->>'to'",
    ),
    (
        "requester",
        "c.requester_id::text",
        "e.action IN ('change.create', 'change.transfer')",
        "CASE e.action WHEN 'change.transfer' THEN e.data->>'to' ELSE e.actor_id::text END",
    ),
)


def _unheard_of() -> Iterator[Finding]:
    """A state or requester that no event tells of."""
    for what, value, events, said in COMPARED:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT c.id, {value}, last.said FROM requests_changerequest c JOIN LATERAL ("  # noqa: S608
                f"  SELECT {said} AS said FROM audit_event e WHERE e.change_id = c.id AND {events}"
                " ORDER BY e.id DESC LIMIT 1"
                ") last ON true WHERE c.state = ANY(%s) AND c.origin = 'app' AND last.said IS"
                f" DISTINCT FROM {value} LIMIT 100",
                [[str(state) for state in LOOKED_AT]],
            )
            for key, now, before in cursor.fetchall():
                yield Finding(
                    key,
                    f"{what} {now}",
                    f"its {what} was changed without a word in the trail (it was {before})",
                )


def _undecided() -> Iterator[Finding]:
    """Steps that stand as approved without the decisions for it, and decisions that no event tells
    of.
    """
    approved = Step.objects.filter(
        state=Step.State.APPROVED,
        change__state__in=LOOKED_AT,
        change__origin=ChangeRequest.Origin.APP,
    )
    for step in approved.with_decisions().order_by("id")[:AT_A_TIME]:
        given = {
            d.principal_id: frozenset(d.roles_held)
            for d in step.decisions.all()
            if d.verdict == "approve"
        }
        if not step.quorum.is_met(given):
            yield Finding(
                step.change_id,
                f"step {step.pk}",
                f"its {step.label.lower()} stands as approved without the decisions for it",
            )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.change_id, d.id FROM approvals_decision d JOIN requests_changerequest c ON"
            " c.id = d.change_id WHERE c.state = ANY(%s) AND c.origin = 'app' AND NOT EXISTS"
            " (SELECT 1 FROM audit_event e WHERE e.change_id = d.change_id AND e.action ="
            " 'approval.decide' AND (e.data->>'decision')::bigint = d.id) LIMIT 100",
            [[str(state) for state in LOOKED_AT]],
        )
        for change, decision in cursor.fetchall():
            yield Finding(change, f"decision {decision}", "a decision on it stands in no event")


def _of_the_trail() -> Iterator[Finding]:
    """The end of the chain against its last link, without reading the chain."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT position FROM audit_link ORDER BY position DESC LIMIT 1), (SELECT"
            " position FROM audit_head), (SELECT l.hash = h.hash FROM audit_head h JOIN audit_link"
            " l ON l.position = h.position)"
        )
        last, head, same = cursor.fetchone()
    if last and (head != last or not same):
        yield Finding(
            None,
            f"head {head} of {last}",
            "the end of the audit trail is not where its last link is",
        )


def reconcile() -> int:
    """The clock's duty: tell what is new; how much that was."""
    return sum(_tell(found) for found in findings())


@transaction.atomic
def _tell(found: Finding) -> bool:
    if Event.objects.filter(action=ACTION, change_id=found.change, data__mark=found.mark).exists():
        return False
    change = ChangeRequest.objects.filter(pk=found.change).first() if found.change else None
    trail.record(ACTION, change=change, data={"mark": found.mark, "found": found.text})
    name = change.number if change else "The trail"
    outbox.tell(
        User.objects.filter(
            groups__name__in=[Role.CHANGE_MANAGER, Role.AUDITOR], is_active=True
        ).distinct(),
        kind="integrity",
        occasion=found.mark,
        change=change,
        subject=f"{name}: {found.text}",
        body=(
            "Nobody can have done this in the application: somebody has written to the database."
            " Nothing was put right by itself."
        ),
        path=change.get_absolute_url() if change else "/audit/",
    )
    return True
