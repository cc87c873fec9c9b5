"""The options of `pilot run` and `pilot pretrain`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from pilotcli.cli.completion import completed_by
from pilotcli.common.labels import RunLabels

Workload = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WORKLOAD",
        help="Files (.sql .csv .jsonl .txt, also compressed), globs, folders, or - for standard "
        "input. Default: the config's `workload:`.",
        show_default=False,
    ),
]
Repeat = Annotated[
    int | None, typer.Option("--repeat", metavar="N", help="Replay the workload N times.")
]
Rounds = Annotated[int | None, typer.Option("--rounds", metavar="N", help="The same as --repeat.")]
Warmup = Annotated[
    int | None,
    typer.Option(metavar="N", help="First replay it N times without events and results."),
]
Shuffle = Annotated[
    bool | None, typer.Option("--shuffle/--no-shuffle", help="Replay in random order.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of the random order.")]
Limit = Annotated[int | None, typer.Option(metavar="N", help="Replay only the first N queries.")]
Failed = Annotated[
    bool, typer.Option("--failed", help="Replay only what failed in the workload's last run.")
]
FailedOf = Annotated[
    str | None,
    typer.Option(
        "--failed-of",
        metavar="RUN",
        autocompletion=completed_by("runs:runs"),
        help="Replay only what failed in this run: its number or name.",
    ),
]
Slowest = Annotated[
    int | None,
    typer.Option(
        "--slowest",
        metavar="N",
        min=1,
        help="Replay only the N slowest queries of the workload's last run.",
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Time-out of each query: 30s, 500ms, 5min, or seconds."),
]
Reconnect = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long to wait for a lost server.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Connections that replay at once."),
]
Clients = Annotated[
    int | None, typer.Option("--clients", metavar="N", help="The same as --workers.")
]
Rate = Annotated[
    str | None,
    typer.Option(
        metavar="N/s", help="Send queries at this rate; a late one's wait is part of its latency."
    ),
]
Arrivals = Annotated[
    str | None,
    typer.Option(metavar="HOW", help="With --rate: constant (default) or poisson."),
]
Duration = Annotated[
    str | None, typer.Option(metavar="TIME", help="Repeat the workload for so long.")
]
Think = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long a worker waits between queries.")
]
Ramp = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="How long the rate rises, or, without --rate, the workers begin."
    ),
]
Pace = Annotated[
    str | None,
    typer.Option(metavar="PACE", help="Of a log's queries: original, x2, x0.5, or fast (default)."),
]
Prepare = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Run this before the workload; `$ ...` is a shell command."),
]
Cleanup = Annotated[str | None, typer.Option(metavar="SQL", help="Run this after the workload.")]
BeforeEach = Annotated[
    str | None, typer.Option(metavar="SQL", help="Run this before each query, outside of its time.")
]
Cold = Annotated[
    bool | None,
    typer.Option("--cold/--no-cold", help="Restart the server before each query: empty buffers."),
]
Every = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Show a line with rate and percentiles so often."),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of queries that may fail before the exit code is 1."),
]
FailFast = Annotated[
    bool | None,
    typer.Option(
        "--fail-fast/--no-fail-fast", help="Stop at the first failure that makes the run fail."
    ),
]
Pretraining = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="always, never, or auto: skip a pretraining that was completed before.",
    ),
]
NoEvents = Annotated[bool, typer.Option("--no-events", help="Use no events.")]
NoHandlers = Annotated[
    bool, typer.Option("--no-handlers", help="Use no handlers: send each query as written.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check config, classes and workload. Use no database.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Also write the results, as .jsonl, .csv or .parquet.",
    ),
]
Against = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        metavar="WHAT",
        autocompletion=completed_by("names:baselines"),
        help="Run each query in turns with the driver and with WHAT, and compare. WHAT: native "
        "(no driver), or another config. Repeatable. Default: 3 rounds after 1 warm-up round.",
    ),
]
Learn = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="With --against: first let the driver learn alone for N rounds."
    ),
]
LearnOn = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="With --against: learn from this workload, and judge on WORKLOAD. Repeatable.",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="80/20", help="With --against: learn from 80 % of the queries, judge on the others."
    ),
]
SplitBy = Annotated[
    str | None,
    typer.Option(metavar="WHAT", help="What is split: query (default) or template."),
]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="K", help="With --against: cross-validation, in K parts or one of each `templates`."
    ),
]
Freeze = Annotated[
    bool | None,
    typer.Option(
        "--freeze/--no-freeze",
        help="Update no model in compared rounds. Default with --learn-on, --split, --folds.",
    ),
]
BeginFresh = Annotated[
    bool | None,
    typer.Option(
        "--fresh/--no-fresh",
        help="Compare with empty models and no earlier rows. Default as of --freeze.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write the run as one HTML page, compared with its baseline.",
    ),
]
Plans = Annotated[
    bool, typer.Option("--plans", help="Keep the plans of queries, for `pilot runs diff`.")
]
Answers = Annotated[
    bool,
    typer.Option("--answers", help="Keep digests of all answers, for --expect-from and compare."),
]
ExpectFrom = Annotated[
    str | None,
    typer.Option(
        "--expect-from",
        metavar="RUN",
        autocompletion=completed_by("runs:runs"),
        help="Check each answer against that of an earlier run: its number or name.",
    ),
]

NoCollect = Annotated[
    bool, typer.Option("--no-collect", help="Only train, on the rows collected before.")
]
NoTrain = Annotated[bool, typer.Option("--no-train", help="Only collect rows.")]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Remove the rows collected before, and start again.")
]

Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="[RUN]",
        autocompletion=completed_by("runs:resumable_runs"),
        help="Continue an interrupted run: the one with this number or name, or the newest.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Resume even if the workload or the config has changed.")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Also load checkpoints that this home did not save. Loading one can run code in its "
        "files.",
    ),
]
Pdb = Annotated[
    bool,
    typer.Option(
        "--pdb", help="Open Python's debugger where a call of an event, handler or model fails."
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name the run, so that commands find it."),
]
Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Tag the run, for `pilot runs list`. Repeatable."),
]
Note = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="Keep a note about the run.")
]
Format = Literal["auto", "live", "plain", "jsonl"]
ViewFormat = Annotated[
    Format, typer.Option("--format", help="auto: live in a terminal, else plain lines.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only failures and the last line.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every query and firing.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Use no colours (like NO_COLOR=1).")]


def run_overrides(
    overrides: Sequence[str] | None, keys: Mapping[str, object], *, handlers: bool
) -> tuple[str, ...]:
    """The overrides of the config: those of `--set`, then `keys` of `run:` that are not None, as
    options."""
    own = (f"--{key.replace('_', '-')}={value}" for key, value in keys.items() if value is not None)
    return (*(overrides or ()), *own, *(() if handlers else ("handlers=[]",)))


def query_texts(texts: Sequence[str] | None) -> str | None:
    """The texts of --select or --exclude as the value of their key."""
    if texts is None:
        return None
    return json.dumps(list(texts), ensure_ascii=False).replace("${", "$${")


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The options that say what to run."""

    kind: Literal["run", "pretrain"]
    config: Path | None
    overrides: tuple[str, ...]
    workload: tuple[str, ...]
    events: tuple[str, ...] | None
    resume: str | None
    force: bool
    trust: bool
    labels: RunLabels
    failed: bool = False
    failed_of: str | None = None
    slowest: int | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files to write about a run when it has ended, and the MLflow store to log it to."""

    results: Path | None = None
    junit: Path | None = None
    summary: Path | None = None
    report: Path | None = None
    mlflow: str | None = None


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """The options that say how a run is shown."""

    format: Format
    quiet: bool
    verbose: bool
    no_color: bool
    pdb: bool = False
