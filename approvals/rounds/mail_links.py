"""The link in an approver's mail: bound to person, step and content, short-lived, dead once any of
them has moved on (issue 3 item 7).

It opens a page and decides nothing: whoever follows it is asked to sign in as the person it was
sent to, and presses a button there. A scanner that follows links changes nothing. It is used up by
its verdict, for a step takes one from each person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.utils import timezone

from accounts.models import User
from approvals.models import Step
from language.refusal import Blocked, Missing, NotYours, Reason
from language.say import say_instant

SALT = "approvals.mail"
MARK = 16  # letters of the content's hash: enough to tell two contents of one change apart


@dataclass(frozen=True)
class Link:
    """What a link says: which step, for whom, of which content."""

    step: int
    person: int
    mark: str


def path_for(step: Step) -> Callable[[User], str]:
    """Person → the address that their mail about this step carries."""

    def path(person: User) -> str:
        meant = [step.pk, person.pk, step.change.content_hash[:MARK]]
        return f"/approvals/mail/{signing.dumps(meant, salt=SALT)}/"

    return path


def invitation(step: Step) -> str:
    """The end of such a mail's text, before the link."""
    until = say_instant(timezone.now() + settings.MAIL_LINK_LIFETIME)
    return (
        f"\n\nThe change: {settings.BASE_URL}{step.change.get_absolute_url()}\nDecide, signed in as"
        f" yourself (this link works until {until}):"
    )


def read(token: str, reader: User) -> Link:
    """What the link says. Raises Missing for one that we never wrote, Blocked when it has expired,
    NotYours for another person's.
    """
    try:
        link = Link(*signing.loads(token, salt=SALT))
    except (signing.BadSignature, TypeError, ValueError):
        raise Missing(
            [Reason("missing", "This link is not complete; copy all of it from the mail.")]
        ) from None
    if link.person != reader.pk:
        raise NotYours(
            [
                Reason(
                    "not_yours",
                    "This link was sent to somebody else; it works for the person whose mail it"
                    " was in.",
                )
            ]
        )
    try:
        signing.loads(token, salt=SALT, max_age=settings.MAIL_LINK_LIFETIME)
    except signing.SignatureExpired:
        raise Blocked(
            [
                Reason(
                    "expired",
                    "This link has expired. Whatever still waits for you is in your queue, under"
                    " Approvals.",
                )
            ]
        ) from None
    return link


def check_content(link: Link, step: Step) -> None:
    """Raises Blocked when the content is another than the mail was about, or belongs to a round
    that is over.
    """
    if step.change.content_hash[:MARK] != link.mark:
        number = step.change.number
        raise Blocked(
            [
                Reason(
                    "edited",
                    f"{number} was edited after this mail was sent, which began a new round; a new"
                    " mail asks for that.",
                )
            ]
        )
