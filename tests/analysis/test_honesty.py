"""The statistics on made-up runs of which the truth is known.

Noise is as it is on machines: of another size for each query, with spikes, and with a drift that
both arms share within a round. The number of comparisons is that of a quick check here; with
PILOT_HONESTY=1000 in the environment it is that of `docs/comparing.md`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pilotcli.analysis.round_effects import geometric_of_round, total_of_round, widened
from pilotcli.analysis.statistics import (
    CONFIDENCE,
    Sample,
    differences,
    geometric_interval,
    signed_rank,
    total_interval,
)
from pilotcli.analysis.verdicts import effect_of, verdict_of

pytestmark = pytest.mark.slow

COMPARISONS = int(os.environ.get("PILOT_HONESTY", "100"))
NOISE = 0.05
"""The usual standard deviation of a query's time, as a share of it."""


def made_up(
    chance: np.random.Generator,
    queries: int,
    rounds: int,
    *,
    effect: float | Callable[[int], float] = 1.0,
    paired: bool = True,
    spikes: float = 0.02,
) -> list[Sample]:
    """Times of queries, of which those of A are `effect` times longer."""
    samples = []
    for number in range(queries):
        usual_s = chance.lognormal(-4, 1.5)
        noise = NOISE * chance.lognormal(0, 0.4)
        drift = np.exp(chance.normal(0, 0.1, rounds)) if paired else np.ones(rounds)

        def arm(
            factor: float,
            usual_s: float = usual_s,
            noise: float = noise,
            drift: np.ndarray = drift,
        ) -> Sequence[float]:
            times = usual_s * factor * np.exp(chance.normal(0, noise, rounds)) * drift
            spiked = chance.random(rounds) < spikes
            return list(times * np.where(spiked, chance.uniform(1.2, 4, rounds), 1))

        factor = effect if isinstance(effect, float) else effect(number)
        samples.append(Sample(arm(factor), arm(1.0)))
    return samples


def called(samples: Sequence[Sample], *, paired: bool) -> tuple[str, str, list[str]]:
    """The verdicts on the total, on the geometric mean, and on each query."""
    rank = signed_rank(samples)
    rounds = min(len(one.a) for one in samples)
    total = effect_of(total_interval(samples, paired=paired), rank, rounds=rounds)
    geometric = effect_of(geometric_interval(samples), rank, rounds=1)
    queries = [verdict_of(one) for one in differences(samples, paired=paired)]
    return total.verdict, geometric.verdict, list(queries)


SHAPES = [
    pytest.param(20, 3, True, id="20-queries-3-rounds"),
    pytest.param(75, 3, True, id="75-queries-3-rounds"),
    pytest.param(5, 5, True, id="5-queries-5-rounds"),
    pytest.param(20, 10, True, id="20-queries-10-rounds"),
    pytest.param(40, 1, True, id="40-queries-1-round"),
    pytest.param(20, 3, False, id="20-queries-unpaired"),
]


@pytest.mark.parametrize(("queries", "rounds", "paired"), SHAPES)
def test_equals_are_called_different_in_at_most_the_stated_share(
    queries: int, rounds: int, paired: bool
) -> None:
    chance = np.random.default_rng(queries * 1000 + rounds)
    alarms = 0
    for _ in range(COMPARISONS):
        samples = made_up(chance, queries, rounds, paired=paired)
        total, geometric, each = called(samples, paired=paired)
        alarms += bool({"faster", "slower"} & {total, geometric, *each})
    # The stated share, and three standard deviations of so many trials.
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / COMPARISONS) * (COMPARISONS < 1000)
    assert alarms / COMPARISONS <= allowed


@pytest.mark.parametrize(
    ("queries", "rounds", "least"),
    [(20, 3, 0.4), (75, 3, 0.9), (20, 10, 0.9)],
)
def test_a_true_difference_is_found(queries: int, rounds: int, least: float) -> None:
    chance = np.random.default_rng(rounds)
    trials, found, wrong = max(30, COMPARISONS // 5), 0, 0
    for _ in range(trials):
        total, geometric, each = called(made_up(chance, queries, rounds, effect=1.1), paired=True)
        found += "slower" in (total, geometric)
        wrong += "faster" in (total, geometric, *each)
    assert found / trials >= least
    assert wrong / trials <= 0.05


def in_turns_by_rounds(chance: np.random.Generator, effect: float) -> tuple[str, str]:
    """The verdicts where each round of each arm has a luck of its own that all queries share."""
    luck = np.exp(chance.normal(0, 0.05, (2, 5)))
    samples = [
        Sample(list(np.array(one.a) * luck[0]), list(np.array(one.b) * luck[1]))
        for one in made_up(chance, 20, 5, effect=effect)
    ]
    rank = signed_rank(samples)
    total = widened(total_interval(samples, paired=True), samples, total_of_round)
    geometric = widened(geometric_interval(samples), samples, geometric_of_round)
    return effect_of(total, rank, rounds=5).verdict, effect_of(geometric, rank, rounds=1).verdict


def test_the_luck_of_whole_rounds_is_no_difference_where_arms_take_turns_by_rounds() -> None:
    chance = np.random.default_rng(11)
    called_so = [in_turns_by_rounds(chance, 1.0) for _ in range(COMPARISONS)]
    alarms = sum(bool({"faster", "slower"} & set(verdicts)) for verdicts in called_so)
    assert alarms / COMPARISONS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / COMPARISONS)
    found = sum(in_turns_by_rounds(chance, 1.5)[1] == "slower" for _ in range(40))
    assert found >= 30


def test_queries_on_both_sides_of_a_second_have_an_interval() -> None:
    # Their logarithms are on both sides of zero; a warning of numpy's is an error here.
    samples = [Sample([2.0 + n, 2.1 + n], [0.5 + n / 3, 0.6 + n / 3]) for n in range(8)]
    found = geometric_interval(samples)
    assert found.high is not None and found.high < 1


def test_one_round_in_turns_says_nothing_of_the_whole() -> None:
    samples = [Sample([0.5 + seq / 100], [0.3 + seq / 100]) for seq in range(10)]
    found = widened(geometric_interval(samples), samples, geometric_of_round)
    assert found.speedup is not None and found.low is found.high is None


def test_one_disaster_among_many_gains_is_found() -> None:
    chance = np.random.default_rng(5)

    def effect(number: int) -> float:
        return 6.0 if number == 7 else 0.6

    for _ in range(20):
        _, geometric, each = called(made_up(chance, 40, 3, effect=effect, spikes=0), paired=True)
        assert each[7] == "slower"
        assert geometric == "faster"
        assert each.count("slower") == 1


def test_drift_that_both_arms_share_is_no_difference() -> None:
    chance = np.random.default_rng(6)
    samples = []
    for _ in range(10):
        drift = np.array([1.0, 2.0, 4.0])
        usual_s = chance.lognormal(-4, 1)
        a, b = (list(usual_s * drift * np.exp(chance.normal(0, 0.01, 3))) for _ in range(2))
        samples.append(Sample(a, b))
    total = total_interval(samples, paired=True)
    assert total.low is not None and total.high is not None
    assert total.high / total.low < 1.1


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(7)
    trials, covered = max(100, COMPARISONS), 0
    for _ in range(trials):
        found = total_interval(made_up(chance, 15, 4, effect=0.7, spikes=0), paired=True)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1 / 0.7 <= found.high
    assert covered / trials >= CONFIDENCE - 3 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / trials)


def test_a_spike_in_one_round_is_not_a_difference() -> None:
    samples = [Sample([1.0, 1.01, 0.99], [1.0, 0.99, 1.01]) for _ in range(30)]
    samples.append(Sample([1.0, 1.01, 5.0], [1.0, 1.0, 1.0]))
    assert verdict_of(differences(samples, paired=True)[-1]) == "unclear"


def test_the_same_times_give_the_same_answer_each_time() -> None:
    samples = made_up(np.random.default_rng(8), 10, 3)
    assert total_interval(samples, paired=True) == total_interval(samples, paired=True)
    assert geometric_interval(samples) == geometric_interval(samples)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_times_without_noise_are_told_as_they_are(rounds: int) -> None:
    samples = [Sample([2.0] * rounds, [1.0] * rounds) for _ in range(8)]
    total = total_interval(samples, paired=True)
    assert total.speedup == pytest.approx(0.5)
    equal = [Sample([1.0] * rounds, [1.0] * rounds) for _ in range(8)]
    same, geometric, each = called(equal, paired=True)
    assert same == geometric == "same"
    assert set(each) == {"unclear" if rounds == 1 else "same"}


def test_too_little_says_nothing() -> None:
    assert total_interval([], paired=True).speedup is None
    assert geometric_interval([]).speedup is None
    assert differences([], paired=True) == []
    assert signed_rank([Sample([1.0], [2.0])]) is None
    (one,) = differences([Sample([1.0], [2.0])], paired=True)
    assert one.speedup == pytest.approx(2.0)
    assert one.p_value is None
