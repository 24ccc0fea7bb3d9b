"""No input gives a 500; every wrong field is named with what to do (F52, F53)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world import Desk, fields

pytestmark = pytest.mark.django_db
Sit = Callable[[str], Desk]

WRONG: list[tuple[str, Any]] = [
    ("priority", "P9"), ("priority", 1), ("priority", ["P1"]), ("summary", "x" * 201),
    ("summary", 7), ("summary", {"a": 1}), ("summary", "a\x00b"),
    ("reason", "x" * 20_001), ("reason", "\ud800"), ("components", ["nowhere"]),
    ("components", "search"), ("components", [1]), ("components", ["a\x00"]),
    ("components", ["search"] * 51), ("risk", "huge"), ("risk", {"a": 1}),
    ("estimated_minutes", -5), ("estimated_minutes", 0), ("estimated_minutes", 1.5),
    ("estimated_minutes", 10**12), ("estimated_minutes", True), ("estimated_minutes", "soon"),
    ("estimated_minutes", [3]), ("rollback_minutes", -1),
    ("requested_date", "2020-01-01"), ("requested_date", "tomorrow"),
    ("requested_date", "2026-02-30"), ("requested_date", 5), ("requested_date", "9999-01-01"),
    ("requested_window", {"start": "2020-01-01T02:00Z"}), ("requested_window", "2026-10-06"),
    ("requested_window", {"start": "x"}),
    ("requested_window", {"start": "2026-10-06T04:00Z", "end": "2026-10-06T02:00Z"}),
    ("requested_window", {"begin": 1}), ("requested_window", [1]),
    ("downtime_required", "yes"), ("affects_network", 1), ("rollback_tested", "yes"),
    ("rollback_tested", {"how": "x"}), ("rollback_tested", {"link": "javascript:alert(1)"}),
    ("dependencies", [1]), ("dependencies", {"a": 1}), ("external_refs", "X"),
    ("external_refs", [{"key": ""}]), ("external_refs", [{"key": "A", "url": "javascript:x"}]),
    ("external_refs", [3]), ("implementer", "nobody-here"), ("implementer", ["x"]),
    ("implementer", {"a": 1}), ("confidential", "no"), ("confidential", None), ("major", 1),
    ("state", "approved"), ("approved_at", "2026-01-01"), ("requester", "cto"),
    ("no_such_field", 1), ("content_hash", "x"), ("strategy", "hope"), ("emergency_kind", "panic"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), WRONG, ids=[f"{name}={str(value)[:25]!r}" for name, value in WRONG]
)
def test_a_wrong_value_is_refused_at_its_field(desk: Sit, at: Any, name: str, value: Any) -> None:
    """Create and edit alike: 422 with the field's name and a sentence; nothing is stored."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    answer = engineer.post("/changes", {**fields("P2"), name: value}, expect=422)
    assert name in [error["field"] for error in answer["errors"]], answer
    assert all(len(error["message"]) > 10 for error in answer["errors"])
    change = engineer.create("P2")
    engineer.patch(
        f"/changes/{change['id']}", {"version": change["version"], name: value}, expect=422
    )
    assert engineer.get(f"/changes/{change['id']}") == change


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"", 400), (b"[]", 400), (b"null", 400), (b'"x"', 400), (b"\xff\xfe", 400),
        (b"[" * 100_000, 400), (b'{"a":' * 50_000, 400),
        (b'{"summary": "' + b"x" * 10_000_000 + b'"}', 413), (b'{"\\u0000": 1}', 400),
    ],
    ids=["open brace", "empty", "list", "null", "string", "not utf-8", "deep list", "deep object",
        "10 MB", "NUL name"],
)  # fmt: skip
def test_a_body_that_cannot_be_read(desk: Sit, body: bytes, status: int) -> None:
    answer = desk("engineer").call("POST", "/changes", body, expect=status)
    assert answer["status"] == status


@pytest.mark.parametrize(
    "query",
    ["state=nowhere", "limit=0", "limit=9999999999999999999999", "limit=x", "cursor=x",
        "cursor=WzEsMl0", "sort=password", "from=2026-13-01",
     "from=2026-10-02&to=2026-10-01", "priority=P7", "ended=2026-13", "ended=0000-01",
     "cursor=" + "A" * 3000],
)  # fmt: skip
def test_a_wrong_query_is_named(desk: Sit, query: str) -> None:
    answer = desk("engineer").get(f"/changes?{query}", expect=422)
    assert answer["errors"]


@pytest.mark.parametrize(
    "path",
    ["/changes/%00", "/changes?q=%00", "/changes/CR-2026-01-01-999999999999", "/changes/%ED%A0%80",
        "/gate/x?at=soon", "/changes/x/steps/99999999999999999999/decision",
     "/calendar?from=x", "/calendar?from=2026-01-02&to=2026-01-01",
     "/calendar?from=2026-01-01&to=2029-01-01", "/calendar/state?at=9999-12-31",
     "/calendar/state?priority=P5",
     "/reports/monthly/2026-13", "/reports/monthly/2099-01", "/reports/monthly/9999-99.json",
     "/audit?cursor=99999999999999999999", "/audit?from=x", "/audit?limit=-1",
     "/changes/x/slots?limit=0", "/nowhere", "/changes?q=" + "a" * 5000],
)  # fmt: skip
def test_a_wrong_address_is_4xx_never_5xx(desk: Sit, path: str) -> None:
    desk("change-manager").call("GET", path)
    assert 400 <= desk("change-manager").status < 500


def test_search_takes_whatever_people_type(desk: Sit) -> None:
    for text in ("'", '"', "a & | b", "!!", ":*", "%25", "\\", "cr-", "CR-2026", "<script>", "🙂"):
        desk("engineer").get(f"/changes?q={text.replace('&', '%26')}")


def test_a_double_submit_is_one_submission(desk: Sit, at: Any) -> None:
    """F20: same key, one change and one answer; another body is refused."""
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    first = engineer.post("/changes", fields("P2"), expect=201, idempotency_key="k1")
    again = engineer.post("/changes", fields("P2"), expect=201, idempotency_key="k1")
    assert first == again
    assert len(engineer.get("/changes")["items"]) == 1
    engineer.post("/changes", fields("P1"), expect=422, idempotency_key="k1")


def test_the_web_form_keeps_what_was_typed(desk: Sit, at: Any) -> None:
    """Errors at the top, linked; every typed text is on the page again, also after 10 MB and NUL
    were thrown at it.
    """
    at("2026-10-01T09:00Z")
    client = desk("engineer").client
    client.force_login(desk("engineer").user)
    form = {"form": "1", "token": "t1", "priority": "P2", "summary": "A < b", "reason": "Because",
        "estimated_minutes": "-3", "components": "search, nowhere",
            "intent": "submit", "requested_date": "2020-01-01"}  # fmt: skip
    answer = client.post("/changes/new", form)
    page = answer.content.decode()
    assert answer.status_code == 422
    for expected in (
        'href="#id_estimated_minutes"',
        'href="#id_components"',
        'href="#id_requested_date"',
        'href="#id_rollback_plan"',  # what is missing is told with what is wrong
        'value="A &lt; b"',
        "Because",
        'value="-3"',
    ):
        assert expected in page, expected
    assert (
        client.post("/changes/new", {"form": "1", "token": "t2", "summary": "x\x00y"}).status_code
        == 422
    )
    assert client.post(
        "/changes/new", {"form": "1", "token": "t3", "reason": "x" * 3_000_000}
    ).status_code in (400, 413)
    assert (
        client.post(
            "/changes/preview",
            {
                "form": "1",
                "token": "t4",
                "summary": "x\x00",
                "autosave": "1",
                "requested_date": "x",
            },
        ).status_code
        == 200
    )


def test_sending_the_form_twice_makes_one_change(desk: Sit, at: Any) -> None:
    at("2026-10-01T09:00Z")
    engineer = desk("engineer")
    engineer.client.force_login(engineer.user)
    form = {"form": "1", "token": "once", "priority": "P2", "summary": "Twice"}
    targets = {engineer.client.post("/changes/new", form).headers["Location"] for _ in range(3)}
    assert len(targets) == 1
    assert len(engineer.get("/changes")["items"]) == 1
