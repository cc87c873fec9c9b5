"""What a comparison reads of a run: queries, results in the compared rounds, and costs."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from pilotcli.analysis.comparison import Unmatched
from pilotcli.analysis.plans import plans_that_ran
from pilotcli.common.records import STOPPED, EventKind, QueryResult
from pilotcli.common.sql_commands import command_of
from pilotcli.storage.journal import JournalReader, PlanRecord, QueryRecord, RunRecord
from pilotcli.workload.logs.normal_form import normal_form

_TRAINING = (EventKind.PERIODIC_UPDATE, EventKind.PRETRAINING)


@dataclass(slots=True)
class ComparedRun:
    """What a journal has of one run."""

    record: RunRecord
    queries: dict[int, QueryRecord]
    results: dict[int, list[QueryResult]] = field(default_factory=lambda: defaultdict(list))
    plans: dict[int, PlanRecord] = field(default_factory=dict)
    training_s: float = 0.0
    events_s: float = 0.0
    trainings: int = 0
    """Updates and pretrainings of models that ended, and how many of them failed."""
    failed_trainings: int = 0
    trained_before: bool = False
    saved_late: int = 0
    """Versions that were saved after the first round that counts and before the last result."""
    learned: set[str] = field(default_factory=set)
    """The texts of the queries that it learned from before."""
    learned_queries: int = 0
    """How many queries these are: several may have one text."""
    saved_before: int = 0
    """Versions of models that were saved before the compared rounds."""
    same: int = 0
    """How many of the compared queries have such a text."""
    alike: int = 0
    """How many others differ from one of them in values only."""
    learning_s: float = 0.0
    """The seconds that the queries took which it learned from."""
    collection_s: float = 0.0
    """The seconds to collect data about these."""

    @property
    def rounds(self) -> int:
        return max((len({r.round for r in own}) for own in self.results.values()), default=0)

    def all_results(self) -> Iterator[QueryResult]:
        return itertools.chain.from_iterable(self.results.values())


def joined(runs: Sequence[ComparedRun]) -> ComparedRun:
    """The runs of one arm in all folds as one run: each query with the results of its fold."""
    whole = ComparedRun(runs[0].record, {})
    for run in runs:
        for seq, results in run.results.items():
            whole.results[seq] = results
            whole.queries[seq] = run.queries[seq]
            if seq in run.plans:
                whole.plans[seq] = run.plans[seq]
        whole.training_s += run.training_s
        whole.trainings += run.trainings
        whole.failed_trainings += run.failed_trainings
        whole.events_s += run.events_s
        whole.saved_late += run.saved_late
        whole.trained_before |= run.trained_before
        whole.same += run.same
        whole.alike += run.alike
        whole.learning_s += run.learning_s
        whole.collection_s += run.collection_s
        whole.learned |= run.learned
        whole.learned_queries = max(whole.learned_queries, run.learned_queries)
        whole.saved_before += run.saved_before
    return whole


def matched(
    a: ComparedRun, b: ComparedRun
) -> tuple[list[tuple[int, int]], list[Unmatched], list[Unmatched]]:
    """Returns the numbers of the queries that both have; those that only A has, and only B."""
    waiting: dict[tuple[str, int], deque[int]] = defaultdict(deque)
    for seq, query in b.queries.items():
        if seq in b.results:
            waiting[query.sql, query.sql_chars].append(seq)
    pairs: list[tuple[int, int]] = []
    only_a: list[Unmatched] = []
    for seq, query in a.queries.items():
        if seq not in a.results:
            continue
        found = waiting.get((query.sql, query.sql_chars))
        if found:
            pairs.append((seq, found.popleft()))
        else:
            only_a.append(Unmatched(seq, query.label))
    left = sorted(seq for own in waiting.values() for seq in own)
    return pairs, only_a, [Unmatched(seq, b.queries[seq].label) for seq in left]


def prepare(
    journal_a: JournalReader, a: ComparedRun, journal_b: JournalReader, b: ComparedRun
) -> bool:
    """Keep what is compared of both runs; returns whether they took turns."""
    paired = journal_a.path == journal_b.path and a.record.took_turns_with(b.record)
    if paired:
        learned = max(run.record.learning_rounds for run in (a, b))
        rounds_a, rounds_b = ({result.round for result in run.all_results()} for run in (a, b))
        for run in (a, b):  # an interruption may have left a round without its other half
            _keep_rounds(run, learned, rounds_a & rounds_b)
    else:
        for run in (a, b):
            _keep_rounds(run, run.record.learning_rounds)
    _count_saved(journal_a, a)
    return paired


def read_run(journal: JournalReader, run_id: int | None) -> ComparedRun:
    record = journal.run(run_id)
    kept = (query for query in journal.queries(record.run_id) if command_of(query.command).compared)
    queries = {query.seq: query for query in kept}
    run = ComparedRun(record, queries)
    for result in journal.results(record.run_id):
        if result.seq in queries and result.error != STOPPED:
            run.results[result.seq].append(result)
    run.plans = plans_that_ran(journal.plans(record.run_id))
    for total in journal.event_totals(record.run_id, 0):
        if total.kind in _TRAINING:
            run.training_s += total.duration_s
            run.trainings += total.fired
            run.failed_trainings += total.failed
        else:
            run.events_s += total.duration_s
    run.trained_before = journal.began_trained(record.run_id)
    return run


def _keep_rounds(run: ComparedRun, learned: int, rounds: Set[int] | None = None) -> None:
    """Keep the results of `rounds` (all, if None) without the first `learned` ones, in which an arm
    learned alone."""
    for seq, own in list(run.results.items()):
        for result in own:
            if result.round <= learned:
                run.learning_s += result.elapsed_s + result.inference_s + result.steering_s
                run.collection_s += result.collection_s
        if any(result.round <= learned for result in own):
            run.learned.add(run.queries[seq].sql)
            run.learned_queries += 1
        kept = [r for r in own if r.round > learned and (rounds is None or r.round in rounds)]
        if kept:
            run.results[seq] = kept
        else:
            del run.results[seq]
    count_seen(run)


def count_seen(run: ComparedRun) -> None:
    """Count the compared queries that the run learned from before, and those like them."""
    others = [sql for seq in run.results if (sql := run.queries[seq].sql) not in run.learned]
    forms = set(map(normal_form, run.learned)) if others else set()
    run.same = len(run.results) - len(others)
    run.alike = sum(normal_form(sql) in forms for sql in others)


def _count_saved(journal: JournalReader, run: ComparedRun) -> None:
    """Count the versions of models that the run saved before and between the compared rounds."""
    results = list(run.all_results())
    if not results:
        return
    first = min(result.round for result in results)
    own = [result for result in results if result.round == first]
    begin = max(result.started_at + result.elapsed_s for result in own)
    end = max(result.started_at for result in results)
    saved = [model.created_at for model in journal.models(run.record.run_id)]
    run.saved_late = sum(begin < moment < end for moment in saved)
    run.saved_before = sum(moment <= begin for moment in saved)
