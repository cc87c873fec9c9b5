"""A paired run: each query runs twice, with the driver and without it (or with another one).

The two arms take turns, query by query, so that other load on the machine affects both in the same
way. A coin decides for each query which arm goes first, and the order changes from round to round:
so each arm profits equally often from what the other has left in the caches.

Each arm is a separate run in the journal, and each names the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import GATE_EXIT_CODE, Gate, failed_gates
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import Bus, DriverOutput, Notice, RunFinished, Signal, StepStarted
from pilotcli.config import RunConfig
from pilotcli.replay.load import refuse_load
from pilotcli.run.paired_replay import PairedReplay
from pilotcli.run.request import RunRequest
from pilotcli.run.run import OpenRun
from pilotcli.run.setup import open_run
from pilotcli.run.verdict import Reason, RunEnd
from pilotcli.workload import open_workload

NATIVE = "native"
"""The baseline without events, handlers and models."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The arm that a run is compared with: its config, and its name for the user."""

    config: RunConfig
    name: str = NATIVE


def native(config: RunConfig) -> RunConfig:
    """The same database without the driver."""
    return replace(config, events=(), handlers=(), models=(), collect=None)


def run_paired(
    request: RunRequest,
    baseline: Baseline,
    bus: Bus,
    gates: Sequence[Gate] = (),
    *,
    abort: Callable[[], None] = lambda: None,
) -> tuple[RunFinished, Comparison | None]:
    """Replay a workload in both arms; the run fails where one of `gates` holds.

    Raises as `pilotcli.run.commands.run` does. The second value is None when the run ended before
    there was anything to compare.
    """
    config, options = request.config, request.config.run
    request = replace(request, against=_stored_name(baseline))
    if options.workers > 1:
        raise UsageError(
            "a paired run has one worker: two queries at once would disturb each other's times",
            hint="Leave --workers and run.workers out.",
        )
    refuse_load(options)
    request = replace(request, workload=request.paths)
    _refuse_what_both_would_write(config, baseline.config)
    stop = threading.Event()
    own_options = replace(options, pretraining=baseline.config.run.pretraining)
    other_request = replace(
        request,
        config=replace(baseline.config, run=own_options),
        events=None,
        resume=next(iter(request.resume_too), None),
        resume_too=() if request.resume is None else (request.resume,),
        against=None,
    )
    other_bus = Bus(partial(_pass_on, bus))
    with open_workload(
        request.workload,
        stdin=request.stdin,
        limit=options.limit,
        select=options.select,
        exclude=options.exclude,
        notify=lambda text: bus.emit(Notice("warning", text)),
    ) as workload:
        queries = workload.count()
        total = queries * (options.learn + options.repeat) if queries is not None else None
        with (
            open_run("run", request, bus, workload, total, stop=stop) as driver,
            open_run(
                "run",
                other_request,
                other_bus,
                workload,
                total,
                stop=stop,
                home=config.home,
                driver=driver.log.run_id,
            ) as other,
        ):
            driver.against = baseline.name
            driver.log.set_pair(other.log.run_id, "driver")
            driver.scheduler.arm, other.scheduler.arm = "driver", "baseline"
            for run in (driver, other):
                run.scheduler.set_workload(workload)
            replay = PairedReplay(driver, other, workload, options, stop)
            driver.restore(replay.driver.tally)
            other.restore(replay.baseline.tally)
            replay.restore()
            driver.announce(total)
            return _take_turns(driver, other, replay, gates, abort)


def _take_turns(
    driver: OpenRun,
    other: OpenRun,
    replay: PairedReplay,
    gates: Sequence[Gate],
    abort: Callable[[], None],
) -> tuple[RunFinished, Comparison | None]:
    """Replay both arms in turns, compare them, and record how each ended."""
    bus, stop = driver.scheduler.bus, driver.scheduler.stop
    comparison: Comparison | None = None

    def work() -> None:
        for arm in (other, driver):
            arm.scheduler.init(arm.driver.pretraining)
        if not stop.is_set():
            replay.run()

    def cancel() -> None:
        replay.cancel()
        for arm in (driver, other):
            arm.scheduler.cancel()

    def compare_arms() -> Sequence[Reason]:
        nonlocal comparison
        elapsed_s = other.elapsed_before_s + replay.elapsed_s
        ended = other.summarise(RunEnd(replay.baseline.tally, elapsed_s))
        other.log.finish(ended if replay.complete else replace(ended, resume=driver.resume))
        # An interruption of both is in the driver's own reasons.
        for reason in ended.reasons[1:] if stop.is_set() else ended.reasons:
            bus.emit(Notice("warning", f"baseline: {reason}"))
        driver.log.flush()
        if replay.pairs:
            arms = (driver.journal, driver.log.run_id, other.journal, other.log.run_id)
            comparison = compare(*arms)
        elif not replay.complete:
            return ()
        else:
            bus.emit(Notice("warning", "nothing was compared: no query ran in both arms"))
        return _reasons(comparison, gates)

    finished = driver.execute(work, cancel, abort, replay, compare_arms, [other])
    if comparison is not None:
        # During the comparison the driver's own run had not ended in the journal.
        comparison = replace(comparison, run_a=driver.journal.run(driver.log.run_id))
    return finished, comparison


def _stored_name(baseline: Baseline) -> str | None:
    """What the journal keeps of the baseline, to continue the run; None if that is not enough."""
    if baseline.name == NATIVE:
        return NATIVE
    path = baseline.config.path
    return None if path is None else str(path.absolute())


def _refuse_what_both_would_write(driver: RunConfig, baseline: RunConfig) -> None:
    """Raise `UsageError` if both arms would save the same model, or collect into the same table:
    each would learn from the other."""
    models = {spec.name for spec in driver.models} & {spec.name for spec in baseline.models}
    if models and driver.home == baseline.home:
        raise UsageError(
            f"both arms would save the model {min(models)!r} in {driver.home}",
            hint="Give the other config a home of its own (`home:`), or its model another name.",
        )
    arms = (driver, baseline)
    tables = [arm.collect.table if arm.collect is not None else None for arm in arms]
    stores = [
        (arm.store, arm.database.dsn, arm.home if arm.database.dsn is None else None)
        for arm in arms
    ]
    if tables[0] is not None and tables[0] == tables[1] and stores[0] == stores[1]:
        raise UsageError(
            f"both arms would collect into the table {tables[0]!r} of one store",
            hint="Give the other config a store of its own (`store: {database: ...}`), or its "
            "`collect:` another table.",
        )


def _reasons(comparison: Comparison | None, gates: Sequence[Gate]) -> list[Reason]:
    """The reasons for which the comparison with the baseline makes a run fail."""
    reasons: list[Reason] = []
    different = len(comparison.different) if comparison is not None else 0
    failed = failed_gates(comparison, gates)
    if different and not any(gate.metric == "results.differ" for gate, _ in failed):
        noun = "query gives" if different == 1 else "queries give"
        reasons.append((1, f"{different} {noun} other rows than the baseline"))
    return [*reasons, *((GATE_EXIT_CODE, reason) for _, reason in failed)]


def _pass_on(bus: Bus, signal: Signal) -> None:
    """Pass on the baseline's messages to the user."""
    if isinstance(signal, Notice):
        bus.emit(Notice(signal.level, f"baseline: {signal.text}"))
    elif isinstance(signal, (DriverOutput, StepStarted)):
        bus.emit(signal)
