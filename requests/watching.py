"""Watching a change, and mentioning people in its comments: who is told besides those whom it
concerns (issue 3 item 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db import transaction

from accounts.models import User
from notifications import outbox
from requests import access
from requests.models import ChangeRequest, Comment, Watch
from requests.states import State

MENTION = re.compile(r"(?<![\w.@/+-])@([\w.@+-]{1,150})")
MOST = 20  # people mentioned in one comment
#: What watchers are told: the moves that somebody outside would ask about.
WATCHED = (
    *("submit", "approve", "reject", "escalate", "cancel", "schedule", "reschedule", "unschedule"),
    *("start", "complete", "roll_back", "finish_rollback", "fail", "close"),
)


@transaction.atomic
def watch(*, actor: User, number: str) -> ChangeRequest:
    """Be told how a change goes on. Whoever may see it may watch it; nothing of it changes."""
    change = access.change_for(actor, number)
    Watch.objects.get_or_create(change=change, user=actor)
    return change


@transaction.atomic
def unwatch(*, actor: User, number: str) -> ChangeRequest:
    """No more mails about it but those that concern one's part in it."""
    change = access.change_for(actor, number)
    Watch.objects.filter(change=change, user=actor).delete()
    return change


def moved(name: str, change: ChangeRequest, actor: User | None) -> None:
    """A transition was made: its watchers are told, whom it concerns anyway is not told twice."""
    told_anyway = {change.requester_id, change.implementer_id, actor.pk if actor else None}
    people = [person for person in _watchers(change) if person.pk not in told_anyway]
    by = f" by {actor}" if actor else ""
    outbox.tell(
        people,
        kind="watched",
        occasion=f"{name} {change.updated_at.isoformat()}",
        change=change,
        subject=f"{change.number} is now {State(change.state).label.lower()}",
        body=f"“{change.summary}”, {name.replace('_', ' ')}{by}. You watch this change.",
    )


def commented(comment: Comment) -> None:
    """A comment tells the change's people, its watchers, and whoever it mentions; only those who
    may see the change.
    """
    change, author = comment.change, comment.author
    mentioned, _ = whom(comment)
    people = [person for person in (change.requester, change.implementer) if person]
    others = {
        person.pk: person for person in [*people, *_watchers(change)] if person not in mentioned
    }
    for kind, told, word in (
        ("mention", mentioned, "mentions you on"),
        ("comment", list(others.values()), "comments on"),
    ):
        outbox.tell(
            [person for person in told if person != author],
            kind=kind,
            occasion=f"{comment.pk}",
            change=change,
            subject=f"{author} {word} {change.number}",
            body=comment.text,
        )


def whom(comment: Comment) -> tuple[list[User], list[str]]:
    """The people whom a comment mentions and tells, and the names that mean nobody, or nobody who
    may see the change.
    """
    names = mentions(comment.text)
    told = (
        visible(comment.change, User.objects.filter(username__in=names, is_active=True))
        if names
        else []
    )
    return told, [name for name in names if name not in {person.username for person in told}]


def mentions(text: str) -> list[str]:
    """Usernames after an @, each once, in order; a full stop that ends a sentence is none of
    theirs.
    """
    return list(dict.fromkeys(found.rstrip(".") for found in MENTION.findall(text)))[:MOST]


def _watchers(change: ChangeRequest) -> list[User]:
    return visible(change, User.objects.filter(watches__change=change, is_active=True))


def visible(change: ChangeRequest, people: Iterable[User]) -> list[User]:
    """Those of them who may see the change now."""
    return [person for person in people if access.may_see(person, change)]
