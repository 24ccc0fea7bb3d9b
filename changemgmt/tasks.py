"""Celery's side of the tick."""

from __future__ import annotations

from celery import shared_task

from changemgmt import tick as ticking


@shared_task
def tick() -> dict[str, int]:
    """Do everything that is due now."""
    return ticking.tick()
