"""`pilot run --against`: what a paired run is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotcli.run.paired import PairedRequest
    from pilotcli.run.request import RunRequest

__all__ = ["LEAST_ROUNDS", "paired_request", "whole_driver"]

LEAST_ROUNDS = 3
"""Rounds of a paired run where neither option nor config says more than one: with fewer, nothing
separates noise from difference."""
WARMUPS = 1


def paired_request(
    request: RunRequest, against: str, fail_if: Sequence[str], *, rounds_given: bool, warm: bool
) -> PairedRequest:
    """The request of a paired run: `against` is `native`, or the file of another config.

    `rounds_given` and `warm` say whether the user chose rounds and warm-up. Raises `UsageError` and
    `ConfigError`.
    """
    from pilotcli.analysis.gates import parse_gate
    from pilotcli.config import load_config
    from pilotcli.run.paired import NATIVE, PairedRequest, native

    run = request.config.run
    if run.repeat == 1 and not rounds_given:
        run = replace(run, repeat=LEAST_ROUNDS)
    if not run.warmup and not warm:
        run = replace(run, warmup=WARMUPS)
    config = replace(request.config, run=run)
    baseline = native(config) if against == NATIVE else load_config(Path(against), ())
    gates = tuple(parse_gate(one) for one in fail_if)
    return PairedRequest(replace(request, config=config), baseline, against, gates)


def whole_driver(paired: PairedRequest) -> RunRequest:
    """What the driver's arm runs, as a run of its own: the rounds in which it learns, too."""
    run = paired.run.config.run
    run = replace(run, repeat=run.learn + run.repeat, learn=0)
    return replace(paired.run, config=replace(paired.run.config, run=run))
