"""An emergency that is filed while it is worked on, or afterwards, with its real times (A33 b)."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.roles import Role
from approvals.deciding import late_records, ratification
from approvals.rounds import rounds
from audit import trail
from language import reading
from language.refusal import Reason, raise_refusal
from language.say import say_instant
from notifications import outbox
from requests import access, lifecycle
from requests.models import ChangeRequest


def record(change: ChangeRequest, actor: User) -> list[Reason]:
    """Move a locked, complete draft to where its work stands; its authorisation opens as a
    ratification. Runs within `submit`.

    Returns why it cannot be yet, having asked whoever can change that.
    """
    assert change.actual_start is not None
    if late_records.needs_acceptance(change):
        _ask_to_accept(change, actor)
        return late_records.refusal(change)
    now, ended = timezone.now(), change.actual_end
    facts: dict[str, Any] = {
        "actual_start": change.actual_start.isoformat(),
        "round": change.round + 1,
    }
    facts |= {
        "content_hash": change.content_hash,
        "unauthorised": True,
        "late": late_records.is_late(change),
    }
    if ended:
        facts |= {
            "actual_end": ended.isoformat(),
            "hours_after_end": round((now - ended).total_seconds() / 3600, 1),
        }
    facts |= {"no_way_back": change.no_way_back} if change.no_way_back else {}
    if change.implementer_id is None and actor.is_devops:
        change.implementer = actor
    lifecycle.perform(change, "record", actor=actor, **facts)
    rounds.open_round(change)
    said = f"ended {say_instant(ended)}" if ended else "is running"
    subject = (
        f"{change.number}: {actor} has recorded an emergency that began"
        f" {say_instant(change.actual_start)}"
    )
    ratification.ask_afterwards(
        change, kind="recorded", subject=subject, body=f"“{change.summary}” {said}."
    )
    return []


def after_people_changed(**_: Any) -> None:
    """Whoever has become able to accept a late record is told of those that wait; whoever was told
    is not told again.
    """
    for change in (
        late_records.asked_for()
        .select_related("requester")
        .order_by("late_record_asked_at", "id")[:50]
    ):
        _tell_of(change)


def _ask_to_accept(change: ChangeRequest, actor: User) -> None:
    assert change.actual_start is not None
    change.late_record_asked_at = timezone.now()
    change.save(update_fields=["late_record_asked_at"])
    trail.record(
        "change.late_record_ask",
        actor=actor,
        change=change,
        data={"actual_start": change.actual_start.isoformat()},
    )
    _tell_of(change)


def _tell_of(change: ChangeRequest) -> None:
    assert change.actual_start is not None
    actor = change.requester
    outbox.tell(
        late_records.could_accept(change),
        kind="late_record",
        occasion="asked",
        change=change,
        subject=(
            f"{change.number}: {actor} asks to record an emergency that began"
            f" {say_instant(change.actual_start)}"
        ),
        body=(
            f"“{change.summary}”. Accept on its page that it is recorded late, or talk to {actor}."
        ),
    )


@transaction.atomic
def accept_late(*, actor: User, number: str, reason: str) -> ChangeRequest:
    """A change manager lets an emergency be recorded more than 72 hours after it began; the report
    says so.
    """
    change = access.change_to_write(actor, number)
    raise_refusal(late_records.accept_refusal(change, actor))
    change.late_record_accepted_by = actor
    change.save(update_fields=["late_record_accepted_by"])
    said = reading.said("reason", reason, "Reason", "say why it is recorded only now.")
    trail.record(
        "change.late_record_accept",
        actor=actor,
        change=change,
        data={"reason": said, **actor.as_stand_in(Role.CHANGE_MANAGER)},
    )
    outbox.tell(
        [change.requester],
        kind="late_record",
        occasion="accepted",
        change=change,
        subject=f"{change.number}: {actor} accepts that it is recorded late",
        body="Submit it again.",
    )
    return change
