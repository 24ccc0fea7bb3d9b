"""The components that changes touch, and the counter that numbers changes."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models


class Component(models.Model):
    """A system or service of the platform (R20), its owner and what it needs."""

    slug = models.CharField(
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(
                r"^[a-z0-9][a-z0-9-]*$",
                "Use lower-case letters, digits and hyphens, like order-service.",
            )
        ],
    )
    name = models.CharField(max_length=120)
    team = models.CharField(max_length=80, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="owned_components",
    )
    depends_on = models.ManyToManyField(
        "self", symmetrical=False, blank=True, related_name="dependents"
    )
    security_review = models.BooleanField(
        default=False, help_text="Every change to it needs the security review (A16)."
    )
    retired_at = models.DateTimeField(
        null=True, blank=True, help_text="No change that is submitted later names it (A36)."
    )

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class DayCounter(models.Model):
    """The last sequence number given out on a UTC day (A14). Made on first use."""

    day = models.DateField(primary_key=True)
    last = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.day}: {self.last}"
