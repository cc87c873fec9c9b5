"""What is asked for: a benchmark's name, scale, seed, parameter sets and files."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from pilotcli.benchmarks.published.addresses import shown_name


@dataclass(frozen=True, slots=True)
class Request:
    """A benchmark as it is asked for; `scale` is None for one that has a single size.

    `report` gets a line about each step that takes a while. `sources` are the folders, files and
    addresses that it is made from, and `agreed` asks before a download. `command` is the command
    that makes the same folder again.
    """

    name: str
    scale: float | None
    seed: int
    variants: int
    report: Callable[[str], None]
    sources: tuple[str, ...] = ()
    agreed: Callable[[str], bool] = lambda question: False

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        scale = "" if self.scale is None else f" --scale {self.scale:g}"
        variants = f" --variants {self.variants}" if self.variants > 1 else ""
        sources = "".join(f" --from {shlex.quote(shown_name(name))}" for name in self.sources)
        return f"pilot workloads get {self.name}{scale} --seed {self.seed}{variants}{sources}"
