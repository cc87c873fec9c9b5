"""What an EXPLAIN with what-if indexes costs, beside one without them.

Run: python tests/benchmarks/bench_what_if.py [rounds]

Measured through a driver's controller: with the planner module, and with HypoPG where the server
has it. The ways take turns in small batches; client and server share one core. Shown is the median
of the batches, per EXPLAIN in microseconds, client and server together; `built` is a plain EXPLAIN
on copies of the tables that have the indexes. On a server of your own:
PILOT_BENCH_BIN=/usr/lib/postgresql/15/bin.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from bench_planner import SCHEMA, SIX, show, take_turns

from pilotcli import Index, PostgreSQLConfig
from pilotcli.databases.controller import PostgreSQLController as WithoutModule
from pilotcli.databases.controller.what_if import hypopg_works
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.controller import PostgreSQLController

POINT = "SELECT score FROM posts p WHERE p.score = 77"
ONE = [Index(["score"], "posts")]
TEN = [
    *(Index(["score"], "posts"), Index(["owner_id", "score"], "posts"), Index(["city"], "users")),
    *(Index(["score", "owner_id"], "posts"), Index(["owner_id"], "posts", include=["score"])),
    *(Index(["user_id"], "votes"), Index(["kind", "post_id"], "votes"), Index(["kind"], "votes")),
    *(Index(["post_id"], "tags"), Index(["post_id"], "votes", where="kind = 1")),
]


def compare(
    target: PostgresTarget, title: str, sql: str, indexes: Sequence[Index], rounds: int
) -> None:
    """Run one comparison."""
    plain = PostgreSQLController(target.config, target=target)
    controllers: dict[str, WithoutModule] = {
        "plain": plain,
        "the planner module": PostgreSQLController(
            target.config, target=target, enable_simulate_index=True
        ),
    }
    if hypopg_works(plain.session()):
        controllers["HypoPG"] = WithoutModule(
            target.config, target=target, enable_simulate_index=True
        )
    for name, controller in controllers.items():
        for index in indexes if name != "plain" else ():
            controller.create_index(index)
    ways = {
        name: partial(controller.explain_physical_plan, sql)
        for name, controller in controllers.items()
    }
    built = re.sub(r"\b(users|posts|votes|tags) (\w)\b", r"built.\1 \2", sql)
    ways["built"] = partial(plain.explain_physical_plan, built)
    show(title, take_turns(rounds, 20, **ways))
    for controller in controllers.values():
        controller.close()


def build(target: PostgresTarget) -> None:
    """Make a copy of each table that has the indexes."""
    controller = PostgreSQLController(target.config, target=target)
    controller.execute("CREATE SCHEMA built")
    for table in ("users", "posts", "votes", "tags"):
        controller.execute(f"CREATE TABLE built.{table} (LIKE {table} INCLUDING INDEXES)")
        controller.execute(f"INSERT INTO built.{table} TABLE {table}")
    for index in TEN:
        controller.create_index(replace(index, table=f"built.{index.table}"))
    controller.execute("VACUUM ANALYZE")
    controller.close()


def main() -> None:
    """Start a server, measure, and clean up."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the server inherits it
    with tempfile.TemporaryDirectory(prefix="pilot-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        config = PostgreSQLConfig(home=Path(folder) / "home")
        if named := os.environ.get("PILOT_BENCH_BIN"):
            config.postgres_bin = Path(named)
        config.setup = (SCHEMA,)
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        try:
            build(target)
            compare(target, "EXPLAIN of a point select, one index", POINT, ONE, rounds)
            compare(target, "EXPLAIN of a join of six, ten indexes", SIX, TEN, rounds)
        finally:
            target.close()
            reset_servers(config.home)


if __name__ == "__main__":
    main()
