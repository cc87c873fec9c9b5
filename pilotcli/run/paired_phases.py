"""How many executions of queries the phases of a paired run have, over all rounds and arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.config.model import RunSection
from pilotcli.storage.journal import PastRun


@dataclass(frozen=True, slots=True)
class PairedSizes:
    """The phases of a paired run whose arms have the options `options`.

    - `learning`: executions in one round of learning, over all arms that learn;
    - `round`: executions in one round of warm-up or comparison, over all arms;
    - `plans`: executions to take the plans;
    - `pasts`: the states of the arms, if the run is continued.

    A size is None where the workload is not counted beforehand.
    """

    options: RunSection
    learning: int | None
    round: int | None
    plans: int | None
    pasts: Sequence[PastRun] = ()

    @property
    def executions(self) -> int | None:
        """Executions in all phases."""
        if self.learning is None or self.round is None or self.plans is None:
            return None
        rounds = self.options.warmup + self.options.repeat
        return self.options.learning_rounds * self.learning + rounds * self.round + self.plans

    @property
    def executed(self) -> int:
        """Those of them that have ended in earlier parts of the run."""
        return self._learned + self._warmed + self._compared

    @property
    def learning_left(self) -> int | None:
        """Executions to come in the rounds of learning."""
        if self.learning is None:
            return None
        return self.options.learning_rounds * self.learning - self._learned

    @property
    def warmup_left(self) -> int | None:
        """Executions to come in the warm-up."""
        return None if self.round is None else self.options.warmup * self.round - self._warmed

    @property
    def comparison_left(self) -> int | None:
        """Executions to come in the compared rounds."""
        return None if self.round is None else self.options.repeat * self.round - self._compared

    @property
    def _learned(self) -> int:
        return self._done(range(1, self.options.learning_rounds + 1))

    @property
    def _compared(self) -> int:
        first = self.options.learning_rounds + 1
        return self._done(range(first, first + self.options.repeat))

    @property
    def _warmed(self) -> int:
        return sum(sum(done) for past in self.pasts for done in past.warmed.values())

    def _done(self, rounds: range) -> int:
        ended = (past.done.get(number) for past in self.pasts for number in rounds)
        return sum(sum(done) for done in ended if done is not None)
