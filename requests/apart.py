"""Acts on one change that take two people, whoever clicks and in whichever order (A27, A37).

Whoever *judged* a change (overrode a conflict for it, granted its freeze exception, made the
opening it runs in, lowered its risk, accepted a failed check, confirmed its review) is none of
those who *have a hand* in it (requested, edited, started, took over), then or later. Both sides are
read here from the trail, so that no app need know another's acts. The sole approver of the last
stage, who may not start either, is `implementation.run.guards`'.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from audit.models import Event
from language.refusal import Reason

if TYPE_CHECKING:
    from accounts.models import User
    from requests.models import ChangeRequest

#: What makes somebody one who runs the change.
RAN = tuple(
    f"change.{verb}"
    for verb in ("start", "take_over", "finish", "complete", "roll_back", "finish_rollback", "fail")
)
#: action → what whoever did it has done
JUDGING = {
    "change.schedule": "overrode a conflict for it",
    "change.reschedule": "overrode a conflict for it",
    "change.freeze_exception": "granted its freeze exception",
    "implementation.check_accept": "accepted a failed check of it",
    "implementation.review_confirm": "confirmed its review",
}


def runners_of(change: ChangeRequest) -> frozenset[int]:
    """Keys of whoever implements it, started it, took it over or ran any of it. One query."""
    ran = Event.objects.filter(
        change_id=change.pk, action__in=RAN, actor__isnull=False
    ).values_list("actor", flat=True)
    return frozenset(key for key in {change.implementer_id, *ran} if key)


def hands_in(change: ChangeRequest) -> frozenset[int]:
    """Those and everybody who requested or edited it. Two queries."""
    return runners_of(change) | {
        change.requester_id,
        *change.authors.values_list("user", flat=True),
    }


def hand_refusal(
    change: ChangeRequest, person: User, what: str, hands: Collection[int] | None = None
) -> list[Reason]:
    """Why this person may not judge: they have a hand in the change. `what` is the act, as in
    “overrides a conflict”.
    """
    if person.pk not in (hands_in(change) if hands is None else hands):
        return []
    return [
        Reason(
            "own_change",
            f"Whoever requested, edited or implements a change {what} no more: it takes a second"
            " person.",
        )
    ]


def judged(change: ChangeRequest, person: User) -> str:
    """What this person has judged of the change, or nothing. One query."""
    if change.assessed_by_id == person.pk:
        return "lowered its risk"
    events = Event.objects.filter(change_id=change.pk).filter(
        Q(actor=person, action__in=JUDGING) | Q(action__in=BOOKING)
    )
    said, opened = "", False
    for event in events.order_by("id").only("action", "actor", "data"):
        if event.action in BOOKING:
            opened = person.pk in event.data.get("opened_by", ())  # the slot it has now counts
        if event.actor_id == person.pk and _counts(event):
            said = said or JUDGING[event.action]
    return said or ("made the one-off opening that it runs in" if opened else "")


BOOKING = ("change.schedule", "change.reschedule")


def _counts(event: Event) -> bool:
    data: dict[str, Any] = event.data
    return event.action in JUDGING and (event.action not in BOOKING or bool(data.get("overridden")))


def judge_refusal(change: ChangeRequest, person: User, what: str) -> list[Reason]:
    """Why this person may not request, edit or implement it: they have judged it. `what` is the
    act, as in “starts”.
    """
    done = judged(change, person)
    return [Reason("judged", f"{person} {done}; somebody else {what} it.")] if done else []
