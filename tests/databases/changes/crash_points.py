"""Kills a pilot at every step of what it does, and looks whether the next one undoes all of it.

    python crash_points.py HOME POSTGRES_BIN ACTION FIRST EVERY

Each round a new process does ACTION and ends itself with SIGKILL at a step: before or after any
statement to the server, any write to the log of changes, any start or stop of the server. The steps
are FIRST and each EVERY steps after it. Then this process opens the same server, which undoes what
was left, and compares. Prints the last step and how many were tried, as JSON, and what differed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Index
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.changes.autoconf import FileAutoConf
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.controller import PostgreSQLController, get_db_controller
from pilotcli.databases.embedded import server as embedded
from pilotcli.databases.opening import open_target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget

SCHEMA = """
CREATE TABLE posts (id int PRIMARY KEY, score int, title text);
INSERT INTO posts SELECT g, g % 100, 'title ' || g FROM generate_series(1, 500) AS g;
CREATE UNIQUE INDEX scores ON posts (score DESC NULLS LAST, id) INCLUDE (title) WHERE id > 3;
COMMENT ON INDEX scores IS 'of the user';
CREATE INDEX lengths ON posts (length(title));
ALTER TABLE posts CLUSTER ON lengths;
CREATE TABLE votes (id int, day int) PARTITION BY RANGE (day);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (10);
CREATE TABLE votes_2 PARTITION OF votes FOR VALUES FROM (10) TO (20);
CREATE INDEX votes_by_day ON votes (day);
"""

STATE = """
SELECT 'index', i.relname, pg_get_indexdef(i.oid), obj_description(i.oid, 'pg_class'),
  x.indisclustered, x.indisvalid
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE i.relnamespace = 2200
UNION ALL SELECT 'extension', extname, NULL, NULL, NULL, NULL FROM pg_extension
UNION ALL SELECT 'setting', name, setting, NULL, pending_restart, NULL FROM pg_settings
  WHERE name IN ('work_mem', 'random_page_cost', 'shared_buffers', 'shared_preload_libraries')
UNION ALL SELECT 'file', name, setting, NULL, NULL, NULL FROM pg_file_settings
  WHERE sourcefile LIKE '%auto.conf'
ORDER BY 1, 2
"""


def indexes(controller: PostgreSQLController) -> None:
    controller.create_index(Index(["score"], "posts"))
    controller.drop_all_indexes()
    controller.create_index(Index(["title"], "posts", "titles"))


def reloaded(controller: PostgreSQLController) -> None:
    controller.set_knobs({"work_mem": "9MB", "random_page_cost": 1.5})
    controller.set_knobs({"work_mem": "10MB"})


def restarted(controller: PostgreSQLController) -> None:
    controller.set_knobs({"shared_buffers": "40MB", "work_mem": "9MB"})


def refused(controller: PostgreSQLController) -> None:
    with contextlib.suppress(SteeringError):
        controller.set_knobs({"shared_preload_libraries": "no_such_library"})


def extension(controller: PostgreSQLController) -> None:
    controller.get_buffercache()


ACTIONS = {one.__name__: one for one in (indexes, reloaded, restarted, refused, extension)}


class Steps:
    """Counts steps, and kills this process at one of them."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def stepping(*arguments: Any, **named: Any) -> Any:
            self()
            result = plain(*arguments, **named)
            self()
            return result

        setattr(owner, name, stepping)

    def install(self) -> None:
        self.around(PostgresSession, "execute")
        self.around(FileAutoConf, "write")
        self.around(embedded, "start")
        self.around(embedded, "stop")
        writing = ChangeLog.writing

        @contextlib.contextmanager
        def stepping(log: ChangeLog) -> Iterator[Any]:
            with writing(log) as pen:
                yield pen
                self()
            self()

        ChangeLog.writing = stepping  # type: ignore[method-assign, assignment]


def killed_at(
    step: int, config: PostgreSQLConfig, action: Callable[[PostgreSQLController], None]
) -> bool:
    """Whether there was such a step."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            target = open_target(config)
            controller = get_db_controller(target.config, target=target)
            assert isinstance(controller, PostgreSQLController)
            Steps(step).install()
            action(controller)
            controller.close()
            target.close()
            code = 0
        except BaseException:  # noqa: BLE001 - shown, and the exit code tells
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def state(target: PostgresTarget) -> list[Any]:
    session = target.plain_session()
    try:
        return [list(row) for row in session.execute(STATE).rows]
    finally:
        session.close()


def main(home: str, postgres_bin: str, name: str, first: str, every: str) -> None:
    config = PostgreSQLConfig(home=Path(home))
    config.postgres_bin = Path(postgres_bin) if postgres_bin else None
    target = open_target(config)
    assert isinstance(target, PostgresTarget)
    session = target.session()
    session.execute(SCHEMA)
    session.close()
    before = state(target)
    # What takes a restart needs the server for itself; the rest is quicker if it stays up.
    keeper = None if name in ("restarted", "refused") else target
    if keeper is None:
        target.close()
    tried, wrong, undone = 0, [], 0
    step = int(first)
    while killed_at(step, config, ACTIONS[name]):
        tried += 1
        said: list[str] = []
        again = open_target(config, on_step=said.append)
        assert isinstance(again, PostgresTarget)
        after = state(again)
        pending = [one.name for one in again.changes.log.pending()]
        again.close()
        undone += any("undone" in text for text in said)
        if after != before or pending:
            differing = [row for row in after if row not in before]
            missing = [row for row in before if row not in after]
            wrong.append([step, differing, missing, pending, said])
        step += int(every)
    if keeper is not None:
        keeper.close()
    last = step - int(every)
    print(json.dumps({"last": last, "tried": tried, "undone": undone, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
