"""Text that is safe on a terminal, and lines with styles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len

from pilotcli.common import quantities
from pilotcli.common.unsafe import UNSAFE

Line = list[tuple[str, str]]
"""A line of output: pieces of text, each with a style (`""`, `bold`, `dim`, `red`, ...)."""


# Whole escape sequences (ECMA-48 section 5.4: CSI; OSC and the other strings; two-byte ones) go
# first, so that a coloured line loses its colour and not only its escape character.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_WORDS = re.compile(r"\s*\S+|\s+")
_INDENT = 2
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def clean(value: object) -> str:
    """`value` as one line of text that cannot steer a terminal."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    text = _SPACES.sub(" ", _SEQUENCES.sub("", text))
    return UNSAFE.sub("", text)


def indented(line: str) -> str:
    """`line` as `clean` gives it, with the spaces that it begins with."""
    return " " * (len(line) - len(line.lstrip(" "))) + clean(line.strip())


def width(text: str) -> int:
    """The number of terminal columns that `text` takes at most.

    Characters are counted one by one. Terminals disagree on those that combine to one glyph (an
    emoji with a skin tone, a flag); none takes more room for them than this.
    """
    return len(text) if text.isascii() else sum(map(cell_len, text))


def clip(text: str, columns: int) -> str:
    """`text` cut to at most `columns` terminal columns; the cut is marked by `…`."""
    if width(text) <= columns:
        return text
    if columns <= 0:
        return ""
    kept, used = [], 1
    for char in text:
        used += width(char)
        if used > columns:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrapped(text: str, columns: int, indent: str) -> list[str]:
    """`text` as `clean` gives it, in indented lines of at most `columns`, cut between words."""
    more = indent + "  "
    return wrap(
        clean(text), columns, initial_indent=indent, subsequent_indent=more, break_on_hyphens=False
    )


def wrap_line(line: Line, columns: int) -> list[Line]:
    """`line` in lines of at most `columns` terminal columns, cut between words, all but the first
    indented. A word that is longer than a line stays whole, to be copied."""
    lines: list[Line] = [[]]
    used = 0
    for text, style in line:
        for word in _WORDS.findall(text):
            if used > _INDENT and used + width(word.rstrip()) > columns:
                lines.append([(" " * _INDENT, "")])
                used, word = _INDENT, word.lstrip()
            last = lines[-1]
            if last and last[-1][1] == style:
                last[-1] = (last[-1][0] + word, style)
            else:
                last.append((word, style))
            used += width(word)
    return lines


def clip_line(line: Line, columns: int) -> Line:
    """`line` cut to at most `columns` terminal columns."""
    clipped: Line = []
    left = columns
    for text, style in line:
        piece = clip(text, left)
        clipped.append((piece, style))
        if piece != text:
            break
        left -= width(piece)
    return clipped


def line_text(line: Line) -> str:
    """The text of `line` without its styles."""
    return "".join(text for text, _ in line)


def joined(pieces: Sequence[str], separator: str = ", ") -> str:
    """The pieces that are not empty, joined."""
    return separator.join(piece for piece in pieces if piece)


def number(value: object) -> str:
    """A metric to four significant digits."""
    return clean(quantities.number(value))
