"""A page as a person reads it: tables by rows, lines of figures, and what stands behind a link."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from tests.world import Desk

ENDLESS = {"br", "img", "input", "link", "meta", "hr", "col", "source", "wbr"}


class Node:
    """An element: its attributes, and the elements and texts within it, in their order."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.within: list[Node | str] = []

    @property
    def text(self) -> str:
        words = (part if isinstance(part, str) else part.text for part in self.within)
        return " ".join(" ".join(words).split())

    def all(self, tag: str, **has: str) -> list[Node]:
        """Every element of that tag inside that has those words in its attributes (`class_`)."""
        asked = {name.rstrip("_"): word for name, word in has.items()}

        def fits(node: Node) -> bool:
            words = {name: node.attributes.get(name, "").split() for name in asked}
            return node.tag == tag and all(asked[name] in words[name] for name in asked)

        return [node for node in self._nodes() if fits(node)]

    def _nodes(self) -> Iterator[Node]:
        for part in self.within:
            if isinstance(part, Node):
                yield part
                yield from part._nodes()

    @property
    def links(self) -> list[str]:
        return [link.attributes["href"] for link in self.all("a")]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].within.append(node)
        if tag not in ENDLESS:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].within.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        inmost = max((n for n, node in enumerate(self.open) if node.tag == tag), default=0)
        del self.open[inmost or len(self.open) :]

    def handle_data(self, data: str) -> None:
        self.open[-1].within.append(data)


def read(desk: Desk, address: str, status: int = 200) -> Node:
    """The page, as that person gets it."""
    desk.client.force_login(desk.user)
    answer = desk.client.get(address)
    assert answer.status_code == status, (address, answer.status_code)
    reader = _Reader()
    reader.feed(answer.content.decode())
    return reader.open[0]


def numbers_behind(desk: Desk, address: str) -> list[str]:
    """The changes, or issues with their `#n`, of the list that a number's link opens."""
    rows = [row for row in read(desk, address).all("tr") if "data-row" in row.attributes]
    return [row.all("span", class_="id")[0].text for row in rows]


def table(node: Node) -> list[list[str]]:
    """The body of a table, cell by cell."""
    body = node.all("tbody")[0]
    return [[cell.text for cell in row.within if isinstance(cell, Node)] for row in body.all("tr")]


def figures(node: Node) -> list[tuple[str, str]]:
    """Lines of figures: what is said, and its number."""
    lines = [line for found in node.all("dl", class_="report-lines") for line in found.all("div")]
    return [(line.all("dt")[0].text, line.all("dd")[0].text) for line in lines]
