"""What the fuzz tests share: how many cases, how files are damaged, and what a text may hold."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("FUZZ_TIMES", "0"))
"""How many times as many cases are tried, at random. Without it they are half as many, and the same
ones each time (tests/conftest.py), so that a change fails by what it has changed."""


def cases(count: int) -> settings:
    """So many cases of a test, of any size; without FUZZ_TIMES half as many."""
    return settings(
        max_examples=count * TIMES if TIMES else count // 2,
        suppress_health_check=list(HealthCheck),
    )


_short_texts = st.text(max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\n",
        "'",
        '"',
        "\\",
        "\ud800",
        "\ufeff",
        "é",
        "\u2028",
        "\x85",
        "\r",
        "1e999",
        "NaN",
    ]
)
odd_texts = _short_texts | st.sampled_from(["9" * 5000, "x" * 70_000, "(" * 2000, "[" * 2000])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | _short_texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Whatever JSON can hold, also numbers too large for a float, and NaN as Python reads it."""

_edits = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 40), st.binary(max_size=8)), max_size=5
)


def damaged(samples: Sequence[bytes], tokens: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """One of `samples`, or a part of it, in which a few places are overwritten, cut out or filled
    with one of `tokens`."""

    @st.composite
    def made(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(list(samples))))
        if draw(st.booleans()) and data:
            begin = draw(st.integers(0, len(data) - 1))
            data = data[begin : begin + draw(st.integers(1, 400))]
        for place, size, text in draw(_edits):
            at = place % (len(data) + 1)
            filled = draw(st.sampled_from(list(tokens))) if tokens and size % 2 else text
            data[at : at + size] = filled
        return bytes(data)

    return made()
