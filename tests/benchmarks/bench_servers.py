"""What each PostgreSQL does with the steering demo, what-if indexes, and an idle planner module.

    python tests/benchmarks/bench_servers.py [--write-docs] [--quick] [VERSION ...]

The servers are those of `.ci/matrix`, which makes them; without a version it is all of them. For
each, `configs/forum-cards.yaml` runs from nothing with the planner module and, where the server has
pg_hint_plan, once more without the module. Then the ways of a comparison take turns in small
batches, client and server on one core: EXPLAIN of a join on a what-if index against plain EXPLAIN,
and a point select in sessions with the module loaded and idle against sessions without: several of
each, since two sessions of one kind differ by 1 %.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[2] / ".ci"))

from bench_planner import POINT, SCHEMA, take_turns
from lanes import PROJECT, SERVERS, WHEEL, Server, programs_of
from page import PAGE, put
from results import columns
from roots import RootError

from pilotcli import DBControllerFactory, Index
from pilotcli.common.signals import Bus, ModelSaved, QueryFinished, Signal
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.databases.embedded.admin import reset_servers
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget
from pilotcli.run.commands import RunRequest, run
from pilotcli.steering.planner import Planner, load

JOIN = (
    "SELECT count(*) FROM posts p JOIN users u ON u.id = p.owner_id JOIN tags t ON "
    "t.post_id = p.id WHERE p.score = 5"
)
HINT_PLAN = "pg_hint_plan"
SESSIONS = 6


@dataclass
class Demo:
    """Seconds of each round of the demo, and the q-errors of the versions that it saved."""

    seconds: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    errors: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    round: int = 1

    def __call__(self, signal: Signal) -> None:
        """Take a signal of the run."""
        if isinstance(signal, QueryFinished):
            self.round = signal.result.round
            self.seconds[self.round] += signal.result.elapsed_s
        elif isinstance(signal, ModelSaved) and "q_error" in signal.metrics:
            self.errors[self.round].append(signal.metrics["q_error"])

    def cells(self) -> list[str]:
        """Seconds by round, and the geometric mean of the q-errors by round."""
        errors = [statistics.geometric_mean(found) for _, found in sorted(self.errors.items())]
        return [
            ", ".join(f"{seconds:.0f}" for _, seconds in sorted(self.seconds.items())),
            ", ".join(f"{error:.2g}" if error < 100 else f"{error:.0f}" for error in errors),
        ]


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A home that the server's user can reach; its servers end with it."""
    with tempfile.TemporaryDirectory(prefix="pilot-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        yield home
        reset_servers(home)


def demo(programs: Path | None, way: str, quick: bool) -> Demo:
    """Run the demo from nothing."""
    heard = Demo()
    with new_home() as home:
        sets = [f"home={home}"]
        if programs is not None:
            sets.append(f"database.postgres_bin={programs}")
        if way == HINT_PLAN:
            sets.append("steering.planner=never")
        if quick:
            sets.append("run.limit=25")
        config = load_config(PROJECT / "configs" / "forum-cards.yaml", sets)
        finished = run(RunRequest(config), Bus(heard))
        assert finished.exit_code == 0, finished
    return heard


def ratios(programs: Path | None, rounds: int) -> list[str]:
    """Plain EXPLAIN in microseconds, its multiple with a what-if index, and the module's idle."""
    with new_home() as home:
        config = PostgreSQLConfig(home=home)
        config.postgres_bin, config.setup = programs, (SCHEMA,)
        target = open_target(config)
        assert isinstance(target, PostgresTarget)
        with contextlib.closing(target):
            pg_config = None if programs is None else programs / "pg_config"
            sessions = []
            for number in range(2 * SESSIONS):
                sessions.append(target.session())
                if number % 2:
                    found = load(
                        sessions[-1], cache=home / "planner", pg_config=pg_config, may_build=True
                    )
                    assert isinstance(found, Planner), found
            what_if = DBControllerFactory.get_db_controller(config, True)
            what_if.create_index(Index(["score", "owner_id"], "posts"))
            nothing = DBControllerFactory.get_db_controller(config, True)
            explain = take_turns(
                rounds,
                5,
                plain=lambda: nothing.explain_physical_plan(JOIN),
                what_if=lambda: what_if.explain_physical_plan(JOIN),
            )
            point = take_turns(
                rounds,
                200,
                **{str(at): partial(one.execute, POINT) for at, one in enumerate(sessions)},
            )
            for one in (what_if, nothing, *sessions):
                one.close()
    plain, idle = (
        statistics.mean(spent for at, spent in point.items() if int(at) % 2 == kind)
        for kind in (0, 1)
    )
    return [
        f"{explain['plain']:.0f} us",
        f"{explain['what_if'] / explain['plain']:.2f}",
        f"{100 * (idle / plain - 1):+.1f} %",
    ]


def has_hint_plan(server: Server) -> bool:
    """Whether the server comes with the extension."""
    return server.root is not None and any("hint-plan" in one for one in server.root.packages)


def main() -> None:
    """Measure, print, and write the page if that is asked for."""
    parser = argparse.ArgumentParser(prog="bench_servers.py")
    parser.add_argument("versions", nargs="*", default=[server.name for server in SERVERS])
    parser.add_argument("--quick", action="store_true", help="25 queries a round, fewer turns")
    parser.add_argument("--write-docs", action="store_true", help="write docs/servers.md")
    asked = parser.parse_args()
    demos = [["server", "steered by", "seconds by round", "q-error by round"]]
    times = [["server", "EXPLAIN", "with a what-if index (times)", "module idle"]]
    cores = os.sched_getaffinity(0)
    for server in SERVERS:
        if server.name not in asked.versions:
            continue
        try:
            programs = None if server.name == WHEEL else programs_of(server)
        except RootError as error:
            print(f"{server.title} is not to be had: {error}")
            continue
        for way in ("the planner module", HINT_PLAN):
            if way == HINT_PLAN and not has_hint_plan(server):
                continue
            demos.append([server.title, way, *demo(programs, way, asked.quick).cells()])
            print(*demos[-1], sep="  ", flush=True)
        os.sched_setaffinity(0, {max(cores)})  # the server inherits it
        times.append([server.title, *ratios(programs, 5 if asked.quick else 40)])
        os.sched_setaffinity(0, cores)
        print(*times[-1], sep="  ", flush=True)
    lines = [*columns(demos), "", *columns(times)]
    print("\n".join(lines))
    if asked.write_docs:
        PAGE.write_text(put(PAGE.read_text("utf-8"), "numbers", lines), "utf-8")


if __name__ == "__main__":
    main()
