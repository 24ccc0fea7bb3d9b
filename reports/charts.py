"""Charts as coordinates for SVG that the server draws: pure. A figure that is missing
leaves a gap.
"""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 560, 180, 34, 22
TALL = HEIGHT - BOTTOM
PARTS = 4  # of an axis, between its lines
#: Where the axis of a rate may begin, in percent: as high as its lowest value allows, for what
#: differs is the question.
RATES_BEGIN = (90.0, 80.0, 60.0, 0.0)
Rows = list[tuple[str, float | None]]


def rate_chart(rows: Rows) -> dict[str, Any]:
    """A line of percentages, whose axis begins just below the lowest and ends at 100."""
    lowest = min((value for _, value in rows if value is not None), default=100.0)
    return _line(rows, next(start for start in RATES_BEGIN if start <= lowest), 100.0, " %")


def line_chart(rows: Rows) -> dict[str, Any]:
    """A line of amounts, whose axis begins at 0."""
    most = max((value for _, value in rows if value is not None), default=0.0)
    return _line(rows, 0.0, float(round_up(int(most) + 1)), "")


def _line(rows: Rows, start: float, end: float, unit: str) -> dict[str, Any]:
    step = (WIDTH - LEFT) / max(1, len(rows))
    points = []
    path, pen = "", "M"
    for index, (label, value) in enumerate(rows):
        x = round(LEFT + step * (index + 0.5), 1)
        y = None if value is None else round(TALL * (1 - (value - start) / (end - start)), 1)
        points.append({"x": x, "y": y, "label": label, "value": value})
        if y is None:
            pen = "M"
        else:
            path += f"{pen}{x} {y} "
            pen = "L"
    return _axis(start, end, unit) | {"points": points, "path": path, "is_empty": not path}


def bar_chart(rows: list[tuple[str, dict[str, int]]]) -> dict[str, Any]:
    """Stacked bars by priority, P0 at the bottom."""
    top = round_up(max((sum(counts.values()) for _, counts in rows), default=0))
    step, bars = (WIDTH - LEFT) / max(1, len(rows)), []
    for index, (label, counts) in enumerate(rows):
        y, pieces = float(TALL), []
        for priority, count in counts.items():
            height = TALL * count / top
            y -= height
            if count:
                size = {"y": round(y, 1), "height": round(height, 1)}
                pieces.append({"ink": priority[1], "priority": priority, "count": count, **size})
        bars.append(
            {
                "x": round(LEFT + step * index + step * 0.2, 1),
                "width": round(step * 0.6, 1),
                "middle": round(LEFT + step * (index + 0.5), 1),
                "label": label,
                "pieces": pieces,
                "total": sum(counts.values()),
                "top": round(y - 4, 1),
            }
        )
    return _axis(0.0, float(top), "") | {
        "bars": bars,
        "is_empty": not any(bar["total"] for bar in bars),
    }


def _axis(start: float, end: float, unit: str) -> dict[str, Any]:
    """The lines across a chart, the lowest first, and its measures."""
    marks = [(part / PARTS, start + (end - start) * part / PARTS) for part in range(PARTS + 1)]
    grid = [
        {"y": round(TALL * (1 - share), 1), "label": f"{value:g}{unit}"} for share, value in marks
    ]
    return {"grid": grid, "start": start, "width": WIDTH, "height": HEIGHT, "left": LEFT}


def round_up(value: int) -> int:
    """A round number of fourths at or above the value."""
    for step in (
        4,
        8,
        12,
        20,
        40,
        60,
        80,
        100,
        200,
        400,
        600,
        800,
        1000,
        2000,
        4000,
        8000,
        20000,
        40000,
        100000,
    ):
        if value <= step:
            return step
    return -(-value // 100000) * 100000
