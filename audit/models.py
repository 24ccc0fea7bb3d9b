"""The trail's tables."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Something that happened, once, for ever. The database refuses UPDATE, DELETE and TRUNCATE (migration 0002).

    People stand here as keys only, so that a name or an address can be changed or erased where it is kept.
    """

    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    change_id = models.BigIntegerField(null=True, help_text="Key of the change that it belongs to, if any.")
    data = models.JSONField(default=dict)
    via = models.CharField(max_length=20, default="system", help_text="page, api, token:<id>, system")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["change_id", "id"]),
            models.Index(fields=["actor", "id"]),
            models.Index(fields=["action", "id"]),
            models.Index(fields=["at", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.at:%Y-%m-%d %H:%M:%S}"


class Link(models.Model):
    """An event's place in the hash chain, made by the database when the event's transaction commits."""

    position = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, related_name="link")
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.position}: {self.hash[:12]}"


class Head(models.Model):
    """Where the chain ends: one row, locked for the moment of a commit. Made on first use."""

    only_row = models.BooleanField(primary_key=True, default=True)
    position = models.BigIntegerField()
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(name="audit_has_one_head", condition=models.Q(only_row=True))]

    def __str__(self) -> str:
        return f"{self.position}: {self.hash[:12]}"
