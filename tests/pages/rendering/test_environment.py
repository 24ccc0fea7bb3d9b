"""The templates' environment is strict: what nobody handed in, or nobody called, is told, never
shown (issue 12, item 4).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines
from django.test import RequestFactory
from jinja2 import Environment, StrictUndefined, UndefinedError

from pages.rendering import environment as made
from pages.rendering import icons
from pages.rendering.icons import CHANGE_LOOKS, ICONS, sprite
from requests.states import State


@pytest.fixture
def strict() -> Environment:
    return engines["jinja2"].env  # type: ignore[attr-defined,no-any-return]


def shown(env: Environment, source: str, **context: object) -> str:
    return env.from_string(source).render(**context)


def test_a_name_that_nobody_handed_in_is_an_error(strict: Environment) -> None:
    assert strict.undefined is StrictUndefined
    with pytest.raises(UndefinedError, match="'absent' is undefined"):
        shown(strict, "{% if absent %}x{% endif %}")
    with pytest.raises(UndefinedError, match="no attribute 'absent'"):
        shown(strict, "{{ held.absent }}", held={})


def test_in_production_it_is_logged_and_shows_nothing(
    settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TEMPLATES_STRICT = False  # type: ignore[attr-defined]
    lenient = made.environment()
    assert shown(lenient, "[{{ absent }}{{ held.absent.deeper }}]", held={}) == "[]"
    assert "absent" in caplog.text


def test_a_method_that_nobody_called_is_an_error(strict: Environment) -> None:
    with pytest.raises(TypeError, match="shown without being called"):
        shown(strict, "{{ text.upper }}", text="a")
    assert shown(strict, "{{ text.upper() }}", text="a") == "A"


def test_everything_but_plain_texts_is_escaped(strict: Environment) -> None:
    assert shown(strict, "{{ text }}", text="<b>") == "&lt;b&gt;"
    assert callable(strict.autoescape)
    assert strict.autoescape("home.html")
    assert strict.autoescape(None)
    assert not strict.autoescape("account/email/invitation_message.txt")


def test_every_template_compiles(strict: Environment) -> None:
    names = strict.list_templates()
    assert len(names) > 100
    for name in names:
        strict.get_template(name)


def test_the_query_keeps_what_was_chosen_and_begins_at_the_first_page(strict: Environment) -> None:
    request = RequestFactory().get("/changes/?state=open&cursor=abc&q=a%26b")
    source = "{{ query_string(state='', cursor='next', page=2)|safe }} {{ query_string()|safe }}"
    assert (
        shown(strict, source, request=request) == "?q=a%26b&cursor=next&page=2 ?state=open&q=a%26b"
    )
    assert shown(strict, "{{ query_string(q='') }}", request=RequestFactory().get("/?q=a")) == "?"


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/", "home", "True"),
        ("/changes/", "home", "False"),
        ("/changes/new", "requests:index", "True"),
    ],
)
def test_the_menu_knows_where_one_is(
    strict: Environment, path: str, name: str, expected: str
) -> None:
    assert (
        shown(strict, "{{ here(name) }}", request=RequestFactory().get(path), name=name) == expected
    )


def test_the_sprite_holds_the_icons_that_pages_name_and_no_other(strict: Environment) -> None:
    drawn = sprite()
    assert drawn.count("<symbol ") == len(set(ICONS)) + 4
    assert {look.icon for look in CHANGE_LOOKS.values()} <= set(ICONS)
    assert set(CHANGE_LOOKS) == set(State)
    with pytest.raises(ValueError, match="'no-such-icon' is not in the sprite"):
        shown(strict, '{% from "parts/marks.html" import icon %}{{ icon("no-such-icon") }}')


def test_only_allauths_own_texts_are_rendered_by_the_other_engine() -> None:
    """One engine draws pages; Django's has no folder of ours, and what allauth says in passing
    (`*.txt`) is all that it renders.
    """
    django = settings.TEMPLATES[1]
    assert (django["BACKEND"], django.get("DIRS", []), django["APP_DIRS"]) == (
        "django.template.backends.django.DjangoTemplates",
        [],
        True,
    )
    apps = Path(settings.BASE_DIR).glob("*/templates")
    assert not list(apps)


@pytest.mark.parametrize(("rank", "pale"), [(0, 0), (1, 0), (2, 1), (3, 2)])
def test_a_priority_is_drawn_by_its_rank(rank: int, pale: int) -> None:
    """Full bars for P1, two for P2, one for P3; P0 is no bar at all."""
    drawing = icons.symbols()[f"prio-{rank}"]
    assert drawing.count("opacity") == pale
    assert drawing.count("<rect") == (3 if rank else 1)


def test_another_sprite_has_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers keep it for a year: an icon that an upgrade adds is seen at once."""
    before = icons.sprite_address("plus")
    assert re.fullmatch(r"/icons\.svg\?[0-9a-f]{6}#plus", before)
    monkeypatch.setattr(icons, "sprite", lambda: "<svg/>")
    icons._version.cache_clear()
    icons.sprite_address.cache_clear()
    try:
        assert icons.sprite_address("plus") != before
    finally:
        monkeypatch.undo()
        icons._version.cache_clear()
        icons.sprite_address.cache_clear()
