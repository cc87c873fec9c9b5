"""Wilcoxon's signed-rank test (Biometrics Bulletin 1(6), 1945). Differences of 0 are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def signed_rank_test(differences: Sequence[float] | Floats, *, exact: bool) -> tuple[float, float]:
    """Returns the p-values against "as often and as much above 0 as below it": that of more above,
    and that of any difference. At least one difference must not be 0.

    `exact` counts all signs that the ranks could have; otherwise the sum of ranks is taken as
    normal, with its variance corrected for ties.
    """
    import numpy as np

    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    _, place, tied = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(tied) - (tied - 1) / 2)[place]
    above = float(ranks[values > 0].sum())
    if exact:
        chances = _chances(ranks)
        at = round(2 * above)
        more, less = float(chances[at:].sum()), float(chances[: at + 1].sum())
        return more, min(1.0, 2 * min(more, less))
    n = len(values)
    variance = (n * (n + 1) * (2 * n + 1) - float((tied**3 - tied).sum()) / 2) / 24
    z = (above - n * (n + 1) / 4) / math.sqrt(variance)
    return _normal_tail(z), 2 * _normal_tail(abs(z))


def _chances(ranks: Floats) -> Floats:
    """The probability of each sum of ranks above 0, doubled: ranks of ties end in .5."""
    import numpy as np

    chances = np.zeros(round(2 * ranks.sum()) + 1)
    chances[0] = 1
    for rank in ranks:
        step = round(2 * rank)
        chances[step:] += chances[:-step].copy()
        chances /= 2
    return chances


def _normal_tail(z: float) -> float:
    """The probability above `z`, with all its digits where it is small."""
    return math.erfc(z / math.sqrt(2)) / 2
