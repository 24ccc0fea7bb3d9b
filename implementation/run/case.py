"""One change as one person finds it at one instant: every fact that a guard asks for, read once,
and only if it is asked for.

Guards take a `Case`, so that `actions`, page, gate and service judge the same facts and a page
costs a handful of statements. A case is not kept across a change of what it has read: a service
makes one under lock, asks its guard, and lets it go.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.utils import timezone

from accounts.models import User
from approvals.deciding import ahead, ratification
from approvals.models import Advance, Decision, Step
from approvals.people import vacancies, who_decides
from audit.models import Event
from implementation.models import Check, ChecklistItem, Documentation, LeftRun, Review
from language.refusal import Reason
from requests import apart
from requests.models import ChangeRequest
from requests.states import RUNNING
from windows.booking import exceptions_shown, freeze_exceptions, slots
from windows.calendar.verdict import LOCKDOWN, Calendar, Closure
from windows.models import current_calendar

LEFT_AFTER = timedelta(minutes=10)  # A37: a run whose implementer did nothing for so long is left


class Case:
    """`change` for `actor` at `at` (default: now)."""

    def __init__(
        self,
        change: ChangeRequest,
        actor: User,
        at: datetime | None = None,
        *,
        for_all: bool = False,
    ) -> None:
        """`for_all`: what is said goes to everybody who may see the change, so that it names no
        other that is confidential.
        """
        self.change, self.actor, self.at = change, actor, at or timezone.now()
        self.reader: User | None = None if for_all else actor

    # --- approval ---------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[Step]:
        """The current round's steps with their decisions: by stage, deferred reviews last."""
        found = (
            Step.objects.filter(change=self.change, round=self.change.round)
            .with_decisions()
            .select_related("asked_by")
        )
        steps = list(found.order_by("deferred", "stage", "position"))
        for step in steps:
            step.change = self.change
        return steps

    @cached_property
    def vacancies(self) -> list[vacancies.Vacancy]:
        """Steps that nobody there can give (A43)."""
        return vacancies.known(self.steps)

    @cached_property
    def authors(self) -> frozenset[int]:
        """Keys of everybody who requested the change or edited its content."""
        return frozenset(
            {self.change.requester_id, *self.change.authors.values_list("user", flat=True)}
        )

    @cached_property
    def starts_before(self) -> bool:
        """Whether this person may start it although nobody has authorised it (A33)."""
        return ratification.may_start_before(self.change, self.actor)

    @cached_property
    def capacities(self) -> list[who_decides.Capacity]:
        """In whose names the person may decide now."""
        return who_decides.capacities_of(self.actor)

    def capacity_for(self, step: Step) -> tuple[who_decides.Capacity | None, list[Reason]]:
        """The capacity in which this person may decide this step now; none, and why not."""
        beside = [
            other
            for other in self.steps
            if (other.deferred, other.stage) == (step.deferred, step.stage)
        ]
        decided = frozenset(
            key for other in beside for decision in other.decisions.all() for key in decision.people
        )
        concerned = any(capacity.roles & set(step.roles) for capacity in self.capacities)
        authors = self.authors if concerned else frozenset()  # asked only where it matters
        return who_decides.best_capacity(
            step, self.actor, self.capacities, authors=authors, decided=decided
        )

    def decision_refusal(self, step: Step) -> list[Reason]:
        """Why this person may not decide this step now."""
        return self.capacity_for(step)[1]

    @cached_property
    def mine(self) -> list[Step]:
        """The steps that this person could decide now."""
        return [
            step
            for step in self.steps
            if step.ratify_by is None and not self.decision_refusal(step)
        ]

    @cached_property
    def to_ratify(self) -> Step | None:
        """The authorisation without which the emergency was started, if this person may say whether
        that was right (A4).
        """
        return next(
            (step for step in self.steps if step.ratify_by and not self.decision_refusal(step)),
            None,
        )

    def signs_ahead(self, step: Step) -> list[Step]:
        """The steps of the next stage that this person could sign together with that one."""
        following = any(
            other.stage == step.stage + 1 and other.state == Step.State.WAITING
            for other in self.steps
        )
        return (
            ahead.may_sign(self.steps, step, self.actor, self.capacities, self.authors)
            if following
            else []
        )

    @cached_property
    def advances(self) -> dict[int, list[Advance]]:
        """What was signed in advance and waits for its stage, by step."""
        waiting = [step.pk for step in self.steps if step.state == Step.State.WAITING]
        found: dict[int, list[Advance]] = {}
        for given in (
            Advance.objects.filter(step__in=waiting, ended_at__isnull=True).select_related("user")
            if waiting
            else []
        ):
            found.setdefault(given.step_id, []).append(given)
        return found

    def standing_in_for(self, step: Step) -> User | None:
        """In whose name this person would decide the step, where it is not their own."""
        capacity, _ = self.capacity_for(step)
        return (
            User.objects.get(pk=capacity.principal)
            if capacity and capacity.principal != self.actor.pk
            else None
        )

    @cached_property
    def last_verdict(self) -> Decision | None:
        """What this person said of an earlier round, by their own right or another's."""
        if self.change.round < 2:
            return None
        earlier = self.change.decisions.filter(actor=self.actor, round__lt=self.change.round)
        return earlier.select_related("step", "actor", "on_behalf_of").order_by("-id").first()

    def judged_before(self, step: Step) -> Decision | None:
        """This person's approval of the same step of an earlier round: “still right” repeats it
        with one click (A35).
        """
        last = self.last_verdict
        return (
            last
            if last and last.step.kind == step.kind and last.verdict == Decision.Verdict.APPROVE
            else None
        )

    @cached_property
    def edits_since(self) -> list[Event]:
        """Edits of the content since that verdict, oldest first."""
        if self.last_verdict is None:
            return []
        edits = Event.objects.filter(
            change_id=self.change.pk,
            action__in=("change.edit", "change.revise"),
            at__gte=self.last_verdict.at,
        )
        return list(edits.select_related("words").order_by("id"))

    @cached_property
    def edits_since_approval(self) -> list[Event]:
        """Edits of the content since it was approved last, oldest first; none if it never was."""
        if self.change.round < 2:
            return []
        moves = ("change.approve", "change.edit", "change.revise")
        found = list(
            Event.objects.filter(change_id=self.change.pk, action__in=moves)
            .select_related("words")
            .order_by("id")
        )
        approved = max(
            (index for index, event in enumerate(found) if event.action == "change.approve"),
            default=None,
        )
        return found[approved + 1 :] if approved is not None else []

    # --- calendar and neighbours ------------------------------------------------------------------

    @cached_property
    def calendar(self) -> Calendar:
        return current_calendar()

    @cached_property
    def lockdowns(self) -> list[Closure]:
        """The lockdowns that hold it now."""
        change, calendar = self.change, self.calendar
        locked = [closure for closure in calendar.closures if closure.kind == LOCKDOWN]
        return (
            [
                closure
                for closure in locked
                if closure.shuts(change.priority, slots.scope_of(change))
            ]
            if locked
            else []
        )

    @cached_property
    def lost_slot(self) -> dict[str, Any] | None:
        """Of an approved change: the slot that it had since its approval and has no more,
        and why.
        """
        moves = ("change.approve", "change.schedule", "change.reschedule", "change.unschedule")
        last = (
            Event.objects.filter(change_id=self.change.pk, action__in=moves)
            .select_related("words")
            .order_by("-id")
            .first()
        )
        return last.said if last and last.action == "change.unschedule" else None

    @cached_property
    def asked_exceptions(self) -> list[exceptions_shown.Asked]:
        """The freeze exceptions asked for slots that lie ahead."""
        if self.change.state not in freeze_exceptions.STATES or self.change.is_emergency:
            return []
        rows = exceptions_shown.of_change(self.change)
        return (
            exceptions_shown.as_found(rows, self.change, self.actor, self.calendar, self.authors)
            if rows
            else []
        )

    @cached_property
    def exception_to_grant(self) -> exceptions_shown.Asked | None:
        """The one that waits for this person."""
        if not self.actor.has_role(*freeze_exceptions.HALVES.values()):
            return None  # unasked: a page of anybody else needs no statement for it
        return next((asked for asked in self.asked_exceptions if asked.may_grant), None)

    @cached_property
    def needs(self) -> list[ChangeRequest]:
        """The changes that it depends on; free text depends on nothing (contract)."""
        return list(self.change.depends_on.all()) if self.change.dependencies else []

    @cached_property
    def visible_needs(self) -> list[ChangeRequest]:
        """Those that this person may see: of a confidential one not even the existence is told."""
        hidden = {needed.pk for needed in self.needs if needed.confidential}
        seen = (
            set(
                ChangeRequest.objects.visible_to(self.actor)
                .filter(pk__in=hidden)
                .values_list("pk", flat=True)
            )
            if hidden
            else set()
        )
        return [needed for needed in self.needs if needed.pk not in hidden or needed.pk in seen]

    @cached_property
    def taken(self) -> list[slots.Taken]:
        """What other changes have booked or are running, while this one's plan would run
        from now.
        """
        return slots.taken_between(
            slots.Plan.of(self.change), self.at, self.at + self.change.plan_length, and_running=True
        )

    # --- the run ----------------------------------------------------------------------------------

    @cached_property
    def checklist(self) -> list[ChecklistItem]:
        return list(self.change.checklist.select_related("settled_by"))

    def unsettled(self, *phases: str) -> list[ChecklistItem]:
        """The items of these phases that are neither done nor skipped with a note."""
        return [item for item in self.checklist if item.phase in phases and not item.is_settled]

    @cached_property
    def checks(self) -> list[Check]:
        return list(self.change.checks.select_related("accepted_by"))

    @cached_property
    def hands(self) -> frozenset[int]:
        """Keys of everybody who had a hand in the run: who implements it, and whoever started it or
        took it over.
        """
        return apart.runners_of(self.change)

    @cached_property
    def judged(self) -> str:
        """What this person has judged of the change, which keeps them from running it (A37)."""
        return apart.judged(self.change, self.actor)

    @cached_property
    def last_act(self) -> datetime:
        """When its implementer last did anything on the change; its start, if nothing is known."""
        acts = Event.objects.filter(
            change_id=self.change.pk, actor=self.change.implementer_id
        ).order_by("-id")
        found = acts.values_list("at", flat=True).first() if self.change.implementer_id else None
        return found or self.change.started_at or self.at

    @cached_property
    def left_run(self) -> LeftRun | None:
        """How the present implementer came by the run, if they had judged the change and it was
        left (A37).
        """
        if self.change.state not in RUNNING:
            return None
        return self.change.left_runs.filter(by=self.change.implementer_id).order_by("-id").first()

    @property
    def is_left(self) -> bool:
        """Whether a running change's implementer has left it: no act for ten minutes (A37)."""
        return self.at - self.last_act >= LEFT_AFTER

    @cached_property
    def review(self) -> Review | None:
        """The review that is owed or given now; one of an outcome that has changed since is
        superseded.
        """
        return (
            self.change.reviews.filter(superseded=False)
            .select_related("written_by", "revised_by", "confirmed_by")
            .first()
        )

    @cached_property
    def documentation(self) -> Documentation | None:
        """The newest version of what an emergency supplied afterwards."""
        return (
            self.change.documentation.order_by("-version").first()
            if self.change.is_emergency
            else None
        )
