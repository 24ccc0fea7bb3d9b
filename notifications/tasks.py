"""Celery's side of the outbox."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

from celery import shared_task
from django.conf import settings

from notifications import services

log = logging.getLogger(__name__)


@shared_task
def deliver() -> int:
    """Send whatever is due."""
    return services.deliver_due()


def wake() -> None:
    """Ask a worker to deliver now. Best effort: without a broker the tick delivers within half a minute of its return."""
    broker = urlsplit(settings.CELERY_BROKER_URL)
    try:
        # A raw socket first: the Redis client would retry a refused connection for minutes, inside somebody's request.
        socket.create_connection((broker.hostname or "127.0.0.1", broker.port or 6379), timeout=0.5).close()
        deliver.apply_async(retry=False, ignore_result=True)
    except Exception as problem:
        log.warning("No wake-up sent, the tick will deliver: %s", problem)
