"""A comparison as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pilotcli.analysis.comparison import Comparison, Fold, Learning
from pilotcli.analysis.wording import judged_text
from pilotcli.reports.comparisons import as_csv, as_json, as_markdown, query_row

DOCUMENT = Path(__file__).parents[2] / "docs" / "export.md"


def test_what_needs_a_look_comes_first(comparison: Comparison) -> None:
    assert [one.seq for one in comparison.queries] == [7, 4, 5, 3, 1, 6, 2, 8] or [
        one.seq for one in comparison.queries
    ][:4] == [7, 4, 5, 3]
    verdicts = {one.seq: one.verdict for one in comparison.queries}
    assert verdicts == {
        1: "same",
        2: "faster",
        3: "slower",
        4: "failed",
        5: "slower",
        6: "faster",
        7: "same",
        8: "faster",
    }
    by_seq = {one.seq: one for one in comparison.queries}
    assert by_seq[5].certain and not by_seq[3].certain
    assert by_seq[5].a.mean_s == pytest.approx(2.0)  # a time-out counts twice
    assert by_seq[3].speedup == pytest.approx(0.25, rel=0.05)
    assert by_seq[7].answers == "different"
    assert comparison.paired
    assert comparison.costs_a.training_s == pytest.approx(1.0)


def test_json_has_everything(comparison: Comparison) -> None:
    told = json.loads(as_json(comparison))
    assert told["schema_version"] == 1
    assert told["run"]["run_id"] == 1 and told["baseline"]["run_id"] == 2
    assert [one["seq"] for one in told["queries"]] == [one.seq for one in comparison.queries]
    first = told["queries"][0]
    assert first["answers"] == "different"
    assert first["run"]["executions"] == 3


def test_csv_has_a_line_for_each_query(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert len(rows) == 8
    failed = next(row for row in rows if row["verdict"] == "failed")
    assert failed["run_failed"] == "3" and failed["speedup"] == ""


def test_markdown_is_safe_and_begins_with_what_is_wrong(comparison: Comparison) -> None:
    text = as_markdown(comparison)
    lines = text.splitlines()
    assert lines[2].startswith("- **1 other rows than the baseline: query-7")
    assert "<img" not in text and "\u2028" not in text
    table = [line for line in lines if line.startswith("| query")]
    assert all(line.count(" | ") == 6 for line in table if "verdict" in line)
    few = as_markdown(comparison, 2)
    assert "and 6 more" in few
    apart = as_markdown(comparison, changes_only=True)
    assert "query-1 " not in apart


def section(title: str) -> str:
    return DOCUMENT.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_document_names_each_column(comparison: Comparison) -> None:
    columns, _, rest = section("Comparisons").partition("For each of the two runs it has:")
    both = re.findall(r"^\| `(\w+)` \|", columns, re.MULTILINE)
    lists = re.findall(r"^- ((?:`\w+`(?:, )?)+):", rest, re.MULTILINE)
    runs = re.findall(r"`(\w+)`", " ".join(lists))
    row = list(query_row(comparison.queries[0]))
    assert both == row[: len(both)]
    assert sorted(runs) == sorted(row[len(both) :])


LEARNED = Learning(
    queries=59, rounds=3, same=0, alike=0, frozen=True, fresh=True, elapsed_s=12.0, collection_s=0.5
)


def after_learning(comparison: Comparison) -> Comparison:
    folds = (Fold(1, 5, 6, 4, comparison.total), Fold(2, 7, 8, 4, comparison.geometric))
    return replace(comparison, learning=LEARNED, folds=folds)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "queries that the driver never saw"),
        ({"same": 8}, "the queries that the driver learned from"),
        ({"same": 1, "alike": 2}, "8 queries, 3 of which the driver had seen in some form"),
        ({"fresh": False}, "queries that the driver may have seen: it began with what it had"),
        ({"frozen": False}, "queries that the driver learned from while they were compared"),
    ],
)
def test_only_queries_that_nothing_knew_are_called_never_seen(
    comparison: Comparison, changes: dict[str, int], said: str
) -> None:
    learning = replace(LEARNED, **changes)  # type: ignore[arg-type]
    assert said in judged_text(replace(comparison, learning=learning))
    assert judged_text(comparison) == ""


def test_json_and_markdown_say_what_the_driver_learned_from(comparison: Comparison) -> None:
    learned = after_learning(comparison)
    content = json.loads(as_json(learned))
    assert content["learning"] == asdict(LEARNED)
    assert [fold["run_id"] for fold in content["folds"]] == [5, 7]
    assert content["folds"][1]["total"]["speedup"] == content["geometric"]["speedup"]
    lines = as_markdown(replace(learned, folds=())).splitlines()
    assert lines[2].startswith("**Judged on queries that the driver never saw.** It learned from")
    folds = [line for line in as_markdown(learned).splitlines() if "4 queries, runs" in line]
    assert [line[:28] for line in folds] == [
        "| 1: 4 queries, runs 5 and 6",
        "| 2: 4 queries, runs 7 and 8",
    ]


def test_the_document_names_each_key(comparison: Comparison) -> None:
    content = json.loads(as_json(after_learning(comparison)))
    query = content.pop("queries")[0]
    assert query.keys() - {"run", "baseline"} == {
        name for name in query_row(comparison.queries[0]) if not name.startswith(("run_", "base"))
    }
    documented = {}
    for names, meaning in re.findall(r"^\| (`[^|]+) \| ([^|]*) \|$", section("Comparisons"), re.M):
        inner = set(re.findall(r"`(\w+)`", meaning))
        documented |= dict.fromkeys(re.findall(r"`(\w+)`", names), inner)
    assert content.keys() <= documented.keys()
    for name, value in content.items():
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):
            assert documented[name] == value.keys(), name
