"""Races over HTTP on the live server: 16 clients, each with a session and a connection of its own,
let go at the same moment (promise 3).

One effective verdict each, none lost, none stuck, no 5xx. `script/test --faults` runs each 200
times.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.product import Person, eventually, running
from tests.tries import tries
from tests.world import TICKS, fields

pytestmark = pytest.mark.journey
ROUNDS = tries(everyday=4, build=20, faults=200)
CLIENTS = 16
Answer = tuple[int, Any]


class Runner(threading.Thread):
    """One client: waits at the line, sends what it was given, and keeps the answer."""

    def __init__(self, base: str, username: str, line: threading.Barrier) -> None:
        super().__init__(daemon=True)
        person = Person(base, username)
        self.line, self.answer = line, (0, None)
        self.act: tuple[Any, ...] = ()
        self.until: threading.Event | None = None
        self.answered = threading.Event()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.jar)
        self.headers = {
            "Content-Type": "application/json",
            "X-CSRFToken": person.csrf,
            "Referer": base,
            "Cookie": cookies,
        }
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=60)
        self.start()

    def run(self) -> None:
        while True:
            self.line.wait()
            if self.until is not None:
                self.until.wait(timeout=60)
            try:
                self.answer = self.send(*self.act)
            except (OSError, http.client.HTTPException, ValueError) as problem:
                self.answer = (599, repr(problem))
            self.answered.set()
            self.line.wait()

    def send(self, method: str, path: str, body: Any = None, **more: str) -> Answer:
        self.connection.request(
            method, f"/api/v1{path}", json.dumps(body or {}), self.headers | more
        )
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


class Track:
    """Sixteen runners, and the people who prepare and look."""

    def __init__(self, base: str) -> None:
        self.base, self.line = base, threading.Barrier(CLIENTS + 1)
        self.teams: dict[tuple[str, str], list[Runner]] = {}
        self.people: dict[str, Person] = {}

    def person(self, username: str) -> Person:
        return self.people.setdefault(username, Person(self.base, username))

    def team(self, one: str, other: str) -> list[Runner]:
        if (one, other) not in self.teams:
            self.line = threading.Barrier(CLIENTS + 1)
            self.teams[one, other] = [
                Runner(self.base, (one, other)[n % 2], self.line) for n in range(CLIENTS)
            ]
        return self.teams[one, other]

    def race(
        self, one: str, other: str, acts: Callable[[int], tuple[Any, ...]], first: int | None = None
    ) -> list[Answer]:
        """Runner n does `acts(n)`; even ones are `one`, odd ones `other`. All answers, in their
        order.

        `first` = 0 or 1: the other side is let go once one of `one` or of `other` has its answer,
        so that each order is sure to be seen.
        """
        team = self.team(one, other)
        for runner in team:  # a server lets go of a connection that was long idle
            runner.connection.close()
            runner.connection.connect()
        answered = threading.Event()
        for n, runner in enumerate(team):
            runner.act, runner.answered = acts(n), answered if n % 2 == first else threading.Event()
            runner.until = answered if first is not None and n % 2 != first else None
        team[0].line.wait()
        team[0].line.wait()
        answers = [runner.answer for runner in team]
        assert all(status < 500 for status, _ in answers), answers
        return answers


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Track]:
    with running(tmp_path_factory.mktemp("races"), clock="2026-10-05T09:00:00Z") as base:
        yield Track(base)


def submitted(track: Track, priority: str, **more: Any) -> str:
    engineer = track.person("engineer")
    number = str(
        engineer.post(
            "/changes", fields(priority, **({"requested_date": "2026-10-08"} | more)), expect=201
        )["id"]
    )
    engineer.post(f"/changes/{number}/submit")
    return number


def step_of(track: Track, number: str, kind: str) -> dict[str, Any]:
    items = track.person("auditor").get(f"/changes/{number}/steps")["items"]
    return next(item for item in items if item["kind"] == kind)


def verdict(number: str, step: dict[str, Any], word: str) -> tuple[str, str, dict[str, Any]]:
    ticks = dict.fromkeys(TICKS[step["kind"]], True)
    return (
        "POST",
        f"/changes/{number}/steps/{step['id']}/decision",
        {"verdict": word, "version": 1, "comment": "As I see it", "checklist": ticks},
    )


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(status for status, _ in answers)


def test_approve_against_reject(track: Track) -> None:
    """F18: eight approve, eight reject: one verdict, fifteen are told who was first."""
    for _ in range(ROUNDS):
        number = submitted(track, "P3")
        step = step_of(track, number, "technical")
        answers = track.race(
            "tech-lead",
            "senior-devops",
            lambda n: verdict(number, step, ("approve", "reject")[n % 2]),
        )
        assert statuses(answers) == {200: 1, 409: CLIENTS - 1}, answers
        decisions = step_of(track, number, "technical")["decisions"]
        assert len(decisions) == 1
        state = track.person("auditor").get(f"/changes/{number}")["state"]
        assert state == ("rejected" if decisions[0]["verdict"] == "reject" else "in_review")


def test_a_quorum_is_never_stuck(track: Track) -> None:
    """F19: both sign-offs, eight times each at once: each counts once, and the change is
    approved.
    """
    for _ in range(ROUNDS):
        number = submitted(track, "P2")
        track.person("tech-lead").decide(number, "technical")
        track.person("product-manager").decide(number, "business")
        step = step_of(track, number, "sign_off")
        answers = track.race(
            "eng-manager",
            "devops-lead",
            lambda n: verdict(number, step, "approve"),
        )
        assert statuses(answers) == {200: 2, 409: CLIENTS - 2}, answers
        assert {d["by"] for d in step_of(track, number, "sign_off")["decisions"]} == {
            "eng-manager",
            "devops-lead",
        }
        assert track.person("auditor").get(f"/changes/{number}")["state"] == "approved"


def test_approve_against_edit(track: Track) -> None:
    """F21: never approved content that nobody saw: one edit wins, the new round has no verdict,
    whatever came before.
    """
    for _ in range(ROUNDS):
        number = submitted(track, "P3")
        step = step_of(track, number, "technical")

        def act(n: int, number: str = number, step: dict[str, Any] = step) -> tuple[Any, ...]:
            return (
                verdict(number, step, "approve")
                if n % 2
                else ("PATCH", f"/changes/{number}", {"version": 1, "reason": f"Better {n}"})
            )

        answers = track.race("engineer", "tech-lead", act)
        edits, verdicts = answers[::2], answers[1::2]
        assert statuses(edits) == {200: 1, 412: CLIENTS // 2 - 1}, edits
        assert statuses(verdicts)[200] <= 1
        assert set(statuses(verdicts)) <= {200, 409, 412}, verdicts
        fresh = step_of(track, number, "technical")
        assert (fresh["round"], fresh["state"], fresh["decisions"]) == (2, "open", [])


def test_start_against_a_revoked_authorisation(track: Track) -> None:
    """A4, F22: the person named says “I did not” while others start: either it runs, or nobody
    could start it; never both.
    """
    for first in (0, 1, *[None] * ROUNDS):
        number = submitted(track, "P0")
        step = step_of(track, number, "emergency")
        track.person("oncall").decide(
            number, "emergency", on_behalf_of="cto", comment="By telephone"
        )

        def act(n: int, number: str = number, step: dict[str, Any] = step) -> tuple[Any, ...]:
            denial = (
                "POST",
                f"/changes/{number}/steps/{step['id']}/confirmation",
                {"answer": "not_approved"},
            )
            return denial if n % 2 else ("POST", f"/changes/{number}/start")

        answers = track.race("devops", "cto", act, first)
        starts, denials = answers[::2], answers[1::2]
        assert statuses(denials) == {200: 1, 409: CLIENTS // 2 - 1}, denials
        state = track.person("auditor").get(f"/changes/{number}")["state"]
        assert statuses(starts) == (
            {200: 1, 409: CLIENTS // 2 - 1} if state == "implementing" else {409: CLIENTS // 2}
        ), (state, starts)
        assert (
            state
            in {0: ("implementing",), 1: ("in_review",), None: ("implementing", "in_review")}[first]
        )


def test_double_submit(track: Track) -> None:
    """F20: sixteen submits are one; sixteen times the same new change with one Idempotency-Key is
    one change.
    """
    for index in range(ROUNDS):
        key = {"Idempotency-Key": f"race {index}"}
        body = fields("P3", requested_date="2026-10-08")
        for runner in track.team("engineer", "engineer"):
            runner.headers |= key
        answers = track.race(
            "engineer", "engineer", lambda n, body=body: ("POST", "/changes", body)
        )
        for runner in track.team("engineer", "engineer"):
            del runner.headers["Idempotency-Key"]
        assert set(statuses(answers)) <= {201, 409}, answers
        numbers = {found["id"] for status, found in answers if status == 201}
        assert len(numbers) == 1, answers
        number = numbers.pop()
        answers = track.race(
            "engineer",
            "engineer",
            lambda n: ("POST", f"/changes/{number}/submit"),
        )
        assert statuses(answers) == {200: 1, 409: CLIENTS - 1}, answers
        assert len(track.person("auditor").get(f"/changes/{number}/steps")["items"]) == 2


def approved(track: Track, components: list[str], **more: Any) -> str:
    number = submitted(track, "P2", components=components, **more)
    track.person("tech-lead").decide(number, "technical")
    track.person("product-manager").decide(number, "business")
    track.person("eng-manager").decide(number, "sign_off")
    track.person("devops-lead").decide(number, "sign_off")
    return number


SLOT = "2026-10-20T02:00:00Z"  # where the demonstration has booked nothing


def bookers(track: Track, numbers: list[str]) -> tuple[list[str], list[Answer]]:
    """Everybody books their own change at the same instant; who has the slot now, and all
    answers.
    """
    answers = track.race(
        "devops", "devops2", lambda n: ("POST", f"/changes/{numbers[n]}/schedule", {"start": SLOT})
    )
    assert set(statuses(answers)) <= {200, 409}, answers
    return [
        number for number, (status, _) in zip(numbers, answers, strict=True) if status == 200
    ], answers


def give_back(track: Track, winners: list[str]) -> None:
    for number in winners:
        assert track.person("auditor").get(f"/changes/{number}")["slot"]["start"] == SLOT
        track.person("devops").post(f"/changes/{number}/unschedule", {"reason": "The next round"})


def test_sixteen_bookers_of_one_slot(track: Track) -> None:
    """F25, issue 4: sixteen changes of one component, one slot: one has it, the others read who."""
    numbers = [approved(track, ["search"]) for _ in range(CLIENTS)]
    for _ in range(ROUNDS):
        winners, answers = bookers(track, numbers)
        assert len(winners) == 1, statuses(answers)
        for status, answer in answers:
            if status == 409:
                (reason,) = [
                    found for found in answer["reasons"] if found["code"] == "same_component"
                ]
                assert winners[0] in reason["message"], answer
        give_back(track, winners)


def component(track: Track, slug: str) -> str:
    track.person("change-manager").post("/components", {"slug": slug, "name": slug}, expect=201)
    return slug


def test_booking_against_a_freeze(track: Track) -> None:
    """Promise 2, item 4: bookers of a slot, and editors who freeze it: whoever is first, nothing
    stays booked in the freeze.
    """
    for index, first in enumerate((0, 1, *[None] * ROUNDS)):
        frozen = component(track, f"frozen-{index}")
        number = approved(track, [frozen])

        def act(n: int, number: str = number, frozen: str = frozen) -> tuple[Any, ...]:
            values = {
                "name": f"the freeze of {frozen}",
                "kind": "freeze",
                "starts": SLOT,
                "ends": "2026-10-20T03:00Z",
                "scope": [frozen],
            }
            edit = {
                "edits": [{"kind": "closure", "values": values}],
                "reason": "Its database moves",
            }
            return (
                ("POST", "/calendar/rules", edit)
                if n % 2
                else ("POST", f"/changes/{number}/schedule", {"start": SLOT})
            )

        answers = track.race("devops", "change-manager", act, first)
        bookings, freezes = answers[::2], answers[1::2]
        assert statuses(freezes) == {
            200: 1,
            422: CLIENTS // 2 - 1,
        }, freezes  # of that name there is one already
        assert set(statuses(bookings)) <= {200, 409}, bookings
        assert {0: statuses(bookings)[200] >= 1, 1: statuses(bookings)[200] == 0, None: True}[
            first
        ], bookings
        change = track.person("auditor").get(f"/changes/{number}")
        assert (change["state"], change["slot"]) == ("approved", None), (first, bookings)


def test_start_against_a_lockdown(track: Track) -> None:
    """Item 5: whoever started before it runs on; once somebody reads that it is locked, nobody
    starts any more.
    """
    manager = track.person("change-manager")
    orders, stopped = (0, 1, *[None] * (ROUNDS // 4)), 0
    numbers = [
        approved(track, [component(track, f"held-{index}")], requested_date="2026-10-05")
        for index in range(len(orders))
    ]
    now = datetime.fromisoformat(
        manager.post("/changes", {"summary": "What time is it?"}, expect=201)["created_at"]
    )
    begin = now + timedelta(
        seconds=62 + len(orders)
    )  # cut to the minute: booked by then, and not long to wait
    values = {
        "name": "Rehearsal",
        "rule": "",
        "begins": f"{begin:%Y-%m-%dT%H:%M}",
        "minutes": 480,
        "zone": "UTC",
        "priorities": ["P2"],
    }
    said = manager.post(
        "/calendar/rules", {"edits": [{"kind": "window", "values": values}], "reason": "As agreed"}
    )
    track.person("cto").post(f"/proposals/{said['proposal']}/confirm")
    for number in numbers:
        why = {"start": f"{begin:%Y-%m-%dT%H:%MZ}", "short_notice_reason": "A rehearsal"}
        track.person("devops").post(f"/changes/{number}/schedule", why)
    for number in numbers:
        track.person("devops").tick_off(number, "pre")
    eventually(
        lambda: all(track.person("devops").get(f"/gate/{number}")["allow"] for number in numbers),
        seconds=120,
    )
    for index, (first, number) in enumerate(zip(orders, numbers, strict=True)):

        def act(n: int, number: str = number, index: int = index) -> tuple[Any, ...]:
            stop = (
                "POST",
                "/calendar/lockdowns",
                {"components": [f"held-{index}"], "reason": "Something is wrong"},
            )
            return stop if n % 2 else ("POST", f"/changes/{number}/start")

        answers = track.race("devops", "change-manager", act, first)
        starts, stops = answers[::2], answers[1::2]
        assert statuses(stops) == {201: 1, 409: CLIENTS // 2 - 1}, stops
        change = track.person("auditor").get(f"/changes/{number}")
        ran = change["state"] == "implementing"
        assert statuses(starts) == (
            {200: 1, 409: CLIENTS // 2 - 1} if ran else {409: CLIENTS // 2}
        ), starts
        assert ran is {0: True, 1: False, None: ran}[first]
        assert change["state"] in ("implementing", "scheduled")
        trail = track.person("auditor").get(f"/audit?action=calendar.lockdown&cursor={stopped}")[
            "items"
        ]
        (stopped,) = [event["id"] for event in trail]
        begun = track.person("auditor").get(f"/audit?change={number}&action=change.start")["items"]
        assert [event["id"] < stopped for event in begun] == [True] * ran, (
            "started under the lockdown"
        )


def test_sixteen_bookers_of_a_window_with_three_places(track: Track) -> None:
    """Issue 4: no two touch the same component; three get a place, each time, and the others read
    that it is full.
    """
    manager = track.person("change-manager")
    for index in range(CLIENTS):
        manager.post(
            "/components", {"slug": f"alone-{index}", "name": f"Alone {index}"}, expect=201
        )
    window = next(
        row for row in manager.get("/calendar/rules")["windows"] if row["name"] == "Primary"
    )
    values = {
        name: value
        for name, value in window.items()
        if name not in ("key", "by", "reason", "since")
    } | {"capacity": 3}
    manager.post(
        "/calendar/rules",
        {
            "edits": [{"kind": "window", "key": window["key"], "values": values}],
            "reason": "Three at a time",
        },
    )
    numbers = [approved(track, [f"alone-{index}"]) for index in range(CLIENTS)]
    for _ in range(ROUNDS):
        winners, answers = bookers(track, numbers)
        assert len(winners) == 3, statuses(answers)
        assert all(
            {reason["code"] for reason in answer["reasons"]} == {"window_full"}
            for status, answer in answers
            if status == 409
        )
        give_back(track, winners)
