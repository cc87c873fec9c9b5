"""Names and values of users and drivers stay names and values, whatever signs they are made of.

Each is written and read back on the real server; a table that must stay is looked at after every
attempt. What a server or pilot does not take is refused with one of pilot's own errors.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import PilotError, SteeringError
from pilotcli.common.records import Index, Query
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.changes.autoconf import FileAutoConf
from pilotcli.databases.controller import get_db_controller
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Target
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.capabilities import Abilities
from pilotcli.steering.methods import ScanJoinMethodEnum
from pilotcli.steering.requests import Pulls, Pushes
from pilotcli.steering.session_steering import SessionSteering
from pilotcli.storage.store.data_manager import DataManager

pytestmark = pytest.mark.slow

SIGNS = "ab'\"`;-/*\\%${}()#=,:? \n\r\t\x0b\x85é😀\u2028\u202e"
ATTACKS = [
    "x'; DROP TABLE canary; --",
    'x"; DROP TABLE canary; --',
    "x\\'; DROP TABLE canary; --",
    "*/ DROP TABLE canary; /*",
    "$$; DROP TABLE canary; $$",
    "x\n; DROP TABLE canary;",
    "%s%(x)s%%{}{0}",
    "' || (DELETE FROM canary) || '",
    "E'\\x27; DROP TABLE canary",
    "1); DROP TABLE canary; --",
    "CANARY",
    "select",
]
TEXTS = st.sampled_from(ATTACKS) | st.text(SIGNS, min_size=1, max_size=15)
COLUMNS = TEXTS.filter(lambda name: name.strip() != "" and name != "pilot_id")
TABLES = COLUMNS.map(lambda name: "t" + name.replace(".", "_"))
EXAMPLES = settings(max_examples=150)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def place(server_home: Path) -> Iterator[tuple[PostgreSQLConfig, Target, PostgresSession]]:
    """A database of its own on the shared server, with a table that must stay."""
    config = PostgreSQLConfig(home=server_home, db="injection")
    config.user_data_db_name = "injection_store"
    config.planner = "never"
    first = open_target(PostgreSQLConfig(home=server_home))
    session = first.session()
    session.execute("CREATE DATABASE injection")
    session.close()
    target = open_target(config)
    session = target.session()  # type: ignore[assignment]
    session.execute("CREATE TABLE canary AS SELECT 1 AS sings")
    with DataManager(config) as manager:
        manager.save_data("canary", {"sings": 1})
    yield config, target, session  # type: ignore[misc]
    session.close()
    target.close()
    first.close()


@pytest.fixture
def unharmed(place: tuple[PostgreSQLConfig, Target, PostgresSession]) -> Iterator[None]:
    """The table is there afterwards, whole, and nothing beside it."""
    config, _, session = place
    yield
    assert list(session.execute("SELECT * FROM canary").rows) == [(1,)]
    with DataManager(config) as manager:
        assert manager.read_all("canary")["sings"].tolist() == [1]


def _tables(session: PostgresSession) -> set[str]:
    rows = session.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    ).rows
    return {row[0] for row in rows}


@EXAMPLES
@given(table=TABLES, column=COLUMNS, name=COLUMNS, value=st.text(SIGNS, max_size=30) | TEXTS)
def test_tables_and_indexes_of_a_controller(
    place: tuple[PostgreSQLConfig, Target, PostgresSession],
    unharmed: None,
    table: str,
    column: str,
    name: str,
    value: str,
) -> None:
    _, target, session = place
    controller = get_db_controller(target.config, target=target)
    try:
        assert not controller.exist_table(table)
        controller.create_table_if_absences(table, {column: value})
        assert _tables(session) == {"canary", table}
        assert controller.exist_table(table)
        assert table in controller.get_all_table_names()
        assert controller.get_table_columns(table) == [column]
        controller.insert(table, {column: value})
        assert controller.get_table_row_count(table) == 1
        assert controller.get_column_max(table, column) == value
        assert controller.get_column_min(table, column) == value
        assert controller.get_number_of_distinct_value(table, column) == 1
        index = Index([column], table, f"i{name}")
        controller.create_index(index)
        assert [one.index_name for one in controller.get_existed_indexes(table)] == [f"i{name}"]
        assert controller.get_index_byte(index) > 0
        assert controller.get_table_indexes_byte(table) > 0
        controller.drop_index(index)
        assert controller.get_index_number(table) == 0
        with pytest.raises(SteeringError):
            controller.create_index(Index([column + "x"], table))
    finally:
        controller.drop_table_if_exist(table)
        controller.close()
    assert _tables(session) == {"canary"}


@EXAMPLES
@given(name=TEXTS, value=TEXTS)
@example(name="my.own", value="x'; DROP TABLE canary; --")
def test_hints_of_a_controller(
    place: tuple[PostgreSQLConfig, Target, PostgresSession], unharmed: None, name: str, value: str
) -> None:
    controller = get_db_controller(place[1].config, target=place[1])
    try:
        with contextlib.suppress(PilotError):
            controller.set_hint(name, value)
        controller.set_hint("my.own", value)
        shown = controller.execute("SELECT current_setting('my.own')", fetch=True)
        assert shown == [(value,)]
    finally:
        controller.close()


@settings(EXAMPLES, max_examples=40)
@given(name=TEXTS, value=TEXTS | st.text(SIGNS, max_size=12))
@example(name="work_mem = '1MB'; DROP TABLE canary; --", value="1MB")
def test_knobs(
    place: tuple[PostgreSQLConfig, Target, PostgresSession], unharmed: None, name: str, value: str
) -> None:
    controller = get_db_controller(place[1].config, target=place[1])
    try:
        with pytest.raises(SteeringError):
            controller.set_knobs({name: value})
        try:
            controller.set_knobs({"log_line_prefix": value})
        except SteeringError:
            assert "\n" in value
        else:
            shown = controller.execute("SHOW log_line_prefix", fetch=True)
            assert shown == [(value,)]
    finally:
        controller.recover_config()
        controller.close()


@settings(max_examples=300)
@given(
    values=st.lists(st.text(SIGNS, max_size=20), min_size=1, max_size=4),
    rest=st.sampled_from(["", "port = 1\n", "# a comment\n"]),
)
@example(values=["\u2028work_mem = 5\u2028", "a\rb", "\x0cport = 1\x0c"], rest="")
def test_knobs_in_the_file_of_a_stopped_server(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], rest: str
) -> None:
    folder = tmp_path_factory.mktemp("data")
    file = folder / "postgresql.auto.conf"
    file.write_text(rest)
    conf = FileAutoConf(folder)
    before = conf.read()
    names = [f"some.knob{number}" for number in range(len(values))]
    for name, value in zip(names, values, strict=True):
        conf.write(name, value)
        conf.write("work_mem", "5MB")
        conf.write("work_mem", None)
    assert conf.read() == {**before, **dict(zip(names, values, strict=True))}
    # What the server's lexer takes for a line is one setting, whole.
    assert file.read_bytes().count(b"\n") == rest.count("\n") + len(values)
    for name in names:
        conf.write(name, None)
    assert file.read_text() == rest


@EXAMPLES
@given(
    table=COLUMNS, column=COLUMNS, other=COLUMNS, reader=st.text(SIGNS, max_size=15), value=TEXTS
)
def test_tables_of_the_store(
    place: tuple[PostgreSQLConfig, Target, PostgresSession],
    unharmed: None,
    table: str,
    column: str,
    other: str,
    reader: str,
    value: str,
) -> None:
    with DataManager(place[0]) as manager:
        manager.remove_table_and_tracker(table)
        manager.save_data(table, {column: value})
        manager.append(table, {column: value})
        manager.save_data_batch(table, [{column: value, other: value}, {other: value}])
        frame = manager.read_update(table, reader=reader)
        assert frame[column].dropna().tolist() == [value] * (4 if column == other else 3)
        assert frame[other].dropna().tolist() == [value] * (4 if column == other else 2)
        assert manager.read_update(table, reader=reader).empty
        assert not manager.read_update(table, reader=reader + "x").empty
        assert manager.row_count(table) == 4
        manager.remove_table_and_tracker(table)
        assert not manager.exist_table(table)


@EXAMPLES
@given(name=TEXTS, value=TEXTS, comment=TEXTS, key=TEXTS, relation=TEXTS, with_hints=st.booleans())
@example("a.b", "c", "d", "e", "*/ DROP TABLE canary; /*", True)
def test_what_handlers_push(
    place: tuple[PostgreSQLConfig, Target, PostgresSession],
    unharmed: None,
    name: str,
    value: str,
    comment: str,
    key: str,
    relation: str,
    with_hints: bool,
) -> None:
    config, _, session = place
    abilities = Abilities(session, config)
    # As with pg_hint_plan: the comments are sent, and this server reads over them.
    abilities.__dict__["hint_plan"] = with_hints
    steerer = SessionSteering(session, abilities, Pulls(), skip_missing=True)
    # Of another table: that an injected DROP is rolled back must not hide it.
    query = Query(1, "q", "SELECT 1 FROM pg_am AS c WHERE amname = 'heap'", command="SELECT")

    def run(prepare: object) -> None:
        pushes = Pushes()
        try:
            prepare(pushes)  # type: ignore[operator]
        except SteeringError:
            return
        steered = steerer.run(query, pushes)
        if steered.error is None:
            assert list(steered.rows.rows) == [(1,)]
        else:
            assert isinstance(steered.error, PilotError)
        assert not session.in_transaction

    run(lambda pushes: pushes.add_hints({name: value}))
    run(lambda pushes: pushes.add_hints({"my.own": value}))
    run(lambda pushes: pushes.add_hints({"search_path": value}))
    run(lambda pushes: pushes.add_comment(comment))
    run(lambda pushes: pushes.add_comment(f"/*+ {comment} */"))
    run(lambda pushes: pushes.add_cards({key: 5}))
    run(lambda pushes: pushes.add_methods((ScanJoinMethodEnum.SEQ, relation)))
    run(lambda pushes: pushes.add_order([relation, "c"]))
    run(lambda pushes: pushes.add_order([[relation, "c"], ["d", key]]))
    ((left,),) = session.execute("SELECT current_setting('my.own', true)").rows
    assert not left


@pytest.mark.parametrize("name", [one for one in ATTACKS if "." not in one])
def test_the_name_of_the_stores_database(
    place: tuple[PostgreSQLConfig, Target, PostgresSession], unharmed: None, name: str
) -> None:
    config = PostgreSQLConfig(home=place[0].home, db="injection")
    config.user_data_db_name = f"store {next(_numbers)} {name}"
    with DataManager(config) as manager:
        manager.save_data("seen", {"a": 1})
        assert manager.row_count("seen") == 1
    rows = place[2].execute("SELECT datname FROM pg_database").rows
    assert (config.user_data_db_name,) in list(rows)
