"""The ranking of several arms that took turns, from the comparisons of all pairs of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotcli.analysis.compare import compare
from pilotcli.analysis.comparison import Comparison, Effect, QueryComparison
from pilotcli.storage.journal import JournalReader


@dataclass(frozen=True, slots=True)
class ArmRank:
    """One arm in a ranking.

    - `name`: the driver's config or the baseline's, in words;
    - `whole_s`: seconds of a replay, with inference and steering;
    - `total`: the speed-up against the reference, None for the reference itself;
    - `best`, `worst`: the places, from 1, that the comparisons with the other arms leave open: the
      best counts the arms that are certainly faster, the worst those that are not certainly slower;
    - `wins`: the queries for which it is faster than every other arm, beyond the noise.
    """

    run_id: int
    name: str
    whole_s: float
    total: Effect | None
    best: int
    worst: int
    wins: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Arms, the fastest first. Speed-ups are against the arm `reference`. `open` counts the queries
    that no arm wins."""

    reference: str
    arms: Sequence[ArmRank]
    queries: int
    open: int


def rank(
    journal: JournalReader,
    names: Mapping[int, str],
    reference: int,
    compared: Sequence[Comparison] = (),
) -> Ranking:
    """Rank the runs in `names`, which took turns; `reference` is the run to compare with. What is
    `compared` already is not compared again.

    Raises as `compare`.
    """
    known = {(found.run_a.run_id, found.run_b.run_id): found for found in compared}
    pairs = {
        pair: known.get(pair) or compare(journal, pair[0], journal, pair[1])
        for pair in itertools.permutations(names, 2)
        if pair[0] < pair[1] or pair[1] == reference
    }
    arms = [_rank(run, name, pairs, names, reference) for run, name in names.items()]
    queries = {found.sql for comparison in pairs.values() for found in comparison.queries}
    return Ranking(
        names[reference],
        sorted(arms, key=lambda arm: arm.whole_s),
        len(queries),
        len(queries) - sum(len(arm.wins) for arm in arms),
    )


def _rank(
    run: int,
    name: str,
    pairs: Mapping[tuple[int, int], Comparison],
    names: Mapping[int, str],
    reference: int,
) -> ArmRank:
    others = [other for other in names if other != run]
    verdicts = [_verdict(pairs, run, other) for other in others]
    wins: list[set[tuple[str, str]]] = [_faster(pairs, run, other) for other in others]
    won = sorted(set.intersection(*wins))
    costs = next(
        comparison.costs_a if pair[0] == run else comparison.costs_b
        for pair, comparison in pairs.items()
        if run in pair
    )
    return ArmRank(
        run_id=run,
        name=name,
        whole_s=costs.whole_s,
        total=None if run == reference else pairs[run, reference].total,
        best=1 + verdicts.count("slower"),
        worst=len(names) - verdicts.count("faster"),
        wins=tuple(label for label, _ in won),
    )


_OPPOSITE = {"faster": "slower", "slower": "faster", "failed": "mended", "mended": "failed"}


def _verdict(pairs: Mapping[tuple[int, int], Comparison], run: int, other: int) -> str:
    """Whether the workload is faster in `run` than in `other`."""
    if (run, other) in pairs:
        return pairs[run, other].total.verdict
    found: str = pairs[other, run].total.verdict
    return _OPPOSITE.get(found, found)


def _faster(
    pairs: Mapping[tuple[int, int], Comparison], run: int, other: int
) -> set[tuple[str, str]]:
    """Label and text of the queries that are faster in `run` than in `other`, or fail there."""
    straight = (run, other) in pairs
    wanted = ("faster", "mended") if straight else ("slower", "failed")

    def counts(query: QueryComparison) -> bool:
        return query.verdict in wanted and query.answers != "different"

    comparison = pairs[(run, other) if straight else (other, run)]
    return {(query.label, query.sql) for query in comparison.queries if counts(query)}
