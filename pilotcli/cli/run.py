"""`pilot run` and `pilot pretrain`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import typer

from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import Gate, gate_reasons, parse_gate
from pilotcli.checks.dry_run import examine
from pilotcli.cli import run_options as options
from pilotcli.cli.options import (
    ConfigOption,
    EventsOption,
    FailIfOption,
    JUnitOption,
    MLflowOption,
    SetOption,
    SummaryOption,
    event_names,
)
from pilotcli.cli.outputs import Outputs
from pilotcli.cli.paired import baseline_of, whole_driver, with_rounds
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import Bus, RunFinished, RunStarted, Signal
from pilotcli.config import load_config
from pilotcli.events.pretraining import PretrainingSteps
from pilotcli.run import commands
from pilotcli.run.driver_output import own_stream, process_output
from pilotcli.run.paired import Baseline, run_paired
from pilotcli.run.request import RunRequest
from pilotcli.run.resume import resume_request
from pilotcli.storage.journal import RunKind
from pilotcli.views.comparison import show_comparison, show_headline, show_more
from pilotcli.views.driver_lines import driver_lines
from pilotcli.views.dry_run import show_dry_run
from pilotcli.views.view import Format, make_view

__all__ = ["pretrain", "run"]

QUERIES_SHOWN = 10
"""Queries of a comparison that are listed after a paired run."""


def run(
    workload: options.Workload = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    repeat: options.Repeat = None,
    warmup: options.Warmup = None,
    shuffle: options.Shuffle = None,
    seed: options.Seed = None,
    limit: options.Limit = None,
    timeout: options.Timeout = None,
    reconnect: options.Reconnect = None,
    workers: options.Workers = None,
    max_failures: options.MaxFailures = None,
    fail_fast: options.FailFast = None,
    pretraining: options.Pretraining = None,
    resume: options.Resume = None,
    force: options.Force = False,
    events: EventsOption = None,
    no_events: options.NoEvents = False,
    no_handlers: options.NoHandlers = False,
    dry_run: options.DryRun = False,
    output: options.Output = None,
    against: options.Against = None,
    learn: options.Learn = None,
    fail_if: FailIfOption = None,
    report: options.Report = None,
    junit: JUnitOption = None,
    summary: SummaryOption = None,
    mlflow: MLflowOption = None,
    plans: options.Plans = False,
    trust: options.Trust = False,
    format: options.ViewFormat = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
) -> None:
    """Replay a SQL workload while events fire.

    Exit codes: 0: all is well. 1: too many queries failed (--max-failures), or a query gave other
    rows than the baseline. 2: the command, the config, the workload or a file has an error. 3: an
    event, a handler or a model failed. 4: the database could not be reached, or was lost. 5: a
    --fail-if condition holds. 130: interrupted.

    \b
    Examples:
      pilot run workloads/forum.sql -c configs/forum.yaml
      pilot run queries/ --workers 4 --timeout 30s --output results.csv
      zcat log.sql.gz | pilot run - --format jsonl
      pilot run workloads/forum.sql -c configs/forum-cards.yaml --against native --rounds 5
      pilot run --resume
    """
    _refuse_contradictions(against, resume, learn, fail_if)
    keys: dict[str, object] = {"repeat": repeat, "warmup": warmup, "shuffle": shuffle, "seed": seed}
    keys |= {"limit": limit, "timeout": timeout, "reconnect": reconnect, "workers": workers}
    keys |= {"max_failures": max_failures, "fail_fast": fail_fast, "pretraining": pretraining}
    keys |= {"learn": learn, "plans": plans or None}
    overrides = options.run_overrides(set_, keys, handlers=not no_handlers)
    names = event_names(events, none=no_events)
    request = _request("run", config, overrides, workload or (), names, resume, force, trust)
    outputs = Outputs(output, junit, summary, report, mlflow)
    outputs.check([*request.workload, *request.config.workload])
    baseline = None
    if against is not None:
        request = with_rounds(request, rounds_given=repeat is not None, warm=warmup is not None)
        baseline = baseline_of(request.config, against)
    gates = [parse_gate(text) for text in fail_if or ()]
    if dry_run:
        _dry_run(request, baseline)
        return
    view = _view(format, quiet, verbose, no_color)
    finished, comparison = _replay(request, baseline, gates, outputs, view)
    if comparison is not None and format != "jsonl":
        _show(comparison, quiet, report)
    raise typer.Exit(finished.exit_code)


def pretrain(
    config: ConfigOption = None,
    set_: SetOption = None,
    events: EventsOption = None,
    no_collect: options.NoCollect = False,
    no_train: options.NoTrain = False,
    fresh: options.Fresh = False,
    resume: options.Resume = None,
    force: options.Force = False,
    trust: options.Trust = False,
    format: options.ViewFormat = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
) -> None:
    """Run only the pretraining: collect rows, train, save models.

    Rows that an interrupted pretraining collected are kept. The next call collects the rest.

    \b
    Examples:
      pilot pretrain -c configs/forum.yaml
      pilot pretrain --no-collect
      pilot pretrain --fresh --events LatencyPretraining
    """
    if no_collect and (fresh or no_train):
        other = "--fresh" if fresh else "--no-train"
        why = "would train on the rows that it removes" if fresh else "leaves nothing to do"
        raise UsageError(f"{other} together with --no-collect {why}", hint="Leave one of them out.")
    overrides, names = tuple(set_ or ()), event_names(events)
    request = _request("pretrain", config, overrides, (), names, resume, force, trust)
    steps = PretrainingSteps(collect=not no_collect, train=not no_train)
    with _view(format, quiet, verbose, no_color) as (bus, abort):
        finished = commands.pretrain(request, bus, steps, fresh=fresh, abort=abort)
    raise typer.Exit(finished.exit_code)


def _refuse_contradictions(
    against: str | None, resume: str | None, learn: int | None, fail_if: Sequence[str] | None
) -> None:
    """Raise `UsageError` for options of paired runs where they mean nothing."""
    if against is not None and resume is not None:
        raise UsageError(
            "--against together with --resume: a paired run cannot be continued",
            hint="Leave --resume out, and start again.",
        )
    if against is None and learn is not None:
        raise UsageError(
            "--learn is for a paired run: rounds in which the driver learns before it is compared",
            hint="Add --against native, or replay the workload more often: --repeat.",
        )
    if against is None and fail_if:
        raise UsageError(
            "--fail-if needs something to compare with",
            hint="Add --against native, or compare two runs: pilot runs compare A B --fail-if ...",
        )


def _request(
    kind: RunKind,
    config: Path | None,
    overrides: tuple[str, ...],
    workload: Sequence[str],
    events: tuple[str, ...] | None,
    resume: str | None,
    force: bool,
    trust: bool,
) -> RunRequest:
    """What to run: as the options say, or as the run that is continued, which they add to."""
    if resume is None:
        loaded = load_config(config, overrides)
        request = RunRequest(loaded, tuple(workload), events, overrides=overrides)
    else:
        request = resume_request(resume, kind, config, overrides, tuple(workload), events)
        if "-" in request.workload and sys.stdin.isatty():
            raise UsageError(
                f"run {request.resume} has read its workload from standard input",
                hint=f"Give it again: pilot run --resume {request.resume} < workload.sql",
            )
    if trust:
        models = tuple(replace(spec, trust=True) for spec in request.config.models)
        request = replace(request, config=replace(request.config, models=models))
    return replace(request, stdin=sys.stdin.buffer, force=force)


def _dry_run(request: RunRequest, baseline: Baseline | None) -> None:
    with driver_lines():
        if baseline is not None:
            request = whole_driver(request)
            examine(replace(request, config=baseline.config, events=None))
        examined = examine(request)
    show_dry_run(examined)


def _replay(
    request: RunRequest,
    baseline: Baseline | None,
    gates: Sequence[Gate],
    outputs: Outputs,
    view: AbstractContextManager[tuple[Bus, Callable[[], None]]],
) -> tuple[RunFinished, Comparison | None]:
    """Carry the request out in the sight of `view`, and write `outputs` in whatever way it ends."""
    begun: list[int] = []
    reasons: Sequence[str] = ()
    comparison = None

    def note_run(signal: Signal) -> None:
        assert isinstance(signal, RunStarted)
        begun.append(signal.run_id)

    try:
        with view as (bus, abort):
            bus.subscribe(note_run, RunStarted)
            if baseline is None:
                finished = commands.run(request, bus, abort=abort)
            else:
                finished, comparison = run_paired(request, baseline, bus, gates, abort=abort)
                reasons = gate_reasons(finished.reasons)
    finally:
        if begun:
            outputs.write(request.config.home, begun[0], comparison, reasons)
    return finished, comparison


def _show(comparison: Comparison, quiet: bool, report: Path | None) -> None:
    # Whoever has stopped reading (`| head`) still gets the run's own exit code.
    with contextlib.suppress(BrokenPipeError):
        if quiet:
            show_headline(comparison)
        else:
            show_comparison(comparison, limit=QUERIES_SHOWN, answer_last=True)
            show_more(comparison, report)


@contextlib.contextmanager
def _view(
    format: Format, quiet: bool, verbose: bool, no_color: bool
) -> Iterator[tuple[Bus, Callable[[], None]]]:
    """A bus with a view, and what closes the view; all other output of the process goes to it."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(own_stream())
        color = False if no_color else None
        view = make_view(format=format, quiet=quiet, verbose=verbose, color=color, stream=stream)
        bus = Bus(stack.enter_context(view))
        if stream is not None:
            stack.enter_context(process_output(bus))
        yield bus, view.close
