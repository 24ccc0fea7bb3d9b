"""The outbox over a real SMTP server (F3-F5, F9, F10; promise 5)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from notifications import outbox, tasks
from notifications.models import Message


class Kept:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 OK"


@pytest.fixture
def sink(settings: Any) -> Iterator[Kept]:
    kept = Kept()
    controller = Controller(kept, hostname="127.0.0.1", port=0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    yield kept
    controller.stop()


def say(occasion: str) -> None:
    outbox.tell(
        [User.objects.get(username="engineer")],
        kind="test",
        occasion=occasion,
        subject="Hello\r\nBcc: x@example.com",
        body="Text",
    )


@pytest.mark.django_db
def test_one_occasion_is_one_message_and_goes_out_once(sink: Kept) -> None:
    say("a")
    say("a")
    assert [outbox.deliver_due(), outbox.deliver_due()] == [1, 0]
    assert len(sink.mails) == 1
    assert b"Subject: Hello Bcc: x@example.com" in sink.mails[0], "no header is smuggled in (F51)"


@pytest.mark.django_db
def test_what_is_rolled_back_was_never_said(sink: Kept) -> None:
    """F9."""
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        say("b")
        raise ZeroDivisionError
    assert outbox.deliver_due() == 0
    assert sink.mails == []


@pytest.mark.django_db
def test_a_dead_mail_server_only_delays(settings: Any, at: Any) -> None:
    """F10: tried again with patience, given up after a day of trying, in the trail; until then it
    can be withdrawn.
    """
    from audit.models import Event

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    at("2026-10-01T09:00Z")
    say("c")
    assert outbox.deliver_due() == 0
    message = Message.objects.get()
    assert (message.state, message.attempts) == ("due", 1)
    assert outbox.deliver_due() == 0
    assert Message.objects.get().attempts == 1, "not before its wait is over"
    at("2026-10-01T09:00:31Z")
    outbox.deliver_due()
    assert Message.objects.get().attempts == 2
    at("2026-10-05T09:00Z")  # days without a worker are no days of trying
    outbox.deliver_due()
    assert (Message.objects.get().state, Message.objects.get().attempts) == ("due", 3)
    for tries in range(1, 28):
        at((datetime(2026, 10, 5, 9, tzinfo=UTC) + tries * timedelta(minutes=61)).isoformat())
        outbox.deliver_due()
    message = Message.objects.get()
    assert (message.state, message.attempts) == ("dead", outbox.GIVE_UP_AFTER)
    assert Event.objects.filter(action="message.given_up").count() == 1


@pytest.mark.django_db
def test_a_message_that_failed_once_can_still_be_withdrawn(settings: Any, at: Any) -> None:
    """F10, F12: what is no longer true is not sent when the mail server comes back."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    at("2026-10-01T09:00Z")
    say("d")
    outbox.deliver_due()
    Message.objects.update(change_id=7)
    outbox.withdraw(change_id=7, kind=Message.objects.get().kind)
    assert Message.objects.get().state == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_four_workers_send_each_message_once(sink: Kept) -> None:
    """F5: a claim is a conditional update; whoever comes second has nothing to do."""
    for index in range(20):
        say(f"m{index}")

    def deliver(_: int) -> int:
        try:
            return outbox.deliver_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        sent = sum(pool.map(deliver, range(4)))
    assert sent == 20
    assert len(sink.mails) == 20
    assert Message.objects.filter(state="sent").count() == 20


@pytest.mark.django_db
def test_a_worker_that_dies_while_sending_loses_nothing(sink: Kept, at: Any) -> None:
    """F1, F2: its lease runs out and the next one sends."""
    at("2026-10-01T09:00Z")
    say("d")
    assert outbox.claim(Message.objects.get().pk) is not None
    assert outbox.deliver_due() == 0
    at("2026-10-01T09:02:01Z")
    assert outbox.deliver_due() == 1
    assert Message.objects.get().late is True
    assert b"This message comes late: it was due on Thu 1 Oct 2026, 09:00 UTC." in sink.mails[0]


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_a_submission_still_succeeds_at_once(settings: Any) -> None:
    """F4: the wake-up is best effort; the row is the truth."""
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
    started = timezone.now()
    say("e")
    tasks.wake()
    assert (timezone.now() - started).total_seconds() < 2
    assert Message.objects.filter(state="due").count() == 1
