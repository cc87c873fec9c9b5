"""`pilot run` and `pilot pretrain`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from pilotcli.cli.options import ConfigOption, EventsOption, FailIf, OutputFormat, SetOption
from pilotcli.cli.outputs import JUnitOption, MLflowOption, Outputs, SummaryOption

if TYPE_CHECKING:
    from pilotcli.analysis.comparison import Comparison
    from pilotcli.common.signals import Bus, Signal
    from pilotcli.config import RunConfig

__all__ = ["pretrain", "run"]

Format = Annotated[
    OutputFormat, typer.Option("--format", help="auto: live in a terminal, else plain lines.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only failures and the last line.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every query and firing.")]
Resume = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time on Python 3.10
    typer.Option(
        "--resume",
        metavar="[RUN]",
        help="Continue an interrupted run: the one with this number, or the newest.",
        show_default=False,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Resume even if the workload or the config has changed."),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Use no colours (like NO_COLOR=1).")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Also load checkpoints that this home did not save. Loading one can run code in its "
        "files.",
    ),
]
QUERIES_SHOWN = 10
"""Queries of a comparison that are listed behind a paired run."""
Count = Optional[int]  # noqa: UP045 - typer reads the annotation at run time on Python 3.10


def run(
    workload: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="WORKLOAD...",
            help="Files (.sql .csv .jsonl .txt, also .gz), globs, folders, or - for standard "
            "input. Default: the config's `workload:`.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    repeat: Annotated[
        Count, typer.Option("--repeat", "--rounds", help="Replay the workload N times.")
    ] = None,
    warmup: Annotated[
        Count, typer.Option(help="First replay it N times without events and results.")
    ] = None,
    shuffle: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option("--shuffle/--no-shuffle", help="Replay in random order.", show_default=False),
    ] = None,
    seed: Annotated[Count, typer.Option(help="Seed of the random order.")] = None,
    limit: Annotated[Count, typer.Option(help="Replay only the first N queries.")] = None,
    timeout: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TIME", help="Time-out of each query: 30s, 500ms, 5min, or seconds."),
    ] = None,
    reconnect: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TIME", help="How long to wait for a lost server."),
    ] = None,
    workers: Annotated[Count, typer.Option(help="Connections that replay at once.")] = None,
    max_failures: Annotated[
        Count, typer.Option(help="Number of queries that may fail before the exit code is 1.")
    ] = None,
    fail_fast: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--fail-fast/--no-fail-fast",
            help="Stop at the first failure that makes the run fail.",
            show_default=False,
        ),
    ] = None,
    pretraining: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="WHEN",
            help="always, never, or auto: skip a pretraining that was completed before.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = None,
    force: Force = False,
    events: EventsOption = None,
    no_events: Annotated[bool, typer.Option("--no-events", help="Use no events.")] = False,
    no_handlers: Annotated[
        bool, typer.Option("--no-handlers", help="Use no handlers: send each query as written.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check config, classes and workload. Use no database."),
    ] = False,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Also write the results, as .jsonl, .csv or .parquet.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--against",
            metavar="WHAT",
            help="Run each query in turns with the driver and with WHAT, and compare. WHAT: native "
            "(no driver), or another config. Default: 3 rounds after 1 warm-up round.",
            show_default=False,
        ),
    ] = None,
    learn: Annotated[
        Count,
        typer.Option(help="With --against: first let the driver learn alone for N rounds."),
    ] = None,
    fail_if: FailIf = None,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write the run as one HTML page, compared with its baseline.",
            show_default=False,
        ),
    ] = None,
    junit: JUnitOption = None,
    summary: SummaryOption = None,
    mlflow: MLflowOption = None,
    plans: Annotated[
        bool, typer.Option("--plans", help="Keep the plans of queries, for `pilot runs diff`.")
    ] = False,
    trust: Trust = False,
    format: Format = OutputFormat.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
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
    from pilotcli.cli.paired import paired_request, whole_driver
    from pilotcli.common.errors import UsageError
    from pilotcli.common.signals import RunStarted
    from pilotcli.config import load_config
    from pilotcli.reports.export import check_export
    from pilotcli.run.commands import RunRequest
    from pilotcli.run.commands import run as run_workload
    from pilotcli.run.resume import asked_again

    if against is not None and resume is not None:
        raise UsageError(
            "--against together with --resume: a paired run cannot be continued",
            hint="Leave --resume out, and begin anew.",
        )
    if learn is not None and against is None:
        raise UsageError(
            "--learn is for a paired run: rounds in which the driver learns before it is compared",
            hint="Add --against native, or replay the workload more often: --repeat.",
        )
    given = {
        "repeat": repeat,
        "warmup": warmup,
        "shuffle": shuffle,
        "seed": seed,
        "limit": limit,
        "timeout": timeout,
        "reconnect": reconnect,
        "workers": workers,
        "max_failures": max_failures,
        "fail_fast": fail_fast,
        "pretraining": pretraining,
        "learn": learn,
        "plans": "true" if plans else None,
    }
    options = [f"run.{key}={value}" for key, value in given.items() if value is not None]
    if no_handlers:
        options.append("handlers=[]")
    overrides = (*(set_ or ()), *options)
    names, run_id = _names(events, no_events), None
    if resume is not None:
        run_id, loaded, asked, overrides = asked_again(resume, "run", config, overrides)
        workload = list(workload or asked.workload)
        names = asked.events if names is None else names
        if "-" in workload and sys.stdin.isatty():
            raise UsageError(
                f"run {run_id} has read its workload from standard input",
                hint=f"Give it again: pilot run --resume {run_id} < workload.sql",
            )
    else:
        loaded = load_config(config, overrides)
    if trust:
        loaded = _trusting(loaded)
    outputs = Outputs(output, junit, summary, report, mlflow)
    outputs.check()
    if output is not None:
        check_export(output, "--output", [*(workload or ()), *loaded.workload])
    request = RunRequest(
        config=loaded,
        workload=tuple(workload or ()),
        events=names,
        stdin=sys.stdin.buffer,
        overrides=overrides,
        resume=run_id,
        force=force,
    )
    paired = None
    if against is not None:
        paired = paired_request(
            request,
            against,
            fail_if or (),
            rounds_given=repeat is not None,
            warm=warmup is not None,
        )
        request = paired.run
    elif fail_if:
        raise UsageError(
            "--fail-if needs something to compare with",
            hint="Add --against native, or compare two runs: pilot runs compare A B --fail-if ...",
        )
    if dry_run:
        from pilotcli.checks.dry_run import examine
        from pilotcli.views.driver_lines import driver_lines
        from pilotcli.views.dry_run import show_dry_run

        with driver_lines():
            if paired is not None:
                request = whole_driver(paired)
                examine(replace(request, config=paired.baseline, events=None))
            examined = examine(request)
        show_dry_run(examined)
        return
    begun: list[int] = []
    reasons: Sequence[str] = ()
    comparison: Comparison | None = None

    def note_run(signal: Signal) -> None:
        assert isinstance(signal, RunStarted)
        begun.append(signal.run_id)

    try:
        with _watched(format, quiet, verbose, no_color) as (bus, abort):
            bus.subscribe(note_run, RunStarted)
            if paired is not None:
                from pilotcli.analysis.gates import gate_reasons
                from pilotcli.run.paired import run_paired

                finished, comparison = run_paired(paired, bus, abort=abort)
                reasons = gate_reasons(finished.reasons)
            else:
                finished = run_workload(request, bus, abort=abort)
    finally:
        # What ended is written however the run did.
        if begun:
            outputs.write(loaded.home, begun[0], comparison, reasons)
    if comparison is not None and format is not OutputFormat.jsonl:
        from pilotcli.views.comparison import show_comparison, show_headline, show_more

        # Whoever has stopped reading (`| head`) still gets the run's own exit code.
        with contextlib.suppress(BrokenPipeError):
            if quiet:
                show_headline(comparison)
            else:
                show_comparison(comparison, limit=QUERIES_SHOWN, answer_last=True)
                show_more(comparison, report)
    raise typer.Exit(finished.exit_code)


def pretrain(
    config: ConfigOption = None,
    set_: SetOption = None,
    events: EventsOption = None,
    no_collect: Annotated[
        bool, typer.Option("--no-collect", help="Only train, on the rows collected before.")
    ] = False,
    no_train: Annotated[bool, typer.Option("--no-train", help="Only collect rows.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove the rows collected before, and start again.")
    ] = False,
    resume: Resume = None,
    force: Force = False,
    trust: Trust = False,
    format: Format = OutputFormat.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Run only the pretraining: collect rows, train, save models.

    Rows that an interrupted pretraining collected are kept. The next call collects the rest.

    \b
    Examples:
      pilot pretrain -c configs/forum.yaml
      pilot pretrain --no-collect
      pilot pretrain --fresh --events LatencyPretraining
    """
    from pilotcli.common.errors import UsageError
    from pilotcli.config import load_config
    from pilotcli.events.pretraining import PretrainingSteps
    from pilotcli.run.commands import PretrainRequest
    from pilotcli.run.commands import pretrain as pretrain_models
    from pilotcli.run.resume import asked_again

    if no_collect and (fresh or no_train):
        other = "--fresh" if fresh else "--no-train"
        why = "would train on the rows that it removes" if fresh else "leaves nothing to do"
        raise UsageError(f"{other} together with --no-collect {why}", hint="Leave one of them out.")
    overrides, names, run_id = tuple(set_ or ()), _names(events, False), None
    if resume is not None:
        run_id, loaded, asked, overrides = asked_again(resume, "pretrain", config, overrides)
        names = asked.events if names is None else names
    else:
        loaded = load_config(config, overrides)
    request = PretrainRequest(
        config=_trusting(loaded) if trust else loaded,
        events=names,
        steps=PretrainingSteps(collect=not no_collect, train=not no_train),
        fresh=fresh,
        overrides=overrides,
        resume=run_id,
        force=force,
    )
    with _watched(format, quiet, verbose, no_color) as (bus, abort):
        finished = pretrain_models(request, bus, abort=abort)
    raise typer.Exit(finished.exit_code)


def _trusting(config: RunConfig) -> RunConfig:
    return replace(config, models=tuple(replace(one, trust=True) for one in config.models))


@contextlib.contextmanager
def _watched(
    format: OutputFormat, quiet: bool, verbose: bool, no_color: bool
) -> Iterator[tuple[Bus, Callable[[], None]]]:
    """A bus with a view, and what closes the view; all else that is written goes to the view."""
    from pilotcli.common.signals import Bus
    from pilotcli.run.driver_output import own_stream, process_output
    from pilotcli.views import make_view

    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(own_stream())
        view = stack.enter_context(
            make_view(
                format=format.value,
                quiet=quiet,
                verbose=verbose,
                color=False if no_color else None,
                stream=stream,
            )
        )
        bus = Bus(view)
        if stream is not None:
            stack.enter_context(process_output(bus))
        yield bus, view.close


def _names(events: str | None, no_events: bool) -> tuple[str, ...] | None:
    if no_events:
        return ()
    if events is None:
        return None
    return tuple(name.strip() for name in events.split(",") if name.strip())
