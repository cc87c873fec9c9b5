"""Student's t and the polygamma functions, vectorised, for the statistics of a comparison.

scipy has all of them, and is larger than the rest of pilot together with its server. The formulas
are those of the Digital Library of Mathematical Functions (DLMF, dlmf.nist.gov); the tests compare
the values with scipy's. numpy is imported when a function is called.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STEPS = 2_000
"""More than a continued fraction needs with millions of degrees of freedom."""
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
"""The Bernoulli numbers 2, 4, ..., 16."""
_LARGE = 20.0
"""From here on the asymptotic series of the polygamma functions are exact to the last digits."""


def student_tail(statistic: Any, freedom: Any) -> Floats:
    """Returns the probability of Student's t above `statistic`, at least 0, for `freedom` degrees
    of freedom, at least 1; arrays element by element."""
    import numpy as np

    t, nu = np.broadcast_arrays(np.asarray(statistic, float), np.asarray(freedom, float))
    square = t**2
    far = square / (nu + square)  # 1 - near, without its loss of digits
    near = nu / (nu + square)
    # DLMF 8.17.4: of the two fractions the one that converges fast.
    direct = near < (nu / 2 + 1) / (nu / 2 + 2.5)
    tail = np.empty(t.shape)
    tail[direct] = _incomplete_beta(near[direct], far[direct], nu[direct] / 2, 0.5) / 2
    rest = ~direct
    tail[rest] = (1 - _incomplete_beta(far[rest], near[rest], 0.5, nu[rest] / 2)) / 2
    return tail


def student_quantile(tail: float, freedom: Any) -> Floats:
    """Returns the values that Student's t exceeds with the probability `tail`, below one half."""
    import numpy as np

    nu = np.asarray(freedom, float)
    # Newton's method for the logarithm of the tail as a function of that of the value. It is
    # concave and falls, so that all steps but the first come closer from above.
    value = np.full(nu.shape, -NormalDist().inv_cdf(tail))
    for _ in range(50):
        found = student_tail(value, nu)
        density = np.exp(-(nu + 1) / 2 * np.log1p(value**2 / nu) - _log_beta(nu / 2)) / np.sqrt(nu)
        step = np.log(found / tail) * found / (density * value)
        value = value * np.exp(step)
        if np.all(np.abs(step) < 1e-9):
            break
    return value


def polygamma(order: int, at: Any) -> Floats:
    """Returns the digamma, trigamma or tetragamma function (`order` 0, 1 or 2) at values above 0.

    Large values have a series (DLMF 5.11.2 and its derivatives); the recurrence (DLMF 5.15.5) moves
    the others there.
    """
    import numpy as np

    x = np.array(at, dtype=float)
    recurrence = np.zeros(x.shape)
    while (small := x < _LARGE).any():
        recurrence[small] += x[small] ** -(order + 1)
        x[small] += 1
    value = math.factorial(order) * (recurrence + x ** -(order + 1) / 2)
    value += -np.log(x) if order == 0 else math.factorial(order - 1) * x**-order
    for twice, bernoulli in zip(range(2, 17, 2), _BERNOULLI, strict=True):
        factor = math.factorial(twice + order - 1) / math.factorial(twice)
        value += factor * bernoulli * x ** -(twice + order)
    return np.asarray(value if order % 2 else -value)


def _incomplete_beta(x: Floats, rest: Floats, a: Any, b: Any) -> Floats:
    """The regularised incomplete beta function at `x` = 1 - `rest`, where `a` or `b` is 1/2.

    DLMF 8.17.22, evaluated by Lentz's method (Numerical Recipes, 3rd edition, section 6.4).
    """
    import numpy as np

    a, b = np.broadcast_to(a, x.shape), np.broadcast_to(b, x.shape)
    least = 1e-300
    with np.errstate(divide="ignore"):
        power = a * _log_of(x, rest) + b * _log_of(rest, x)
    front = np.exp(power - _log_beta(np.maximum(a, b))) / a
    c = np.ones(x.shape)
    d = 1 / _away(1 - (a + b) * x / (a + 1), least)
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away(1 + even * d, least)
        c = _away(1 + even / c, least)
        value = value * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away(1 + odd * d, least)
        c = _away(1 + odd / c, least)
        value = value * d * c
        if np.all(np.abs(d * c - 1) < 1e-12):
            break
    return np.asarray(front * value)


def _log_of(x: Floats, rest: Floats) -> Floats:
    """log(x) for x = 1 - rest, without loss where x is close to 1."""
    import numpy as np

    return np.where(rest < 0.5, np.log1p(-np.minimum(rest, 0.5)), np.log(x))


def _away(values: Floats, least: float) -> Floats:
    import numpy as np

    return np.where(np.abs(values) < least, least, values)


def _log_beta(half: Floats) -> Floats:
    """The logarithm of the beta function of `half` and 1/2."""
    import numpy as np

    # Of large values the difference of two logarithms of the gamma function keeps few digits: there
    # it is the series of DLMF 5.11.13.
    known = {
        float(value): (
            math.lgamma(value) - math.lgamma(value + 0.5)
            if value < 1000
            else 1 / (8 * value) - 1 / (192 * value**3) - math.log(value) / 2
        )
        for value in np.unique(half)
    }
    ratio = np.array([known[float(value)] for value in np.ravel(half)]).reshape(np.shape(half))
    return np.asarray(ratio + math.log(math.pi) / 2)
