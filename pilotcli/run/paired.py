"""A paired run: each query runs twice, with the driver and without it (or with another one).

The two take turns, query by query, so that what the machine does besides meets both alike. Which
of them goes first is a coin for each query, and changes from round to round: what the first leaves
in the caches serves each of them as often.

Each arm is a run of its own in the journal, and each names the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import (
    Bus,
    DriverOutput,
    Notice,
    RunFinished,
    Signal,
    StepStarted,
)
from pilotcli.config import RunConfig
from pilotcli.run.paired_replay import PairedReplay
from pilotcli.run.request import Asked, RunRequest
from pilotcli.run.run import Reason
from pilotcli.run.setup import Begin, prepared
from pilotcli.workload import open_workload

if TYPE_CHECKING:
    from pilotcli.analysis.gates import Gate

__all__ = ["NATIVE", "PairedRequest", "run_paired"]

NATIVE = "native"
"""The baseline without events, handlers and models."""
_TOLD_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class PairedRequest:
    """A run, and what it is compared with.

    `baseline` is the config of the other arm, `against` its name in words. `gates` are the
    conditions under which the run fails.
    """

    run: RunRequest
    baseline: RunConfig
    against: str = NATIVE
    gates: tuple[Gate, ...] = ()


def native(config: RunConfig) -> RunConfig:
    """The same database without the driver."""
    return replace(config, events=(), handlers=(), models=(), collect=None)


def run_paired(
    request: PairedRequest, bus: Bus, *, abort: Callable[[], None] = lambda: None
) -> tuple[RunFinished, Comparison | None]:
    """Replay a workload in both arms. Raises as `pilotcli.run.commands.run` does; the second
    value is None when the run ended before there was anything to compare."""
    config = request.run.config
    options = config.run
    if options.workers > 1:
        raise UsageError(
            "a paired run has one worker: two queries at once would disturb each other's times",
            hint="Leave --workers and run.workers out.",
        )
    paths = request.run.paths
    _refuse_what_both_would_write(config, request.baseline)
    stop = threading.Event()
    baseline = replace(
        request.baseline,
        run=replace(options, pretraining=request.baseline.run.pretraining),
    )
    with open_workload(paths, stdin=request.run.stdin, limit=options.limit) as workload:
        counted = workload.count()
        total = counted * (options.learn + options.repeat) if counted is not None else None
        asked = Asked.now(config, request.run.overrides, paths, request.run.events, total)
        begin = Begin("run", workload.description, asked, workload.digest(), None, False)
        arm_bus = Bus(_Told(bus))
        with (
            prepared(config, request.run.events, bus, begin, workload, stop=stop) as driver,
            prepared(
                baseline, None, arm_bus, begin, workload, stop=stop, keep_in=config.home
            ) as other,
        ):
            driver.resumable = other.resumable = False
            driver.against = request.against
            driver.log.set_pair(other.log.run_id, "driver")
            other.log.set_pair(driver.log.run_id, "baseline")
            replay = PairedReplay(driver, other, workload, options, stop)
            compared: list[Comparison] = []

            def work() -> None:
                other.scheduler.init(other.progress)
                driver.scheduler.init(driver.progress)
                if not stop.is_set():
                    replay.run()

            def cancel() -> None:
                replay.cancel()
                for ready in (driver, other):
                    ready.scheduler.cancel()

            def judge() -> Sequence[Reason]:
                ended = other.concluded(replay.baseline.tally, (), replay.elapsed_s)
                other.log.finish(ended)
                # That both were interrupted, the driver's end says.
                for reason in ended.reasons[1:] if stop.is_set() else ended.reasons:
                    bus.emit(Notice("warning", f"baseline: {reason}"))
                driver.log.flush()
                if replay.pairs:
                    # The driver's own run has not ended in the journal yet: that is no news.
                    run_ids = driver.log.run_id, other.log.run_id
                    comparison = compare(driver.journal, run_ids[0], other.journal, run_ids[1])
                    compared.append(comparison)
                    return _reasons(comparison, request.gates)
                if not replay.complete:
                    return ()
                text = "nothing was compared: no query ran in both arms"
                bus.emit(Notice("warning", text))
                return _reasons(None, request.gates)

            driver.announce(total)
            finished = driver.carry_out(work, cancel, abort, replay, judge)
            if compared:
                record = driver.journal.run(driver.log.run_id)
                compared[0] = replace(compared[0], run_a=record)
            return finished, compared[0] if compared else None


def _refuse_what_both_would_write(driver: RunConfig, baseline: RunConfig) -> None:
    """Raise `UsageError` where both arms would save the same model, or collect into the same table:
    each would then learn from the other."""
    models = {one.name for one in driver.models} & {one.name for one in baseline.models}
    if models and driver.home == baseline.home:
        raise UsageError(
            f"both arms would save the model {min(models)!r} in {driver.home}",
            hint="Give the other config a home of its own (`home:`), or its model another name.",
        )
    tables = [one.collect.table if one.collect is not None else None for one in (driver, baseline)]
    stores = [
        (one.store, one.database.dsn, one.home if one.database.dsn is None else None)
        for one in (driver, baseline)
    ]
    if tables[0] is not None and tables[0] == tables[1] and stores[0] == stores[1]:
        raise UsageError(
            f"both arms would collect into the table {tables[0]!r} of one store",
            hint="Give the other config a store of its own (`store: {database: ...}`), or its "
            "`collect:` another table.",
        )


def _reasons(comparison: Comparison | None, gates: Sequence[Gate]) -> list[Reason]:
    from pilotcli.analysis.gates import GATE_EXIT_CODE, failed_gates

    reasons: list[Reason] = []
    different = len(comparison.different) if comparison is not None else 0
    told = failed_gates(comparison, gates)
    if different and not any(gate.metric == "results.differ" for gate, _ in told):
        noun = "query gives" if different == 1 else "queries give"
        reasons.append((1, f"{different} {noun} other rows than the baseline"))
    reasons.extend((GATE_EXIT_CODE, reason) for _, reason in told)
    return reasons


class _Told:
    """Hands on what the baseline's arm has to say to the user."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def __call__(self, signal: Signal) -> None:
        if isinstance(signal, Notice):
            self._bus.emit(Notice(signal.level, f"baseline: {signal.text}"))
        elif isinstance(signal, (DriverOutput, StepStarted)):
            self._bus.emit(signal)
