"""Who is on duty, and who acts for whom: duty roster, handovers, delegations, stand-ins."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils import timezone

from accounts.models.user import User
from accounts.roles import Role, label


class DutyQuerySet(models.QuerySet["Duty"]):
    """Rows of the duty roster."""

    def current(self, at: datetime | None = None) -> DutyQuerySet:
        """On duty at that instant, first in line first."""
        at = at or timezone.now()
        return (
            self.filter(starts_at__lte=at)
            .filter(Q(ends_at__isnull=True) | Q(ends_at__gt=at))
            .order_by("kind", "order", "starts_at", "id")
        )


class Duty(models.Model):
    """A dated duty: emergency contact (A3) or on-call, with ordered deputies."""

    class Kind(models.TextChoices):
        EMERGENCY_CONTACT = "emergency-contact", "Emergency contact"
        ON_CALL = "on-call", "On-call"

        @property
        def role(self) -> Role:
            """The role that whoever has the duty must hold."""
            return {"emergency-contact": Role.EMERGENCY_CONTACT, "on-call": Role.ON_CALL_ENGINEER}[
                self.value
            ]

    kind = models.CharField(max_length=20, choices=Kind)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="duties")
    order = models.PositiveSmallIntegerField(
        default=1, help_text="1 is called first; 2 and on are deputies."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)

    objects = DutyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "duties"
        ordering = ["kind", "order", "starts_at"]
        indexes = [models.Index(fields=["kind", "starts_at"])]
        constraints = [
            models.CheckConstraint(
                name="duty_ends_after_start",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.user}"


class Handover(models.Model):
    """A duty offered by who is on it to who comes next, with what they must know. Until it is
    taken, the giver stays on duty.
    """

    duty = models.ForeignKey(Duty, on_delete=models.CASCADE, related_name="handovers")
    receiver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(max_length=2_000)
    created_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    accepted = models.BooleanField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["duty"],
                condition=Q(answered_at__isnull=True),
                name="one_open_handover_per_duty",
            ),
            models.CheckConstraint(
                name="handover_answered_is_stamped",
                condition=Q(answered_at__isnull=True, accepted__isnull=True)
                | Q(answered_at__isnull=False, accepted__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Handover of {self.duty_id} to {self.receiver_id}"


class DelegationQuerySet(models.QuerySet["Delegation"]):
    """Delegations of one's approvals."""

    def current(self, at: datetime | None = None) -> DelegationQuerySet:
        """In force at that instant."""
        at = at or timezone.now()
        return self.filter(starts_at__lte=at, ends_at__gt=at, revoked_at__isnull=True)


class Delegation(models.Model):
    """While somebody is away, another decides in their name: dated, to one person, ended by
    either.
    """

    giver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="delegations_given")
    receiver = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="delegations_received"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="delegation_to_somebody_else", condition=~Q(giver=F("receiver"))
            ),
            models.CheckConstraint(
                name="delegation_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
            ExclusionConstraint(
                name="one_delegate_at_a_time",
                expressions=[
                    (Func(F("giver_id"), F("giver_id"), Value("[]"), function="int8range"), "&&"),
                    (Func(F("starts_at"), F("ends_at"), function="tstzrange"), "&&"),
                ],
                condition=Q(revoked_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                fields=["receiver", "ends_at"],
                name="delegation_to",
                condition=Q(revoked_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.receiver} for {self.giver}"

    def is_current(self) -> bool:
        return self.revoked_at is None and self.starts_at <= timezone.now() < self.ends_at


class StandIn(models.Model):
    """Somebody holds another's role for at most 14 days: given by two people, it ends by itself
    (A45).
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="stands_in")
    role = models.CharField(max_length=30)
    instead_of = models.ForeignKey(User, on_delete=models.PROTECT, related_name="stood_in_for")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField(max_length=2_000)
    given_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(
        null=True, help_text="When the role was taken back: by the clock, or before it by somebody."
    )
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    LONGEST = timedelta(days=14)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="stand_in_for_another", condition=~Q(user=F("instead_of"))),
            models.CheckConstraint(
                name="stand_in_given_by_two",
                condition=~Q(given_by=F("confirmed_by"))
                & ~Q(user=F("given_by"))
                & ~Q(user=F("confirmed_by")),
            ),
            models.CheckConstraint(
                name="stand_in_at_most_14_days",
                condition=Q(
                    ends_at__gt=F("starts_at"), ends_at__lte=F("starts_at") + timedelta(days=14)
                ),
            ),
            models.UniqueConstraint(
                fields=["user", "role"],
                condition=Q(ended_at__isnull=True),
                name="one_stand_in_per_role",
            ),
        ]
        indexes = [
            models.Index(
                fields=["ends_at"], name="stand_in_to_end", condition=Q(ended_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} as {label(self.role)} instead of {self.instead_of}"

    @property
    def role_label(self) -> str:
        return label(self.role)


def is_on_duty(user: User, kind: str, at: datetime | None = None) -> bool:
    """Whether the person is on that duty now, first in line or as deputy."""
    return Duty.objects.current(at).filter(kind=kind, user=user).exists()
