"""The one door through which a change moves: `perform`. Nobody else calls a transition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django_fsm import can_proceed

from audit import trail
from language.refusal import Blocked, Reason
from requests.models import ChangeRequest
from requests.states import TRANSITIONS, State

if TYPE_CHECKING:
    from accounts.models import User

LABELS = {
    "submit": "Submit for review",
    "request_changes": "Request changes",
    "reject": "Reject",
    "approve": "Approve",
    "revise": "Revise",
    "record": "Record what has begun",
    "expire": "Let the authorisation lapse",
    "lapse": "Let the approval lapse",
    "escalate": "Raise to P0",
    "schedule": "Book a slot",
    "reschedule": "Move to another slot",
    "unschedule": "Give up the slot",
    "start": "Start",
    "finish": "Finish",
    "complete": "Complete",
    "roll_back": "Roll back",
    "finish_rollback": "Finish the rollback",
    "fail": "Record as failed",
    "close": "Close",
    "cancel": "Cancel",
}

#: What going back is called where there is no way back (A46).
FORWARDS = {"roll_back": "Recover", "finish_rollback": "Finish the recovery"}


def label(change: ChangeRequest, name: str) -> str:
    """A transition's button; a change without a way back recovers instead of rolling back (A46)."""
    return FORWARDS.get(name, LABELS[name]) if change.no_way_back else LABELS[name]


Follower = Callable[[ChangeRequest, "User | None"], None]
_followers: dict[str, list[Follower]] = defaultdict(list)


def follow(happening: str, follower: Follower) -> None:
    """Let what stands above answer, in the same transaction, to what happened here; registered in
    `changemgmt/wiring.py` alone.
    """
    _followers[happening].append(follower)


def followers() -> dict[str, list[Follower]]:
    """Who follows what, in order."""
    return {happening: list(found) for happening, found in _followers.items()}


def tell(happening: str, change: ChangeRequest, actor: User | None) -> None:
    """Let every follower of a happening, in the order of `changemgmt/wiring.py`, do its part."""
    for follower in _followers.get(happening, ()):
        follower(change, actor)


def state_refusal(change: ChangeRequest, name: str) -> list[Reason]:
    """Why the state alone forbids the transition; empty when it does not."""
    sources, _ = TRANSITIONS[name]
    if change.state in sources:
        return []
    allowed = " or ".join(State(source).label.lower() for source in sources)
    now = State(change.state).label.lower()
    return [
        Reason(
            "state",
            f"{change.number} is {now}; “{label(change, name)}” is possible when it is {allowed}.",
        )
    ]


def perform(change: ChangeRequest, name: str, *, actor: User | None, **data: Any) -> None:
    """Move a locked change by one transition, save it, and record the event `change.<name>`, all in
    the caller's transaction.

    Raises Blocked when the state does not allow it. `data` goes into the event: reason, round,
    outcome.
    """
    if refusal := state_refusal(change, name):
        raise Blocked(refusal)
    move = getattr(change, name)
    if not can_proceed(move):
        raise Blocked(
            [Reason("state", f"{change.number} cannot {label(change, name).lower()} now.")]
        )
    source = change.state
    move(at=timezone.now())
    change.updated_at = timezone.now()
    change.save()
    trail.record(
        f"change.{name}",
        actor=actor,
        change=change,
        data={"from": source, "to": change.state, **data},
    )
    tell(name, change, actor)
