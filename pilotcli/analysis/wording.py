"""Comparisons in words, for views and reports, which add the names of queries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pilotcli.analysis.comparison import Comparison, Effect, QueryComparison
from pilotcli.common.quantities import MISSING, count, duration, listed, plural

_PUSH_KINDS = (
    (re.compile(r"[\w.]+ = "), "setting"),
    (re.compile(r"Leading\(|JOIN_ORDER\("), "join order"),
    (re.compile(r"\w*(?:Scan|Join|NestLoop|Memoize)\w*\("), "method"),
    (re.compile(r"[A-Z_]+\("), "plan advice"),
)
"""How a push begins, and its kind: hints are in mixed case, plan advice is in capitals."""
MOST_FACTOR = 10_000
BAD_SPEEDUP = 0.5
"""A query with a worse speed-up than this is shown before anything else."""


def verdict_text(effect: Effect) -> str:
    """Returns a speed-up, or a slow-down, in words, with its interval."""
    if effect.speedup is None:
        return "nothing could be measured"
    if effect.verdict == "slower":
        # The same unit for all three, so that they can be compared.
        times = effect.speedup <= 0.5
        text = f"{_slowdown(effect.speedup, times)} slower"
        if effect.low is None or effect.high is None:
            return text
        around = f"{_slowdown(effect.high, times)} to {_slowdown(effect.low, times)}"
        return f"{text}, {effect.confidence:.0%} interval {around}"
    words = {
        "faster": f"{factor(effect.speedup)} faster",
        "same": f"the same within the noise ({factor(effect.speedup)})",
    }
    text = words.get(effect.verdict, f"unclear ({factor(effect.speedup)} measured)")
    around = interval(effect.low, effect.high)
    return f"{text}, {effect.confidence:.0%} interval {around}" if around else text


def push_text(push: str, cards: Mapping[str, float]) -> str:
    """Returns a push in words; `cards` are the pushed rows by sub-plan query."""
    # The number comes first, since a long line is cut.
    return f"{cards[push]:,.0f} rows for {push}" if push in cards else push


def push_kind(push: str, cards: Mapping[str, float]) -> str:
    """Returns what kind of push a description of `SteeringReport` is about."""
    if push in cards:
        return "cardinality"
    return next((kind for pattern, kind in _PUSH_KINDS if pattern.match(push)), "hint")


def factor(speedup: float | None) -> str:
    """Returns a speed-up in words: `1.25x`, `>10,000x`."""
    if speedup is None:
        return MISSING
    if speedup >= MOST_FACTOR:
        return f">{MOST_FACTOR:,}x"
    if 0 < speedup <= 1 / MOST_FACTOR:
        return f"<{1 / MOST_FACTOR}x"
    return f"{speedup:,.0f}x" if speedup >= 99.5 else f"{speedup:.3g}x"


def interval(low: float | None, high: float | None) -> str:
    """Returns an interval of speed-ups in words, empty where there is none."""
    return f"{factor(low)} to {factor(high)}" if low is not None and high is not None else ""


def _slowdown(speedup: float, times: bool) -> str:
    if not speedup:
        return MISSING
    return f"{1 / speedup:.3g}x" if times else f"{1 / speedup - 1:.0%}"


def learning_text(comparison: Comparison) -> str:
    """Returns what the drivers learned from, and how many of the compared queries they saw."""
    learning = comparison.learning
    if learning is None:
        return "from nothing before"
    rounds, compared = plural(learning.rounds, "round"), len(comparison.queries)
    if comparison.folds:
        text = f"in each fold from the queries of the others, in {rounds}"
    else:
        text = f"from {plural(learning.queries, 'query', 'queries')} in {rounds}"
        if learning.same == compared == learning.queries:
            text += ", those compared here"
        elif learning.same == compared:
            text += f", the {compared} compared here among them"
        elif learning.same:
            text += f"; {learning.same} of the {compared} compared here are among them"
        elif learning.alike:
            text += f"; {learning.alike} of the {compared} compared here differ in values only"
        else:
            text += f"; none of the {compared} compared here is like them"
    text += f"; the queries took {duration(learning.elapsed_s)}"
    if learning.collection_s:
        text += f", collecting data about them {duration(learning.collection_s)}"
    return f"{text}; models {'frozen' if learning.frozen else 'updated'} while comparing"


def judged_text(comparison: Comparison) -> str:
    """Returns whether the drivers had seen the compared queries before, as a sentence without its
    full stop; empty where they learned from nothing before."""
    learning = comparison.learning
    if learning is None:
        return ""
    compared = len(comparison.queries)
    if learning.same == compared:
        return "Judged on the queries that the driver learned from"
    if not learning.fresh:
        return "Judged on queries that the driver may have seen: it began with what it had learned"
    if not learning.frozen:
        return "Judged on queries that the driver learned from while they were compared"
    if seen := learning.same + learning.alike:
        return f"Judged on {compared} queries, {seen} of which the driver had seen in some form"
    return "Judged on queries that the driver never saw"


def training_text(comparison: Comparison) -> str:
    """Returns how long the training took, and when it has paid for itself."""
    if not comparison.costs_a.training_s and comparison.costs_b.training_s:
        return f"{duration(comparison.costs_b.training_s)} in the baseline, none in this run"
    text = f"{duration(comparison.costs_a.training_s)} in this run"
    if comparison.trained_speedup is not None:
        text += f"; with it {factor(comparison.trained_speedup)}"
    if comparison.payback is None:
        reasons = {
            "slower": "it does not pay back: the workload is slower",
            "same": "it does not pay back: nothing is gained beyond the noise",
        }
        unclear = "whether it pays back is unclear, as the total is"
        return f"{text}; {reasons.get(comparison.total.verdict, unclear)}"
    replays = comparison.payback
    shown = f"{replays:,.0f}" if replays >= 9.5 else f"{replays:.1f}"
    return f"{text}; pays back after {shown} replays of this workload"


def alarms(comparison: Comparison) -> list[tuple[str, list[QueryComparison]]]:
    """Returns what the user has to know before any average, with its queries: other rows, failures,
    and those that are slower by far."""
    failed = [query for query in comparison.queries if query.verdict == "failed"]
    far = [
        query
        for query in comparison.queries
        if query.verdict == "slower" and query.speedup is not None and query.speedup < BAD_SPEEDUP
    ]
    found = [
        ("other rows than the baseline", comparison.different),
        ("failed, and not in the baseline", failed),
        ("slower by far", far),
    ]
    return [(words, queries) for words, queries in found if queries]


def names_text(
    queries: Sequence[QueryComparison],
    shown: int,
    write: Callable[[str], str],
    slowdown: str = "",
) -> str:
    """Returns the labels of the first queries as `write` writes them, each followed by `slowdown`
    with how much slower it is in the place of its braces, and how many more there are."""
    names = [write(each.label) + slowdown.format(slowdown_text(each.speedup)) for each in queries]
    return listed(names, shown)


def slowdown_text(speedup: float | None) -> str:
    """Returns how many times slower: `4.8x`; empty where it is not."""
    return f"{1 / speedup:.1f}x" if speedup and speedup < 1 else ""


def counts_text(comparison: Comparison) -> str:
    """Returns how many queries have which verdict."""
    words = {
        "faster": "faster",
        "slower": "slower",
        "same": "same within noise",
        "unclear": "unclear",
        "failed": "failed",
        "mended": "no longer failing",
    }
    counts = Counter[str](query.verdict for query in comparison.queries)
    failed = sum(query.failed_in_both for query in comparison.queries)
    counts["unclear"] -= failed
    text = [
        f"{count(counts[verdict])} {word}" for verdict, word in words.items() if counts[verdict]
    ]
    if failed:
        text.append(f"{count(failed)} failed in both")
    return f"{count(len(comparison.queries))}: {', '.join(text)}"


def unclear_text(comparison: Comparison) -> str:
    """Returns how many queries are unclear and what helps, as a sentence without its full stop;
    empty where none is."""
    unclear = comparison.count("unclear")
    unclear -= sum(query.failed_in_both for query in comparison.queries)
    if not unclear:
        return ""
    return (
        f"{plural(unclear, 'query is', 'queries are')} unclear: whether faster, slower or the "
        "same, these rounds cannot tell. More rounds tell smaller differences from noise"
    )


def rounds_text(comparison: Comparison) -> str:
    """Returns how often each query ran, and whether the two runs took turns."""
    a, b = comparison.rounds_a, comparison.rounds_b
    text = f"{a} and {b} rounds" if a != b else plural(a, "round")
    turns = "took turns by rounds" if comparison.by_rounds else "took turns"
    return f"{text}, {turns if comparison.paired else 'one after the other'}"
