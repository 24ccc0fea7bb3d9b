"""Enqueue in the caller's transaction; claim by conditional update; send once; retry with
patience.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from audit import trail
from language import say
from notifications.models import Message

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=2)
LATE_AFTER = timedelta(minutes=1)
WAITS = (30, 60, 120, 300, 600, 1800, 3600)  # seconds before the next attempt; the last one repeats
GIVE_UP_AFTER = 30  # attempts: with these waits, a day of trying, however long nobody tried before
BATCH = 100


def _link(person: User, path: str | Callable[[User], str], change: Any) -> str:
    page = change.get_absolute_url() if change is not None else "/"
    return (path(person) if callable(path) else path) or page


def tell(
    people: Iterable[User],
    *,
    kind: str,
    occasion: str,
    subject: str,
    body: str,
    change: Any = None,
    due_at: datetime | None = None,
    path: str | Callable[[User], str] = "",
    gather: bool = False,
) -> None:
    """Put one message per person into the outbox. The same kind, change, occasion and person are
    one message, however often said.

    With `gather` it waits for the person's mail of the day, unless they want each at once. `path`
    is what the message's link opens, the change's page if nothing is said; or says for each person
    what theirs opens.
    """
    now = timezone.now()
    subject = " ".join(subject.split())[:250]  # no line breaks into a mail header
    about = change.pk if change is not None else None
    told = {person.pk: person for person in people if person.is_active}
    messages = [
        Message(
            key=f"{kind}:{about or '-'}:{occasion}:{person.pk}"[:200],
            kind=kind,
            recipient=person,
            change_id=about,
            subject=subject,
            body=f"{body}\n\n{settings.BASE_URL}{_link(person, path, change)}\n",
            digest=gather and not person.mail_at_once,
            due_at=next_digest(now) if gather and not person.mail_at_once else due_at or now,
            created_at=now,
        )
        for person in told.values()
    ]
    if messages:
        Message.objects.bulk_create(messages, ignore_conflicts=True)
        nudge()


TOGETHER = timedelta(minutes=15)


def tell_together(
    person: User, *, kind: str, subject: str, lines: list[str], path: str = "/"
) -> None:
    """One message of the kind a person and 15 minutes: the first goes at once, what comes after
    waits and goes as one.

    In the caller's transaction; those who tell one person take turns.
    """
    if not person.is_active:
        return
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"{kind}:{person.pk}"])
    last = (
        Message.objects.select_for_update()
        .filter(kind=kind, recipient=person, due_at__gt=now - TOGETHER)
        .order_by("-due_at")
        .first()
    )
    if last and last.state == Message.State.DUE and last.due_at > now:
        known, _, link = last.body.rpartition("\n\n")
        last.body = (
            "\n".join([known, *(line for line in lines if line not in known)]) + f"\n\n{link}"
        )
        last.save(update_fields=["body"])
        return
    due = last.due_at + TOGETHER if last else now
    tell(
        [person],
        kind=kind,
        occasion=f"{due.isoformat()}",
        subject=subject,
        body="\n".join(lines),
        due_at=due,
        path=path,
    )


#: kind → says which of a person's gathered messages are still true and still theirs to read.
StillTrue = Callable[[User, list[Message]], set[int]]
_still_true: dict[str, StillTrue] = {}


def check_before_gathering(kind: str, check: StillTrue) -> None:
    """Registered once per kind by the app that tells it, when it is ready."""
    _still_true[kind] = check


def next_digest(now: datetime) -> datetime:
    """When the mail of the day goes out next."""
    today = now.replace(hour=settings.DIGEST_HOUR, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def send_digests() -> int:
    """The clock's duty: one mail to each person for whom something was gathered and is
    still true.
    """
    due = Message.objects.filter(digest=True, state=Message.State.DUE, due_at__lte=timezone.now())
    people = list(due.order_by("recipient").values_list("recipient", flat=True).distinct()[:BATCH])
    return sum(_gather(person) for person in people)


@transaction.atomic
def _gather(person: int) -> bool:
    due = Message.objects.filter(
        digest=True, state=Message.State.DUE, due_at__lte=timezone.now(), recipient=person
    )
    found = list(due.select_for_update().order_by("id"))
    reader = User.objects.get(pk=person)
    for kind, check in _still_true.items():
        true = check(reader, [message for message in found if message.kind == kind])
        gone = [message.pk for message in found if message.kind == kind and message.pk not in true]
        due.filter(pk__in=gone).update(state=Message.State.CANCELLED)
        found = [message for message in found if message.pk not in gone]
    if not found:
        return False
    many = len(found) > 1
    Message.objects.create(
        key=f"digest:{found[0].pk}",
        kind="digest",
        recipient_id=person,
        subject=f"{len(found)} approvals wait for you" if many else found[0].subject,
        body=(
            "\n\n".join(f"{message.subject}\n{message.body}" for message in found)
            if many
            else found[0].body
        ),
        due_at=found[0].due_at,
        created_at=timezone.now(),
    )
    due.filter(pk__in=[message.pk for message in found]).update(state=Message.State.GATHERED)
    nudge()
    return True


def nudge() -> None:
    """Wake the worker once this transaction has committed; if the broker is away, the tick delivers
    instead.
    """
    from notifications.tasks import wake

    transaction.on_commit(wake, robust=True)


def withdraw(*, change_id: int, kind: str, occasion: str = "", person: int | None = None) -> None:
    """What is no longer true is not sent any more: all of the kind about the change, or of one
    occasion, or to one person.
    """
    untrue = Message.objects.filter(change_id=change_id, kind=kind, state=Message.State.DUE)
    if occasion:
        untrue = untrue.filter(key__startswith=f"{kind}:{change_id}:{occasion}:")
    if person is not None:
        untrue = untrue.filter(recipient=person)
    untrue.update(state=Message.State.CANCELLED)


def deliver_due(limit: int = BATCH) -> int:
    """Send what is due, one claim at a time; returns how many were sent. Any number of workers may
    run it at once.
    """
    now = timezone.now()
    waiting = Message.objects.filter(_free(now), due_at__lte=now, digest=False)
    sent = 0
    for key in list(waiting.order_by("due_at", "id").values_list("pk", flat=True)[:limit]):
        if message := claim(key):
            sent += send(message)
    return sent


def _free(now: datetime) -> Q:
    """Due, its last attempt long enough ago; or claimed by somebody whose lease has run out."""
    waited = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    return Q(state__in=[Message.State.DUE, Message.State.SENDING]) & waited


def claim(pk: int) -> Message | None:
    """Take a message for ourselves, for the time of a lease; None if somebody else has it."""
    now = timezone.now()
    free = Message.objects.filter(_free(now), pk=pk)
    taken = free.update(
        state=Message.State.SENDING, lease_until=now + LEASE, attempts=F("attempts") + 1
    )
    return Message.objects.select_related("recipient").get(pk=pk) if taken else None


def send(message: Message) -> bool:
    """Hand one claimed message to the mail server. A failure puts it back for later; a day of
    failures gives it up, in the trail.
    """
    now = timezone.now()
    late = now - message.due_at > LATE_AFTER
    if not message.recipient.email or not message.recipient.is_active:
        return _settle(
            message, state=Message.State.DEAD, error="the person has no address or is deactivated"
        )
    mail = EmailMessage(
        subject=message.subject,
        body=(
            "This message comes late: it was due on"
            f" {say.say_instant(message.due_at)}.\n\n{message.body}"
            if late
            else message.body
        ),
        to=[message.recipient.email],
        # The key as Message-ID: a mail server or reader that sees it twice can tell.
        headers={
            "Message-ID": f"<{message.pk}.{message.created_at:%Y%m%d%H%M%S}@changemgmt>",
            "Auto-Submitted": "auto-generated",
        },
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as problem:
        log.warning("Message %s not sent: %s", message.pk, problem)
        if message.attempts >= GIVE_UP_AFTER:
            trail.record("message.given_up", data={"message": message.pk, "kind": message.kind})
            return _settle(message, state=Message.State.DEAD, error=str(problem)[:500])
        wait = timedelta(seconds=WAITS[min(message.attempts, len(WAITS)) - 1])
        # Due again, so that it can still be withdrawn, but not before the wait is over.
        return _settle(
            message, state=Message.State.DUE, error=str(problem)[:500], lease_until=now + wait
        )
    return _settle(message, state=Message.State.SENT, error="", sent_at=now, late=late)


def _settle(
    message: Message, *, state: str, lease_until: datetime | None = None, **values: Any
) -> bool:
    """Write how an attempt ended."""
    Message.objects.filter(pk=message.pk, state=Message.State.SENDING).update(
        state=state, lease_until=lease_until, **values
    )
    return state == Message.State.SENT
