"""Celery: wake-ups only. What is due stands in the database; losing the broker loses nothing."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "changemgmt.settings.dev")

app = Celery("changemgmt")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["changemgmt"])
