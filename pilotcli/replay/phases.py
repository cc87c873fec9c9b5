"""How many executions of queries the phases of a single run have."""

from __future__ import annotations

from dataclasses import dataclass, field

from pilotcli.config.model import RunSection
from pilotcli.replay.units import Progress


@dataclass(frozen=True, slots=True)
class PhaseSizes:
    """The sizes for a workload of `queries`, which is None where it is not counted beforehand; then
    sizes are None, too. A run for a time (`run.duration`) has rounds of unknown size."""

    options: RunSection
    queries: int | None
    progress: Progress = field(default_factory=Progress)

    @property
    def total(self) -> int | None:
        """Executions in all rounds."""
        if self.queries is None or self.options.duration is not None:
            return None
        return self.queries * self.options.repeat

    @property
    def warmups(self) -> int:
        """The rounds of warm-up to come. A run that was interrupted in a round has had them."""
        return 0 if self.progress.rounds else self.options.warmup

    @property
    def executions(self) -> int | None:
        """Executions in all phases."""
        if self.queries is None or self.total is None:
            return None
        return self.queries * self.options.warmup + self.total

    @property
    def executed(self) -> int:
        """Those of them that have ended in the earlier part of a resumed run."""
        warmed = (self.queries or 0) * (self.options.warmup - self.warmups)
        return warmed + self._warmed + self._replayed

    @property
    def warmups_left(self) -> int | None:
        """Executions to come in the warm-up."""
        return None if self.queries is None else self.queries * self.warmups - self._warmed

    @property
    def rounds_left(self) -> int | None:
        """Executions to come in the rounds."""
        return None if self.total is None else self.total - self._replayed

    @property
    def _warmed(self) -> int:
        return sum(map(sum, self.progress.warmups.values())) if self.warmups else 0

    @property
    def _replayed(self) -> int:
        return sum(map(sum, self.progress.rounds.values()))
