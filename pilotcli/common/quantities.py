"""Formats quantities for people; a value that cannot be formatted becomes a dash, `MISSING`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MISSING = "–"  # noqa: RUF001 - a dash, which nobody takes for a minus sign


def count(value: Any) -> str:
    """Returns an integer with separators: `1,234,567`."""
    return f"{value:,}" if isinstance(value, int) else MISSING


def plural(value: int, noun: str, many: str | None = None) -> str:
    """Returns a count with its noun: `1 query`, `2 queries`. `many` is an irregular plural."""
    return f"{count(value)} {noun if value == 1 else many or noun + 's'}"


def listed(names: Sequence[str], shown: int, separator: str = ", ") -> str:
    """The first `shown` names, and how many more there are: `a, b and 3 more`."""
    more = f" and {count(len(names) - shown)} more" if len(names) > shown else ""
    return separator.join(names[:shown]) + more


def duration(seconds: Any) -> str:
    """Returns seconds with three digits and a suitable unit: `85.0 µs`, `3.21 s`, `2 min 05 s`."""
    if not _is_amount(seconds):
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
    """Returns seconds as a stopwatch shows them: `0:04`, `12:31`, `1:02:03`."""
    if not _is_amount(seconds):
        return MISSING
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(size_bytes: Any) -> str:
    """Returns bytes in decimal units: `512 B`, `14.2 kB`, `1.30 GB`."""
    if not _is_amount(size_bytes):
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
    """Returns a rate without its unit: `0.42`, `7.3`, `312`, `18,204`."""
    if not _is_amount(per_second):
        return MISSING
    if per_second < 1:
        return f"{per_second:.2f}"
    return f"{per_second:.1f}" if per_second < 9.95 else f"{per_second:,.0f}"


def number(value: Any) -> str:
    """Returns a metric with four significant digits, or any other value as text."""
    return f"{value:.4g}" if _is_finite(value) else str(value)


def change(before: Any, after: Any) -> str:
    """Returns how a metric changed: `↓ 12 %`, `↑ 3.4 %`, `=`. Only an arrow where a percentage says
    nothing, and an empty text where a value is no number."""
    if not (_is_finite(before) and _is_finite(after)):
        return ""
    if before == after:
        return "="
    arrow = "↑" if after > before else "↓"
    if before == 0:
        return arrow
    percent = abs((after - before) / before) * 100
    if not percent <= 9999:
        return arrow
    return f"{arrow} {percent:.0f} %" if percent >= 9.95 else f"{arrow} {percent:.1f} %"


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_amount(value: Any) -> bool:
    return _is_finite(value) and value >= 0


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
