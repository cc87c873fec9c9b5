"""Carries out `pilot run` and `pilot pretrain`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pilotcli.analysis.compare_named import open_journal, rank_arms
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import Gate, gate_reasons, parse_gate
from pilotcli.checks.dry_run import examine, examine_learning
from pilotcli.cli.commands import load
from pilotcli.cli.cross_validation import cross_validate, refuse_outputs
from pilotcli.cli.run_options import Outputs, RequestOptions, ViewOptions
from pilotcli.cli.shown_run import Shown, shown_run
from pilotcli.common.errors import PilotError, StorageError, UsageError, WorkloadError
from pilotcli.common.signals import RunFinished, RunStarted, Signal
from pilotcli.common.suggestions import nearest
from pilotcli.config import RunConfig, load_config
from pilotcli.config.home import shown_path
from pilotcli.config.model import EventSpec, HandlerSpec, ModelSpec
from pilotcli.events.pretraining import PretrainingSteps
from pilotcli.run import commands
from pilotcli.run.earlier import Earlier, narrowed
from pilotcli.run.experiment import fold_count
from pilotcli.run.paired import NATIVE, Baseline, native, run_paired
from pilotcli.run.request import RunRequest
from pilotcli.run.resume import resume_request
from pilotcli.views.arms import show_ranking
from pilotcli.views.comparison import show_comparison, show_headline, show_more, show_shared
from pilotcli.views.console import err, error, out
from pilotcli.views.driver_lines import driver_lines
from pilotcli.views.dry_run import show_dry_run
from pilotcli.workload.paths import resolve

LEAST_ROUNDS = 3
"""Rounds of a paired run where neither option nor config says more than one: with fewer, nothing
separates noise from difference."""
WARMUPS = 1
_EXPECT_FROM = "--expect-from"


def replay(
    options: RequestOptions,
    outputs: Outputs,
    view: ViewOptions,
    against: Sequence[str],
    fail_if: Sequence[str],
    *,
    rounds_given: bool,
    warm: bool,
    dry_run: bool,
) -> int:
    """Carries out `pilot run`, and returns its exit code.

    `rounds_given` and `warm` say that the user chose the rounds, and the warm-up.
    """
    begun: list[int] = []
    with _not_begun(outputs, begun, dry_run=dry_run, checked=False):
        request = _request(options)
    shown_elsewhere = _checked(outputs, request)
    with _not_begun(outputs, begun, dry_run=dry_run, checked=True):
        if against:
            request = _with_rounds(request, rounds_given=rounds_given, warm=warm)
        else:
            against = request.against  # of a run that is continued
        baselines = [_baseline(name, request.config) for name in dict.fromkeys(against)]
        if fail_if and not baselines:
            raise UsageError(
                f"--fail-if needs something to compare with, and run {request.resume} has nothing",
                hint="Compare it with another run: pilot runs compare A B --fail-if ...",
            )
        request = replace(request, fail_if=tuple(fail_if) or request.fail_if)
        gates = [parse_gate(text) for text in request.fail_if]
        if dry_run:
            _dry_run(request, baselines)
            return 0
        if request.config.run.folds is not None and baselines:
            refuse_outputs(outputs)
            return _cross_validate(request, baselines, gates, view)
        with shown_elsewhere:
            finished, comparisons, shown = _replay(
                request, baselines, gates, outputs, shown_run(view), begun
            )
    with shown_elsewhere:
        if comparisons and view.format != "jsonl" and not shown.failed:
            try:
                _show(comparisons, view.quiet, outputs.report, request.config.home)
            except StorageError as exc:
                shown.failed = True
                error(exc)
    return shown.exit_code(finished.exit_code)


def _cross_validate(
    request: RunRequest,
    baselines: Sequence[Baseline],
    gates: Sequence[Gate],
    view: ViewOptions,
) -> int:
    def run_fold(request: RunRequest) -> tuple[RunFinished, int]:
        finished, _, shown = _replay(request, baselines, (), Outputs(), shown_run(view), [])
        return finished, shown.exit_code(finished.exit_code)

    shows = view.format != "jsonl" and not view.quiet
    return cross_validate(request, fold_count(request), gates, run_fold, shows=shows)


def _checked(outputs: Outputs, request: RunRequest) -> AbstractContextManager[object]:
    """Raise `UsageError` for outputs that could not be written; returns where the run is shown."""
    if outputs == Outputs():  # only they need the reports
        return contextlib.nullcontext()
    load("outputs:check_outputs")(outputs, _files_read(request))
    elsewhere: AbstractContextManager[object] = load("outputs:shown_elsewhere")(outputs)
    return elsewhere


def _files_read(request: RunRequest) -> Iterator[Path]:
    """Yields the files that a run reads by their names: its workload, the config, its classes."""
    config = request.config
    for named in (*request.workload, *config.workload):
        with contextlib.suppress(WorkloadError):  # the run will say so
            yield from (entry.path for entry in resolve([named]) if entry.path is not None)
    yield from map(Path, config.database.setup)
    if config.path is not None:
        yield config.path
    specs: Sequence[EventSpec | HandlerSpec | ModelSpec] = [
        *config.events,
        *config.handlers,
        *config.models,
    ]
    for spec in specs:
        module = spec.class_path.rpartition(":")[0]
        if module.endswith(".py"):
            yield config.base / Path(module)


@contextlib.contextmanager
def _not_begun(
    outputs: Outputs, begun: Sequence[int], *, dry_run: bool, checked: bool
) -> Iterator[None]:
    """Write to the outputs that the run did not begin, if it does not (`begun`: its number).

    `checked`: the outputs are known to be no files that the run reads.
    """
    try:
        yield
    except PilotError as exc:
        if not begun and not dry_run and outputs != Outputs():
            with contextlib.suppress(StorageError):  # the first error is the one to show
                load("outputs:write_not_begun")(outputs, exc, checked=checked)
        raise


def _baseline(against: str, config: RunConfig) -> Baseline:
    if against == NATIVE:
        return Baseline(native(config))
    if not Path(against).exists() and nearest(against, [NATIVE]):
        raise UsageError(
            f"--against {against}: there is no such config", hint=f"Did you mean {NATIVE!r}?"
        )
    return Baseline(load_config(Path(against)), shown_path(Path(against)))


def pretrain(
    options: RequestOptions, view: ViewOptions, *, collect: bool, train: bool, fresh: bool
) -> int:
    """Carries out `pilot pretrain`, and returns its exit code."""
    request = _request(options)
    steps = PretrainingSteps(collect=collect, train=train)
    with shown_run(view) as shown:
        finished = commands.pretrain(request, shown.bus, steps, fresh=fresh, abort=shown.close)
    return shown.exit_code(finished.exit_code)


def _request(options: RequestOptions) -> RunRequest:
    """Returns what to run: as the options say, or as the run that is continued, to which they
    add."""
    workload, overrides = options.workload, _numbered(options)
    if options.resume is None:
        loaded = load_config(options.config, overrides)
        request = RunRequest(loaded, workload, options.events, overrides=overrides)
        failed = options.failed or options.failed_of is not None
        if failed or options.slowest is not None:
            earlier = Earlier(failed, options.slowest, options.failed_of)
            request = narrowed(request, earlier, lambda text: err(f"warning: {text}"))
    else:
        request = resume_request(
            options.resume, options.kind, options.config, overrides, workload, options.events
        )
        if "-" in request.workload and (sys.stdin is None or sys.stdin.isatty()):
            raise UsageError(
                f"run {request.resume} has read its workload from standard input",
                hint=f"Give it again: pilot run --resume {request.resume} < workload.sql",
            )
    if options.trust:
        models = tuple(replace(spec, trust=True) for spec in request.config.models)
        request = replace(request, config=replace(request.config, models=models))
    stdin = None if sys.stdin is None else sys.stdin.buffer
    return replace(
        request,
        stdin=stdin,
        force=options.force,
        labels=options.labels.added_to(request.labels),
        command=("pilot", *sys.argv[1:]),
    )


def _numbered(options: RequestOptions) -> tuple[str, ...]:
    """The overrides, with the number of the run that `--expect-from` names. Raises `StorageError`
    where there is no such run."""
    found = []
    for text in options.overrides:
        key, _, run = text.partition("=")
        if key == _EXPECT_FROM and not run.isdecimal():
            others = [other for other in options.overrides if other != text]
            with open_journal(load_config(options.config, others).home) as journal:
                text = f"{key}={journal.named_run(run).run_id}"
        found.append(text)
    return tuple(found)


def _with_rounds(request: RunRequest, *, rounds_given: bool, warm: bool) -> RunRequest:
    """The request with enough rounds and a warm-up for a paired run, unless the user chose them."""
    run = request.config.run
    if run.repeat == 1 and not rounds_given:
        run = replace(run, repeat=LEAST_ROUNDS)
    if not run.warmup and not warm:
        run = replace(run, warmup=WARMUPS)
    return replace(request, config=replace(request.config, run=run))


def _whole_driver(request: RunRequest) -> RunRequest:
    """What the driver's arm runs, as a run of its own: the rounds in which it learns, too."""
    run = request.config.run
    if run.learns_apart:  # from other queries
        return request
    run = replace(run, repeat=run.learning_rounds + run.repeat, learn=0)
    return replace(request, config=replace(request.config, run=run))


def _dry_run(request: RunRequest, baselines: Sequence[Baseline]) -> None:
    with driver_lines():
        if baselines:
            request = _whole_driver(request)
        for baseline in baselines:
            examine(replace(request, config=baseline.config, events=None))
        examined = examine(request)
        learning = examine_learning(request) if baselines else None
    show_dry_run(examined, learning)


def _replay(
    request: RunRequest,
    baselines: Sequence[Baseline],
    gates: Sequence[Gate],
    outputs: Outputs,
    view: AbstractContextManager[Shown],
    begun: list[int],
) -> tuple[RunFinished, Sequence[Comparison], Shown]:
    """Carry out the request while `view` shows it, and write `outputs` however it ends.

    The run's number is added to `begun` once it begins.
    """
    reasons: Sequence[str] = ()
    comparisons: Sequence[Comparison] = ()

    def note_run(signal: Signal) -> None:
        assert isinstance(signal, RunStarted)
        begun.append(signal.run_id)

    try:
        with view as shown:
            bus, abort = shown.bus, shown.close
            bus.subscribe(note_run, RunStarted)
            if not baselines:
                finished = commands.run(request, bus, abort=abort)
            else:
                finished, comparisons = run_paired(request, baselines, bus, gates, abort=abort)
                reasons = gate_reasons(finished.reasons)
    finally:
        if begun and outputs != Outputs():
            load("outputs:write_outputs")(
                outputs, request.config.home, begun[0], next(iter(comparisons), None), reasons
            )
    return finished, comparisons, shown


def _show(comparisons: Sequence[Comparison], quiet: bool, report: Path | None, home: Path) -> None:
    # A reader that stops early (`| head`) does not change the exit code.
    with contextlib.suppress(BrokenPipeError):
        for comparison in comparisons:
            if quiet or len(comparisons) > 1:
                show_headline(comparison)
            else:
                show_comparison(comparison, answer_last=True)
                show_more(comparison, report)
        if len(comparisons) > 1 and not quiet:
            out()
            with open_journal(home) as journal:
                if (ranking := rank_arms(journal, comparisons[0].run_a, comparisons)) is not None:
                    show_ranking(ranking)
            show_shared(comparisons)
            for comparison in comparisons:
                pair = f"{comparison.run_a.run_id} {comparison.run_b.run_id}"
                out(f"{'more':<10} pilot runs compare {pair}")
