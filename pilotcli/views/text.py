"""Text that is safe on a terminal, and numbers as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

__all__ = [
    "MISSING",
    "Line",
    "change",
    "clean",
    "clip",
    "clip_line",
    "clock_time",
    "count",
    "duration",
    "joined",
    "line_text",
    "number",
    "plural",
    "rate",
    "size",
    "width",
]

Line = list[tuple[str, str]]
"""A line of output: pieces of text, each with a style (`""`, `bold`, `dim`, `red`, ...)."""

MISSING = "–"  # noqa: RUF001 - a dash that no minus sign is mistaken for

# Whole escape sequences (ECMA-48 section 5.4: CSI; OSC and the other strings; two-byte ones) go
# first, so that a coloured line loses its colour and not only its escape character.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# What moves the cursor, turns the writing direction, has no width of its own, or cannot be
# encoded: control characters, format characters, variation selectors, lone surrogates.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")


def clean(value: object) -> str:
    """`value` as one line of text that cannot steer a terminal."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    text = _SPACES.sub(" ", _SEQUENCES.sub("", text))
    return _UNSAFE.sub("", text)


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


def count(value: Any) -> str:
    """1234567 as `1,234,567`."""
    return f"{value:,}" if isinstance(value, int) else MISSING


def plural(value: int, noun: str, many: str | None = None) -> str:
    """`1 query`, `2 queries`."""
    return f"{count(value)} {noun if value == 1 else many or noun + 's'}"


def duration(seconds: Any) -> str:
    """Seconds to three digits in the unit that suits: `85.0 µs`, `3.21 s`, `2 min 05 s`."""
    if not _is_finite(seconds) or seconds < 0:
        return MISSING
    for factor, unit in ((1e6, "µs"), (1e3, "ms"), (1.0, "s")):
        value = seconds * factor
        limit = 59.95 if unit == "s" else 999.5
        if value < limit:
            return f"{_three_digits(value)} {unit}"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{count(hours)} h {minutes:02d} min"


def clock_time(seconds: Any) -> str:
    """Seconds as a stopwatch shows them: `0:04`, `12:31`, `1:02:03`."""
    if not _is_finite(seconds) or seconds < 0:
        return MISSING
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(size_bytes: Any) -> str:
    """Bytes in decimal units: `512 B`, `14.2 kB`, `1.30 GB`."""
    if not _is_finite(size_bytes) or size_bytes < 0:
        return MISSING
    if size_bytes < 1000:
        return f"{int(size_bytes)} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{_three_digits(value)} {unit}"


def rate(per_second: Any) -> str:
    """A rate without its unit: `0.42`, `7.3`, `312`, `18,204`."""
    if not _is_finite(per_second) or per_second < 0:
        return MISSING
    if per_second < 1:
        return f"{per_second:.2f}"
    return f"{per_second:.1f}" if per_second < 9.95 else f"{per_second:,.0f}"


def number(value: Any) -> str:
    """A metric to four significant digits."""
    return f"{value:.4g}" if _is_finite(value) else clean(value)


def change(before: Any, after: Any) -> str:
    """How a metric moved: `↓ 12 %`, `↑ 3.4 %`, `=`, or nothing when it cannot be said."""
    if not (_is_finite(before) and _is_finite(after)):
        return ""
    if before == after:
        return "="
    arrow = "↑" if after > before else "↓"
    if before == 0:
        return arrow
    percent = abs((after - before) / before) * 100
    if not math.isfinite(percent) or percent > 9999:
        return arrow
    return f"{arrow} {percent:.0f} %" if percent >= 9.95 else f"{arrow} {percent:.1f} %"


def joined(pieces: Sequence[str], separator: str = ", ") -> str:
    """The pieces that are not empty, joined."""
    return separator.join(piece for piece in pieces if piece)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
