"""The ranking of several arms, and the folds of a cross-validation, as tables."""

from __future__ import annotations

from pilotcli.analysis import wording
from pilotcli.analysis.arms import ArmRank, Ranking
from pilotcli.analysis.comparison import Comparison, Effect
from pilotcli.common.quantities import duration, listed, plural
from pilotcli.views.console import out
from pilotcli.views.layout import Column
from pilotcli.views.tables import show_table
from pilotcli.views.text import clean

_WINS_SHOWN = 6


def show_ranking(ranking: Ranking) -> None:
    """Write the arms, the fastest first, and which queries each wins."""
    columns = (
        Column("PLACE", right=True),
        Column("ARM", least=10, flexible=True),
        Column("RUN", right=True),
        Column("A REPLAY", right=True),
        Column("SPEED-UP", right=True),
        Column("INTERVAL", drop=1),
        Column("WINS", right=True),
    )
    show_table(
        columns,
        [
            (
                _place(arm),
                arm.name,
                str(arm.run_id),
                duration(arm.whole_s),
                *_effect(arm.total, "reference"),
                str(len(arm.wins)),
            )
            for arm in ranking.arms
        ],
    )
    out(f"speed-ups are against {clean(ranking.reference)}; a place from the tests of all pairs")
    for arm in ranking.arms:
        if arm.wins:
            names = listed([clean(name) for name in arm.wins], _WINS_SHOWN)
            out(f"{clean(arm.name)} wins {names}")
    if ranking.open:
        out(f"{plural(ranking.open, 'query is', 'queries are')} won by no arm beyond the noise")


def show_folds(comparison: Comparison) -> None:
    """Write the result of each fold of a cross-validation."""
    columns = (
        Column("FOLD", right=True),
        Column("RUNS"),
        Column("QUERIES", right=True),
        Column("SPEED-UP", right=True),
        Column("INTERVAL", drop=1),
        Column("VERDICT"),
    )
    show_table(
        columns,
        [
            (
                str(fold.number),
                f"{fold.run_id}, {fold.baseline_id}",
                str(fold.queries),
                *_effect(fold.total, ""),
                fold.total.verdict,
            )
            for fold in comparison.folds
        ],
    )


def _place(arm: ArmRank) -> str:
    return str(arm.best) if arm.best == arm.worst else f"{arm.best}-{arm.worst}"


def _effect(effect: Effect | None, missing: str) -> tuple[str, str]:
    if effect is None:
        return missing, ""
    return wording.factor(effect.speedup), wording.interval(effect.low, effect.high)
