"""Sets of relations as bit masks: bit 0 is a block's first relation."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from functools import reduce


def union(masks: Iterable[int]) -> int:
    """Returns the relations that are in any of the bit masks."""
    return reduce(operator.or_, masks, 0)


def bits(mask: int) -> Iterator[int]:
    """Yields the numbers of the relations in a bit mask, the first one first."""
    while mask:
        low = mask & -mask
        mask ^= low
        yield low.bit_length() - 1
