"""A part of a workload: which queries a selection leaves, and with which numbers and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pilotcli.common.errors import UsageError
from pilotcli.workload import open_workload
from pilotcli.workload.selection import Selection, chosen_numbers

JOINS = """\
-- name: hot-a
SELECT 1;
SELECT 2; SELECT 3;
-- name: hot-b
SELECT
  4;
"""
BLOCKS = """\
SELECT 1;
BEGIN;
SELECT 3;
SELECT 4;
COMMIT;
SELECT 6;
"""
SETTINGS = """\
SET work_mem = '8MB';
SELECT 2;
BEGIN;
SET jit = off;
SET LOCAL enable_hashjoin = off;
COMMIT;
BEGIN;
SET enable_sort = off;
ROLLBACK;
CREATE TEMP TABLE t (a int);
CREATE TABLE kept (a int);
INSERT INTO t VALUES (1);
INSERT INTO kept VALUES (1);
SELECT 14;
RESET ALL;
"""


def chosen(
    folder: Path, text: str, select: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[int]:
    """The numbers of the queries that are left of a file `w.sql`."""
    (folder / "w.sql").write_text(text)
    with open_workload([folder / "w.sql"], select=select, exclude=exclude) as workload:
        return [query.seq for query in workload]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (["hot-a"], [1]),
        (["hot-*"], [1, 4]),
        (["q[23]"], [2, 3]),
        (["*"], [1, 2, 3, 4]),
        (["2"], [2]),
        (["1,3-4"], [1, 3, 4]),
        (["3-"], [3, 4]),
        (["hot-a", "4"], [1, 4]),
        (["hot-a,q3"], [1, 3]),
        (["w.sql"], [1, 2, 3, 4]),
        (["w.sql:2"], [1]),
        (["w.sql:3"], [2, 3]),
        (["w.sql:1"], [1]),  # the comment with its name
        (["w.sql:6"], [4]),
        (["w.sql:4"], [4]),
        (["w.sql:3-4"], [2, 3, 4]),
        (["*.sql:6"], [4]),
    ],
)
def test_queries_are_named_by_label_number_file_and_line(
    tmp_path: Path, terms: list[str], expected: list[int]
) -> None:
    assert chosen(tmp_path, JOINS, terms) == expected
    text = f"{JOINS}-- name: last\nSELECT 5;"
    if terms not in (["*"], ["3-"], ["w.sql"]):
        left = [seq for seq in (1, 2, 3, 4, 5) if seq not in expected]
        assert chosen(tmp_path, text, [], terms) == left


def test_a_label_comes_before_a_number_and_a_pattern(tmp_path: Path) -> None:
    text = "-- name: 2\nSELECT 1;\nSELECT 2;\n-- name: a*\nSELECT 3;\n-- name: ab\nSELECT 4;\n"
    assert chosen(tmp_path, text, ["2"]) == [1]
    assert chosen(tmp_path, text, ["a*"]) == [3]
    assert chosen(tmp_path, text, ["[a]*"]) == [3, 4]


def test_files_of_a_folder_are_named_by_their_ends(tmp_path: Path) -> None:
    for name in ("a/joins.sql", "b/joins.sql", "b/other.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("SELECT 1; SELECT 2;")
    paths = [tmp_path / "a", tmp_path / "b"]
    for term, expected in (("joins.sql", 4), ("b/joins.sql", 2), ("b/*.sql", 4), ("oth*.sql", 2)):
        with open_workload(paths, select=[term]) as workload:
            assert len(list(workload)) == expected, term


def test_a_query_keeps_its_number_and_its_label(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(JOINS)
    with open_workload([tmp_path / "w.sql"]) as workload:
        whole = list(workload)
    with open_workload([tmp_path / "w.sql"], exclude=["hot-a"]) as workload:
        assert list(workload) == whole[1:]
        assert workload.count() == 3
        assert workload.description.endswith("w.sql (3 of 4 queries)")
    with open_workload([tmp_path / "w.sql"], select=["hot-*"], limit=1) as workload:
        assert list(workload) == whole[:1]
        assert workload.count() == 1


def test_a_block_is_chosen_whole(tmp_path: Path) -> None:
    assert chosen(tmp_path, BLOCKS, ["3"]) == [2, 3, 4, 5]
    assert chosen(tmp_path, BLOCKS, ["5-6"]) == [2, 3, 4, 5, 6]
    assert chosen(tmp_path, BLOCKS, [], ["4"]) == [1, 6]
    assert chosen(tmp_path, BLOCKS, ["3"], ["1"]) == [2, 3, 4, 5]
    assert chosen(tmp_path, "BEGIN; SELECT 2; SELECT 3;", ["2"]) == [1, 2, 3]
    assert chosen(tmp_path, "BEGIN; COMMIT AND CHAIN; SELECT 3; END; SELECT 5;", ["3"]) == [
        *(1, 2, 3, 4)
    ]


def test_what_sets_up_the_session_stays(tmp_path: Path) -> None:
    # The settings of a block that is rolled back, and those behind the query, are not needed.
    assert chosen(tmp_path, SETTINGS, ["14"]) == [1, 4, 10, 12, 14]
    assert chosen(tmp_path, SETTINGS, ["2"]) == [1, 2]
    assert chosen(tmp_path, SETTINGS, ["14"], ["1,12"]) == [4, 10, 14]


def test_sessions_are_set_up_each_on_its_own(tmp_path: Path) -> None:
    lines = [
        '{"sql": "SET jit = off", "session": "a"}',
        '{"sql": "BEGIN", "session": "b"}',
        '{"sql": "SET jit = on", "session": "b"}',
        '{"sql": "SELECT 1", "session": "a", "label": "one"}',
        '{"sql": "COMMIT", "session": "b"}',
        '{"sql": "SELECT 2", "session": "b", "label": "two"}',
    ]
    (tmp_path / "w.jsonl").write_text("\n".join(lines))
    for term, expected in (("one", [1, 4]), ("two", [3, 6]), ("5", [2, 3, 5])):
        with open_workload([tmp_path / "w.jsonl"], select=[term]) as workload:
            assert [query.seq for query in workload] == expected


@pytest.mark.parametrize(
    ("select", "exclude", "message", "hint"),
    [
        (["hto-a"], [], "no query has the label, number or file 'hto-a'", "Did you mean 'hot-a'?"),
        (["w.sq"], [], "or file 'w.sq'", "Did you mean 'w.sql'?"),
        (["7"], [], "number or file '7'", "Numbers go up to 4."),
        (["zzz"], [], "'zzz'", "Labels are hot-a, q2, q3, hot-b."),
        (["hot-a"], ["1"], "nothing is selected: hot-a without 1", "All 4 queries are excluded."),
        ([], ["*"], "nothing is selected: all without *", "All 4 queries are excluded."),
    ],
)
def test_nothing_selected_is_an_error(
    tmp_path: Path, select: list[str], exclude: list[str], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(tmp_path, JOINS, select, exclude)
    assert message in str(caught.value)
    assert caught.value.hint == hint


def test_one_text_that_fits_nothing_gets_a_warning(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(JOINS)
    found: list[str] = []
    with open_workload(
        [tmp_path / "w.sql"], select=["hot-a,hto-b"], exclude=["9"], notify=found.append
    ) as workload:
        assert len(list(workload)) == 1
        assert len(list(workload)) == 1
    assert found == [
        "--select hto-b: no query has such a label, number or file. Did you mean 'hot-b'?",
        "--exclude 9: no query has such a label, number or file. Numbers go up to 4.",
    ]


def test_queries_are_chosen_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(JOINS)
    with open_workload([tmp_path / "w.sql"]) as workload:
        first, second, third, last = workload
    for term, expected in (("hot-*", {1, 4}), ("2-", {2, 3, 4}), ("w.sql:4", {4})):
        queries = [last, second, first, third, second]
        assert chosen_numbers(Selection((term,)), queries) == expected
