"""The result of a comparison of two runs: frozen, times in seconds.

Throughout, A is the run in question and B the one it is compared with, the baseline. A speed-up is
the time of B divided by that of A: above 1, A is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pilotcli.storage.journal import RunRecord

Verdict = Literal["failed", "slower", "faster", "same", "unclear", "mended"]
"""How a query, or the whole workload, did in A.

- `failed`: it failed in A, and not in B;
- `slower`, `faster`: beyond the noise, and by more than the least effect that counts;
- `same`: within the noise, and the interval leaves no room for much else;
- `unclear`: nothing can be said: too few rounds, too much noise, or it failed in both;
- `mended`: it failed in B, and not in A.
"""

TimeVerdict = Literal["slower", "faster", "same", "unclear"]
"""A verdict on times alone."""

Answers = Literal["same", "different", "undetermined", "unknown"]
"""Whether a query's rows are the same in both, in any order: `undetermined` when they differ, and
the query does not say which rows it wants (LIMIT without an order, random()); `unknown` when they
were not kept."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A speed-up with its interval at the level `confidence` (0 to 1), None where there is none."""

    speedup: float | None
    low: float | None
    high: float | None
    confidence: float
    verdict: Verdict
    method: str
    """How the interval was found, in words."""


@dataclass(frozen=True, slots=True)
class QueryTimes:
    """The executions of one query in one run, over all rounds.

    `mean_s` is the mean of those that ended `ok` or at their time-out, which counts as twice its
    limit (PAR2); None without any. So are the means of its parts: the server's planning and
    execution (None where not reported), the driver's inference, steering and collection.
    """

    seq: int
    executions: int
    ok: int
    timeouts: int
    failed: int
    mean_s: float | None
    median_s: float | None
    planning_s: float | None
    execution_s: float | None
    inference_s: float
    steering_s: float
    collection_s: float
    row_count: int | None
    error: str | None
    """The first error, if any."""


@dataclass(frozen=True, slots=True)
class QueryComparison:
    """One query in both runs.

    `speedup`, `low` and `high` are of its whole time, the driver's inference and steering included;
    None where nothing can be said. `p_value` is of the test that there is no difference. It
    and the interval are corrected for many queries. `certain` says that no test was needed: the
    query ran into its time-out in one run only. Then there is no interval. `plan_changed` is None
    where a plan is missing. `reasons` say in words why a query is slower, or was measured to
    be slower by far.
    """

    label: str
    sql: str
    file: str | None
    line: int | None
    a: QueryTimes
    b: QueryTimes
    verdict: Verdict
    speedup: float | None
    low: float | None
    high: float | None
    p_value: float | None
    certain: bool
    answers: Answers
    plan_changed: bool | None
    reasons: Sequence[str] = ()

    @property
    def seq(self) -> int:
        """Its number in A."""
        return self.a.seq

    @property
    def failed_in_both(self) -> bool:
        """Whether no execution of either run has ended well, so that nothing can be compared."""
        return self.a.mean_s is None and self.b.mean_s is None

    @property
    def lost_s(self) -> float:
        """Seconds that A needs more than B for it, each time; negative when it needs less."""
        if self.a.mean_s is None or self.b.mean_s is None:
            return 0.0
        return whole_s(self.a) - whole_s(self.b)


def whole_s(times: QueryTimes) -> float:
    """Returns the seconds that the user waits for one execution: with the driver's inference and
    steering, without collection."""
    assert times.mean_s is not None
    return times.mean_s + times.inference_s + times.steering_s


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A query of one run that the other does not have."""

    seq: int
    label: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Where the time of one run went, in seconds per replay of the workload; `training_s` in all.

    Only queries that ran well in both runs count, so that both runs' costs are of the same queries.

    `query_s` is the client's time for the queries; it includes `planning_s` and `execution_s`, as
    the server reports them. `training_s` is what updates and pretrainings of models took in this
    run, `events_s` all other events.
    """

    query_s: float
    planning_s: float | None
    execution_s: float | None
    inference_s: float
    steering_s: float
    collection_s: float
    training_s: float
    events_s: float

    @property
    def whole_s(self) -> float:
        """Seconds that the user waits for a replay."""
        return self.query_s + self.inference_s + self.steering_s


@dataclass(frozen=True, slots=True)
class Learning:
    """What the drivers of a paired run learned from before they were compared.

    - `queries`: how many, and `rounds`: how often each;
    - `same`: how many of the compared queries are among them;
    - `alike`: how many others differ from one of them in values only;
    - `frozen`: whether models stayed as they were in the compared rounds;
    - `fresh`: whether the run began with empty models and without rows of earlier runs;
    - `elapsed_s`: seconds that the queries took which driver A learned from, in all rounds, with
      inference and steering; `collection_s`: seconds to collect data about them besides.
    """

    queries: int
    rounds: int
    same: int
    alike: int
    frozen: bool
    fresh: bool
    elapsed_s: float
    collection_s: float


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of a cross-validation: its number, its runs, how many queries it compares, and the
    result."""

    number: int
    run_id: int
    baseline_id: int
    queries: int
    total: Effect


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run A against run B.

    - `paired`: their queries took turns, so that drift of the machine cancels;
    - `differences`: what the two runs did not have in common besides their drivers, in words;
    - `by_rounds`: they took turns by whole rounds, so that drift within a round does not cancel;
    - `total`: of the sum of all queries' times, what the user waits for a replay;
    - `geometric`: the geometric mean of the queries' speed-ups, where each counts the same;
    - `p_value`: of Wilcoxon's signed-rank test over the queries, None for fewer than six; at
      least 1 - `confidence` where the interval of the geometric mean has 1 in it;
    - `queries`: those that both have, the worst first: different answers, failures, slower ones by
      what they lose, and at the end the faster ones;
    - `payback`: replays of the workload after which what A gains has paid for its training: 0 when
      there was none, None unless `total` is faster;
    - `trained_speedup`: `total` with A's training in its time;
    - `warnings`: what to keep in mind, in words;
    - `part`: which queries are compared, in words, if they are not those of a whole workload;
    - `learning`: what the drivers learned from before, None for nothing;
    - `folds`: the folds of a cross-validation, of which this has all queries: `run_a` and `run_b`
      are the runs of the first one.
    """

    run_a: RunRecord
    run_b: RunRecord
    paired: bool
    rounds_a: int
    rounds_b: int
    total: Effect
    geometric: Effect
    p_value: float | None
    queries: Sequence[QueryComparison]
    only_a: Sequence[Unmatched]
    only_b: Sequence[Unmatched]
    costs_a: Costs
    costs_b: Costs
    payback: float | None
    trained_speedup: float | None
    warnings: Sequence[str]
    by_rounds: bool = False
    differences: Sequence[str] = ()
    part: str | None = None
    learning: Learning | None = None
    folds: Sequence[Fold] = ()

    def count(self, verdict: Verdict) -> int:
        """How many queries have that verdict."""
        return sum(query.verdict == verdict for query in self.queries)

    @property
    def different(self) -> list[QueryComparison]:
        """The queries whose answers differ."""
        return [query for query in self.queries if query.answers == "different"]
