"""Small parts of the page's HTML. All text of others goes through `text`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pilotcli.common.unsafe import undirected

LABEL_SHOWN = 120


@dataclass(slots=True)
class Room:
    """How many bytes a kind of content may still take, so that a page stays small."""

    left: int

    def fits(self, part: str) -> bool:
        """Whether `part` has room; it is taken from what is left then."""
        size = len(part.encode())
        if size > self.left:
            return False
        self.left -= size
        return True


def text(value: object) -> str:
    """`value` as text of the page; characters that HTML does not allow are replaced."""
    whole = str(value).encode("utf-8", "replace").decode("utf-8")
    bare = "".join(
        char if char in "\n\t" or (char >= " " and not "\x7f" <= char <= "\x9f") else "\ufffd"
        for char in whole
    )
    return escape(undirected(bare))


def cut(whole: str, most: int) -> str:
    """`whole`, or its beginning and how much more there is."""
    if len(whole) <= most:
        return whole
    return f"{whole[:most]}\n… {len(whole) - most:,} more characters"


def label(whole: str) -> str:
    """`whole` on a line with others."""
    return whole if len(whole) <= LABEL_SHOWN else f"{whole[: LABEL_SHOWN - 1]}…"


def alarm(words: str) -> str:
    """A line that must not be overlooked; `words` are HTML."""
    return f'<p class="alarm">{words}</p>'


def cell(content: str, kind: str = "", value: float | None = None) -> str:
    """A cell of class `kind`; one of numbers is sorted by `value`, without one it stands last."""
    known = ""
    if "number" in kind.split():
        known = f' data-value="{"" if value is None else repr(value)}"'
    shown = text(label(content))
    return f'<td class="{kind}"{known}>{shown}</td>' if kind else f"<td>{shown}</td>"


def table(columns: Sequence[tuple[str, str]], bodies: str, kind: str = "") -> str:
    """A table with these headings and their classes; `bodies` are its rows as HTML."""
    head = "".join(f'<th class="{kinds}" scope="col">{text(name)}</th>' for name, kinds in columns)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"{bodies}</table></div>"
    )
