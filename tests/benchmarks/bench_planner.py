"""What the planner module costs: idle, pulling, pushing, and reporting. All on the wheel's server.

Run: python tests/benchmarks/bench_planner.py [rounds]

The ways of a comparison take turns in small batches, so that what else the machine does hits them
alike; client and server share one core, so that where the system places them does not. Shown is
the median of the batches, per query in microseconds, client and server together.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from steered import WHEEL, Steered, estimates, pg_config_of, shape

from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.planner import Planner, load, rows_setting

SCHEMA = Path(__file__).parents[1] / "steering" / "planner" / "schema.sql"
POINT = "SELECT score FROM posts p WHERE p.id = 77"
SIX = (
    "SELECT count(*) FROM users u, posts p, votes v, tags t, users w, posts q "
    "WHERE p.owner_id = u.id AND v.post_id = p.id AND t.post_id = p.id AND w.id = v.user_id "
    "AND q.owner_id = w.id AND u.city = 3 AND v.kind = 1 AND q.score = 5"
)
THREE = (
    "SELECT count(*) FROM posts p JOIN users u ON u.id = p.owner_id JOIN tags t ON "
    "t.post_id = p.id WHERE p.id = 77"
)
UNKNOWN = [((f"r{number}", "p"), 100.5 * number) for number in range(4)]


def take_turns(rounds: int, batch: int, **ways: Callable[[], object]) -> dict[str, float]:
    """The median time of each way in microseconds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(batch):
                way()
            times[name].append((time.perf_counter() - began) / batch * 1e6)
    return {name: statistics.median(found) for name, found in times.items()}


def show(title: str, found: dict[str, float]) -> None:
    """Print one comparison; the first way is what the others are held against."""
    base = next(iter(found.values()))
    print(title)
    for name, value in found.items():
        print(f"  {name:<24}{value:9.1f} us  {value - base:+8.1f}  {value / base:6.3f} x")


def measure(target: PostgresTarget, home: Path, rounds: int) -> None:
    """Run all comparisons."""
    plain, loaded = target.session(), target.session()
    cache = home / "planner"
    found = load(loaded, cache=cache, pg_config=pg_config_of(WHEEL), may_build=True)
    assert isinstance(found, Planner), found
    steered = Steered(loaded)

    class Nowhere:
        def append(self, _: str) -> None:
            """Take a message, and forget it."""

    loaded.connection.notices = Nowhere()
    point = {
        "not loaded": lambda: plain.execute(POINT),
        "loaded, idle": lambda: loaded.execute(POINT),
    }
    show("A point select", take_turns(rounds, 200, **point))

    explain = f"EXPLAIN {SIX}"
    pull = steered.message(explain, report="blocks")
    unasked = steered.message(explain)
    show(
        "EXPLAIN of a join of six",
        take_turns(
            rounds,
            10,
            plain=lambda: plain.execute(explain),
            settings=lambda: loaded.execute(unasked),
            pull=lambda: loaded.execute(pull),
        ),
    )

    # The planner's own estimates, so that the plan stays the same; the others name no relation.
    report = steered.run(f"EXPLAIN {THREE}", report="blocks")[1]
    own = [(sorted(subplan.names), rows) for subplan, rows in estimates(report).items()]
    entries = (own + UNKNOWN)[:10]
    assert len(entries) == 10
    rows = rows_setting(entries)
    message = (
        "SET LOCAL work_mem = '8MB'; SET LOCAL cpu_tuple_cost = 0.01; "
        f"SET LOCAL pilot_planner.rows = '{rows}'; {THREE}"
    )
    raw_shape = shape(plain.explain(THREE)["Plan"])
    assert raw_shape == shape(
        steered.plan(THREE, {" ".join(names): number for names, number in own})[0]
    )
    loaded.connection.notices = Nowhere()
    show(
        "A steered query: three settings, ten cardinalities",
        take_turns(
            rounds,
            50,
            raw=lambda: plain.execute(THREE),
            steered=lambda: loaded.execute(message),
        ),
    )

    loaded.execute("SET pilot_planner.report = 'plan,time'")
    reported = take_turns(
        rounds,
        100,
        raw=lambda: plain.execute(POINT),
        reported=lambda: loaded.execute(POINT),
    )
    show("A point select with its plan and times", reported)
    plain.close()
    loaded.close()


def main() -> None:
    """Start a server, measure, and clean up."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the server inherits it
    with tempfile.TemporaryDirectory(prefix="pilot-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        config = PostgreSQLConfig(home=home)
        config.setup = (SCHEMA,)
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        try:
            measure(target, home, rounds)
        finally:
            target.close()
            reset_servers(home)


if __name__ == "__main__":
    main()
