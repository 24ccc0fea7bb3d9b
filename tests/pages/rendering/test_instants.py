"""How pages say instants: with their exact one on hover, and the year where it is not this one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.template import engines
from django.utils import timezone

from pages.rendering import instants

AT = datetime(2026, 10, 6, 2, 5, 9, tzinfo=UTC)
Clock = Callable[[str], None]


def drawn(name: str, *args: object) -> str:
    module = engines["jinja2"].env.get_template("parts/times.html").module  # type: ignore[attr-defined]
    return str(getattr(module, name)(*args))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("instant", "Tue 6 Oct 2026, 02:05 UTC"),
        ("end_instant", "Tue 6 Oct, 02:05 UTC"),
        ("short", "Tue 6 Oct 02:05"),
        ("relative", "in 2 h 5 min"),
        ("local_clock", "02:05"),
        ("local_end", "02:05"),
    ],
)
def test_an_instant_is_a_time_element(at: Clock, name: str, said: str) -> None:
    at("2026-10-06T00:00:09Z")
    assert (
        drawn(name, AT)
        == f'<time datetime="2026-10-06T02:05:09Z" title="2026-10-06 02:05:09 UTC">{said}</time>'
    )
    assert drawn(name, None) == ""


def test_a_span_says_its_day_once(at: Clock) -> None:
    at("2026-10-01T00:00Z")
    assert ">Tue 6 Oct, 02:05 to 03:05 UTC</time>" in drawn("span", AT, AT + timedelta(hours=1))
    assert drawn("span", AT, None) == drawn("span", None, AT) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "now"), (0.9, "now"), (-0.9, "now"), (60, "in 1 min"), (-60, "1 min ago")],
)
def test_relative(at: Clock, seconds: float, said: str) -> None:
    at("2026-10-06T02:05:09Z")
    assert instants.say_relative(AT + timedelta(seconds=seconds)) == said


def test_the_year_is_said_where_it_is_another(at: Clock) -> None:
    at("2027-01-01T00:00Z")
    assert instants.say_short(AT) == "Tue 6 Oct 2026 02:05"
    assert instants.day(AT) == "Tue 6 Oct 2026"


def test_midnight_ends_the_day_before() -> None:
    midnight = datetime(2026, 10, 7, tzinfo=UTC)
    assert instants.local_end(midnight) == "24:00"
    assert instants.local_clock(midnight) == "00:00"
    assert instants.local_last_day(midnight).startswith("Tue 6 Oct")
    with timezone.override("Europe/Berlin"):
        assert instants.local_end(midnight) == "02:00"
        assert instants.local_iso_day(midnight - timedelta(hours=1)) == "2026-10-07"
