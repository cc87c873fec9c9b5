"""pg_stat_statements as a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logged import converted

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.logs.convert import LogConverter
from pilotcli.workload.logs.files import find_logs

TEXT = """queryid,query,calls,{time},datname,toplevel
11,"SELECT count(*)
FROM t",10,5.0,shop,t
12,SELECT * FROM t WHERE i = $1,1000,9000.0,shop,t
13,SELECT '$1' FROM u,2,300.5,other,t
14,BEGIN,9,9.0,shop,t
15,SELECT inner(),9,9.0,shop,f
"""


@pytest.mark.parametrize("time", ["total_exec_time", "total_time"])
def test_what_took_most_time_comes_first(tmp_path: Path, time: str) -> None:
    text = TEXT.format(time=time)
    expected: list[dict[str, Any]] = [
        {"sql": "SELECT '$1' FROM u", "label": "13", "weight": 2, "database": "other"},
        {"sql": "SELECT count(*)\nFROM t", "label": "11", "weight": 10, "database": "shop"},
    ]
    rows = converted(tmp_path, text)
    assert [row.pop("duration_s") for row in rows] == [0.15025, 0.0005]
    assert rows == [{**row, "user": "", "application": ""} for row in expected]
    path = tmp_path / "log0.csv"
    with open_workload([path]) as workload:
        assert [query.label for query in workload] == ["13", "11"]
    converter = LogConverter()
    list(converter.read(find_logs([path])))
    assert converter.notes()[0].startswith("left out: 1 statement with $1, whose values")


def test_a_row_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT.format(time="total_time").replace("300.5", "many"))
    with pytest.raises(WorkloadError, match=r"a\.csv:5: this is no CSV of pg_stat_statements"):
        list(LogConverter().read(find_logs([path])))


def test_what_no_workload_can_send_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "query,calls,total_time,queryid\n<insufficient privilege>,1,1,\n,2,2,3\n"
        "SELECT PG_STAT_STATEMENTS_reset(),1,1,4\nTABLE t,1,1,5\nTABLE t,1,3,5\n"
    )
    converter = LogConverter()
    found = list(converter.read(find_logs([path])))
    assert [(one.sql, one.label) for one in found] == [("TABLE t", "5"), ("TABLE t", "5/2")]
    assert converter.notes() == [
        "left out: 1 statement of other users, whose texts only a role with pg_read_all_stats sees",
        "left out: 1 statement whose text the server has lost",
        "left out: 1 statement that use pg_stat_statements itself",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("300.5,other,t", "300.5,other,t,x", "as many columns"),
        ("300.5,other,t", "300.5,other", "as many columns"),
        (",2,300.5", f",{'9' * 400},300.5", "from 0 on"),
        (",2,300.5", ",-2,300.5", "from 0 on"),
        ("300.5", "nan", "from 0 on"),
        ("13,SELECT", '13,"SELECT"', "expected after"),
    ],
)
def test_a_damaged_row_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TEXT.format(time="total_time").replace(old, new))
    with pytest.raises(WorkloadError, match=said) as caught:
        list(LogConverter().read(find_logs([path])))
    assert caught.value.line in (4, 5)


def test_a_long_query_and_odd_numbers(tmp_path: Path) -> None:
    long = "SELECT '" + "x" * 200_000 + "'"
    text = TEXT.format(time="total_time").replace("SELECT '$1' FROM u", long)
    rows = converted(tmp_path, text.replace("\n13,", "\nx\xe9,"))
    assert [row["label"] for row in rows] == ["q3", "11"]
    assert rows[0]["sql"] == long


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.format(time="total_time").replace("toplevel", "top\rlevel").encode())
    with pytest.raises(WorkloadError, match=r"a\.csv:1: this is no CSV of pg_stat_statements"):
        list(LogConverter().read(find_logs([path])))
