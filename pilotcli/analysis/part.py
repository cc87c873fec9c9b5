"""The part of a workload by which two runs are compared: which queries count, and how to say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.analysis.compared_runs import ComparedRun, count_seen, matched
from pilotcli.common.errors import UsageError
from pilotcli.common.records import QueryResult
from pilotcli.storage.journal import RunRecord
from pilotcli.workload.selection import Selection, chosen_numbers

_ANY = Selection()


@dataclass(frozen=True, slots=True)
class WantedQueries:
    """Which queries of two runs, A and the baseline B, are compared: those of `selection`; with
    `failed` those of them that did not end `ok` at least once in A or in B; and of these the
    `slowest`, by their slowest execution in A. The last two choose only what both runs have."""

    selection: Selection = _ANY
    failed: bool = False
    slowest: int | None = None

    def __bool__(self) -> bool:
        return bool(self.selection) or self.failed or self.slowest is not None

    def __str__(self) -> str:
        """What is wanted, in words."""
        words = [str(self.selection)] if self.selection else []
        if self.failed:
            words.append("failed in this run or in the baseline")
        if self.slowest is not None:
            words.append(f"the slowest {self.slowest} of this run")
        return ", ".join(words)


ALL_QUERIES = WantedQueries()


def narrow(wanted: WantedQueries, pairs: Sequence[tuple[ComparedRun, ComparedRun]]) -> str | None:
    """Forget the queries that are not `wanted` in run A and run B, or in those of all folds of a
    cross-validation. Returns which part of the workload is left, in words; None for all of it.

    Raises `UsageError` if nothing is selected.
    """
    texts: list[str] = []
    if wanted and any(a.results and b.results for a, b in pairs):
        queries = {seq: a.queries[seq] for a, _ in pairs for seq in a.results}
        unknown: list[str] = []
        selected = chosen_numbers(wanted.selection, queries.values(), unknown.append)
        kept = _wanted_numbers(wanted, pairs, selected)
        for a, b in pairs:
            _keep(a, b, kept)
        texts = [f"{len(kept)} of {len(queries)} queries: {wanted}", *unknown]
    return "; ".join([*texts, *_replayed_parts(*(run.record for run in pairs[0]))]) or None


def _wanted_numbers(
    wanted: WantedQueries, pairs: Sequence[tuple[ComparedRun, ComparedRun]], selected: set[int]
) -> set[int]:
    """Returns which of the `selected` numbers in A are wanted."""
    common: dict[int, tuple[Sequence[QueryResult], Sequence[QueryResult]]] = {
        seq_a: (a.results[seq_a], b.results[seq_b])
        for a, b in pairs
        for seq_a, seq_b in matched(a, b)[0]
        if seq_a in selected
    }
    if not common:
        raise UsageError(
            f"none of the selected queries has run in both: {wanted}",
            hint="Queries are matched by their text: compare runs of the same workload.",
        )
    if not wanted.failed and wanted.slowest is None:
        return selected
    found = [
        seq
        for seq, both in common.items()
        if not wanted.failed or any(not result.ok for own in both for result in own)
    ]
    if not found:
        of = f" of {wanted.selection}" if wanted.selection else ""
        raise UsageError(
            f"nothing is selected: no query{of} failed in this run or in the baseline",
            hint="Compare all of them: leave --failed out.",
        )
    found.sort(key=lambda seq: (-max(result.elapsed_s for result in common[seq][0]), seq))
    return set(found[: wanted.slowest])


def _keep(a: ComparedRun, b: ComparedRun, kept: set[int]) -> None:
    """Forget the queries whose numbers in A are not `kept`, and those that B alone has."""
    kept_b = {seq_b for seq_a, seq_b in matched(a, b)[0] if seq_a in kept}
    for run, numbers in ((a, kept), (b, kept_b)):
        for seq in [seq for seq in run.results if seq not in numbers]:
            del run.results[seq]
        count_seen(run)


def _replayed_parts(a: RunRecord, b: RunRecord) -> Sequence[str]:
    """Says what the runs themselves replayed of their workload; nothing where it is all of it."""
    own = {record.run_id: _replayed(record) for record in (a, b)}
    if len({*own.values()}) == 1:
        own = {0: own[a.run_id]}
    texts = []
    for run_id, replayed in own.items():
        if replayed:
            runs = f"run {run_id} has" if run_id else "both runs have"
            texts.append(f"{runs} replayed only a part of the workload: {replayed}")
    return texts


def _replayed(record: RunRecord) -> Selection:
    """What a run was told to replay."""
    given = (record.options.get(name, ()) for name in ("select", "exclude"))
    return Selection(*map(tuple, given))
