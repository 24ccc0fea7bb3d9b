"""Celery's side of the outbox."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

from celery import shared_task
from django.conf import settings

from notifications import outbox

log = logging.getLogger(__name__)


@shared_task
def deliver() -> int:
    """Send whatever is due."""
    return outbox.deliver_due()


def broker_answers(url: str, within: float = 0.5) -> bool:
    """Whether something listens where the broker should. A raw socket: the Redis client would retry
    a refusal for minutes.
    """
    broker = urlsplit(url)
    try:
        socket.create_connection(
            (broker.hostname or "127.0.0.1", broker.port or 6379), timeout=within
        ).close()
    except OSError:
        return False
    return True


def wake() -> None:
    """Ask a worker to deliver now. Best effort: without a broker the tick delivers within half a
    minute of its return.
    """
    if not broker_answers(settings.CELERY_BROKER_URL):
        log.warning("No wake-up sent, the tick will deliver: the broker does not answer")
        return
    try:
        deliver.apply_async(retry=False, ignore_result=True)
    except Exception as problem:
        log.warning("No wake-up sent, the tick will deliver: %s", problem)
