"""What a change needs of others (A38): written without rings, told when it moves, and said in words
when it will not come.

A number among the dependencies is a link (`ChangeRequest.depends_on`), any other text is text
(contract). Drafts count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from django.db import connection

from accounts.models import User
from audit.models import Event
from language.refusal import Invalid
from language.say import say_span
from notifications import outbox
from requests import watching
from requests.models import ChangeRequest
from requests.states import EDITABLE, RUNNING, State

#: transition of a needed change → what those who need it are told of it
MOVED = {
    "cancel": "was cancelled",
    "reject": "was rejected",
    "fail": "failed",
    "roll_back": "is being rolled back",
    "reschedule": "was moved",
    "unschedule": "lost its slot",
    "revise": "is approved anew; it has no slot for certain",
    "escalate": "became an emergency; its slot is given up",
    "expire": "lost its authorisation and its slot",
    "lapse": "lost its approval",
}
ENDED_OTHERWISE = {
    State.CANCELLED: "was cancelled",
    State.REJECTED: "was rejected",
    State.ROLLING_BACK: "is being rolled back",
    State.ROLLED_BACK: "was rolled back",
    State.FAILED: "failed",
}
#: those of them that move others only where a slot is lost by them
BY_SLOT = frozenset({"revise", "escalate", "expire"})
REMEDY = "Take it out of the dependencies, or name the change that takes its place."


def ended_otherwise(needed: ChangeRequest) -> str:
    """How a needed change ended that will not be completed: `was cancelled`; empty while it may
    still be, or is.
    """
    return ENDED_OTHERWISE.get(
        (
            State(needed.outcome or needed.state)
            if needed.state == State.CLOSED
            else State(needed.state)
        ),
        "",
    )


def check_no_ring(change: ChangeRequest, needed: Iterable[ChangeRequest], actor: User) -> None:
    """A change never needs itself, also not round a ring; raises Invalid, naming it. Writers of
    dependencies take turns.
    """
    first = [other.pk for other in needed]
    if not first or not change.pk:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('dependencies'))")
    if ring := _way_back(change.pk, first):
        seen = dict(
            ChangeRequest.objects.visible_to(actor).filter(pk__in=ring).values_list("pk", "number")
        )
        names = [seen.get(key, "a confidential change") for key in ring]
        said = "; ".join(
            f"{one} needs {other}" for one, other in zip(names, [*names[1:], names[0]], strict=True)
        )
        text = "it needs itself" if len(ring) == 1 else f"it would need itself: {said}"
        raise Invalid(fields={"dependencies": f"Dependencies: {text}. Take one of them out."})


def _way_back(start: int, first: list[int]) -> list[int]:
    """The changes of the shortest ring from `start` over `first` back to it, `start` at its head;
    empty if there is none.
    """
    edges: dict[int, list[int]] = {start: first}
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE edge(one, other) AS ( SELECT from_changerequest_id, to_changerequest_id"
            " FROM requests_changerequest_depends_on WHERE from_changerequest_id = ANY(%s) UNION"
            " SELECT d.from_changerequest_id, d.to_changerequest_id FROM edge JOIN"
            " requests_changerequest_depends_on d ON d.from_changerequest_id = edge.other WHERE"
            " d.from_changerequest_id <> %s) SELECT one, other FROM edge",
            [first, start],
        )
        for one, other in cursor.fetchall():
            edges.setdefault(one, []).append(other)
    came_from, waiting = dict[int, int](), deque([start])
    while waiting:
        key = waiting.popleft()
        for other in edges.get(key, ()):
            if other == start:
                ring = [key]
                while ring[-1] != start:
                    ring.append(came_from[ring[-1]])
                return ring[::-1]
            if other not in came_from:
                came_from[other] = key
                waiting.append(other)
    return []


def moved(name: str, change: ChangeRequest, actor: User | None) -> None:
    """A needed change moved: the people of what needs it are told, one message a person and 15
    minutes.
    """
    lines: dict[int, list[str]] = {}
    needing = list(
        change.needed_by.filter(state__in=EDITABLE | RUNNING)
        .select_related("requester", "implementer")
        .order_by("pk")
    )
    if not needing or (name in BY_SLOT and not _had_a_slot(name, change)):
        return
    people = {
        p.pk: p
        for other in needing
        for p in (other.requester, other.implementer)
        if p and p != actor
    }
    seeing = {person.pk for person in watching.visible(change, people.values())}
    for other in needing:
        for key in people.keys() & {other.requester_id, other.implementer_id}:
            lines.setdefault(key, []).append(_line(name, change, other, may_see=key in seeing))
    for key in sorted(people):
        outbox.tell_together(
            people[key],
            kind="needed_moved",
            subject="What your changes need has moved",
            lines=list(dict.fromkeys(lines[key])),
        )


def _had_a_slot(name: str, change: ChangeRequest) -> bool:
    last = (
        Event.objects.filter(change_id=change.pk, action=f"change.{name}").order_by("-id").first()
    )
    return last is not None and last.data.get("from") == State.SCHEDULED


def _line(name: str, change: ChangeRequest, other: ChangeRequest, *, may_see: bool) -> str:
    slot = (
        f" to {say_span(change.slot_start, change.slot_end)}"
        if name == "reschedule" and change.slot_start and change.slot_end
        else ""
    )
    own = (
        f", booked for {say_span(other.slot_start, other.slot_end)}"
        if other.slot_start and other.slot_end
        else ""
    )
    remedy = f" {REMEDY}" if ended_otherwise(change) else ""
    return (
        f"{other.number}{own}, needs {change.number if may_see else 'a confidential change'}, which"
        f" {MOVED[name]}{slot}.{remedy}"
    )
