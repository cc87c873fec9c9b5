"""Rows and writes of paired runs that a small workload does not show."""

from __future__ import annotations

from paired import run_pair
from project_folder import Project

from pilotcli.common.signals import PairFinished
from pilotcli.config import load_config

COUNT = 1_500
"""More rows than wait for the other arm where the arms take turns by rounds."""


def test_many_rows_are_compared_one_by_one(project: Project) -> None:
    # The ninth digit is rounded, up in one arm and down in the other: the digests differ.
    project.write(
        "w.sql",
        "SELECT 0.1234567895::float8 + (random() - 0.5) * 1e-15 "
        f"FROM generate_series(1, {COUNT});\n",
    )
    finished, comparison = run_pair(project, "w.sql")
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert [one.answers for one in comparison.queries] == ["same"]


def test_arms_with_databases_of_their_own_both_write(project: Project) -> None:
    project.write(
        "w.sql",
        "CREATE TEMP TABLE x (n int); SELECT 1; CREATE TABLE own_t (n int); DROP TABLE own_t;",
    )
    project.config()
    project.write(
        "other.yaml",
        f"home: .pilot\ndatabase: {{dsn: '{project.dsn} dbname=postgres'}}\n",
    )
    finished, comparison = run_pair(
        project, "w.sql", sets=("run.repeat=1",),
        baseline=load_config(project.folder / "other.yaml"),
    )  # fmt: skip
    assert finished.exit_code == 0, finished.reasons
    assert comparison is not None
    assert list(comparison.only_a) == []
    assert {pair.seq for pair in project.heard(PairFinished)} == {1, 2, 3, 4}  # type: ignore[attr-defined]
    with project.journal() as journal:
        assert [{one.seq for one in journal.results(run)} for run in (1, 2)] == [{1, 2, 3, 4}] * 2
