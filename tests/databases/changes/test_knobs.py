"""Knobs: set, in force, refused, and brought back."""

from __future__ import annotations

import select
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from changes_support import Bench, Pilot

from pilotcli import Index
from pilotcli.common.errors import CapabilityError, DatabaseError, SteeringError
from pilotcli.config.pilot_config import PostgreSQLConfig
from pilotcli.databases.changes.autoconf import FileAutoConf, ServerAutoConf
from pilotcli.databases.changes.log import ChangeLog
from pilotcli.databases.controller import PostgreSQLController, get_db_controller
from pilotcli.databases.embedded.binaries import major_of
from pilotcli.databases.embedded.server import EmbeddedServer
from pilotcli.databases.opening import open_target
from pilotcli.databases.target import PostgresTarget

pytestmark = pytest.mark.slow


@pytest.fixture
def alone(make_home: Callable[[], Path], postgres_bin: Path | None) -> Iterator[Pilot]:
    """A pilot that has a server for itself, so that it may restart it."""
    config = PostgreSQLConfig(home=make_home())
    config.postgres_bin = postgres_bin
    said: list[str] = []
    target = open_target(config, on_step=said.append)
    assert isinstance(target, PostgresTarget)
    controller = get_db_controller(target.config, target=target)
    assert isinstance(controller, PostgreSQLController)
    pilot = Pilot(target, controller, said)
    yield pilot
    pilot.close()
    assert ChangeLog(config.home).pending() == []


def shown(controller: PostgreSQLController, name: str) -> str:
    return str(controller.execute(f"SHOW {name}", True)[0][0])


def test_a_reload_is_enough_for_most(bench: Bench) -> None:
    bench.sql("ALTER SYSTEM SET work_mem = '7MB'")
    bench.sql("SELECT pg_reload_conf()")
    pilot = bench.open()
    pid = pilot.controller.execute("SELECT pg_backend_pid()", True)
    pilot.controller.set_knobs({"work_mem": "9MB", "Random_Page_Cost": 1.25, "jit": False})
    assert shown(pilot.controller, "work_mem") == "9MB"
    assert shown(pilot.controller, "random_page_cost") == "1.25"
    assert shown(pilot.controller, "jit") == "off"
    assert pilot.controller.execute("SELECT pg_backend_pid()", True) == pid
    pilot.close()
    assert bench.auto_conf() == {"work_mem": "7MB"}
    assert bench.sql("SHOW work_mem") == [("7MB",)]
    bench.sql("ALTER SYSTEM RESET work_mem")
    bench.sql("SELECT pg_reload_conf()")


def test_a_restart_where_it_is_needed(alone: Pilot) -> None:
    controller = alone.controller
    before = shown(controller, "shared_buffers")
    pids: list[object] = []

    def other_thread() -> None:
        pids.append(controller.execute("SELECT pg_backend_pid()", True))

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert alone.target.knobs.why_fixed() is None
    assert alone.target.knobs.why_no_restart() is None
    controller.set_knobs({"shared_buffers": "40MB", "work_mem": "9MB"})
    assert shown(controller, "shared_buffers") == "40MB"
    assert controller.execute("SELECT count(*) FROM pg_settings WHERE pending_restart", True) == [
        (0,)
    ]
    controller.recover_config()
    assert shown(controller, "work_mem") != "9MB"
    assert shown(controller, "shared_buffers") == "40MB"
    controller.restart()
    assert shown(controller, "shared_buffers") == before


@pytest.mark.parametrize(
    ("knobs", "culprit", "reason"),
    [
        ({"shared_buffers": "8000GB"}, "shared_buffers = 8000GB", "memory"),
        ({"shared_preload_libraries": "no_such_library"}, "no_such_library", "could not access"),
        ({"session_preload_libraries": "no_such_library"}, "no_such_library", "could not access"),
    ],
)
def test_a_server_that_does_not_come_up(
    alone: Pilot, knobs: dict[str, str], culprit: str, reason: str
) -> None:
    controller = alone.controller
    controller.set_knobs({"work_mem": "9MB"})
    with pytest.raises(SteeringError, match="old values again") as caught:
        controller.set_knobs({**knobs, "random_page_cost": 2})
    assert culprit in caught.value.message
    assert reason in caught.value.message
    assert controller.is_running()
    assert shown(controller, "work_mem") == "9MB"
    assert shown(controller, "random_page_cost") == "4"
    # It can go on with others.
    controller.set_knobs({"random_page_cost": 3})
    assert shown(controller, "random_page_cost") == "3"


def test_pilotscopes_way(alone: Pilot) -> None:
    controller = alone.controller
    before = shown(controller, "shared_buffers")
    controller.shutdown()
    assert not controller.is_running()
    with pytest.raises(SteeringError, match="no knob named"):
        controller.write_knob_to_file({"shared_bufers": "40MB"})
    controller.write_knob_to_file({"shared_buffers": "40MB"})
    controller.start()
    controller.start()
    assert controller.is_running()
    assert shown(controller, "shared_buffers") == "40MB"
    controller.backup_config()
    controller.write_knob_to_file({"shared_buffers": "48MB", "work_mem": "9MB"})
    controller.restart()
    assert shown(controller, "shared_buffers") == "48MB"
    controller.shutdown()
    controller.recover_config()
    controller.start()
    assert shown(controller, "shared_buffers") == "40MB"
    assert shown(controller, "work_mem") == "4MB"
    controller.write_knob_to_file({"shared_preload_libraries": "no_such_library"})
    with pytest.raises(SteeringError, match="no_such_library"):
        controller.restart()
    assert shown(controller, "shared_buffers") == "40MB"
    controller.shutdown()
    alone.close()
    again = open_target(alone.target.config)
    other = get_db_controller(again.config, target=again)
    assert isinstance(other, PostgreSQLController)
    assert shown(other, "shared_buffers") == before
    other.close()
    again.close()


def test_a_shared_server_is_not_restarted(bench: Bench) -> None:
    bench.run_python("pass")
    outside = bench.run_python(
        "from pilotcli.common.errors import DatabaseError\n"
        "config = PostgreSQLConfig(home=Path(sys.argv[2]))\n"
        "config.postgres_bin = Path(os.environ['BIN']) if os.environ.get('BIN') else None\n"
        "target = open_target(config); controller = get_db_controller(config, target=target)\n"
        "try: controller.set_knobs({'shared_buffers': '40MB', 'work_mem': '9MB'})\n"
        "except DatabaseError as error: print(error.message)\n"
        "print(target.changes.own())\n",
        BIN=str(bench.postgres_bin or ""),
    )
    assert "another process uses it" in outside
    assert outside.endswith("[]\n")


def test_a_server_of_this_machine_by_its_pg_ctl(
    make_home: Callable[[], Path], postgres_bin: Path | None
) -> None:
    with EmbeddedServer.acquire(make_home(), postgres_bin=postgres_bin) as server:
        params = server.conninfo("postgres")
        dsn = " ".join(f"{key}={value}" for key, value in params.items())
        config = PostgreSQLConfig(dsn=dsn, home=make_home())
        target = open_target(config)
        controller = get_db_controller(target.config, target=target)
        assert isinstance(controller, PostgreSQLController)
        before = shown(controller, "shared_buffers")
        if not Path(f"/proc/{server.pid}/exe").resolve().with_name("pg_ctl").exists():
            with pytest.raises(CapabilityError, match="no pg_ctl"):
                controller.set_knobs({"shared_buffers": "40MB"})
            target.close()
            return
        stranger = psycopg2.connect(**params, application_name="psql")
        with pytest.raises(DatabaseError, match="psql"):
            controller.set_knobs({"shared_buffers": "40MB"})
        stranger.close()
        controller.set_knobs({"shared_buffers": "40MB"})
        assert shown(controller, "shared_buffers") == "40MB"
        with pytest.raises(SteeringError, match="could not access file"):
            controller.set_knobs({"shared_preload_libraries": "no_such_library"})
        assert shown(controller, "shared_buffers") == "40MB"
        controller.shutdown()
        assert not controller.is_running()
        controller.start()
        controller.close()
        target.close()
        with psycopg2.connect(**params) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW shared_buffers")
            assert cursor.fetchall() == [(before,)]
        connection.close()


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"wrk_mem": "1MB"}, "no knob named 'wrk_mem'"),
        ({"work_mem": "1"}, "outside the valid range"),
        ({"work_mem": "much"}, "invalid value"),
        ({"work_mem": float("inf")}, "takes a text, a number"),
        ({"work_mem": None}, "takes a text, a number"),
        ({"work_mem": [1]}, "takes a text, a number"),
        ({"work_mem; DROP TABLE x": 1}, "a knob's name is a word"),
        ({"server_version": "19"}, "cannot be changed"),
        ({"port": 1}, "is not for drivers"),
        ({"shared_preload_libraries": ""}, "cannot be made empty"),
        ([("work_mem", 1)], "knobs are a dict"),
    ],
)
def test_bad_knobs_change_nothing(bench: Bench, knobs: dict[str, object], said: str) -> None:
    pilot = bench.open()
    with pytest.raises(SteeringError, match=said) as caught:
        good = {"random_page_cost": 1.5}
        pilot.controller.set_knobs({**good, **knobs} if isinstance(knobs, dict) else knobs)
    if said.startswith("no knob"):
        assert caught.value.hint == "Did you mean 'work_mem'?"
    assert bench.auto_conf() == {}
    assert pilot.target.changes.own() == []
    assert shown(pilot.controller, "random_page_cost") == "4"
    pilot.close()


def test_a_knob_that_something_else_overrides(bench: Bench) -> None:
    bench.sql(f"ALTER DATABASE {bench.database} SET work_mem = '5MB'")
    pilot = bench.open()
    with pytest.raises(SteeringError, match=r"ALTER DATABASE \.\.\. SET makes it 5120"):
        pilot.controller.set_knobs({"work_mem": "9MB"})
    assert bench.auto_conf() == {}
    pilot.close()


@pytest.mark.parametrize("first", [0, 1])
def test_two_pilots_with_the_same_knob(bench: Bench, first: int) -> None:
    pilots = [bench.open(), bench.open()]
    pilots[0].controller.set_knobs({"work_mem": "8MB", "jit": "off"})
    pilots[1].controller.set_knobs({"work_mem": "16MB"})
    pilots[first].close()
    assert bench.auto_conf().get("work_mem") == ("16MB" if first == 0 else "8MB")
    pilots[1 - first].close()
    assert bench.auto_conf() == {}


def test_pilots_of_two_homes_do_not_bring_back_each_others_values(
    bench: Bench, tmp_path: Path
) -> None:
    one = bench.open(bench.dsn_config(tmp_path / "one"))
    two = bench.open(bench.dsn_config(tmp_path / "two"))
    one.controller.set_knobs({"work_mem": "8MB"})
    with pytest.raises(CapabilityError, match="changed by a pilot of another folder"):
        two.controller.set_knobs({"work_mem": "9MB"})
    one.close()
    assert bench.auto_conf() == {}
    two.controller.set_knobs({"work_mem": "9MB"})
    two.close()
    assert bench.auto_conf() == {}


def test_a_killed_pilots_knob_waits_for_the_pilot_of_another_home_that_has_set_it_since(
    bench: Bench, tmp_path: Path
) -> None:
    bench.run_python(
        "controller.set_knobs({'work_mem': '8MB'}); os.kill(os.getpid(), signal.SIGKILL)",
        exit_code=-signal.SIGKILL,
    )
    other = bench.open(bench.dsn_config(tmp_path / "other"))
    other.controller.set_knobs({"work_mem": "9MB"})
    early = bench.open()
    early.close()
    assert "changed by a pilot of another folder" in " ".join(early.said)
    assert bench.auto_conf() == {"work_mem": "9MB"}
    other.close()
    assert bench.auto_conf() == {"work_mem": "8MB"}
    bench.open().close()
    assert bench.auto_conf() == {}


def test_the_claim_to_a_servers_settings_ends_with_a_killed_pilot_and_not_with_a_restart(
    bench: Bench, tmp_path: Path
) -> None:
    other = bench.dsn_config(tmp_path / "other")
    pilot = bench.open()
    pilot.controller.set_knobs({"max_connections": 90})
    refused = bench.open(other)
    with pytest.raises(CapabilityError, match="changed by a pilot of another folder"):
        refused.controller.set_knobs({"work_mem": "9MB"})
    refused.close()
    pilot.close()
    assert bench.auto_conf() == {}
    bench.run_python(
        "controller.set_knobs({'work_mem': '8MB'}); os.kill(os.getpid(), signal.SIGKILL)",
        exit_code=-signal.SIGKILL,
    )
    later = bench.open(other)
    later.controller.set_knobs({"jit": "off"})
    later.close()
    bench.open().close()


def test_what_somebody_else_has_set_since_is_left(bench: Bench) -> None:
    pilot = bench.open()
    pilot.controller.set_knobs({"work_mem": "8MB", "jit": "off"})
    bench.sql("ALTER SYSTEM SET work_mem = '11MB'")
    pilot.close()
    assert bench.auto_conf() == {"work_mem": "11MB"}
    assert "changed by somebody else" in "".join(pilot.said)
    bench.sql("ALTER SYSTEM RESET work_mem")


def test_roles_without_rights(bench: Bench) -> None:
    bench.sql("DROP ROLE IF EXISTS plain")
    bench.sql("CREATE ROLE plain LOGIN")
    pilot = bench.open(bench.dsn_config(user="plain"))
    for attempt in (
        lambda: pilot.controller.set_knobs({"work_mem": "9MB"}),
        lambda: pilot.controller.set_knobs({"shared_buffers": "40MB"}),
        lambda: pilot.controller.write_knob_to_file({"work_mem": "9MB"}),
        pilot.controller.restart,
        pilot.controller.shutdown,
    ):
        with pytest.raises(CapabilityError) as caught:
            attempt()
        assert caught.value.hint
    with pytest.raises(CapabilityError, match="cache"):
        pilot.controller.get_buffercache()
    assert pilot.target.changes.own() == []
    assert pilot.controller.is_running()
    for why in (pilot.target.knobs.why_fixed(), pilot.target.knobs.why_no_restart()):
        assert isinstance(why, CapabilityError)
    pilot.close()
    bench.sql("DROP ROLE plain")


def test_a_role_that_is_granted_one_knob(bench: Bench) -> None:
    if bench.version < 15:
        pytest.skip("GRANT ... ON PARAMETER came with PostgreSQL 15")
    bench.sql("DROP ROLE IF EXISTS tuner")
    bench.sql(
        "CREATE ROLE tuner LOGIN; GRANT SET, ALTER SYSTEM ON PARAMETER work_mem TO tuner;"
        "GRANT SELECT ON pg_file_settings TO tuner;"
        "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO tuner;"
        "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO tuner"
    )
    try:
        pilot = bench.open(bench.dsn_config(user="tuner"))
        assert pilot.target.knobs.why_fixed() is None
        pilot.controller.set_knobs({"work_mem": "9MB"})
        assert bench.sql("SHOW work_mem") == [("9MB",)]
        with pytest.raises(CapabilityError):
            pilot.controller.set_knobs({"work_mem": "10MB", "jit": "off"})
        assert bench.auto_conf() == {"work_mem": "9MB"}
        pilot.close()
        assert bench.auto_conf() == {}
        bench.sql("REVOKE EXECUTE ON FUNCTION pg_reload_conf() FROM tuner")
        pilot = bench.open(bench.dsn_config(user="tuner"))
        with pytest.raises(CapabilityError, match="pg_reload_conf"):
            pilot.controller.set_knobs({"work_mem": "9MB"})
        pilot.close()
        assert bench.auto_conf() == {}
    finally:
        bench.sql("DROP OWNED BY tuner; DROP ROLE tuner")


ODD_VALUES = ["plain", "it's", r"back\slash", 'a "b c", d', "tab\there", "", "ü €", "x='y' # z"]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_the_file_and_the_server_agree(bench: Bench, value: str) -> None:
    name = "log_line_prefix"
    pilot = bench.open()
    session = pilot.target.plain_session()
    server, file = ServerAutoConf(session), FileAutoConf(bench.server.data_dir)
    server.write(name, value)
    assert file.read() == server.read() == {name: value}
    server.write(name, None)
    file.write(name, value)
    assert file.read() == server.read() == {name: value}
    assert bench.sql("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == [(0,)]
    info = (bench.server.data_dir / "postgresql.auto.conf").stat()
    assert (info.st_uid, info.st_mode & 0o777) == (bench.server.data_dir.stat().st_uid, 0o600)
    server.write(name, None)
    assert file.read() == {}
    session.close()
    pilot.close()


def test_lists_of_libraries_are_set_back_as_lists(bench: Bench) -> None:
    pilot = bench.open()
    session = pilot.target.plain_session()
    conf = ServerAutoConf(session)
    for value in ("auto_explain", "auto_explain, pg_stat_statements", '"odd, name", auto_explain'):
        conf.write("shared_preload_libraries", value)
        assert conf.read() == {"shared_preload_libraries": value}
    conf.write("shared_preload_libraries", None)
    session.close()
    pilot.close()


@pytest.mark.parametrize("automatic", [(-1, 0, "0"), ("-1", "0kB", "0MB"), (-1.0, 0.0, " 0 ")])
def test_a_value_that_leaves_it_to_the_server_is_in_force(
    alone: Pilot, automatic: tuple[object, ...]
) -> None:
    knobs = {"wal_buffers": automatic[0]}
    if major_of(alone.target.server_version) >= 17:
        knobs |= {"commit_timestamp_buffers": automatic[1], "subtransaction_buffers": automatic[2]}
    alone.controller.set_knobs(knobs)
    assert alone.controller.execute("SHOW wal_buffers", True) != [("-1",)]
    alone.controller.set_knobs({"autovacuum_work_mem": -1})


@pytest.mark.parametrize("name", ["statement_timeout", "transaction_timeout"])
def test_a_knob_that_ends_every_statement_is_taken_back(bench: Bench, name: str) -> None:
    if name == "transaction_timeout" and bench.version < 17:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    pilot = bench.open()
    with pytest.raises(SteeringError, match="it has the old values again"):
        pilot.controller.set_knobs({name: "1ms", "work_mem": "9MB"})
    assert bench.auto_conf() == {}
    pilot.close()


def test_a_knob_that_ends_idle_sessions_ends_no_claim_and_is_undone(
    bench: Bench, tmp_path: Path
) -> None:
    if bench.version < 14:
        pytest.skip("idle_session_timeout came with PostgreSQL 14")
    pilot = bench.open()
    pilot.controller.set_knobs({"idle_session_timeout": "100ms", "work_mem": "9MB"})
    stranger = psycopg2.connect(**bench.server.conninfo(bench.database))
    assert select.select([stranger], [], [], 60)[0]  # the server has ended an idle session
    stranger.close()
    other = bench.open(bench.dsn_config(tmp_path / "other"))
    with pytest.raises(CapabilityError, match="changed by a pilot of another folder"):
        other.controller.set_knobs({"work_mem": "8MB"})
    other.close()
    pilot.controller.recover_config()
    assert bench.auto_conf() == {}
    pilot.controller.set_knobs({"idle_session_timeout": "100ms"})
    pilot.close()
    assert bench.auto_conf() == {}
    bench.run_python(
        "controller.set_knobs({'idle_session_timeout': '100ms'}); os.kill(os.getpid(), 9)",
        exit_code=-signal.SIGKILL,
    )
    bench.open().close()
    assert bench.auto_conf() == {}


def test_a_knob_that_makes_transactions_read_only_keeps_no_index(bench: Bench) -> None:
    bench.sql("CREATE TABLE written (a int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "written", "of_written"))
    pilot.controller.set_knobs({"default_transaction_read_only": "on"})
    assert "of_written" in bench.names()
    pilot.close()
    assert "of_written" not in bench.names()
    assert bench.auto_conf() == {}
    bench.sql("DROP TABLE written")
