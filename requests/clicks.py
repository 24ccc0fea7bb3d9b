"""Clicks on a change itself and on the conversation about it."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from requests import changes, cleaning, sharing, watching
from requests.models import Comment
from web.clicks import Posted, click


@click("transfer", "Handed over.")
def transfer(actor: User, number: str, posted: Posted) -> Any:
    return changes.transfer(
        actor=actor, number=number, requester=cleaning.username_of(posted.text("requester").strip())
    )


@click(
    "clone",
    lambda copy: f"{copy.number} is a draft copy; what it was copied from stays as it is.",
    lands=lambda copy: f"/changes/{copy.number}/edit",
)
def clone(actor: User, number: str, posted: Posted) -> Any:
    return changes.clone(actor=actor, number=number)


@click(
    "split",
    lambda part: (
        f"{part.number} is the next part and waits for the one before it. Shorten both until each"
        " fits."
    ),
    lands=lambda part: f"/changes/{part.number}/edit",
)
def split(actor: User, number: str, posted: Posted) -> Any:
    return changes.split(actor=actor, number=number)


@click("watch", "You are told how it goes on.")
def watch(actor: User, number: str, posted: Posted) -> Any:
    return watching.watch(actor=actor, number=number)


@click("unwatch", "You are not told any more.")
def unwatch(actor: User, number: str, posted: Posted) -> Any:
    return watching.unwatch(actor=actor, number=number)


@click("grant", lambda to: f"{to} may see it from now on.")
def grant(actor: User, number: str, posted: Posted) -> Any:
    to = cleaning.username_of(posted.text("to").strip()) or posted.text("role")
    return sharing.grant(actor=actor, number=number, to=to)


@click("ungrant", "The grant is taken back.")
def ungrant(actor: User, number: str, posted: Posted) -> Any:
    return sharing.withdraw(actor=actor, number=number, to=posted.text("to"))


def commented(comment: Comment) -> str:
    """Whom it tells besides the change's people, and which @names it could not."""
    told, nobody = watching.whom(comment)
    sentence = "Your comment is there." + (f" Told: {', '.join(map(str, told))}." if told else "")
    unseen = ", ".join(f"@{name}" for name in nobody)
    return sentence + (
        f" Not told, for nobody of that name may see this change: {unseen}." if nobody else ""
    )


@click("comment", commented, anchor="#activity")
def comment(actor: User, number: str, posted: Posted) -> Any:
    return changes.comment(actor=actor, number=number, text=posted.text("text"))
