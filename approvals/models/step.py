"""Policy, steps and decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.utils import timezone

from approvals.policy import policy
from approvals.policy.quorum import Quorum
from requests.models import ChangeRequest

if TYPE_CHECKING:
    from accounts.models import User


class StepQuerySet(models.QuerySet["Step"]):
    """Steps, with what was decided on them."""

    @staticmethod
    def decisions() -> models.Prefetch[str]:
        """What was decided, by whom, in whose name, and whether that was confirmed."""
        return models.Prefetch(
            "decisions",
            queryset=Decision.objects.select_related(
                "actor", "on_behalf_of", "confirmation", "stand_in__instead_of"
            ),
        )

    def with_decisions(self) -> StepQuerySet:
        """With their decisions: one query more."""
        return self.prefetch_related(self.decisions())


class Step(models.Model):
    """One review or approval that a round of a change needs, with the policy's words copied onto
    it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        CHANGES_REQUESTED = "changes_requested", "Changes requested"
        WAIVED = "waived", "Waived"
        STALE = "stale", "Stale"

    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="steps")
    round = models.PositiveIntegerField()
    stage = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=12, choices=list(policy.KIND_LABELS.items()))
    roles = ArrayField(models.CharField(max_length=30))
    mode = models.CharField(max_length=3, choices=[("any", "Any of them"), ("all", "All")])
    needed = models.PositiveSmallIntegerField(
        default=1, help_text="Of a step for any of its roles: how many different people."
    )
    checklist = models.JSONField(default=list)
    waivable = models.BooleanField(default=False)
    deferred = models.BooleanField(
        default=False, help_text="A P0's review, owed after its implementation."
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who added it (A16).",
    )
    state = models.CharField(max_length=20, choices=State, default=State.WAITING)
    content_hash = models.CharField(max_length=64)
    opened_at = models.DateTimeField(null=True)
    due_hours = models.PositiveSmallIntegerField(
        null=True, help_text="Hours from its opening by which a verdict is expected."
    )
    remind_hours = models.PositiveSmallIntegerField(
        null=True, help_text="Hours after which those who could decide are told once more."
    )
    escalate_hours = models.PositiveSmallIntegerField(
        null=True, help_text="Hours after which the change managers are told."
    )
    settled_at = models.DateTimeField(null=True)
    priority = models.CharField(
        max_length=2, help_text="The change's, so that the queue is sorted by one index."
    )

    called = models.PositiveSmallIntegerField(
        default=1, help_text="Of an emergency: how many places of the roster have been called."
    )
    ratify_by = models.DateTimeField(
        null=True,
        blank=True,
        help_text=(
            "The emergency was started before this was given: until then it is ratified or not"
            " (A4)."
        ),
    )
    vacant_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when it is known and told that nobody there can give it (A43).",
    )
    vacant_roles = ArrayField(
        models.CharField(max_length=30),
        default=list,
        db_default=Value([], ArrayField(models.CharField(max_length=30))),
    )
    ratify_overdue_at = models.DateTimeField(
        null=True, blank=True, help_text="When the tick found that nobody had; once."
    )

    reminded_at = models.DateTimeField(
        null=True, blank=True, help_text="When those who could decide were told once more."
    )
    escalated_at = models.DateTimeField(
        null=True, blank=True, help_text="When the change managers were told that it is stuck."
    )

    objects = StepQuerySet.as_manager()
    for_whom: User | None  # in a queue: who has delegated it

    class Meta:
        ordering = ["change", "-round", "deferred", "stage", "position"]
        indexes = [
            models.Index(
                fields=["priority", "id"], name="step_in_queue", condition=Q(state="open")
            ),
            models.Index(fields=["change", "round", "stage"], name="step_by_change"),
            models.Index(fields=["state"], name="step_waiting", condition=Q(state="waiting")),
        ]
        constraints = [
            models.CheckConstraint(
                name="step_state_known",
                condition=Q(
                    state__in=[
                        "waiting",
                        "open",
                        "approved",
                        "rejected",
                        "changes_requested",
                        "waived",
                        "stale",
                    ]
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} of round {self.round}"

    @property
    def label(self) -> str:
        return policy.KIND_LABELS[self.kind]

    @property
    def box(self) -> str:
        """The box of the template that it ticks (R33, R34, R35)."""
        return policy.BOXES.get(self.kind, "") if not self.deferred else ""

    @property
    def quorum(self) -> Quorum:
        return Quorum(self.mode, tuple(self.roles), self.needed)

    @property
    def may_go_with_others(self) -> bool:
        """Whether it may be approved together with other changes': nothing to tick, and no
        emergency.
        """
        return not self.checklist and self.kind != policy.EMERGENCY

    @property
    def is_settled(self) -> bool:
        return self.state in {self.State.APPROVED, self.State.WAIVED}


class Decision(models.Model):
    """One person's verdict on one step, with the content that they saw. Never changed; a new round
    makes it stale.

    A trigger refuses a decision by the requester or an editor of the content, whoever inserts it
    (promise 1).
    """

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approve"
        REJECT = "reject", "Reject"
        REQUEST_CHANGES = "request_changes", "Request changes"
        WAIVE = "waive", "Waive"

    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="decisions")
    change = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="decisions")
    round = models.PositiveIntegerField()
    stage = models.PositiveSmallIntegerField()
    deferred = models.BooleanField(default=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions"
    )
    on_behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose approval it is, where somebody else recorded it.",
    )
    delegation = models.ForeignKey(
        "accounts.Delegation",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="decisions",
        help_text=(
            "By which somebody decided in another's name; without one it was recorded by telephone."
        ),
    )
    stand_in = models.ForeignKey(
        "accounts.StandIn",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="By which the actor held that role (A45).",
    )
    role = models.CharField(max_length=30)
    roles_held = ArrayField(
        models.CharField(max_length=30), help_text="Of the step's roles, those held when deciding."
    )
    verdict = models.CharField(max_length=16, choices=Verdict)
    comment = models.TextField(blank=True, max_length=20_000)
    checklist = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            # The same person may act in both stages, never twice in one (A2).
            models.UniqueConstraint(
                fields=["change", "round", "deferred", "stage", "actor"],
                name="one_decision_per_person_and_stage",
            ),
            models.UniqueConstraint(
                fields=["change", "round", "deferred", "stage", "on_behalf_of"],
                name="one_decision_in_a_name_and_stage",
            ),
            models.CheckConstraint(
                name="decision_in_another_name", condition=~Q(on_behalf_of=F("actor"))
            ),
            models.CheckConstraint(
                name="delegated_in_a_name",
                condition=Q(delegation__isnull=True) | Q(on_behalf_of__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["actor", "-at", "-id"], name="decision_by_actor_at")]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.actor_id} on step {self.step_id}"

    @property
    def word(self) -> str:
        """The verdict as something that was done: “approved”."""
        return {
            "approve": "approved",
            "reject": "rejected",
            "request_changes": "requested changes",
            "waive": "waived",
        }[self.verdict]

    def did(self, what: str) -> str:
        """“approved this step”, “requested changes in this step”."""
        return f"{self.word}{' in' if self.verdict == self.Verdict.REQUEST_CHANGES else ''} {what}"

    @property
    def principal(self) -> User:
        """Whose verdict it is: the actor's, or that of the person in whose name it was recorded."""
        return self.on_behalf_of or self.actor

    @property
    def principal_id(self) -> int:
        return self.on_behalf_of_id or self.actor_id

    @property
    def said_by(self) -> str:
        """“Yuki Tanaka for Grace Lindqvist” where somebody decided in another's name; with whose
        stand-in they were; else whose verdict it is.
        """
        name = f"{self.actor} for {self.principal}" if self.delegation_id else str(self.principal)
        return (
            f"{name}, stand-in for {self.stand_in.instead_of}"
            if self.stand_in_id and self.stand_in
            else name
        )

    @property
    def spared(self) -> list[tuple[str, str]]:
        """Items that were marked not applicable, each with why (A34)."""
        texts = {item["key"]: item["text"] for item in self.step.checklist}
        answers = [
            (key, answer) for key, answer in self.checklist.items() if isinstance(answer, dict)
        ]
        return [(texts.get(key, key), answer["not_applicable"]) for key, answer in answers]

    @property
    def people(self) -> frozenset[int]:
        """Keys of everybody who had a part in it; none of them counts twice in a stage."""
        return frozenset({self.actor_id, self.principal_id})
