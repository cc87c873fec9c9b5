"""A regression for few rows and many features, on numpy alone.

The average of two kernel ridge regressions on standardised features: a linear one, which goes on
beyond what was seen, and one with a Gaussian kernel added, which bends. Each chooses its noise,
and the second its length scale, by the leave-one-out error, which has a closed form for kernel
ridge regression (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 5.4.2).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pilotcli.common.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["FeatureRegressor"]

_NOISES = (0.3, 1.0, 3.0, 10.0)  # no smaller ones: few rows would be learnt by heart
# The Gaussian kernel's length scale (0: without it), and the weight of the linear kernel.
_LINEAR = ((0.0, 1.0),)
_CURVED = tuple((length, linear) for length in (0.5, 1.0, 2.0, 4.0) for linear in (0.0, 0.3, 1.0))
_CLIP = 4.0  # standard deviations: a feature far outside of what was seen counts as this
_FORMAT = 1


class _Part(NamedTuple):
    """One kernel regression: the kernel, and the weight of each training row.

    `length` is the Gaussian kernel's length scale, 0 for none; `linear` the linear kernel's weight.
    """

    length: float
    linear: float
    weights: Array
    residuals: Array
    """What each training row would be off by, had it been left out."""


class FeatureRegressor:
    """Predicts a number from named features; made by `fit` or `load`.

    - `names`: the features in use, those that at least two training rows have;
    - `rows`: the number of training rows;
    - `left_out_errors`: absolute errors for the training rows, each left out in turn.
    """

    def __init__(
        self,
        names: Sequence[str],
        centre: Array,
        spread: Array,
        points: Array,
        targets: Array,
        parts: Sequence[_Part],
    ) -> None:
        self.names = tuple(names)
        self.rows = len(targets)
        self._centre = centre
        self._spread = spread
        self._points = points
        self._targets = targets
        self._parts = tuple(parts)

    @classmethod
    def fit(
        cls, features: Sequence[Mapping[str, float]], targets: Sequence[float]
    ) -> FeatureRegressor:
        """Fit to rows of features and their targets; takes time cubic in the number of rows.

        Raises ValueError for fewer than two rows, or rows without a feature in common.
        """
        import numpy as np

        seen = Counter(name for row in features for name in row)
        names = sorted(name for name, rows in seen.items() if rows > 1)
        if not names:
            raise ValueError(f"{len(features)} rows have no feature in common to learn from")
        raw = _matrix(features, names)
        centre, spread = raw.mean(axis=0), raw.std(axis=0)
        spread[spread == 0] = 1.0
        points = np.clip((raw - centre) / spread, -_CLIP, _CLIP)
        values = np.asarray(targets, dtype=np.float64)
        parts = [_fit_part(points, values, kernels) for kernels in (_LINEAR, _CURVED)]
        return cls(names, centre, spread, points, values, parts)

    @property
    def left_out_errors(self) -> Array:
        """Absolute errors for the training rows, each predicted from all others."""
        import numpy as np

        residuals: Array = np.abs(np.mean([part.residuals for part in self._parts], axis=0))
        return residuals

    def predict(self, features: Sequence[Mapping[str, float]]) -> Array:
        """The prediction for each row; at most 1 outside the range of the training targets."""
        import numpy as np

        raw = _matrix(features, self.names)
        asked = np.clip((raw - self._centre) / self._spread, -_CLIP, _CLIP)
        mean = float(self._targets.mean())
        found = [
            _kernel(asked, self._points, part.length, part.linear) @ part.weights
            for part in self._parts
        ]
        low, high = self._targets.min() - 1.0, self._targets.max() + 1.0
        predictions: Array = np.clip(mean + np.mean(found, axis=0), low, high)
        return predictions

    def save(self, path: Path) -> None:
        """Write all of it to `path`, an `.npz` file without pickled objects."""
        import numpy as np

        about = {
            "format": _FORMAT,
            "names": self.names,
            "kernels": [[part.length, part.linear] for part in self._parts],
        }
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                about=np.array(json.dumps(about)),
                centre=self._centre,
                spread=self._spread,
                points=self._points,
                targets=self._targets,
                weights=np.array([part.weights for part in self._parts]),
                residuals=np.array([part.residuals for part in self._parts]),
            )

    @classmethod
    def load(cls, path: Path) -> FeatureRegressor:
        """Read what `save` wrote; raises `CheckpointError` when it is something else."""
        import zipfile

        import numpy as np

        unreadable = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                if about["format"] != _FORMAT:
                    raise ValueError(f"its format is {about['format']}, not {_FORMAT}")
                parts = [
                    _Part(length, linear, weights, residuals)
                    for (length, linear), weights, residuals in zip(
                        about["kernels"], stored["weights"], stored["residuals"], strict=True
                    )
                ]
                centre, spread = stored["centre"], stored["spread"]
                points, targets = stored["points"], stored["targets"]
        except (*unreadable, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"{path} cannot be read as a model: {error}",
                hint="Go back to another version: pilot models rollback.",
            ) from None
        return cls(about["names"], centre, spread, points, targets, parts)


def _matrix(features: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array:
    import numpy as np

    rows = [[row.get(name, 0.0) for name in names] for row in features]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))


def _kernel(left: Array, right: Array, length: float, linear: float) -> Array:
    """How alike each row of `left` is to each of `right`; scaled by the number of features."""
    import numpy as np

    products = left @ right.T / left.shape[1]
    alike: Array = linear * products
    if length:
        own = (left**2).sum(axis=1) / left.shape[1]
        other = (right**2).sum(axis=1) / left.shape[1]
        squares = np.maximum(own[:, None] + other[None, :] - 2.0 * products, 0.0)
        alike = alike + np.exp(-squares / (2.0 * length**2))
    return alike


def _fit_part(points: Array, targets: Array, kernels: Sequence[tuple[float, float]]) -> _Part:
    """The kernel and noise with the smallest mean absolute leave-one-out error."""
    import numpy as np

    best: _Part | None = None
    least = float("inf")
    for length, linear in kernels:
        values, vectors = np.linalg.eigh(_kernel(points, points, length, linear))
        values = np.maximum(values, 0.0)
        turned = vectors.T @ (targets - targets.mean())
        for noise in _NOISES:
            inverse = 1.0 / (values + noise)
            weights = vectors @ (inverse * turned)
            residuals = weights / (vectors**2 @ inverse)
            error = float(np.abs(residuals).mean())
            if error < least:
                least, best = error, _Part(length, linear, weights, residuals)
    assert best is not None
    return best
