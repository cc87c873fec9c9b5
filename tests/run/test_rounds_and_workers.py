"""Rows of warm-up, and blocks among several workers."""

from __future__ import annotations

from project_folder import Project

from pilotcli import DataManager, PostgreSQLConfig
from pilotcli.common.signals import QueryFinished


def test_nothing_is_collected_in_the_warm_up(project: Project) -> None:
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config("collect: {table: seen, execution_time: true}")
    finished = project.run("w.sql", sets=("run.warmup=2", "run.repeat=3"))
    assert finished.exit_code == 0, finished.reasons
    config = PostgreSQLConfig.from_run_config(project.request("w.sql").config, embedded=False)
    with DataManager(config) as manager:
        assert manager.row_count("seen") == 6


def test_a_block_is_one_workers(project: Project) -> None:
    count = 30
    project.write("w.sql", "BEGIN; SELECT 1; COMMIT;\n" * count)
    finished = project.run("w.sql", sets=("run.workers=3",))
    assert finished.exit_code == 0, finished.reasons
    workers: dict[int, set[int]] = {}
    for signal in project.heard(QueryFinished):
        assert isinstance(signal, QueryFinished)
        workers.setdefault((signal.query.seq - 1) // 3, set()).add(signal.result.worker)
    assert len(workers) == count
    assert all(len(own) == 1 for own in workers.values())
