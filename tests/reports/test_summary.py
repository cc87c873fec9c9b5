"""The summary for a CI's job page stays short, and nothing in it is more than text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from markdown_it import MarkdownIt
from written_run import HOSTILE, firing, result, version, write_run

from pilotcli.analysis.comparison import Comparison
from pilotcli.reports.comparisons import markdown_cell
from pilotcli.reports.files import write_whole
from pilotcli.reports.summary import summary_text
from pilotcli.storage.journal import Journal


def much_wrong(home: Path) -> int:
    """A run in which forty of everything went wrong, under names that are more than text."""
    name = HOSTILE.replace("\x00", "")
    return write_run(
        home,
        [
            result(seq, label=f"{seq} {name}", status="error", error=name * 50, sqlstate="22012")
            for seq in range(1, 41)
        ],
        firings=[
            firing(seq, event=f"E{seq} {name}", outcome="failed" if seq > 20 else "ok",
                   error=name if seq > 20 else None)
            for seq in range(1, 41)
        ],
        models=[version(1, model=f"m{seq} {name}") for seq in range(1, 41)],
        summary={"reasons": [f"reason {seq} {name}" for seq in range(1, 41)]},
        workload=name,
        ended=("failed", 1),
    )  # fmt: skip


def summary_of(home: Path, run_id: int, comparison: Comparison | None = None) -> str:
    with Journal.open(home) as journal:
        return summary_text(journal, run_id, comparison, ["any.slowdown > 5%: slower: q1"])


def test_it_stays_short_however_much_is_wrong(tmp_path: Path, comparison: Comparison) -> None:
    queries = [dataclasses.replace(one, verdict="slower") for one in comparison.queries] * 20
    large = dataclasses.replace(comparison, queries=queries, warnings=["careful"] * 3)
    text = summary_of(tmp_path / "other", much_wrong(tmp_path / "other"), large)
    assert len(text.splitlines()) <= 70
    assert len(text) < 30_000
    for told in ("and 36 more", "and 35 more"):  # reasons; queries, events, models
        assert told in text
    assert text.splitlines()[0] == "## ❌ pilot run 1: failed, exit code 1"
    assert "- **any.slowdown &gt; 5%: slower: q1**" in text


def test_nothing_in_it_is_markup(tmp_path: Path) -> None:
    text = summary_of(tmp_path / "home", much_wrong(tmp_path / "home"))
    assert not set(text) & {chr(code) for code in range(32) if chr(code) != "\n"}
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {token.type for token in tokens}
    kinds |= {child.type for token in tokens for child in token.children or ()}
    assert not kinds & {"html_block", "html_inline", "code_inline", "image", "link_open"}
    rows = [line for line in text.splitlines() if line.startswith("|")]
    shown = sum(token.type == "tr_open" for token in tokens)
    tables = sum(token.type == "table_open" for token in tokens)
    assert tables == 3
    assert shown == len(rows) - tables  # a table's second line is no row


def test_a_cell_holds_what_it_was_given() -> None:
    html = (
        MarkdownIt("commonmark")
        .enable("table")
        .render(
            f"| a | b |\n| --- | --- |\n| {markdown_cell('x|y `c` *d* <b> & [l](u) 1~2')} | z |\n"
        )
    )
    assert "<td>x|y `c` *d* &lt;b&gt; &amp; [l](u) 1~2</td>" in html


def test_events_that_failed_come_first_with_their_error(tmp_path: Path) -> None:
    firings = [firing(seq, event=f"E{seq}") for seq in range(1, 12)]
    firings.append(firing(12, event="Bad", outcome="failed", error="ValueError: no"))
    run_id = write_run(tmp_path / "home", [result(1)], firings=firings, ended=("failed", 3))
    lines = summary_of(tmp_path / "home", run_id).splitlines()
    place = lines.index("| event | fired | failed | took in all | error |")
    assert lines[place + 2] == "| Bad | 1 | 1 | 250 ms | ValueError: no |"


def test_a_run_that_went_well(tmp_path: Path) -> None:
    run_id = write_run(tmp_path / "home", [result(1), result(2)], models=[version(1), version(2)])
    path = tmp_path / "out.md"
    with Journal.open(tmp_path / "home") as journal:
        write_whole(path, summary_text(journal, run_id))
    assert path.read_text("utf-8").splitlines() == [
        "## ✅ pilot run 1: finished, exit code 0",
        "",
        "w.sql on embedded PostgreSQL 18",
        "",
        "| executions | failed or timed out | p50 | p95 | p99 | slowest |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 2 | 0 | 1.00 ms | 2.00 ms | 2.00 ms | 2.00 ms |",
        "",
        "- saved latency version 2 (mae 0.75)",
    ]
