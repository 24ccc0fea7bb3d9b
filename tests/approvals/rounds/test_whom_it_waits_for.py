"""Whoever looks at a change in review reads whom it waits for, by name, and what happens meanwhile
(X18).
"""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from changemgmt.tick import tick
from tests.world import Desk

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]


@pytest.fixture(autouse=True)
def october(at: Any) -> None:
    at("2026-10-01T09:00Z")


def bar(username: str, number: str) -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    html = unescape(client.get(f"/changes/{number}/").content.decode())
    return html.split('id="next-step"')[1].split("</div>")[0]


def name(username: str) -> str:
    return str(User.objects.get(username=username))


def test_a_p3_names_who_could_review_it(desk: Sit) -> None:
    """X18, R37: the case of the findings, as its requester reads it."""
    number = str(desk("engineer").submit("P3")["id"])
    both = " or ".join(sorted([name("senior-devops"), name("tech-lead")]))
    assert (
        f"It waits for the technical review by Senior DevOps engineer or Tech lead ({both})."
        in bar("engineer", number)
    )
    assert "Expected by Sat 3 Oct 2026, 09:00 UTC; whoever has not answered is reminded" in bar(
        "engineer", number
    )


def test_each_open_step_names_its_own(desk: Sit) -> None:
    """A43: who requested it is not named, nor who has decided in the stage, nor who is not
    active.
    """
    number = str(desk("engineer").submit("P2")["id"])
    desk("eng-manager").decide(number, "business")
    User.objects.filter(username="senior-devops").update(is_active=False)
    said = bar("engineer", number)
    assert f"technical review by Senior DevOps engineer or Tech lead ({name('tech-lead')})." in said
    assert name("eng-manager") not in said
    own = str(desk("tech-lead").submit("P2")["id"])
    assert name("tech-lead") not in bar("tech-lead", own)


def test_more_than_three_are_counted(desk: Sit) -> None:
    for index in range(4):
        User.objects.create_user(
            f"lead{index}", email=f"l{index}@example.com", name=f"Lead {index}"
        ).groups.set(Group.objects.filter(name="tech-lead"))
    number = str(desk("engineer").submit("P3")["id"])
    first = sorted(
        [name("senior-devops"), name("tech-lead"), *(f"Lead {index}" for index in range(4))]
    )[:3]
    assert f"({', '.join(first)} or 3 more)" in bar("engineer", number)


def test_past_its_time_it_says_so(desk: Sit, at: Any) -> None:
    """One second either side of 48 hours (A2)."""
    number = str(desk("engineer").submit("P3")["id"])
    at("2026-10-03T08:59:59Z")
    assert "Expected by Sat 3 Oct 2026, 09:00 UTC" in bar("engineer", number)
    at("2026-10-03T09:00:00Z")
    assert "It was expected by Sat 3 Oct 2026, 09:00 UTC" in bar("engineer", number)


def test_it_promises_only_what_is_still_to_come(desk: Sit, at: Any) -> None:
    """A2: reminded after 24 hours, the change manager told after 72; one second before each the
    sentence before.
    """
    number = str(desk("engineer").submit("P3")["id"])
    for instant, said in (
        (
            "2026-10-02T08:59:59Z",
            "whoever has not answered is reminded, and later the change manager is told.",
        ),
        (
            "2026-10-02T09:00:00Z",
            "whoever has not answered has been reminded; later the change manager is told.",
        ),
        (
            "2026-10-04T08:59:59Z",
            "whoever has not answered has been reminded; later the change manager is told.",
        ),
        (
            "2026-10-04T09:00:00Z",
            "whoever has not answered has been reminded, and the change manager told.",
        ),
    ):
        at(instant)
        tick()
        assert said in bar("engineer", number), instant


def test_names_cost_three_statements_however_many_steps(desk: Sit) -> None:
    from django.db import connection

    number, many = (
        str(desk("engineer").submit("P3")["id"]),
        str(desk("engineer").submit("P2", components=["payments"])["id"]),
    )
    client = Client()
    client.force_login(User.objects.get(username="engineer"))
    counts = []
    for change in (number, number, many):
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/changes/{change}/")
        counts.append(len(queries))
    assert counts[1] >= counts[2] - 1


def test_where_nothing_is_due_it_begins_as_a_sentence(desk: Sit) -> None:
    """X18: an emergency's authorisation has no hour by which it is expected."""
    number = str(desk("oncall").submit("P0")["id"])
    assert '<span class="soft">Whoever could answer has been told.</span>' in bar(
        "engineer", number
    )
