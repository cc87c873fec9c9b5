"""The list of benchmarks fits a terminal, and says what to install."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pilotcli.benchmarks.catalog import BENCHMARKS
from pilotcli.views.benchmark_list import show_benchmarks


def test_what_is_missing_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    tpch = replace(BENCHMARKS["tpch"], packages=("no_such_package",), install="pip install it")
    tpcds = replace(BENCHMARKS["tpcds"], packages=("nor_this",), install="pip install it")
    show_benchmarks((tpch, BENCHMARKS["forum"], tpcds), "table")
    head, *rows, empty, told = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "scale", "ready", "contents"]
    assert [row.split()[:3] for row in rows] == [
        ["tpch", "0.1", "no"],
        ["forum", "1", "yes"],
        ["tpcds", "0.1", "no"],
    ]
    assert (empty, told) == ("", "For tpch, tpcds: pip install it")
