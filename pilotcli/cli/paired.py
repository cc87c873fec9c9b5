"""`pilot run --against`: the request and the baseline of a paired run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pilotcli.config import RunConfig, load_config
from pilotcli.run.paired import NATIVE, Baseline, native
from pilotcli.run.request import RunRequest

__all__ = ["LEAST_ROUNDS", "baseline_of", "whole_driver", "with_rounds"]

LEAST_ROUNDS = 3
"""Rounds of a paired run where neither option nor config says more than one: with fewer, nothing
separates noise from difference."""
WARMUPS = 1


def with_rounds(request: RunRequest, *, rounds_given: bool, warm: bool) -> RunRequest:
    """The request with enough rounds and a warm-up for a paired run, unless the user chose them."""
    run = request.config.run
    if run.repeat == 1 and not rounds_given:
        run = replace(run, repeat=LEAST_ROUNDS)
    if not run.warmup and not warm:
        run = replace(run, warmup=WARMUPS)
    return replace(request, config=replace(request.config, run=run))


def baseline_of(config: RunConfig, against: str) -> Baseline:
    """The baseline of a run of `config`: `native`, or the file of another config.

    Raises `ConfigError`.
    """
    return Baseline(native(config) if against == NATIVE else load_config(Path(against)), against)


def whole_driver(request: RunRequest) -> RunRequest:
    """What the driver's arm runs, as a run of its own: the rounds in which it learns, too."""
    run = request.config.run
    run = replace(run, repeat=run.learn + run.repeat, learn=0)
    return replace(request, config=replace(request.config, run=run))
