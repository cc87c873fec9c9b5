"""A regression for few rows and many features, on numpy alone.

The average of two kernel ridge regressions on standardised features: a linear one, which
extrapolates, and one with a Gaussian kernel added, which is not linear. The noise, and the length
scale of the second one, are those with the smallest leave-one-out error, which has a closed form
for kernel ridge regression (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
5.4.2).
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pilotcli.common.errors import CheckpointError
from pilotcli.common.quantities import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_NOISES = (0.3, 1.0, 3.0, 10.0)  # smaller ones would overfit few rows
# The Gaussian kernel's length scale (0: without it), and the weight of the linear kernel.
_LINEAR = ((0.0, 1.0),)
_CURVED = tuple((length, linear) for length in (0.5, 1.0, 2.0, 4.0) for linear in (0.0, 0.3, 1.0))
_CLIP = 4.0  # in standard deviations: features are cut off there
_FORMAT = 1


class _Part(NamedTuple):
    """One kernel regression: the kernel, and the weight of each training row.

    `length` is the Gaussian kernel's length scale, 0 for none; `linear` the linear kernel's weight.
    """

    length: float
    linear: float
    weights: Array
    residuals: Array
    """The error for each training row if it is left out of the training."""


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
        """Returns a regression from rows of features to targets, one number per row.

        Takes time cubic in the number of rows. Raises ValueError for fewer than two rows, or rows
        without a common feature.
        """
        import numpy as np

        seen = Counter(name for row in features for name in row)
        names = sorted(name for name, rows in seen.items() if rows > 1)
        if not names:
            raise ValueError(
                f"{plural(len(features), 'row has', 'rows have')} no common feature to learn from"
            )
        raw = _matrix(features, names)
        centre, spread = raw.mean(axis=0), raw.std(axis=0)
        spread[spread == 0] = 1.0
        points = np.clip((raw - centre) / spread, -_CLIP, _CLIP)
        values = np.asarray(targets, dtype=np.float64)
        parts = [_fit_part(points, values, kernels) for kernels in (_LINEAR, _CURVED)]
        return cls(names, centre, spread, points, values, parts)

    @property
    def left_out_errors(self) -> Array:
        """The absolute error for each training row, predicted from all other rows."""
        import numpy as np

        residuals: Array = np.abs(np.mean([part.residuals for part in self._parts], axis=0))
        return residuals

    def predict(self, features: Sequence[Mapping[str, float]]) -> Array:
        """Returns one prediction per row, at most 1 outside the range of the training targets."""
        import numpy as np

        raw = _matrix(features, self.names)
        points = np.clip((raw - self._centre) / self._spread, -_CLIP, _CLIP)
        mean = float(self._targets.mean())
        offsets = [
            _kernel(points, self._points, part.length, part.linear) @ part.weights
            for part in self._parts
        ]
        low, high = self._targets.min() - 1.0, self._targets.max() + 1.0
        predictions: Array = np.clip(mean + np.mean(offsets, axis=0), low, high)
        return predictions

    def save(self, path: Path) -> None:
        """Write the regression to `path`, an `.npz` file without pickled objects."""
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
        """Returns the regression in a file of `save`. Raises `CheckpointError` for other files."""
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
    """Returns the similarity of each row of `left` to each of `right`."""
    import numpy as np

    products = left @ right.T / left.shape[1]
    similarity: Array = linear * products
    if length:
        own = (left**2).sum(axis=1) / left.shape[1]
        other = (right**2).sum(axis=1) / left.shape[1]
        squares = np.maximum(own[:, None] + other[None, :] - 2.0 * products, 0.0)
        similarity = similarity + np.exp(-squares / (2.0 * length**2))
    return similarity


def _fit_part(points: Array, targets: Array, kernels: Sequence[tuple[float, float]]) -> _Part:
    """Returns the fit of kernel and noise with the smallest mean absolute leave-one-out error."""
    import numpy as np

    best: _Part | None = None
    least = float("inf")
    for length, linear in kernels:
        values, vectors = np.linalg.eigh(_kernel(points, points, length, linear))
        values = np.maximum(values, 0.0)
        rotated = vectors.T @ (targets - targets.mean())
        for noise in _NOISES:
            inverse = 1.0 / (values + noise)
            weights = vectors @ (inverse * rotated)
            residuals = weights / (vectors**2 @ inverse)
            error = float(np.abs(residuals).mean())
            if error < least:
                least, best = error, _Part(length, linear, weights, residuals)
    assert best is not None
    return best
