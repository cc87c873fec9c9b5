"""A paired run: each query runs with the driver, and without it or with other ones.

The arms take turns, query by query, so that other load on the machine affects all in the same way.
The order of the arms is random for each query, and another arm goes first in each round: so each
profits equally often from what the others have left in the caches.

Each arm is a separate run in the journal. The baselines name the driver's run, and that the first
of them.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import GATE_EXIT_CODE, Gate, failed_gates
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import (
    Bus,
    DriverOutput,
    ExecutionFinished,
    Notice,
    Phase,
    QueryFinished,
    RunFinished,
    Signal,
    StepStarted,
)
from pilotcli.config import RunConfig
from pilotcli.config.model import CollectSection, RunSection
from pilotcli.replay.load import refuse_load
from pilotcli.run.experiment import Experiment, open_experiments
from pilotcli.run.paired_replay import PairedReplay
from pilotcli.run.request import RunRequest, select_events
from pilotcli.run.run import OpenRun
from pilotcli.run.setup import open_run
from pilotcli.run.verdict import Reason, RunEnd
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore

NATIVE = "native"
"""The baseline without events, handlers and models."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The arm that a run is compared with: its config, and its name for the user."""

    config: RunConfig
    name: str = NATIVE


def native(config: RunConfig) -> RunConfig:
    """The same database without the driver, which keeps as much of each result."""
    kept = None if config.collect is None else config.collect.max_rows
    collect = None if kept is None else CollectSection(max_rows=kept)
    return replace(config, events=(), handlers=(), models=(), collect=collect)


def run_paired(
    request: RunRequest,
    baselines: Sequence[Baseline],
    bus: Bus,
    gates: Sequence[Gate] = (),
    *,
    abort: Callable[[], None] = lambda: None,
) -> tuple[RunFinished, Sequence[Comparison]]:
    """Replay a workload in the driver's arm and those of `baselines`; the run fails where one of
    `gates` holds against the first of them.

    Raises as `pilotcli.run.commands.run` does. The second value has a comparison with each
    baseline; it is empty when the run ended before there was anything to compare.
    """
    config = request.config
    refuse_load(config.run)
    request = replace(
        request,
        config=replace(config, run=_decided(config.run)),
        workload=request.paths,
        against=_stored_names(baselines),
    )
    options = request.config.run
    _refuse_what_both_would_write([config, *(baseline.config for baseline in baselines)])
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        experiments = open_experiments(request, lambda text: bus.emit(Notice("warning", text)))
        experiment = stack.enter_context(experiments)[(request.fold or 1) - 1]
        if (overlap := experiment.overlap()) is not None:
            bus.emit(Notice("warning", overlap))
        learners = _learners(request, baselines)
        if options.learning_rounds and not any(learners):
            text = "no arm has events: nothing learns, so the rounds of learning are left out"
            bus.emit(Notice("info", text))
            options = replace(options, learn=0)
            request = replace(request, config=replace(request.config, run=options))
            experiment = replace(experiment, learning=None)
        totals = [_total(experiment, options, learns=learns) for learns in learners]
        fresh = options.begins_fresh
        driver = stack.enter_context(
            open_run("run", request, bus, experiment.whole, totals[0], stop=stop, fresh=fresh)
        )
        others = [
            stack.enter_context(
                open_run(
                    "run",
                    _request_of(baseline, request, number),
                    Bus(partial(_pass_on, bus, baseline.name, options.learning_rounds)),
                    experiment.whole,
                    totals[number + 1],
                    stop=stop,
                    home=config.home,
                    driver=driver.log.run_id,
                    fresh=fresh,
                )
            )
            for number, baseline in enumerate(baselines)
        ]
        driver.against = " and ".join(baseline.name for baseline in baselines)
        driver.log.set_pair(others[0].log.run_id, "driver")
        for run in (driver, *others):
            run.scheduler.arm = "driver" if run is driver else "baseline"
            # What a driver is judged on is not to be seen if it learns from other queries.
            run.scheduler.set_workload(experiment.learning or experiment.test)
        if request.fold is not None:
            for run in (driver, *others):
                run.log.set_experiment(request.experiment or driver.log.run_id, request.fold)
        arms = [(driver, "driver")]
        arms += [(run, found.name) for run, found in zip(others, baselines, strict=True)]
        replay = PairedReplay(arms, experiment.test, options, stop, experiment.learning)
        for arm in replay.arms:
            arm.run.restore(arm.tally)
        replay.restore()
        driver.announce(totals[0], replay.sizes.executions, replay.sizes.executed)
        return _take_turns(replay, gates, abort)


def _decided(options: RunSection) -> RunSection:
    """The options with the defaults that depend on others, for the journal."""
    return replace(
        options,
        learn=options.learning_rounds,
        freeze=options.frozen,
        fresh=options.begins_fresh,
    )


def _learners(request: RunRequest, baselines: Sequence[Baseline]) -> Sequence[bool]:
    """For each arm, the driver's first, whether it has events, which may train its models."""
    chosen = [(request.config.events, request.events)]
    chosen += [(baseline.config.events, None) for baseline in baselines]
    return [bool(select_events(events, names)) for events, names in chosen]


def _total(experiment: Experiment, options: RunSection, *, learns: bool) -> int | None:
    """The executions in an arm, in all rounds with results."""
    tested = experiment.test.count()
    learned = tested if experiment.learning is None else experiment.learning.count()
    if tested is None or learned is None:
        return None
    return (learned * options.learning_rounds if learns else 0) + tested * options.repeat


def _request_of(baseline: Baseline, request: RunRequest, number: int) -> RunRequest:
    """The request of the baseline with this number, from 0, in a paired run."""
    run = replace(request.config.run, pretraining=baseline.config.run.pretraining)
    resumed = [run_id for run_id in (request.resume, *request.resume_too) if run_id is not None]
    own = request.resume_too[number] if number < len(request.resume_too) else None
    return replace(
        request,
        config=replace(baseline.config, run=run),
        events=None,
        resume=own,
        resume_too=tuple(run_id for run_id in resumed if run_id != own),
        against=(),
    )


def _take_turns(
    replay: PairedReplay, gates: Sequence[Gate], abort: Callable[[], None]
) -> tuple[RunFinished, Sequence[Comparison]]:
    """Replay all arms in turns, compare them, and record how each ended."""
    driver, others = replay.driver.run, replay.baselines
    bus, stop = driver.scheduler.bus, driver.scheduler.stop
    comparisons: list[Comparison] = []

    def work() -> None:
        for arm in (*others, replay.driver):
            arm.run.scheduler.init(arm.run.driver.pretraining)
        if not stop.is_set():
            replay.run()

    def cancel() -> None:
        replay.cancel()
        for arm in replay.arms:
            arm.run.scheduler.cancel()

    def compare_arms() -> Sequence[Reason]:
        for arm in others:
            elapsed_s = arm.run.elapsed_before_s + replay.elapsed_s
            ended = arm.run.summarise(RunEnd(arm.tally, elapsed_s, complete=replay.complete))
            arm.run.log.finish(ended if replay.complete else replace(ended, resume=driver.resume))
            # An interruption of all is in the driver's own reasons.
            for reason in ended.reasons[1:] if stop.is_set() else ended.reasons:
                bus.emit(Notice("warning", f"{_title(arm.name)}: {reason}"))
        driver.log.flush()
        if driver.config.run.fresh:
            _say_what_is_current(driver)
        if replay.pairs:
            for arm in others:
                pair = (driver.log.run_id, arm.run.journal, arm.run.log.run_id)
                comparisons.append(compare(driver.journal, *pair))
        elif not replay.complete:
            return ()
        else:
            bus.emit(Notice("warning", "nothing was compared: no query ran in both arms"))
        return _reasons(comparisons, gates)

    runs = [arm.run for arm in others]
    finished = driver.execute(work, cancel, abort, replay, compare_arms, runs)
    # During the comparison the driver's own run had not ended in the journal.
    ended = driver.journal.run(driver.log.run_id)
    return finished, [replace(found, run_a=ended) for found in comparisons]


def _say_what_is_current(driver: OpenRun) -> None:
    """Say of each model that a fresh run has saved which version is still the current one."""
    store = CheckpointStore(driver.config.home / "models")
    saved = {version.model: version for version in driver.journal.models(driver.log.run_id)}
    for name, version in saved.items():
        current = store.current(name)
        if current is not None and current.version != version.version:
            text = (
                f"model {name}: version {current.version} stays the current one; this run has "
                f"learned version {version.version} (pilot models rollback {name} "
                f"--to {version.version} makes it the current one)"
            )
            driver.scheduler.bus.emit(Notice("info", text))


def _stored_names(baselines: Sequence[Baseline]) -> tuple[str, ...]:
    """What the journal keeps of the baselines, to continue the run; nothing if that is not
    enough."""
    names = []
    for baseline in baselines:
        if baseline.name == NATIVE:
            names.append(NATIVE)
        elif baseline.config.path is not None:
            names.append(str(baseline.config.path.absolute()))
    return tuple(names) if len(names) == len(baselines) else ()


def _refuse_what_both_would_write(arms: Sequence[RunConfig]) -> None:
    """Raise `UsageError` if two arms would save the same model, or collect into the same table:
    each would learn from the other."""
    for one, other in itertools.combinations(arms, 2):
        models = {spec.name for spec in one.models} & {spec.name for spec in other.models}
        if models and one.home == other.home:
            raise UsageError(
                f"two arms would save the model {min(models)!r} in {one.home}",
                hint="Give the other config a home of its own (`home:`), or its model another "
                "name.",
            )
        tables = [arm.collect.table if arm.collect is not None else None for arm in (one, other)]
        if tables[0] is not None and tables[0] == tables[1] and _store(one) == _store(other):
            raise UsageError(
                f"two arms would collect into the table {tables[0]!r} of one store",
                hint="Give the other config a store of its own (`store: {database: ...}`), or its "
                "`collect:` another table.",
            )


def _store(arm: RunConfig) -> tuple[object, ...]:
    return (arm.store, arm.database.dsn, arm.home if arm.database.dsn is None else None)


def _reasons(comparisons: Sequence[Comparison], gates: Sequence[Gate]) -> list[Reason]:
    """The reasons for which the comparison with the baselines makes a run fail."""
    failed = failed_gates(comparisons[0] if comparisons else None, gates)
    reasons: list[Reason] = []
    if not any(gate.metric == "results.differ" for gate, _ in failed):
        for comparison in comparisons:
            if different := len(comparison.different):
                noun = "query gives" if different == 1 else "queries give"
                run = "the baseline" if len(comparisons) == 1 else f"run {comparison.run_b.run_id}"
                reasons.append((1, f"{different} {noun} other rows than {run}"))
    return [*reasons, *((GATE_EXIT_CODE, reason) for _, reason in failed)]


def _title(name: str) -> str:
    return "baseline" if name == NATIVE else name


def _pass_on(bus: Bus, name: str, learned: int, signal: Signal) -> None:
    """Pass on the messages of the baseline `name` to the user, and that its queries have ended. It
    learns in the first `learned` rounds."""
    if isinstance(signal, Notice):
        bus.emit(Notice(signal.level, f"{_title(name)}: {signal.text}"))
    elif isinstance(signal, (DriverOutput, StepStarted)):
        bus.emit(signal)
    elif isinstance(signal, ExecutionFinished):
        bus.emit(replace(signal, arm=name))
    elif isinstance(signal, QueryFinished):
        result = signal.result
        phase: Phase = "learning" if result.round <= learned else "comparison"
        seq, elapsed_s = result.seq, result.elapsed_s
        bus.emit(ExecutionFinished(result.label, seq, phase, name, elapsed_s))
