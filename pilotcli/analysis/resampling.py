"""The bootstrap over pairs of values: percentile and BCa intervals.

BCa is that of Efron and Tibshirani (An Introduction to the Bootstrap, 1993, section 14.3): the
percentiles are moved by the bias of the replicates and by the skewness that leaving out one pair at
a time shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BATCH = 2_000_000
"""The most values of one array."""


def interval_over_pairs(
    a: Floats,
    b: Floats,
    effect: Callable[..., Any],
    *,
    level: float,
    replicates: int,
    generator: np.random.Generator,
    corrected: bool,
) -> tuple[float, float]:
    """Returns the interval of `effect(a, b)` at that level, when other such pairs are drawn.

    `effect` takes both arrays and reduces their last axis. `corrected`: BCa, for which leaving out
    a pair must change the effect, and whose work grows with the square of the pairs; otherwise the
    percentiles as they are.
    """
    import numpy as np

    pairs = len(a)
    rows = max(1, _BATCH // pairs)
    drawn = []
    for first in range(0, replicates, rows):
        chosen = generator.integers(pairs, size=(min(rows, replicates - first), pairs))
        drawn.append(effect(a[chosen], b[chosen]))
    effects = np.concatenate(drawn)
    tail = (1 - level) / 2
    ends = (tail, 1 - tail)
    if corrected:
        left_out = np.concatenate([effect(a[rest], b[rest]) for rest in _without_one(pairs, rows)])
        ends = _corrected_ends(effects, float(effect(a, b)), left_out, tail)
    low, high = np.quantile(effects, ends)
    return float(low), float(high)


def _corrected_ends(
    effects: Floats, whole: float, left_out: Floats, tail: float
) -> tuple[float, float]:
    """The percentiles, as shares, between which BCa's interval is."""
    normal = NormalDist()
    below = float((effects < whole).sum() + (effects <= whole).sum()) / (2 * len(effects))
    bias = normal.inv_cdf(below)
    moved = left_out.mean() - left_out
    skewness = float((moved**3).sum() / (moved**2).sum() ** 1.5) / 6

    def end(quantile: float) -> float:
        at = bias + quantile
        return normal.cdf(bias + at / (1 - skewness * at))

    low = normal.inv_cdf(tail)
    return end(low), end(-low)


def _without_one(pairs: int, rows: int) -> Iterator[Any]:
    """The places of all pairs but one, for each pair in turn; at most `rows` at once."""
    import numpy as np

    places = np.arange(pairs - 1)
    for first in range(0, pairs, rows):
        out = np.arange(first, min(first + rows, pairs))[:, np.newaxis]
        yield places + (places >= out)
