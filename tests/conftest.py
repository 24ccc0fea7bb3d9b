"""Fixtures: the process and its people, loaded once a session; somebody at a desk; a clock that can
be moved.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.core.cache import caches
from django.core.management import call_command
from django.template.backends.django import Template as DjangoTemplate
from django.test import Client
from django.test.client import ClientHandler
from pytest_django.plugin import blocking_manager_key

from accounts.models import User
from changemgmt.demo import people
from tests import databases
from tests.world import Desk


def load_reference_data() -> None:
    call_command("setup_process", stdout=io.StringIO())
    people.make()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """A database of this process with what the process states and the demonstration's people."""
    with django_db_blocker.unblock():
        name = databases.copy()
        load_reference_data()
    yield
    with django_db_blocker.unblock():
        databases.drop(name)


#: What takes minutes begins first, so that no process is left with it at the end; a folder or a
#: file, the longest first.
LONG = (
    "browser/test_pages",
    "machine/test_who_may",
    "windows/booking/test_one_answer",
    "journeys/",
    "browser/",
    "machine/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next(
            (index for index, name in enumerate(LONG) if f"tests/{name}" in item.nodeid), len(LONG)
        )

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Tests with real transactions end by emptying the database: whatever this process runs next
    finds the reference data again.
    """
    yield
    if nextitem and (
        {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", []))
        or is_transactional(item)
    ):
        with item.config.stash[blocking_manager_key].unblock():
            load_reference_data()


def is_transactional(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction"))


@pytest.fixture(autouse=True, scope="session")
def one_chain_of_middleware() -> Iterator[None]:
    """Every test client speaks through one handler, as every request of a server does: building the
    chain costs more than a request.
    """
    handler = ClientHandler(enforce_csrf_checks=False)
    handler.load_middleware()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientHandler, "_middleware_chain", staticmethod(handler._middleware_chain))
        yield


FORM = re.compile(r'<form[^>]*method="post".*?</form>', re.DOTALL)


@pytest.fixture(autouse=True, scope="session")
def every_page_is_sound() -> Iterator[None]:
    """Of every page that any test sees: one engine has drawn it, and every form that posts has its
    token.
    """
    ask, render = Client.request, DjangoTemplate.render

    def checked(client: Client, **request: Any) -> Any:
        response = ask(client, **request)
        if not response.streaming and "text/html" in response.headers.get("Content-Type", ""):
            forms = FORM.findall(response.content.decode())
            assert [form[:200] for form in forms if "csrfmiddlewaretoken" not in form] == []
        return response

    def only_texts(template: DjangoTemplate, *args: Any, **kwargs: Any) -> Any:
        assert not str(template.template.name).endswith(".html"), (
            f"{template.template.name} is drawn by Django's own engine"
        )
        return render(template, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", checked)
        patch.setattr(DjangoTemplate, "render", only_texts)
        yield


@pytest.fixture(autouse=True)
def fresh_caches() -> None:
    caches["default"].clear()


@pytest.fixture
def at(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """`at("2026-10-06T02:00Z")`: it is that instant from now on, until the next call or the end of
    the test.
    """
    traveller: time_machine.travel | None = None

    def move(instant: str) -> None:
        nonlocal traveller
        if traveller:
            traveller.stop()
        traveller = time_machine.travel(
            datetime.fromisoformat(instant.replace("Z", "+00:00")), tick=False
        )
        traveller.start()

    yield move
    if traveller:
        traveller.stop()


@pytest.fixture
def desk(db: None) -> Callable[[str], Desk]:
    """`desk("engineer")`: that person, signed in, with the API in front of them."""
    desks: dict[str, Desk] = {}

    def sit(username: str) -> Desk:
        if username not in desks:
            desks[username] = Desk(User.objects.get(username=username))
        return desks[username]

    return sit
