"""What changed in a text: line by line, with the changed words marked."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

#: A line, or several that went or came together: the side it stands on ("", "del", "add") and its
#: pieces, each with its mark ("", "del", "ins") and text.
Line = tuple[str, list[tuple[str, str]]]


@lru_cache(maxsize=256)
def diff_lines(before: str, after: str) -> list[Line]:
    """What became of a text, line by line; of long stretches that stayed the first and the last
    line.
    """
    lines: list[Line] = []
    old, new = (before or "").splitlines(), (after or "").splitlines()
    for kind, i1, i2, j1, j2 in _pieces(old, new):
        if kind == "equal":
            kept = old[i1:i2]
            shown = kept if len(kept) <= 2 else [kept[0], "…", kept[-1]]
            lines += [("", [("", line)]) for line in shown]
        elif i2 - i1 == j2 - j1 == 1:
            lines += _words(old[i1], new[j1])
        else:
            lines += [_block("del", "del", old[i1:i2])] if i2 > i1 else []
            lines += [_block("add", "ins", new[j1:j2])] if j2 > j1 else []
    return lines


def _block(side: str, mark: str, texts: list[str]) -> Line:
    """Lines that went or came together, as one with line ends in it: a page of thousands is one
    element, not thousands.
    """
    return (side, [(mark, "\n".join(texts))])


#: Beyond so many pairs of pieces a comparison is not worth its time (it may take their number's
#: square): all is shown as replaced.
COMPARED = 4000


def _pieces(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """What of two lists is equal and what replaced, as difflib's opcodes; the same beginning and
    end are set apart first.
    """
    shorter = min(len(old), len(new))
    head = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    tail = next(
        (index for index in range(shorter - head) if old[-1 - index] != new[-1 - index]),
        shorter - head,
    )
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    found = [("equal", 0, head, 0, head)] if head else []
    if len(a) * len(b) > COMPARED:
        found.append(("replace", head, head + len(a), head, head + len(b)))
    else:
        codes = difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes()
        found += [
            (kind, head + i1, head + i2, head + j1, head + j2) for kind, i1, i2, j1, j2 in codes
        ]
    return [*found, ("equal", head + len(a), len(old), head + len(b), len(new))] if tail else found


def _words(before: str, after: str) -> list[Line]:
    """One line that became another: both, with the words that went and came marked."""
    a, b = re.findall(r"\s+|\S+", before), re.findall(r"\s+|\S+", after)
    went: list[tuple[str, str]] = []
    came: list[tuple[str, str]] = []
    for kind, i1, i2, j1, j2 in _pieces(a, b):
        if i2 > i1:
            went.append(("" if kind == "equal" else "del", "".join(a[i1:i2])))
        if j2 > j1:
            came.append(("" if kind == "equal" else "ins", "".join(b[j1:j2])))
    return [("del", went), ("add", came)]
