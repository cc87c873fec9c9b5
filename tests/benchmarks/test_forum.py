"""The forum in other sizes: the demo's at scale 1, and whole at each other scale."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from doc_blocks import ROOT

from pilotcli.benchmarks.catalog import write_benchmark
from pilotcli.benchmarks.forum import scaled_schema
from pilotcli.benchmarks.request import Request
from pilotcli.common.errors import UsageError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.workload import open_workload


def request(scale: float) -> Request:
    return Request("forum", scale, 1, 1, lambda line: None)


def test_scale_1_is_the_demo() -> None:
    assert scaled_schema(1.0) == (ROOT / "workloads" / "forum_schema.sql").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.05, 0.33])
def test_a_smaller_forum_is_whole(scale: float, server_home: Path, tmp_path: Path) -> None:
    place = tmp_path / "forum"
    counts = write_benchmark(place, request(scale))
    queries = list(open_workload([place / "queries" / "train", place / "queries" / "test"]))
    assert sum(counts) == len(queries) > 50
    config = PostgreSQLConfig(home=server_home, db=f"forum_{scale}".replace(".", "_"))
    config.setup = (place / "schema.sql",)
    target = open_target(config)
    with contextlib.closing(target), contextlib.closing(target.session()) as session:
        sizes = session.execute(
            "SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM votes),"
            " (SELECT count(*) FROM users), (SELECT count(*) FROM links),"
            " (SELECT count(*) FROM pg_constraint WHERE contype = 'f'),"
            " (SELECT sum(score) FROM posts), (SELECT count(*) FILTER (WHERE kind = 'up')"
            " - count(*) FILTER (WHERE kind = 'down') FROM votes)"
        ).rows[0]
        for found, demo in zip(sizes[:4], (60_000, 250_000, 20_000, 15_000), strict=True):
            assert found == pytest.approx(demo * scale, rel=0.02)
        assert sizes[4] == 12
        assert sizes[5] == sizes[6], "counters are true"
        empty = sum(not session.execute(query.sql).rows for query in queries)
    assert empty < len(queries) / 3


@pytest.mark.parametrize("scale", [0.01, 21.0])
def test_other_scales_are_refused(scale: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="forum has no scale"):
        write_benchmark(tmp_path / "forum", request(scale))
    assert list(tmp_path.iterdir()) == []
