"""Charts as image files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pilotcli.common.errors import CapabilityError
from pilotcli.common.extras import install

__all__ = ["Drawer"]


class Drawer:
    """Draws with matplotlib, which has to be installed."""

    @classmethod
    def draw_bar(
        cls,
        name_2_values: Mapping[str, float | Iterable[float]],
        file_name: str,
        x_title: str = "algos",
        y_title: str = "Time(s)",
        is_rotation: bool = False,
    ) -> Path:
        """A bar for each name, as high as its value or the mean of its values; returns the file,
        `Results/<file_name>.png`. Raises `CapabilityError` without matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            raise CapabilityError(
                "Drawer needs matplotlib", hint=f"Install it: {install('charts')}"
            ) from None
        heights = [
            float(value) if isinstance(value, (int, float)) else _mean(value)
            for value in name_2_values.values()
        ]
        figure = Figure()
        axes = figure.subplots()
        axes.bar(list(name_2_values), heights)
        axes.set_xlabel(x_title)
        axes.set_ylabel(y_title)
        if is_rotation:
            axes.tick_params(axis="x", rotation=45)
        path = Path("Results") / f"{file_name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
        return path

    @classmethod
    def draw_line(cls, name_2_values: Mapping[str, Iterable[float]]) -> None:
        """Does nothing, as in PilotScope, which does not say to which file it would draw."""


def _mean(values: Iterable[float]) -> float:
    listed = [float(value) for value in values]
    return sum(listed) / len(listed) if listed else 0.0
