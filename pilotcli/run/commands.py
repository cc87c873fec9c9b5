"""A whole run: config in, queries through the scheduler, journal out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pilotcli.common.errors import UsageError
from pilotcli.common.records import EventKind
from pilotcli.common.signals import (
    Bus,
    Notice,
    RunFinished,
)
from pilotcli.config import RunConfig
from pilotcli.events.pretraining import PretrainingSteps
from pilotcli.replay.replay import Replay
from pilotcli.replay.units import Progress
from pilotcli.run.plan_log import keep_plans
from pilotcli.run.request import Asked, RunRequest, select_events
from pilotcli.run.setup import Begin, prepared
from pilotcli.workload import open_workload

__all__ = ["PretrainRequest", "RunRequest", "pretrain", "run", "select_events"]


@dataclass(frozen=True, slots=True)
class PretrainRequest:
    """Which pretraining events to run, and which of their steps.

    `fresh` removes what earlier pretrainings collected and begins anew. The rest as in
    `RunRequest`.
    """

    config: RunConfig
    events: tuple[str, ...] | None = None
    steps: PretrainingSteps = field(default_factory=PretrainingSteps)
    fresh: bool = False
    overrides: tuple[str, ...] = ()
    resume: int | None = None
    force: bool = False


def run(request: RunRequest, bus: Bus, *, abort: Callable[[], None] = lambda: None) -> RunFinished:
    """Replay a workload. Every problem found before the first query raises a `PilotError`; what
    happens afterwards is in the result, which has the exit code.

    `abort` is called when the user ends the process at once (the second Ctrl-C).
    """
    config = request.config
    paths = request.paths
    with open_workload(paths, stdin=request.stdin, limit=config.run.limit) as workload:
        counted = workload.count()
        total = counted * config.run.repeat if counted is not None else None
        digest = workload.digest()
        asked = Asked.now(config, request.overrides, paths, request.events, total)
        begin = Begin("run", workload.description, asked, digest, request.resume, request.force)
        with prepared(config, request.events, bus, begin, workload) as ready:
            past = ready.past
            if config.run.plans:
                keep_plans(ready.scheduler, ready.log)
            progress = Progress(past.done, past.warmed, past.killed) if past is not None else None
            replay = Replay(ready.scheduler, workload, config.run, ready.stop, progress)
            if ready.watch:
                ready.scheduler.add_observer(ready.watch)
            ready.restore(replay)

            def work() -> None:
                ready.scheduler.init(ready.progress)
                if not replay.stopped_early:
                    replay.run()

            def cancel() -> None:
                replay.cancel()
                ready.scheduler.cancel()

            ready.announce(total)
            return ready.carry_out(work, cancel, abort, replay)


def pretrain(
    request: PretrainRequest, bus: Bus, *, abort: Callable[[], None] = lambda: None
) -> RunFinished:
    """Run the pretraining events alone, each from where it was left. Raises as `run` does."""
    config = replace(request.config, run=replace(request.config.run, pretraining="always"))
    asked = Asked.now(config, request.overrides, (), request.events)
    begin = Begin("pretrain", "pretraining", asked, None, request.resume, request.force)
    with prepared(config, request.events, bus, begin) as ready:
        events = [one for one in ready.registered if one.kind is EventKind.PRETRAINING]
        if not events:
            raise UsageError(
                "the config has no pretraining event to run",
                hint="Events of that kind derive from PretrainingModelEvent; "
                "`pilot events list` shows what there is.",
            )
        begun = {one.name: ready.log.progress_of(one.name) for one in events}
        runner = ready.scheduler.event_runner
        ready.restore(None)

        def work() -> None:
            for registered in events:
                if runner.has_fired(registered, "pretraining"):
                    continue
                table = registered.event.data_saving_table  # type: ignore[attr-defined]
                progress = begun[registered.name]
                if request.fresh and ready.past is None:
                    ready.scheduler.data_manager.remove_table_and_tracker(table)
                    progress = None
                if progress is not None:
                    progress = replace(progress, trained=False)
                if progress is not None and progress.rows:
                    state = "complete" if progress.collected else "continued"
                    text = f"{registered.name}: {progress.rows} rows are there, {state}"
                    bus.emit(Notice("info", f"{text} (--fresh collects anew)"))
                runner.pretrain(registered, progress, request.steps)
                if ready.stop.is_set():
                    return

        ready.announce(0)
        return ready.carry_out(work, ready.scheduler.cancel, abort)
