"""The composition root: settings, urls, API, Celery, the tick and set-up commands."""

from changemgmt import clock

# Before any other import of ours, so that nobody can have taken hold of Django's own `now` first.
clock.install()

from changemgmt.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
