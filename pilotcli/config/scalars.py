"""What a plain (unquoted) scalar means.

The core schema of YAML 1.2 (section 10.3.2), and `yes`, `no`, `on`, `off` of YAML 1.1, which in
an argument would otherwise be texts that count as true. Not the rest of YAML 1.1: `1e-3` is a
number, `12:30` no number of minutes, `010` ten, and a date a text.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form(word): True for word in ("true", "yes", "on") for form in (str, str.title, str.upper)},
    **{
        form(word): False for word in ("false", "no", "off") for form in (str, str.title, str.upper)
    },
}
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)\Z")

LONGEST_NUMBER = 300
"""Digits; a longer number is a mistake, and would be slow to convert."""


class TooLarge(ValueError):
    """A number that no key can mean."""


def typed(text: str) -> Scalar:
    """The value of an unquoted scalar. Raises `TooLarge`."""
    if text in _WORDS:
        return _WORDS[text]
    if not (text[0].isdigit() or text[0] in "-+."):
        return text
    if _DECIMAL.match(text) or _BASED.match(text):
        if len(text) > LONGEST_NUMBER:
            raise TooLarge(text)
        return int(text, 0) if _BASED.match(text) else int(text)
    if _FLOAT.match(text):
        return float(text)
    special = _SPECIAL.match(text)
    return float(special[1] + special[2].lower()) if special else text
