"""The change request: its content, states, slot and outcome, and who may see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django_fsm import RETURN_VALUE, FSMField, transition

from accounts.roles import Role
from requests import content
from requests.models.component import Component
from requests.models.constraints import CONSTRAINTS, INDEXES
from requests.models.people import ChangeReader, ChangeReaders
from requests.models.written import Written
from requests.states import TRANSITIONS, State

if TYPE_CHECKING:
    from accounts.models import User

#: The fields of a row in a list.
ROW = (
    "number",
    "summary",
    "priority",
    "risk",
    "assessed_risk",
    "state",
    "outcome",
    "slot_start",
    "requested_window_start",
    "requested_window_reason",
    "created_at",
    "ended_at",
)


class ChangeQuerySet(models.QuerySet["ChangeRequest"]):
    """Changes, as one person may see them, with what a page or a row shows."""

    def visible_to(self, user: User) -> ChangeQuerySet:
        """What the person may see: the one queryset behind list, page, search, export and API.

        A confidential change is absent, not masked, for everyone but its requester, deciders,
        implementer, change managers, auditors, and those to whom it was granted by name or role.
        """
        if not user.is_active:
            return self.none()
        if user.has_role(Role.AUDITOR, Role.CHANGE_MANAGER):
            return self
        deciding = user.roles.union(*user.lent.values())
        mine = Q(requester=user) | Q(implementer=user) | Q(decider_roles__overlap=sorted(deciding))
        granted = Q(pk__in=ChangeReader.objects.filter(user=user).values("content_object"))
        granted |= Q(pk__in=ChangeReaders.objects.filter(group__user=user).values("content_object"))
        return self.filter(Q(confidential=False) | mine | granted)

    def for_pages(self) -> ChangeQuerySet:
        """With everything that a change's answer shows."""
        return self.select_related("requester", "implementer").prefetch_related("components")

    def for_rows(self) -> ChangeQuerySet:
        """With what a row of a list shows, the long texts left out."""
        slugs = models.Prefetch("components", queryset=Component.objects.only("slug"))
        return (
            self.select_related("requester")
            .only(*ROW, "requester__name", "requester__username")
            .prefetch_related(slugs)
        )


Move = TypeVar("Move", bound=Callable[..., Any])


def _moves(name: str) -> Callable[[Move], Move]:
    sources, target = TRANSITIONS[name]
    reached = RETURN_VALUE(*target) if isinstance(target, tuple) else target
    decorate: Callable[[Move], Move] = transition(
        field="state", source=list(sources), target=reached
    )
    return decorate


class ChangeRequest(Written):
    """A change request: what was asked (content), where it stands (state), when (slot) and how it
    went (outcome).
    """

    class Origin(models.TextChoices):
        APP = "app"
        DEMO = "demo"
        IMPORT = "import"

    number = models.CharField(max_length=24, unique=True, editable=False)
    state = FSMField(default=State.DRAFT, choices=State.choices, protected=True)
    outcome = models.CharField(
        max_length=12,
        blank=True,
        choices=[(s.value, s.label) for s in (State.COMPLETED, State.ROLLED_BACK, State.FAILED)],
    )
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.APP, editable=False)
    version = models.PositiveIntegerField(default=1)
    round = models.PositiveIntegerField(
        default=0, help_text="Number of the current round of approval."
    )
    content_hash = models.CharField(max_length=64, blank=True)
    content_scheme = models.PositiveSmallIntegerField(
        default=content.SCHEME,
        db_default=1,
        help_text="Which fields the hash covers (A35): that of the round, or of the draft.",
    )
    approved_hash = models.CharField(max_length=64, blank=True)

    # Writable, not content.
    assessed_risk = models.CharField(
        max_length=6,
        blank=True,
        choices=Written.Risk,
        help_text="Lowered to this by a reviewer, for this round.",
    )
    assessed_reason = models.TextField(blank=True)
    assessed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    requested_window_start = models.DateTimeField(null=True, blank=True)
    requested_window_reason = models.TextField(
        default="",
        blank=True,
        max_length=2000,
        db_default="",
        help_text="Why that start cannot wait for 24 hours of notice (A12).",
    )
    external_refs = models.JSONField(default=list, blank=True)
    implementer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="implemented_changes",
    )
    confidential = models.BooleanField(default=False)
    major = models.BooleanField(default=False)

    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requested_changes"
    )
    requester_role = models.CharField(max_length=200, blank=True)
    decider_roles = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    depends_on = models.ManyToManyField(
        "self", symmetrical=False, blank=True, related_name="needed_by"
    )
    duplicate_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="duplicates"
    )
    copied_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="copies"
    )

    # The slot: what is booked now. windows.Booking keeps the rest.
    slot_start = models.DateTimeField(null=True, blank=True)
    slot_end = models.DateTimeField(null=True, blank=True)
    window_name = models.CharField(max_length=80, blank=True)
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField(null=True, blank=True)
    hold_start = models.DateTimeField(
        null=True,
        blank=True,
        help_text="In review again: the slot that it keeps until the round ends (A35).",
    )
    hold_end = models.DateTimeField(null=True, blank=True)
    hold_reason = models.TextField(
        blank=True, db_default="", help_text="The short-notice reason that was given for that slot."
    )
    slots_missed = models.PositiveSmallIntegerField(default=0)
    slot_told = models.PositiveSmallIntegerField(
        default=0,
        help_text=(
            "How far its people have been told of the slot: 1 a day before, 2 two hours before, 3"
            " when it opened."
        ),
    )

    # Stamps, made by transitions.
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True, editable=False)
    approved_at = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    rollback_started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="First end of implementation: the month it counts in (A8).",
    )
    closed_at = models.DateTimeField(null=True, editable=False)
    overrun_at = models.DateTimeField(null=True, editable=False)
    authorised_until = models.DateTimeField(
        null=True, editable=False, help_text="Of an approved P0: unused, it lapses then (A32)."
    )
    authorisation_warned = models.DateTimeField(
        null=True, editable=False, help_text="The end that its people were warned of."
    )
    late_record_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="Change managers were asked to accept that (A33)."
    )
    late_record_accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="A33: begun over 72 h before.",
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    search = models.GeneratedField(
        expression=SearchVector("number", "summary", "reason", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = ChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = INDEXES
        constraints = CONSTRAINTS

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return f"/changes/{self.number}/"

    def judge_anew(self) -> None:
        """What it says now is what the next round judges: by the newest scheme."""
        self.content_scheme, self.content_hash = content.SCHEME, content.fingerprint(self.content())

    @property
    def fingerprint(self) -> str:
        """Of the content as it stands, by the scheme of its round."""
        return content.fingerprint(self.content(), self.content_scheme)

    @property
    def is_major(self) -> bool:
        """P0, P1, high risk, or flagged (A23)."""
        return self.major or self.priority in {"P0", "P1"} or self.risk_now == self.Risk.HIGH

    @property
    def risk_now(self) -> str:
        """The risk as it stands: the requester's, or what a reviewer of this round lowered it to
        (A18).
        """
        return self.assessed_risk or self.risk

    @property
    def implementation_date(self) -> date | None:
        """The UTC day on which it is or was implemented, as far as it is known (R54): its start,
        its slot, the window asked for.
        """
        at = self.started_at or self.slot_start or self.hold_start or self.requested_window_start
        return at.date() if at else None

    @property
    def is_recorded(self) -> bool:
        """Filed while it was worked on, or afterwards: no calendar or checklist was in its way
        (A33).
        """
        return self.actual_start is not None and self.started_at is not None

    @property
    def is_done(self) -> bool:
        """Completed, and not being taken back: what a change that depends on it waits for."""
        return self.outcome == State.COMPLETED and self.state in {State.COMPLETED, State.CLOSED}

    @property
    def confirmation_owed(self) -> bool:
        """Whether somebody who did not implement it must confirm the review (A13)."""
        return self.is_emergency or self.outcome in {State.ROLLED_BACK, State.FAILED}

    # --- the state machine: transitions and their stamps, nothing else; called only by lifecycle.pe

    @_moves("submit")
    def submit(self, at: datetime) -> None:
        self.submitted_at = self.submitted_at or at
        self._next_round()

    @_moves("request_changes")
    def request_changes(self, at: datetime) -> None:
        pass

    @_moves("reject")
    def reject(self, at: datetime) -> None:
        pass

    @_moves("approve")
    def approve(self, at: datetime) -> None:
        self.approved_at = at
        self.approved_hash = self.content_hash

    @_moves("record")
    def record(self, at: datetime) -> State:
        self.submitted_at = self.approved_at = at
        self._next_round()
        self.approved_hash = self.content_hash
        self.started_at, self.finished_at = self.actual_start, self.actual_end
        return State.VERIFYING if self.actual_end else State.IMPLEMENTING

    @_moves("expire")
    def expire(self, at: datetime) -> None:
        self._void_approval()

    @_moves("revise")
    def revise(self, at: datetime) -> None:
        self._void_approval()

    @_moves("lapse")
    def lapse(self, at: datetime) -> None:
        self.approved_at, self.approved_hash = None, ""

    @_moves("escalate")
    def escalate(self, at: datetime) -> None:
        self._void_approval()

    @_moves("schedule")
    def schedule(self, at: datetime) -> None:
        pass

    @_moves("reschedule")
    def reschedule(self, at: datetime) -> None:
        pass

    @_moves("unschedule")
    def unschedule(self, at: datetime) -> None:
        self.clear_slot()

    @_moves("start")
    def start(self, at: datetime) -> None:
        self.started_at = at

    @_moves("finish")
    def finish(self, at: datetime) -> None:
        self.finished_at = at

    @_moves("complete")
    def complete(self, at: datetime) -> None:
        self.completed_at = self._really(at)
        self._end(State.COMPLETED, at)

    @_moves("roll_back")
    def roll_back(self, at: datetime) -> None:
        self.rollback_started_at = at
        self.closed_at = None

    @_moves("finish_rollback")
    def finish_rollback(self, at: datetime) -> None:
        self._end(State.ROLLED_BACK, at)

    @_moves("fail")
    def fail(self, at: datetime) -> None:
        self.closed_at = None
        self._end(State.FAILED, at)

    @_moves("close")
    def close(self, at: datetime) -> None:
        self.closed_at = at

    @_moves("cancel")
    def cancel(self, at: datetime) -> None:
        self.clear_slot()

    def clear_slot(self) -> None:
        self.slot_start = self.slot_end = self.window_start = self.window_end = None
        self.window_name = ""

    def _next_round(self) -> None:
        self.round += 1
        self.assessed_risk, self.assessed_reason, self.assessed_by = "", "", None

    def _void_approval(self) -> None:
        self._next_round()
        self.approved_at, self.approved_hash, self.authorised_until = None, "", None
        self.clear_slot()

    def _really(self, at: datetime) -> datetime:
        """Of an emergency recorded after its work (A33) the real end, not the click that
        files it.
        """
        return self.actual_end if self.actual_end and self.ended_at is None else at

    def _end(self, outcome: State, at: datetime) -> None:
        self.outcome = outcome
        self.ended_at = self.ended_at or self._really(at)
