"""`pilot run` and `pilot pretrain`: their options.

What carries them out is in `pilotcli.cli.replay`, which is imported when they are called: so that
`pilot run --help` and the completion of the shell do not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from pilotcli.cli import options, run_options
from pilotcli.cli.commands import load
from pilotcli.common.errors import UsageError
from pilotcli.common.labels import checked_labels


def run(
    workload: run_options.Workload = None,
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    repeat: run_options.Repeat = None,
    rounds: run_options.Rounds = None,
    warmup: run_options.Warmup = None,
    shuffle: run_options.Shuffle = None,
    seed: run_options.Seed = None,
    select: options.SelectOption = None,
    exclude: options.ExcludeOption = None,
    failed: run_options.Failed = False,
    failed_of: run_options.FailedOf = None,
    slowest: run_options.Slowest = None,
    limit: run_options.Limit = None,
    timeout: run_options.Timeout = None,
    reconnect: run_options.Reconnect = None,
    workers: run_options.Workers = None,
    clients: run_options.Clients = None,
    rate: run_options.Rate = None,
    arrivals: run_options.Arrivals = None,
    duration: run_options.Duration = None,
    think: run_options.Think = None,
    ramp: run_options.Ramp = None,
    pace: run_options.Pace = None,
    every: run_options.Every = None,
    prepare: run_options.Prepare = None,
    cleanup: run_options.Cleanup = None,
    before_each: run_options.BeforeEach = None,
    cold: run_options.Cold = None,
    max_failures: run_options.MaxFailures = None,
    fail_fast: run_options.FailFast = None,
    pretraining: run_options.Pretraining = None,
    resume: run_options.Resume = None,
    force: run_options.Force = False,
    events: options.EventsOption = None,
    no_events: run_options.NoEvents = False,
    no_handlers: run_options.NoHandlers = False,
    dry_run: run_options.DryRun = False,
    output: run_options.Output = None,
    against: run_options.Against = None,
    learn: run_options.Learn = None,
    learn_on: run_options.LearnOn = None,
    split: run_options.Split = None,
    split_by: run_options.SplitBy = None,
    folds: run_options.Folds = None,
    freeze: run_options.Freeze = None,
    fresh: run_options.BeginFresh = None,
    fail_if: options.FailIfOption = None,
    report: run_options.Report = None,
    junit: options.JUnitOption = None,
    summary: options.SummaryOption = None,
    mlflow: options.MLflowOption = None,
    plans: run_options.Plans = False,
    answers: run_options.Answers = False,
    expect_from: run_options.ExpectFrom = None,
    trust: run_options.Trust = False,
    name: run_options.Name = None,
    tag: run_options.Tag = None,
    note: run_options.Note = None,
    format: run_options.ViewFormat = "auto",
    quiet: run_options.Quiet = False,
    verbose: run_options.Verbose = False,
    no_color: run_options.NoColor = False,
    pdb: run_options.Pdb = False,
) -> None:
    """Replay a SQL workload while events fire.

    Exit codes: 0: all is well. 1: too many queries failed (--max-failures), or a query gave other
    rows than the baseline or than expected. 2: the command, the config, the workload or a file has
    an error, or the server cannot do what is asked. 3: an event, a handler or a model failed. 4:
    the database could not be reached, or was lost. 5: a --fail-if condition holds. 70: pilot has a
    defect. 130: interrupted.

    \b
    Examples:
      pilot run workloads/forum.sql -c configs/forum.yaml
      pilot run queries/ --workers 4 --timeout 30s --output results.csv
      pilot run queries/ --rate 200/s --duration 5min --workers 16 --every 10s
      zcat log.sql.gz | pilot run - --format jsonl
      pilot run test.sql --against native --learn-on train.sql --learn 3
      pilot run queries/ --select 'hot-*' --select joins.sql:40
      pilot run queries/ --failed
      pilot run --resume
    """
    paired = {"--learn": learn, "--learn-on": learn_on, "--split": split, "--folds": folds}
    paired |= {"--split-by": split_by, "--freeze": freeze, "--fresh": fresh}
    _refuse_contradictions(against, resume, paired, fail_if)
    repeat = _same("--repeat", repeat, "--rounds", rounds)
    workers = _same("--workers", workers, "--clients", clients)
    if resume is not None and (failed or failed_of is not None or slowest is not None):
        raise UsageError(
            "a run is continued with the queries that it began with",
            hint="Leave --failed, --failed-of and --slowest out.",
        )
    keys: dict[str, object] = {"repeat": repeat, "warmup": warmup, "shuffle": shuffle, "seed": seed}
    keys |= {
        "select": run_options.query_texts(select),
        "exclude": run_options.query_texts(exclude),
    }
    keys |= {"limit": limit, "timeout": timeout, "reconnect": reconnect, "workers": workers}
    keys |= {"max_failures": max_failures, "fail_fast": fail_fast, "pretraining": pretraining}
    keys |= {"learn": learn, "learn_on": _listed_paths(learn_on), "split": split}
    keys |= {"split_by": split_by, "folds": folds, "freeze": freeze, "fresh": fresh}
    keys |= {"plans": plans or None}
    keys |= {"answers": answers or None, "expect_from": expect_from}
    keys |= {"rate": rate, "arrivals": arrivals, "duration": duration, "think": think}
    keys |= {"ramp": ramp, "pace": pace, "every": every}
    keys |= {"prepare": prepare, "cleanup": cleanup, "before_each": before_each}
    keys |= {"cold": cold}
    overrides = run_options.run_overrides(set_, keys, handlers=not no_handlers)
    names = options.event_names(events, none=no_events)
    labels = checked_labels(name, tag or (), note)
    exit_code = load("replay:replay")(
        run_options.RequestOptions(
            "run",
            config,
            overrides,
            tuple(workload or ()),
            names,
            resume,
            force,
            trust,
            labels,
            failed,
            failed_of,
            slowest,
        ),
        run_options.Outputs(output, junit, summary, report, mlflow),
        run_options.ViewOptions(format, quiet, verbose, no_color, pdb),
        against or (),
        fail_if or (),
        rounds_given=repeat is not None,
        warm=warmup is not None,
        dry_run=dry_run,
    )
    raise typer.Exit(exit_code)


def pretrain(
    config: options.ConfigOption = None,
    set_: options.SetOption = None,
    events: options.EventsOption = None,
    no_collect: run_options.NoCollect = False,
    no_train: run_options.NoTrain = False,
    fresh: run_options.Fresh = False,
    resume: run_options.Resume = None,
    force: run_options.Force = False,
    trust: run_options.Trust = False,
    name: run_options.Name = None,
    tag: run_options.Tag = None,
    note: run_options.Note = None,
    format: run_options.ViewFormat = "auto",
    quiet: run_options.Quiet = False,
    verbose: run_options.Verbose = False,
    no_color: run_options.NoColor = False,
    pdb: run_options.Pdb = False,
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
    names = options.event_names(events)
    labels = checked_labels(name, tag or (), note)
    exit_code = load("replay:pretrain")(
        run_options.RequestOptions(
            "pretrain", config, tuple(set_ or ()), (), names, resume, force, trust, labels
        ),
        run_options.ViewOptions(format, quiet, verbose, no_color, pdb),
        collect=not no_collect,
        train=not no_train,
        fresh=fresh,
    )
    raise typer.Exit(exit_code)


def _listed_paths(paths: Sequence[Path] | None) -> str | None:
    """The value of an override that lists paths."""
    return json.dumps([str(path.absolute()) for path in paths]) if paths else None


def _same(name: str, value: int | None, other: str, other_value: int | None) -> int | None:
    """The value of an option with two names. Raises `UsageError` where they differ."""
    if value is not None and other_value is not None and value != other_value:
        raise UsageError(
            f"{name} {value} and {other} {other_value} are two names of one option",
            hint="Leave one of them out.",
        )
    return other_value if value is None else value


def _refuse_contradictions(
    against: Sequence[str] | None,
    resume: str | None,
    paired: Mapping[str, object],
    fail_if: Sequence[str] | None,
) -> None:
    """Raise `UsageError` for options of paired runs where they mean nothing."""
    if against and resume is not None:
        raise UsageError(
            "--against together with --resume: a run cannot be continued against anything else",
            hint="Leave --against out: a paired run is continued against what it began with.",
        )
    given = next((name for name, value in paired.items() if value is not None), None)
    if not against and resume is None and given is not None:
        raise UsageError(
            f"{given} is for a paired run: it says what the driver learns before it is compared",
            hint="Add --against native.",
        )
    if not against and resume is None and fail_if:
        raise UsageError(
            "--fail-if needs something to compare with",
            hint="Add --against native, or compare two runs: pilot runs compare A B --fail-if ...",
        )
