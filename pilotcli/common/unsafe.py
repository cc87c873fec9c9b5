"""Characters that steer a terminal, or by which a text can look like another one."""

from __future__ import annotations

import json
import re

# The Unicode Standard, annex 9, lists what turns the direction of writing.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What moves the cursor, turns the writing direction, has no width of its own, or cannot be
# encoded: control characters, format characters, variation selectors, lone surrogates.
UNSAFE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""What has no place in a line of text, spaces aside."""
_ESCAPED_IN_JSON = re.compile(rf"{UNSAFE.pattern}|[\x85\u2028\u2029]")


def undirected(text: str) -> str:
    """`text` with a replacement character for each that turns the direction of writing."""
    return text if text.isascii() else _DIRECTIONS.sub("\ufffd", text)


def csv_cell(value: object) -> object:
    """`value` as every reader of CSV takes it; Python 3.10 does not even write a NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def escaped_json(text: str) -> str:
    """JSON `text` with an escape for each character in it that could steer a terminal."""
    if text.isascii() and "\x7f" not in text:  # JSON itself escapes the others
        return text
    return _ESCAPED_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)
