"""What was thrown at the door and got through once: odd headers, cookies, addresses, floods of
text, double clicks (no input gives a 500).
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client

from accounts.models import ApiToken, Duty, User
from changemgmt.wsgi import application
from requests.models import Comment, Component
from tests.world import Desk, fields

Sit = Callable[[str], Desk]


def raw(path: str, query: str = "", **environ: Any) -> str:
    """One request by the WSGI door itself, as a server makes it; the status line."""
    said: list[str] = []
    base = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "testserver", "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
        "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    signals = (request_started, request_finished)
    for signal in signals:  # the test's transaction lives on
        signal.disconnect(close_old_connections)
    try:
        b"".join(
            application({**base, **environ}, lambda status, headers, *rest: said.append(status))
        )
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
    return said[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "charset",
    ["base64", "rot13", "hex", "zlib", "undefined", "idna", "unicode_escape", "utf-16", "nonsense"],
)
def test_no_charset_of_a_header_is_believed(charset: str) -> None:
    """Django decodes addresses by any codec that Python has; ours are UTF-8."""
    for path in ("/accounts/login/", "/api/v1/changes"):
        status = raw(path, "next=%41&q=a%5Cx00b", CONTENT_TYPE=f"text/plain; charset={charset}")
        assert status[:3] in ("200", "401"), status


@pytest.mark.django_db
def test_cookies_and_addresses_that_nobody_can_read(desk: Sit) -> None:
    for path in ("/healthz", "/changes/", "/api/v1/me"):
        assert raw(path, HTTP_COOKIE='sessionid="\\000aaaaaaaaaa"')[:3] == "400"
    for target in ("//[", "http://[", "//%5B", "javascript:1"):
        assert Client().get("/accounts/login/", {"next": target}).status_code == 200
        signed = desk("engineer").client
        signed.force_login(desk("engineer").user)
        assert signed.post("/accounts/logout/", {"next": target}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target",
    [
        "x",
        "login",
        "foo bar",
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "accounts:me",
    ],
)
def test_the_one_click_sign_in_leads_only_to_pages_of_ours(target: str) -> None:
    answer = Client().post("/accounts/demo/", {"username": "engineer", "next": target})
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.django_db
def test_a_form_posted_to_the_api_is_no_json(desk: Sit) -> None:
    """With session and CSRF token, as a browser would: what is not JSON is said so, never a 500."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="engineer"))
    client.get("/changes/new")
    token = client.cookies["csrftoken"].value
    number = desk("engineer").create(requested_date=None)["id"]
    for path in (
        "/api/v1/changes",
        f"/api/v1/changes/{number}/submit",
        f"/api/v1/changes/{number}/cancel",
    ):
        answer = client.post(
            path, b"--x\r\n", content_type="multipart/form-data; boundary=x", HTTP_X_CSRFTOKEN=token
        )
        assert answer.status_code == 400, path
    assert client.post("/api/v1/changes", b"{}", content_type="application/json").status_code == 403
    duty = {"kind": "on-call", "user": "on\x00call", "starts_at": "2027-01-01", "order": "1"}
    manager = desk("change-manager").client
    manager.force_login(User.objects.get(username="change-manager"))
    assert manager.post("/settings/duties/", duty).status_code == 422


@pytest.mark.django_db
def test_a_flood_of_changed_text_is_shown_in_time(desk: Sit, at: Any) -> None:
    """One engineer's edit must not keep everybody from opening the change: 20,000 letters replaced,
    as words and as lines.
    """
    at("2026-10-01T09:00Z")
    rnd = random.Random(1)
    edit = [
        {
            name: "\n".join(rnd.choice("abc") for _ in range(9_000))
            for name in ("reason", "testing_plan", "user_impact")
        }
        for _ in range(2)
    ]
    number = desk("engineer").submit(**edit[0])["id"]
    desk("engineer").patch(
        f"/changes/{number}",
        {"version": desk("engineer").get(f"/changes/{number}")["version"], **edit[1]},
    )
    client = desk("tech-lead").client
    client.force_login(User.objects.get(username="tech-lead"))
    other = desk("engineer").submit()["id"]
    for tab in ("", "history/", "audit/"):
        client.get(f"/changes/{other}/{tab}")  # templates are compiled once a process
        began = time.process_time()
        assert client.get(f"/changes/{number}/{tab}").status_code == 200
        assert time.process_time() - began < 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_of_each() -> None:
    """Eight at once: one person, one component, one duty, one token, one comment; the others are
    told, never a 500.
    """
    root = User.objects.create_superuser("root", "root@example.com", "x")
    manager, engineer = (
        User.objects.get(username="change-manager"),
        User.objects.get(username="engineer"),
    )
    desk = Desk(engineer)
    number = desk.post("/changes", fields(requested_date=None), expect=201)["id"]
    person = {
        "username": "ines",
        "name": "Ines",
        "email": "ines@example.com",
        "password": "a long first one",
        "is_active": "on",
    }
    duty = {"kind": "on-call", "user": "oncall", "starts_at": "2027-01-01T00:00Z", "order": "1"}
    posts: list[tuple[User, str, dict[str, str], Callable[[], int]]] = [
        (
            root,
            "/settings/people/new",
            person,
            lambda: User.objects.filter(username="ines").count(),
        ),
        (
            manager,
            "/settings/components/new",
            {"slug": "loyalty", "name": "Loyalty"},
            lambda: Component.objects.filter(slug="loyalty").count(),
        ),
        (
            manager,
            "/settings/duties/",
            duty,
            lambda: Duty.objects.filter(starts_at="2027-01-01T00:00Z").count(),
        ),
        (
            engineer,
            "/settings/tokens/",
            {"name": "ci", "scope": "read", "days": "9"},
            lambda: ApiToken.objects.filter(name="ci").count(),
        ),
        (
            engineer,
            f"/changes/{number}/act/comment",
            {"text": "Once"},
            lambda: Comment.objects.filter(text="Once").count(),
        ),
    ]
    for user, path, values, count in posts:
        clients = [Client() for _ in range(8)]
        for client in clients:
            client.force_login(user)

        def click(client: Client, path: str = path, values: dict[str, str] = values) -> int:
            try:
                return client.post(path, values).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(click, clients))
        assert count() == 1, (path, answers)
        assert set(answers) <= {200, 302, 422}, (path, answers)


@pytest.mark.django_db
def test_an_answer_that_was_kept_is_for_whoever_may_ask(desk: Sit) -> None:
    """Idempotency-Key: the first answer is given again, but not to a token of another scope,
    without CSRF, or by another scheme.
    """
    engineer = User.objects.get(username="engineer")
    secrets = {
        scope: ApiToken.make(user=engineer, name=scope, scope=scope)[1]
        for scope in ("write", "gate")
    }
    body = {
        "data": b'{"summary": "Once"}',
        "content_type": "application/json",
        "HTTP_IDEMPOTENCY_KEY": "k",
    }
    first = Client().post(
        "/api/v1/changes", HTTP_AUTHORIZATION=f"Bearer {secrets['write']}", **body
    )
    again = Client().post(
        "/api/v1/changes", HTTP_AUTHORIZATION=f"Bearer {secrets['write']}", **body
    )
    assert (first.status_code, again.status_code, again.json()["id"]) == (
        201,
        201,
        first.json()["id"],
    )
    assert (
        Client()
        .post("/api/v1/changes", HTTP_AUTHORIZATION=f"Bearer {secrets['gate']}", **body)
        .status_code
        == 403
    )
    assert (
        Client()
        .post("/api/v1/changes", HTTP_AUTHORIZATION=f"Basic {secrets['write']}", **body)
        .status_code
        == 401
    )
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(engineer)
    assert browser.post("/api/v1/changes", **body).status_code == 403
    large = {
        "content_type": "application/json",
        "HTTP_IDEMPOTENCY_KEY": "l",
        "HTTP_AUTHORIZATION": f"Bearer {secrets['write']}",
    }
    assert Client().post("/api/v1/changes", data=b"x" * 10_000_000, **large).status_code == 413
    assert Client().get("/api/v1/docs").status_code == 302


@pytest.mark.django_db
def test_what_was_typed_outlives_a_refusal(desk: Sit, at: Any) -> None:
    """Nothing is lost: the comment of a verdict that came second, the edit of a change that has
    moved on, an edit on an older version.
    """
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P2")["id"])
    step = next(step for step in desk("tech-lead").steps(number) if step["kind"] == "technical")
    desk("tech-lead").decide(number, "technical")
    client = desk("senior-devops").client
    client.force_login(User.objects.get(username="senior-devops"))
    late = client.post(
        f"/changes/{number}/decide/{step['id']}",
        {"verdict": "reject", "version": "1", "comment": "The index is too small"},
    )
    assert (late.status_code, "The index is too small" in late.content.decode()) == (409, True)
    assert client.get(f"/changes/{number}/decide/{step['id']}")["Location"] == f"/changes/{number}/"

    mine = desk("engineer").client
    mine.force_login(User.objects.get(username="engineer"))
    form = {"form": "1", "version": "1", "reason": "My own words", "summary": "Mine"}
    desk("change-manager").patch(
        f"/changes/{number}",
        {"version": desk("engineer").get(f"/changes/{number}")["version"], "reason": "Theirs"},
    )
    stale = mine.post(f"/changes/{number}/edit", form)
    page = stale.content.decode()
    assert (stale.status_code, "My own words" in page, "Theirs" in page) == (412, True, True)
    current = desk("engineer").get(f"/changes/{number}")["version"]
    assert f'name="version" id="id_version" value="{current}"' in page, "sent again, it is saved"
    desk("engineer").post(f"/changes/{number}/cancel", {"reason": "Not now"})
    gone = mine.post(f"/changes/{number}/edit", form | {"version": str(current)})
    assert (gone.status_code, "My own words" in gone.content.decode()) == (409, True)


@pytest.mark.django_db
def test_a_tick_wipes_no_evidence(desk: Sit, at: Any) -> None:
    """R145: what was noted on an item stays when it is ticked, reopened or ticked over the API."""
    at("2026-10-01T09:00Z")
    number = str(desk("engineer").submit("P0")["id"])
    desk("cto").decide(number, "emergency")
    item = desk("oncall").get(f"/changes/{number}/checklist")["items"][0]["id"]
    client = desk("oncall").client
    act = f"/changes/{number}/act/item"
    client.post(act, {"item": item, "state": "failed", "note": "disk full", "output": "ENOSPC"})
    client.post(act, {"item": item, "state": "done"})
    desk("oncall").patch(f"/changes/{number}/checklist/{item}", {"state": "done"})
    kept = next(
        row
        for row in desk("oncall").get(f"/changes/{number}/checklist")["items"]
        if row["id"] == item
    )
    assert (kept["state"], kept["note"], kept["output"]) == ("done", "disk full", "ENOSPC")
