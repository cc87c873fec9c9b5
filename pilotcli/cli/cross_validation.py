"""Carries out the folds of a cross-validation, one paired run after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from pilotcli.analysis.compare_named import compare_experiment, open_journal
from pilotcli.analysis.comparison import Comparison
from pilotcli.analysis.gates import GATE_EXIT_CODE, Gate, failed_gates
from pilotcli.cli.run_options import Outputs
from pilotcli.common.errors import UsageError
from pilotcli.common.signals import RunFinished
from pilotcli.run.request import RunRequest
from pilotcli.views.arms import show_folds
from pilotcli.views.comparison import show_comparison, show_reasons
from pilotcli.views.console import out

_GO_ON = (0, 1, 3)
"""Exit codes of a fold after which the next one begins: the others would end in the same way."""

RunFold = Callable[[RunRequest], tuple[RunFinished, int]]
"""Carries out one fold; returns how it ended, and the exit code."""


def refuse_outputs(outputs: Outputs) -> None:
    """Raise `UsageError` for files about a single run."""
    if outputs != Outputs():
        raise UsageError(
            "--folds makes several runs, and output files are about one",
            hint="Write them for a fold when it has ended: pilot runs list; pilot runs report RUN",
        )


def cross_validate(
    request: RunRequest, count: int, gates: Sequence[Gate], run_fold: RunFold, *, shows: bool
) -> int:
    """Carry out the folds from `request.fold` to `count`, and judge them in one. Returns the exit
    code. `shows` says whether tables are written."""
    code = 0
    for fold in range(request.fold or 1, count + 1):
        if shows:
            out(f"fold {fold} of {count}")
        finished, ended = run_fold(replace(request, fold=fold))
        if request.experiment is None:
            request = replace(request, experiment=finished.run_id)
        request = replace(request, resume=None, resume_too=())
        code = code or ended
        if ended not in _GO_ON:
            return ended
        if shows:
            out()
    assert request.experiment is not None
    with open_journal(request.config.home) as journal:
        comparison = compare_experiment(journal, request.experiment)
    failed = failed_gates(comparison, gates)
    if shows:
        _show(comparison)
    show_reasons([reason for _, reason in failed])
    return code or (GATE_EXIT_CODE if failed else 0)


def _show(comparison: Comparison) -> None:
    with contextlib.suppress(BrokenPipeError):
        show_comparison(comparison, answer_last=True)
        out()
        show_folds(comparison)
