"""What every template keeps to: 120 columns, methods called, HTML marked as safe in one place
(issue 12, item 4).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template import engines
from jinja2 import nodes

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
APPS = (
    "accounts",
    "approvals",
    "audit",
    "implementation",
    "pages",
    "proposals",
    "reports",
    "requests",
    "web",
    "windows",
)
PROPERTIES = {"property", "cached_property", "functools.cached_property"}


def tree(path: Path) -> nodes.Template:
    env = engines["jinja2"].env  # type: ignore[attr-defined]
    return env.parse(path.read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_line_has_at_most_120_columns(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > 120] == []


def methods_of_ours() -> set[str]:
    """Names that read as questions, are methods on some class of ours, and neither field nor
    property on any other.
    """
    methods: set[str] = set()
    others: set[str] = set()
    files = [
        path
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
    ]
    for cls in (
        node
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ):
        for node in cls.body:
            if isinstance(node, ast.FunctionDef):
                plain = not PROPERTIES & {
                    ast.unparse(decorator) for decorator in node.decorator_list
                }
                (methods if plain else others).add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                others.add(node.target.id)
            elif isinstance(node, ast.Assign):
                others |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in methods - others if re.match(r"(get|is|may|has|holds)_", name)}


def uncalled(path: Path) -> Iterator[str]:
    found = tree(path)
    called = {id(call.node) for call in found.find_all(nodes.Call)}
    known = methods_of_ours()
    for attribute in found.find_all(nodes.Getattr):
        is_method = attribute.attr in known or re.fullmatch(
            r"get_\w+_display|get_absolute_url", attribute.attr
        )
        if is_method and id(attribute) not in called:
            yield f"{attribute.lineno}: {attribute.attr}"


def test_methods_are_called() -> None:
    """`{% if change.get_absolute_url %}` would hold always: nothing tells it at run time, so it is
    read here.
    """
    assert {"get_absolute_url", "is_current", "get_short_name"} <= methods_of_ours()
    assert {
        str(path.relative_to(ROOT)): list(uncalled(path))
        for path in TEMPLATES
        if list(uncalled(path))
    } == {}


def test_html_is_marked_as_safe_in_one_module() -> None:
    """F45: whoever looks for how a text could run reads one file, and no template."""
    marks = re.compile(r"\bMarkup\(|\bmark_safe\b|\bSafeString\b|\bformat_html")
    files = [
        path
        for app in (*APPS, "changemgmt", "language", "notifications")
        for path in (ROOT / app).rglob("*.py")
    ]
    assert [str(path.relative_to(ROOT)) for path in files if marks.search(path.read_text())] == [
        "pages/rendering/markup.py"
    ]
    assert [
        path.name for path in TEMPLATES if re.search(r"\|\s*safe\b|autoescape", path.read_text())
    ] == []


def test_every_template_is_named_somewhere() -> None:
    """What no view, no template and no package of ours names is dead."""
    files = [
        path for app in (*APPS, "changemgmt") for path in (ROOT / app).rglob("*.py")
    ] + TEMPLATES
    text = "\n".join(path.read_text() for path in files)
    by_packages = ("account/", "mfa/", "usersessions/", "429.html", "500.html")
    names = [str(path.relative_to(ROOT / "templates")) for path in TEMPLATES]
    assert [
        name for name in names if not name.startswith(by_packages) and f'"{name}"' not in text
    ] == []
