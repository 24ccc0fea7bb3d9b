"""Celery's side of the tick."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from changemgmt import tick as ticking
from changemgmt.models import Heartbeat


@shared_task
def tick() -> dict[str, int]:
    """Do everything that is due now."""
    return ticking.tick()


@shared_task
def heartbeat(queue: str) -> None:
    """A worker takes from this queue: sent to each queue by beat, read by `/readyz` (F6)."""
    Heartbeat.beat(queue)


@worker_ready.connect
def catch_up(**kwargs: Any) -> None:
    """A worker that comes up looks at once what is due, instead of waiting for beat."""
    tick.apply_async(ignore_result=True)
    for queue in settings.QUEUES:
        heartbeat.apply_async((queue,), queue=queue, ignore_result=True)
