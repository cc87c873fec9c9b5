"""What is asked for: a benchmark's name, scale, seed and number of parameter sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """A benchmark as it is asked for; `scale` is None for one that has a single size.

    `report` gets a line about each step that takes a while. `command` is the command that makes
    the same folder again.
    """

    name: str
    scale: float | None
    seed: int
    variants: int
    report: Callable[[str], None]

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        scale = "" if self.scale is None else f" --scale {self.scale:g}"
        variants = f" --variants {self.variants}" if self.variants > 1 else ""
        return f"pilot workloads get {self.name}{scale} --seed {self.seed}{variants}"
