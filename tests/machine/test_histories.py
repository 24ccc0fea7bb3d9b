"""Random histories: whatever people do in whatever order, promises 1 to 4 of domain.md hold after
every step.

The machine keeps books of its own (who held which roles, who wrote on a change, who said yes to
which content) and judges by them and by tables written here; it asks nothing of the rules that it
checks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Delegation, User
from approvals.deciding import added_security, decisions, telephone
from approvals.models import Decision, Step
from approvals.people import delegations
from approvals.rounds import taking_back
from audit import trail
from audit.models import Event
from changemgmt.tick import tick
from implementation.evidence import evidence
from implementation.run import guards, verbs
from implementation.run.case import Case
from language.refusal import Refused
from requests import changes
from requests.models import ChangeRequest
from tests.tries import BUILD, FAULTS, tries
from tests.world import TICKS, fields
from windows.booking import bookings

pytestmark = pytest.mark.django_db

PEOPLE = ["engineer", "engineer2", "devops", "devops2", "senior-devops", "devops-lead", "tech-lead",
    "eng-manager", "product-manager", "security", "cto",
          "emergency-contact", "oncall", "change-manager", "admin"]  # fmt: skip
ROLES = [
    "tech-lead",
    "senior-devops-engineer",
    "security-engineer",
    "product-manager",
    "engineering-manager",
    "devops-lead",
    "devops-engineer",
    "cto",
]
#: What a change needs, by the document and A2: kind → (roles, all of them or any).
NEEDS: dict[str, dict[str, tuple[list[str], bool]]] = {
    "P0": {"emergency": (["cto", "emergency-contact"], False)},
    "P2": {
        "technical": (["senior-devops-engineer", "tech-lead"], False),
        "business": (["product-manager", "engineering-manager"], False),
        "sign_off": (["engineering-manager", "devops-lead"], True),
    },
    "P3": {
        "technical": (["senior-devops-engineer", "tech-lead"], False),
        "sign_off": (["devops-engineer", "senior-devops-engineer", "devops-lead"], False),
    },
}
BEGIN = datetime(2026, 10, 1, 9, tzinfo=UTC)
person = st.sampled_from(PEOPLE)


@dataclass
class Given:
    """One verdict as the machine saw it given."""

    kind: str
    verdict: str
    round: int
    actor: str
    principal: str
    held: frozenset[str]
    content: dict[str, Any]


@dataclass
class Book:
    """What the machine knows of one change."""

    number: str
    requester: str
    writers: set[str] = field(default_factory=set)
    given: list[Given] = field(default_factory=list)
    denied: list[Given] = field(default_factory=list)
    seen_running: bool = False


class History(RuleBasedStateMachine):
    """People and the clock, in any order."""

    reached: Counter[str] = (
        Counter()
    )  # of all histories of a test: how many changes of each priority came to run

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.clock = time_machine.travel(BEGIN, tick=False)
        self.traveller = self.clock.start()
        self.now = BEGIN
        self.books: list[Book] = []
        self.lent: dict[str, str] = {}
        self.events = Event.objects.count()

    def teardown(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        found = trail.verify()
        self.clock.stop()
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        assert found.ok, found

    # --- how acts are done ------------------------------------------------------------------------

    def act(self, do: Callable[[User], Any], who: str, *, may_be_nothing: bool = False) -> Any:
        """One person's act: it works and leaves an event in the same transaction, or is refused by
        a named reason and leaves nothing.
        """
        before = Event.objects.count()
        try:
            with transaction.atomic():
                done = do(User.objects.get(username=who))
        except Refused as refused:
            assert str(refused)
            assert Event.objects.count() == before
            return None
        assert may_be_nothing or Event.objects.count() > before, (
            "promise 4: what was done is in the trail"
        )
        return done

    def change(self, index: int) -> tuple[Book, ChangeRequest]:
        book = self.books[index % len(self.books)]
        return book, ChangeRequest.objects.get(number=book.number)

    def roles_of(self, username: str) -> frozenset[str]:
        return frozenset(User.objects.get(username=username).groups.values_list("name", flat=True))

    # --- what people do ---------------------------------------------------------------------------

    @initialize(
        who=st.sampled_from(["engineer", "tech-lead", "devops"]),
        priority=st.sampled_from(["P2", "P3"]),
    )
    def first(self, who: str, priority: str) -> None:
        self.request(who, priority)

    @precondition(lambda self: len(self.books) < 3)
    @rule(who=person, priority=st.sampled_from(["P0", "P2", "P3"]))
    def request(self, who: str, priority: str) -> None:
        window: dict[str, Any] = (
            {} if priority == "P0" else {"requested_window": {"start": "2026-10-06T02:00Z"}}
        )
        window["components"] = [["search", "cdn", "checkout"][len(self.books)]]
        made = self.act(
            lambda user: changes.create(
                actor=user, values=fields(priority, requested_date="2026-10-06", **window)
            ),
            who,
        )
        if made:
            self.books.append(Book(made.number, who, {who}))
            self.submit(len(self.books) - 1, who)

    @rule(index=st.integers(0, 2), who=person)
    def submit(self, index: int, who: str) -> None:
        book, _ = self.change(index)
        self.act(lambda user: decisions.submit(actor=user, number=book.number), who)

    @rule(
        index=st.integers(0, 2),
        who=person,
        nth=st.integers(0, 3),
        verdict=st.sampled_from(["approve"] * 7 + ["reject", "request_changes", "waive"]),
    )
    def decide(self, index: int, who: str, nth: int, verdict: str, on_behalf_of: str = "") -> None:
        book, change = self.change(index)
        steps = list(
            Step.objects.filter(change=change, round=change.round).order_by(
                "deferred", "stage", "position"
            )
        )
        if not steps:
            return
        step = steps[nth % len(steps)]
        ticks = dict.fromkeys((item["key"] for item in step.checklist), True)
        made = self.act(
            lambda user: decisions.decide(
                actor=user, number=book.number, step_id=step.pk, verdict=verdict,
                version=change.version, comment="As I see it", checklist=ticks,
                on_behalf_of=on_behalf_of,
            ),
            who,
        )  # fmt: skip
        if made:
            self.note(book, change, step, verdict, who, on_behalf_of)

    def note(
        self, book: Book, change: ChangeRequest, step: Step, verdict: str, who: str, named: str
    ) -> None:
        own = self.roles_of(who)
        giver = self.lent.get(who, "")
        principal = named or (who if own & set(step.roles) or not giver else giver)
        made = Decision.objects.filter(step=step).latest("id")
        if made.delegation_id:
            assert made.principal.username == giver, "only who has delegated is stood in for"
            principal = giver
        held = self.roles_of(principal) & set(step.roles)
        assert held, (who, principal, step.roles)
        assert not {who, principal} & book.writers, (
            "promise 1: nobody decides on what they requested or wrote"
        )
        book.given.append(
            Given(step.kind, verdict, change.round, who, principal, held, change.content())
        )

    @rule(
        index=st.integers(0, 2),
        who=st.sampled_from(
            [
                "tech-lead",
                "senior-devops",
                "product-manager",
                "eng-manager",
                "devops-lead",
                "devops",
                "cto",
            ]
        ),
    )
    def decide_what_waits(self, index: int, who: str) -> None:
        """More often than by chance: somebody approves the first step that is open."""
        _, change = self.change(index)
        steps = list(
            Step.objects.filter(change=change, round=change.round).order_by(
                "deferred", "stage", "position"
            )
        )
        for nth, step in enumerate(steps):
            if step.state == "open":
                self.decide(index, who, nth, "approve")

    @rule(index=st.integers(0, 2), named=st.sampled_from(["cto", "emergency-contact", "engineer"]))
    def by_telephone(self, index: int, named: str) -> None:
        self.decide(index, "oncall", 0, "approve", named)

    @rule(
        index=st.integers(0, 2),
        who=st.sampled_from(["cto", "emergency-contact"]),
        answer=st.sampled_from(["approved", "not_approved"]),
    )
    def answer_telephone(self, index: int, who: str, answer: str) -> None:
        book, change = self.change(index)
        step = Step.objects.filter(change=change, kind="emergency", round=change.round).first()
        if (
            step
            and self.act(
                lambda user: telephone.confirm(
                    actor=user, number=book.number, step_id=step.pk, answer=answer
                ),
                who,
            )
            and answer == "not_approved"
        ):
            book.denied += [
                given
                for given in book.given
                if given.principal == who and given.kind == "emergency"
            ]

    @rule(index=st.integers(0, 2), who=person, text=st.sampled_from(["a", "b"]))
    def edit(self, index: int, who: str, text: str) -> None:
        book, change = self.change(index)
        values, before = {"testing_plan": f"Look {text}."}, Event.objects.count()
        self.act(
            lambda user: taking_back.edit(
                actor=user, number=book.number, version=change.version, values=values
            ),
            who,
            may_be_nothing=True,
        )
        if ChangeRequest.objects.get(pk=change.pk).content() != change.content():
            book.writers.add(who)
            assert Event.objects.count() > before

    @rule(index=st.integers(0, 2), who=person)
    def escalate(self, index: int, who: str) -> None:
        book, _ = self.change(index)
        values = {
            "reason": "It is down",
            "emergency_kind": "outage",
            "emergency_reference": "INC-1",
        }
        if self.act(
            lambda user: taking_back.escalate(actor=user, number=book.number, **values), who
        ):
            book.writers.add(who)

    @rule(index=st.integers(0, 2), who=st.sampled_from(["tech-lead", "senior-devops", "engineer"]))
    def add_security(self, index: int, who: str) -> None:
        book, _ = self.change(index)
        self.act(
            lambda user: added_security.add(actor=user, number=book.number, reason="Tokens"), who
        )

    @rule(index=st.integers(0, 2), who=person)
    def cancel(self, index: int, who: str) -> None:
        book, _ = self.change(index)
        if len(book.given) % 3 == 2:  # seldom, so that histories go on
            self.act(
                lambda user: taking_back.cancel(actor=user, number=book.number, reason="No more"),
                who,
            )

    @rule(giver=person, receiver=person)
    def delegate(self, giver: str, receiver: str) -> None:
        span = {"starts_at": self.now, "ends_at": self.now + timedelta(days=3)}
        if receiver not in self.lent and self.act(
            lambda user: delegations.delegate(actor=user, receiver=receiver, **span), giver
        ):
            self.lent[receiver] = giver

    @rule(receiver=person)
    def revoke(self, receiver: str) -> None:
        found = Delegation.objects.current().filter(receiver__username=receiver).first()
        if found and self.act(
            lambda user: delegations.revoke(actor=user, delegation=found), receiver
        ):
            self.lent.pop(receiver, None)

    @rule(who=person, role=st.sampled_from(ROLES), grant=st.booleans())
    def change_roles(self, who: str, role: str, grant: bool) -> None:
        groups = User.objects.get(username=who).groups
        (groups.add if grant else groups.remove)(Group.objects.get(name=role))

    @rule(hours=st.sampled_from([1, 5, 20, 48]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.traveller.move_to(self.now)
        tick()
        gone = set(self.lent) - set(
            Delegation.objects.current().values_list("receiver__username", flat=True)
        )
        for receiver in gone:
            del self.lent[receiver]

    @rule()
    def the_window_opens(self) -> None:
        """To the next Tuesday or Thursday, 02:05."""
        at = self.now.replace(hour=2, minute=5) + timedelta(days=1)
        while at.weekday() not in (1, 3):
            at += timedelta(days=1)
        if at < datetime(2026, 11, 10, tzinfo=UTC):
            self.now = at
            self.time_passes(0)

    @rule(index=st.integers(0, 2), who=st.sampled_from(["devops", "devops-lead", "change-manager"]))
    def schedule(self, index: int, who: str) -> None:
        book, _ = self.change(index)
        start = (
            self.now.replace(minute=self.now.minute // 5 * 5)
            if self.now.hour == 2
            else datetime(2026, 10, 8, 2, tzinfo=UTC)
        )
        self.act(
            lambda user: bookings.schedule(
                actor=user, number=book.number, start=start, short_notice_reason="Now"
            ),
            who,
        )

    @rule(
        index=st.integers(0, 2),
        who=st.sampled_from(["devops", "devops2", "oncall", "senior-devops", "engineer", "admin"]),
    )
    def start(self, index: int, who: str) -> None:
        book, change = self.change(index)
        user = User.objects.get(username=who)
        for item in Case(change, user).checklist:
            if item.phase == "pre" and item.state == "open" and guards.is_implementer(change, user):
                self.act(
                    lambda u, item=item: evidence.settle_item(
                        actor=u, number=book.number, item_id=item.pk, state="done"
                    ),
                    who,
                )
        self.act(lambda u: verbs.start(actor=u, number=book.number), who)

    @rule(index=st.integers(0, 2))
    def a_quiet_day(self, index: int) -> None:
        """Now and then people simply do their work: whoever may decides, and in the next window, an
        emergency at once, somebody starts it.
        """
        for who in (
            "cto",
            "tech-lead",
            "senior-devops",
            "product-manager",
            "security",
            "eng-manager",
            "devops-lead",
            "devops2",
        ):
            self.decide_what_waits(index, who)
        if self.change(index)[1].priority != "P0":
            self.the_window_opens()
        for who in ("oncall", "devops"):
            self.start(index, who)

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def nothing_runs_without_its_approvals_in_its_window(self) -> None:
        """Promises 1 and 2, by the machine's own books."""
        for book in self.books:
            change = ChangeRequest.objects.get(number=book.number)
            if change.state != "implementing" or book.seen_running:
                continue
            book.seen_running = True
            self.reached[change.priority] += 1
            content = change.content()
            counting = [
                g
                for g in book.given
                if g.round == change.round and g.content == content and g not in book.denied
            ]
            assert not any({g.actor, g.principal} & book.writers for g in counting)
            for kind, (roles, everyone) in NEEDS[change.priority].items():
                yes = [g for g in counting if g.kind == kind and g.verdict == "approve"]
                assert enough(roles, everyone, yes), (change.priority, kind, yes)
                assert len({g.principal for g in yes}) == len(yes)
            if Step.objects.filter(
                change=change, round=change.round, kind="security", deferred=False
            ).exists():
                assert any(
                    g.kind == "security" and g.verdict in ("approve", "waive") for g in counting
                )
            if change.priority != "P0":
                at = change.started_at
                assert at is not None
                assert at.weekday() in (1, 3), at
                assert at.hour in (2, 3), at

    @invariant()
    def one_step_one_final_verdict(self) -> None:
        """Promise 3: nothing is said of a step after it was settled, nobody speaks twice in a
        stage, a step's state is what was said.
        """
        for step in Step.objects.filter(
            change__number__in=[book.number for book in self.books]
        ).prefetch_related("decisions"):
            said = list(step.decisions.all())
            verdicts = [decision.verdict for decision in said]
            match step.state:
                case "approved":
                    assert verdicts, step
                    assert set(verdicts) == {"approve"}
                case "rejected" | "changes_requested" | "waived":
                    assert verdicts[-1] in ("reject", "request_changes", "waive")
                    assert sum(verdict != "approve" for verdict in verdicts) == 1
                case "waiting":
                    assert not said
                case "open":
                    assert set(verdicts) <= {"approve"}
        people: dict[Any, list[int]] = defaultdict(list)
        for decision in Decision.objects.filter(
            change__number__in=[book.number for book in self.books]
        ):
            stage = (decision.change_id, decision.round, decision.deferred, decision.stage)
            people[stage] += [decision.actor_id] + (
                [decision.on_behalf_of_id] if decision.on_behalf_of_id else []
            )
        assert all(len(found) == len(set(found)) for found in people.values()), (
            "nobody counts twice in a stage"
        )

    @invariant()
    def the_trail_tells_the_state(self) -> None:
        """Promise 4: the moves in the trail, one after another, lead from draft to where the change
        stands now.
        """
        for book in self.books:
            change, at = ChangeRequest.objects.get(number=book.number), "draft"
            for source, target in (
                Event.objects.filter(change_id=change.pk, data__has_keys=["from", "to"])
                .exclude(action="approval.assess")
                .order_by("id")
                .values_list("data__from", "data__to")
            ):
                assert source == at, (source, at)
                at = target
            assert at == change.state


def enough(roles: list[str], everyone: bool, yes: list[Given]) -> bool:
    """By trying every seating."""
    if not everyone:
        return any(given.held & set(roles) for given in yes)
    return any(
        all(role in given.held for role, given in zip(roles, seated, strict=True))
        for seated in permutations(yes, len(roles))
    )


def test_random_histories_keep_the_promises(db: None) -> None:
    """Promises 1-4: edits, verdicts, delegations, roles, telephone, escalations and the clock, in
    any order; after each step all of them hold.
    """
    chosen = settings(
        max_examples=tries(everyday=8, build=40, faults=2000),
        stateful_step_count=40,
        # the same ones in every build; `script/test --faults` looks for more
        derandomize=not FAULTS,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    History.reached.clear()
    run_state_machine_as_test(History, settings=chosen)
    if BUILD or FAULTS:
        assert {"P0", "P2", "P3"} <= set(History.reached), "so that it is not vacuous"


def test_the_histories_get_somewhere(db: None) -> None:
    """So that the test above is not vacuous: by its own rules a P3 and a P0 come to run."""
    history = History()
    try:
        history.request("engineer", "P3")
        history.decide_what_waits(0, "tech-lead")
        history.decide_what_waits(0, "devops-lead")
        history.request("engineer2", "P0")
        history.by_telephone(1, "cto")
        history.start(1, "oncall")
        history.the_window_opens()
        history.start(0, "devops")
        history.nothing_runs_without_its_approvals_in_its_window()
        assert [book.seen_running for book in history.books] == [True, True]
        assert TICKS
    finally:
        history.teardown()
