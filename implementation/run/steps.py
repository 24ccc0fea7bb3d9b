"""From text to checklist: the steps of a plan, read as CommonMark (A39). Pure.

If the text has list items or table rows, those are the steps, and other lines belong to the item
above; else each line of a paragraph with a letter or digit is one. Headings are titles; rules,
comments, a table's head and the marks of a fence are nothing; a fenced block is the command of the
step above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER = MarkdownIt("commonmark", {"html": False}).enable("table")
_READER.core.ruler.disable(
    ["inline"]
)  # only blocks matter here; what stands within a line costs most of the time
_BOX = re.compile(r"^\[[ xX]\]\s+")
LONGEST = 100_000  # characters that are read; the fields hold fewer
LONGEST_TITLE = 200


@dataclass
class Step:
    """One step: its words, the command under it, how deep it stands in a list (1: outermost), and
    the heading that it stands under.
    """

    text: str
    command: str = ""
    level: int = 1
    group: str = ""
    more: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return "\n".join([self.text, *self.more])


def steps_of(text: str) -> list[Step]:
    """The steps of a plan in its order; empty for a text that holds none."""
    tokens = _READER.parse(_without_comments(text[:LONGEST]))
    reader = _Reader(listed=any(token.type in ("list_item_open", "tbody_open") for token in tokens))
    for index, token in enumerate(tokens):
        reader.take(token, tokens[index - 1] if index else None)
    return [step for step in reader.steps if _says_something(step.text) or step.command]


def _without_comments(text: str) -> str:
    """Without its HTML comments; in one pass, however many are left open."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])


def _says_something(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


class _Reader:
    """Walks the tokens of one text, and gathers its steps."""

    def __init__(self, listed: bool) -> None:
        self.listed, self.steps = listed, list[Step]()
        self.depth, self.group = 0, ""
        self.in_head, self.in_heading, self.fresh = False, False, False
        self.cells: list[str] | None = None

    def take(self, token: Token, before: Token | None) -> None:
        match token.type:
            case "list_item_open":
                self.depth, self.fresh = self.depth + 1, True
            case "list_item_close":
                self.depth -= 1
            case "thead_open" | "thead_close":
                self.in_head = token.type == "thead_open"
            case "tr_open":
                self.cells = []
            case "tr_close":
                self._row()
            case "heading_open" | "heading_close":
                self.in_heading = token.type == "heading_open"
            case "fence" | "code_block":
                self._command(token.content.strip("\n"))
            case "inline":
                self._inline(token.content)

    def _row(self) -> None:
        cells, self.cells = self.cells, None
        if cells and not self.in_head:
            self._add("; ".join(cell for cell in cells if cell))

    def _inline(self, content: str) -> None:
        if self.in_heading:
            self.group = " ".join(content.split())[:LONGEST_TITLE]
        elif self.cells is not None:
            self.cells.append(" ".join(content.split()))
        elif self.depth and self.fresh:
            self.fresh = False
            self._add(" ".join(content.split()))
        elif self.listed:
            self._below(content)
        else:
            for line in content.splitlines():
                self._add(line.strip())

    def _add(self, text: str) -> None:
        self.steps.append(Step(_BOX.sub("", text), level=max(1, self.depth), group=self.group))

    def _below(self, content: str) -> None:
        """A line that belongs to the item above; before any item it introduces the first, and is
        none.
        """
        if self.steps:
            self.steps[-1].more.extend(
                line.strip() for line in content.splitlines() if line.strip()
            )

    def _command(self, content: str) -> None:
        if not self.steps:
            self._add(content.splitlines()[0] if content else "")
        self.steps[-1].command = "\n".join(filter(None, [self.steps[-1].command, content]))
        self.fresh = False
