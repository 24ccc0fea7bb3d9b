"""From text to checklist (A39, X34): what of a plan is a step, what belongs to one, and what is
none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import process_time
from typing import Any

import pytest

from implementation.run.steps import steps_of
from tests.world import Desk, html_of

Sit = Callable[[str], Desk]

#: a plan → its steps, as (words, command, level)
PLANS: tuple[tuple[str, str, list[tuple[str, str, int]]], ...] = (
    ("nothing", "", []),
    ("blank lines", "\n \n\t\n", []),
    ("one line", "Deploy", [("Deploy", "", 1)]),
    (
        "lines",
        "Drain\nDeploy\n\nUndrain",
        [("Drain", "", 1), ("Deploy", "", 1), ("Undrain", "", 1)],
    ),
    ("windows lines", "Drain\r\nDeploy\r\n", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("another alphabet", "Перезапустить\n部署", [("Перезапустить", "", 1), ("部署", "", 1)]),
    ("no letters", "Drain\n***\n---\n=====\n!!!\nDeploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("a rule", "Drain\n\n---\n\nDeploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("numbers", "1. Drain\n2. Deploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("brackets", "1) Drain\n2) Deploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("stars", "* Drain\n* Deploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    (
        "boxes",
        "- [ ] Drain\n- [x] Deploy\n- [X] Undrain",
        [("Drain", "", 1), ("Deploy", "", 1), ("Undrain", "", 1)],
    ),
    ("boxes without bullets", "[ ] Drain\n[x] Deploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    (
        "wrapped",
        "- Drain the\n  old pool\n- Deploy",
        [("Drain the old pool", "", 1), ("Deploy", "", 1)],
    ),
    (
        "wrapped lazily",
        "- Drain the\nold pool\n- Deploy",
        [("Drain the old pool", "", 1), ("Deploy", "", 1)],
    ),
    (
        "a second paragraph",
        "- Drain\n\n  Wait for zero sessions.\n- Deploy",
        [("Drain\nWait for zero sessions.", "", 1), ("Deploy", "", 1)],
    ),
    (
        "nested",
        "- Drain\n  - pool a\n  - pool b\n- Deploy",
        [("Drain", "", 1), ("pool a", "", 2), ("pool b", "", 2), ("Deploy", "", 1)],
    ),
    (
        "thrice nested",
        "1. a1\n   - b1\n     - c1\n2. a2",
        [("a1", "", 1), ("b1", "", 2), ("c1", "", 3), ("a2", "", 1)],
    ),
    (
        "an introduction",
        "Do this in order:\n\n1. Drain\n2. Deploy",
        [("Drain", "", 1), ("Deploy", "", 1)],
    ),
    (
        "a closing line",
        "1. Drain\n2. Deploy\n\nThen rest.",
        [("Drain", "", 1), ("Deploy\nThen rest.", "", 1)],
    ),
    (
        "a fence",
        "Drain\n\n```shell\nkubectl drain a\nkubectl drain b\n```\n\nDeploy",
        [("Drain", "kubectl drain a\nkubectl drain b", 1), ("Deploy", "", 1)],
    ),
    (
        "a fence close by",
        "Drain\n```\nkubectl drain a\n```\nDeploy",
        [("Drain", "kubectl drain a", 1), ("Deploy", "", 1)],
    ),
    (
        "a fence in an item",
        "1. Drain\n   ```shell\n   kubectl drain a\n   ```\n2. Deploy",
        [("Drain", "kubectl drain a", 1), ("Deploy", "", 1)],
    ),
    ("a fence left open", "Drain\n```\nkubectl drain a", [("Drain", "kubectl drain a", 1)]),
    (
        "a list in a fence",
        "Drain\n```\n- not a step\n# nor a title\n```",
        [("Drain", "- not a step\n# nor a title", 1)],
    ),
    (
        "a fence first",
        "```\nkubectl drain a\n```\nDeploy",
        [("kubectl drain a", "kubectl drain a", 1), ("Deploy", "", 1)],
    ),
    ("two fences", "Drain\n```\na\n```\n```\nb\n```", [("Drain", "a\nb", 1)]),
    (
        "a comment",
        "<!-- hidden -->\nDrain\n<!-- and\nthis -->\nDeploy",
        [("Drain", "", 1), ("Deploy", "", 1)],
    ),
    (
        "a table",
        "| Step | Who |\n|---|---|\n| Drain | Ann |\n| Deploy | Bo |",
        [("Drain; Ann", "", 1), ("Deploy; Bo", "", 1)],
    ),
    ("a quotation", "> Drain\n> Deploy", [("Drain", "", 1), ("Deploy", "", 1)]),
    ("a bare dash", "- \n- Deploy", [("Deploy", "", 1)]),
)


@pytest.mark.parametrize(
    ("plan", "expected"), [case[1:] for case in PLANS], ids=[case[0] for case in PLANS]
)
def test_a_plan_becomes_its_steps(plan: str, expected: list[tuple[str, str, int]]) -> None:
    """A39, R62: list items and rows, else lines with a letter or digit; a fence is the command
    above it.
    """
    assert [(step.words, step.command, step.level) for step in steps_of(plan)] == expected


def test_headings_are_titles_of_groups_without_a_tick() -> None:
    """A39."""
    found = steps_of("# Before\nDrain\n\nAfter\n=====\nDeploy\nUndrain")
    assert [(step.text, step.group) for step in found] == [
        ("Drain", "Before"),
        ("Deploy", "After"),
        ("Undrain", "After"),
    ]
    assert [len(step.group) for step in steps_of(f"# {'t' * 500}\nDrain")] == [200]


@pytest.mark.parametrize(
    "plan",
    [
        "- " * 20_000,
        ("> " * 20_000) + "x",
        "[" * 50_000,
        "`" * 50_000,
        "*a " * 20_000,
        "<!--" * 20_000,
        "|a" * 30_000 + "\n" + "|-" * 30_000,
        "~~~\n" * 10_000,
    ],
    ids=["bullets", "quotes", "brackets", "ticks", "stars", "comments", "columns", "fences"],
)
def test_no_plan_costs_more_than_a_second(plan: str) -> None:
    before = process_time()
    steps_of(plan)
    assert process_time() - before < 1


@pytest.mark.django_db
def test_the_checklist_shows_steps_commands_and_levels(desk: Sit, at: Any) -> None:
    """A39, R54, R62: the approved plan's items, with the level and the command of each."""
    at("2026-10-01T09:00Z")
    plan = "# Move\n- Drain\n  - [ ] pool a\n- Deploy\n  ```shell\n  deploy 7.3\n  ```"
    number = str(desk("engineer").submit("P3", implementation_steps=plan)["id"])
    desk("senior-devops").decide(number, "technical")
    desk("devops").decide(number, "sign_off")
    items = desk("devops").get(f"/changes/{number}/checklist")["items"]
    told = [
        (item["text"], item["command"], item["level"])
        for item in items
        if item["phase"] == "during"
    ]
    assert told[:3] == [("Drain", "", 1), ("pool a", "", 2), ("Deploy", "deploy 7.3", 1)]


@pytest.mark.django_db
def test_the_form_shows_the_checklist_that_will_come_of_the_text(desk: Sit, at: Any) -> None:
    """A39: the forecast on the form, while it is typed and when it is opened again."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    draft = engineer.create("P3", implementation_steps="- Drain\n  - pool a\n- Deploy")
    page = html_of(engineer.client.get(f"/changes/{draft['id']}/edit"))
    (listed,) = re.findall(
        r'<ol class="steps-ahead" id="ahead-implementation_steps">(.*?)</ol>', page, re.S
    )
    assert re.findall(r'<li class="level-(\d)">\s*(.*?)\s*</li>', listed) == [
        ("1", "Drain"),
        ("2", "pool a"),
        ("1", "Deploy"),
    ]
    shown = html_of(
        engineer.client.post(
            "/changes/preview", {"implementation_steps": "- Drain\n- Deploy", "priority": "P3"}
        )
    )
    assert '<ol class="steps-ahead" id="ahead-implementation_steps" hx-swap-oob="true">' in shown
