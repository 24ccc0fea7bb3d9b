"""A real Chromium against the real product."""

from __future__ import annotations

import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError

from tests.product import running

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CHROMIUM:
        for item in items:
            if "tests/browser" in str(item.path):
                item.add_marker(
                    pytest.mark.skip(reason="NO BROWSER: install chromium or set CHROMIUM")
                )


# Of the package, not of the session: the same process goes on with other files, and Playwright's
# loop bars Django from its database.
@pytest.fixture(scope="package")
def product_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="package")
def product(product_var: Path) -> Iterator[str]:
    with running(product_var, clock="2026-10-06T14:20:00Z") as base:
        yield base


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def _health(product: str) -> str:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"{product}/healthz", timeout=10) as answer:
            return f"{answer.status} in {time.monotonic() - began:.2f} s"
    except OSError as problem:
        return f"{problem} after {time.monotonic() - began:.2f} s"


@pytest.fixture
def stranger(product: str, chromium: Any) -> Iterator[Callable[..., Any]]:
    """`stranger(width=390, theme="dark")`: a page of somebody who has not signed in; script errors
    fail the test.
    """
    contexts, problems = [], []

    def open_page(*, width: int = 1280, theme: str = "light", script: bool = True) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            base_url=product,
            bypass_csp=True,
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        _note_errors(page, problems)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def _note_errors(page: Any, problems: list[str]) -> None:
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )


@pytest.fixture
def visit(stranger: Callable[..., Any], product: str) -> Callable[..., Any]:
    """`visit("tech-lead", width=390, theme="dark")`: a page of that person, signed in by
    one click.
    """

    def open_page(username: str, **how: Any) -> Any:
        page = stranger(**how)
        _sign_in(page, username, product)
        return page

    return open_page


def _sign_in(page: Any, username: str, product: str) -> None:
    unanswered: set[str] = set()
    page.on("request", lambda request: unanswered.add(request.url))
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda request: unanswered.discard(request.url))
    try:
        page.goto("/accounts/login/")
    except TimeoutError as late:  # seen once: say then what hung, the server or the browser
        raise AssertionError(
            f"{late}\nUnanswered: {sorted(unanswered)}. The server then: {_health(product)}"
        ) from late
    page.locator(f"form:has(input[value='{username}']) button").click()
    page.wait_for_url("**/")


@pytest.fixture(scope="package")
def seats(product: str, chromium: Any) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The pages that people left open, by username, and the script errors on them."""
    pages: dict[str, Any] = {}
    yield pages, []
    for page in pages.values():
        page.context.close()


@pytest.fixture
def look(
    seats: tuple[dict[str, Any], list[str]], product: str, chromium: Any
) -> Iterator[Callable[..., Any]]:
    """`look("tech-lead", width=390, theme="dark")`: the page at which that person sits already ("-"
    is a stranger), made so wide and so dark. For tests that only look: signing in takes longer than
    looking.
    """
    pages, problems = seats
    problems.clear()

    def sit_down(username: str, *, width: int, theme: str) -> Any:
        if username not in pages:
            page = pages[username] = chromium.new_context(
                base_url=product, bypass_csp=True
            ).new_page()
            _note_errors(page, problems)
            if username != "-":
                _sign_in(page, username, product)
        page = pages[username]
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        return page

    yield sit_down
    assert problems == []
