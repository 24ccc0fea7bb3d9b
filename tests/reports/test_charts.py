"""Charts: coordinates that say what their figures say, whatever those are."""

from __future__ import annotations

import pytest
from django.template import engines

from reports import charts

MONTHS = ["Sep", "Oct", "Nov"]


def labels(chart: dict[str, object]) -> list[str]:
    return [row["label"] for row in chart["grid"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lowest", "begins"),
    [
        (100.0, "90 %"),
        (90.0, "90 %"),
        (89.9, "80 %"),
        (80.0, "80 %"),
        (79.9, "60 %"),
        (59.9, "0 %"),
        (0.0, "0 %"),
    ],
)
def test_a_rate_begins_as_high_as_its_lowest_allows(lowest: float, begins: str) -> None:
    """R118: of 96 or 98 percent one sees which; nothing falls below the axis."""
    chart = charts.rate_chart([("Sep", lowest), ("Oct", 100.0)])
    assert labels(chart)[0] == begins
    assert labels(chart)[-1] == "100 %"
    assert all(0 <= point["y"] <= charts.TALL for point in chart["points"])
    assert chart["points"][1]["y"] == 0


def test_amounts_begin_at_nothing() -> None:
    chart = charts.line_chart([("Sep", 3.2), ("Oct", 4.0)])
    assert labels(chart) == ["0", "2", "4", "6", "8"]
    assert [point["y"] for point in chart["points"]] == [94.8, 79.0]


def test_a_month_without_a_figure_leaves_a_gap() -> None:
    chart = charts.line_chart([("Sep", 1.0), ("Oct", None), ("Nov", 1.0)])
    assert chart["path"].count("M") == 2
    assert "L" not in chart["path"]
    assert chart["points"][1]["y"] is None


def test_bars_are_stacked_from_the_bottom() -> None:
    (bar,) = charts.bar_chart([("Week", {"P0": 1, "P1": 0, "P2": 3})])["bars"]
    assert [(piece["priority"], piece["y"], piece["height"]) for piece in bar["pieces"]] == [
        ("P0", 118.5, 39.5),
        ("P2", 0.0, 118.5),
    ]
    assert bar["total"] == 4


@pytest.mark.parametrize("draw", [charts.rate_chart, charts.line_chart])
def test_where_there_is_nothing_a_sentence_says_so(draw: object) -> None:
    shown = str(
        engines["jinja2"]
        .env.get_template("reports/charts.html")
        .module.line(draw([(m, None) for m in MONTHS]), "How?", "By month", "No change ended.")
    )  # type: ignore[attr-defined,operator]
    assert "No change ended." in shown
    assert "<svg viewBox" not in shown
    assert charts.bar_chart([("Week", {"P0": 0})])["is_empty"]
    assert not charts.line_chart([("Sep", 0.0)])["is_empty"]
