"""How far a run is: its phases, and executions of queries over all of them."""

from __future__ import annotations

from dataclasses import dataclass

from pilotcli.common.signals import Phase, PhaseStarted, RunStarted

UNMEASURED: frozenset[Phase] = frozenset({"warm-up", "plans"})
"""Phases whose times are not part of the result."""


@dataclass(slots=True)
class Progress:
    """Counts executions. Times are on the view's monotonic clock."""

    total: int | None = None
    """Executions of the whole run; None where their number is not known."""
    before: int = 0
    """Those that had ended in the earlier part of a resumed run."""
    ended: int = 0
    """Those that have ended, with the earlier ones."""
    phase: PhaseStarted | None = None
    in_phase: int = 0
    """Those that have ended in the phase."""
    first: float | None = None
    """When the first execution began."""

    def begin(self, run: RunStarted) -> None:
        """Take the run's total."""
        self.total = run.total if run.executions is None else run.executions
        self.before = sum(run.before.values()) if run.executions is None else run.executed
        self.ended += self.before

    def begin_phase(self, phase: PhaseStarted) -> None:
        """Count for this phase from now on."""
        self.phase, self.in_phase = phase, 0

    def count(self) -> None:
        """Count one execution."""
        self.ended += 1
        self.in_phase += 1

    @property
    def round(self) -> int | None:
        """The round of the phase, from 1; None where its size is not known."""
        phase = self.phase
        if phase is None or not phase.executions:
            return None
        return min(phase.rounds, self.in_phase * phase.rounds // phase.executions + 1)

    def per_s(self, now: float) -> float | None:
        """Executions a second, since the first one."""
        ended = self.ended - self.before
        if self.first is None or now <= self.first or not ended:
            return None
        return ended / (now - self.first)

    def left_s(self, now: float) -> float | None:
        """The seconds that the run will still take at this speed; None where nobody knows."""
        per_s = self.per_s(now)
        if not self.total or per_s is None:
            return None
        return max(0, self.total - self.ended) / per_s
