"""Names and repetitions where whole statements are cut many at a time."""

from __future__ import annotations

from pathlib import Path

from pilotcli.workload import open_workload


def read(folder: Path, text: str) -> list[tuple[str, str]]:
    path = folder / "w.sql"
    path.write_text(text)
    return [(query.label, query.sql) for query in open_workload([path])]


def test_a_name_is_that_of_one_statement(tmp_path: Path) -> None:
    text = "-- name: first\nSELECT 1;\nSELECT 2;\n-- name: third\nSELECT 3;\nSELECT 4;\n"
    assert [label for label, _ in read(tmp_path, text)] == ["first", "q2", "third", "q4"]


def test_a_repetition_is_of_the_statement_just_before(tmp_path: Path) -> None:
    text = "SELECT 1 \\g\nSELECT 2;\nSELECT 3;\n\\g\n"
    assert [sql.strip() for _, sql in read(tmp_path, text)] == [
        "SELECT 1", "SELECT 2", "SELECT 3", "SELECT 3",
    ]  # fmt: skip
