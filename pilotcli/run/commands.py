"""A whole run: config in, queries through the scheduler, journal out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pilotcli.common.quantities import plural
from pilotcli.common.records import EventKind, PretrainingProgress
from pilotcli.common.signals import Bus, Notice, RunFinished
from pilotcli.events.pretraining import PretrainingSteps
from pilotcli.events.schedule import Registered
from pilotcli.replay.load import refuse_contradictions
from pilotcli.replay.phases import PhaseSizes
from pilotcli.replay.replay import Replay
from pilotcli.replay.units import Progress
from pilotcli.run.plan_log import keep_plans
from pilotcli.run.request import RunRequest
from pilotcli.run.run import OpenRun
from pilotcli.run.setup import open_run
from pilotcli.workload import open_workload


def run(request: RunRequest, bus: Bus, *, abort: Callable[[], None] = lambda: None) -> RunFinished:
    """Replay a workload. A problem before the first query raises a `PilotError`; later problems are
    in the result, with the exit code.

    `abort` is called when the user ends the process at once (the second Ctrl-C).
    """
    config = request.config
    refuse_contradictions(config.run)
    request = replace(request, workload=request.paths)
    with open_workload(
        request.workload,
        stdin=request.stdin,
        limit=config.run.limit,
        select=config.run.select,
        exclude=config.run.exclude,
        notify=lambda text: bus.emit(Notice("warning", text)),
    ) as workload:
        queries = workload.count()
        total = PhaseSizes(config.run, queries).total
        with open_run("run", request, bus, workload, total) as opened:
            past, scheduler = opened.past, opened.scheduler
            scheduler.set_workload(workload)
            if config.run.plans:
                keep_plans(scheduler, opened.log)
            progress = Progress(past.done, past.warmed, past.killed) if past is not None else None
            replay = Replay(scheduler, workload, config.run, scheduler.stop, progress, queries)
            if opened.driver.watch:
                scheduler.add_observer(opened.driver.watch)
            opened.restore(replay.tally)
            replay.elapsed_before_s = opened.elapsed_before_s

            def work() -> None:
                scheduler.init(opened.driver.pretraining)
                if not replay.stopped_early:
                    replay.run()

            def cancel() -> None:
                replay.cancel()
                scheduler.cancel()

            opened.announce(total, replay.sizes.executions, replay.sizes.executed)
            return opened.execute(work, cancel, abort, replay)


def pretrain(
    request: RunRequest,
    bus: Bus,
    steps: PretrainingSteps | None = None,
    *,
    fresh: bool = False,
    abort: Callable[[], None] = lambda: None,
) -> RunFinished:
    """Run only the pretraining events, or some of their steps, each from its saved progress.

    `fresh` removes the rows that earlier pretrainings collected. Raises as `run` does.
    """
    config = replace(request.config, run=replace(request.config.run, pretraining="always"))
    request = replace(request, config=config, workload=())
    with open_run("pretrain", request, bus) as opened:
        events = [event for event in opened.driver.events if event.kind is EventKind.PRETRAINING]
        fresh = fresh and opened.past is None
        begun = {event.name: opened.log.progress_of(event.name) for event in events}
        runner = opened.scheduler.event_runner
        opened.restore(None)

        def work() -> None:
            for event in events:
                if runner.has_fired(event, "pretraining"):
                    continue
                progress = begun[event.name]
                if fresh:
                    table = event.event.data_saving_table  # type: ignore[attr-defined]
                    opened.scheduler.data_manager.remove_table_and_tracker(table)
                    progress = None
                runner.pretrain(event, _collected(opened, event, progress), steps)
                if opened.scheduler.stop.is_set():
                    return

        opened.announce(0)
        return opened.execute(work, opened.scheduler.cancel, abort)


def _collected(
    opened: OpenRun, event: Registered, progress: PretrainingProgress | None
) -> PretrainingProgress | None:
    """`progress` without its training, which is repeated; says how many rows are there."""
    if progress is None:
        return None
    if progress.rows:
        state = "complete" if progress.collected else "continued"
        text = (
            f"{event.name}: {plural(progress.rows, 'row is', 'rows are')} there, {state} "
            "(--fresh collects again)"
        )
        opened.scheduler.bus.emit(Notice("info", text))
    return replace(progress, trained=False)
