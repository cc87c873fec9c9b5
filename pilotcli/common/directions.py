"""Characters that turn the direction of writing, by which a text can look like another one.

The Unicode Standard, annex 9, lists them.
"""

from __future__ import annotations

import re

_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def undirected(text: str) -> str:
    """`text` with a replacement character for each that turns the direction of writing."""
    return text if text.isascii() else _DIRECTIONS.sub("\ufffd", text)
