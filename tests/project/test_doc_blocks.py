"""Every code block of the README and of the pages in docs/ is run, loaded, or compared."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from doc_blocks import ROOT, Block, blocks, commands
from project_folder import Project

import pilotcli
from pilotcli.cli.commands import COMMANDS, load_command
from pilotcli.cli.main import _with_run
from pilotcli.compat.subplan_keys import cards_of
from pilotcli.config import PostgreSQLConfig, load_config
from pilotcli.config.schema import config_schema
from pilotcli.databases.controller.index_sql import create_statement
from pilotcli.databases.session.server_place import CONTAINER, ServerPlace
from pilotcli.steering.planner.advice import Need, how_to_install
from pilotcli.steering.subplans.described import NamedCards, SubPlan
from pilotcli.workload import open_workload

TUTORIALS = {
    ("events.md", "Tutorial: a pretraining event"),
    ("events.md", "Test your driver"),
    ("steering.md", "Tutorial: a handler"),
    ("debugging.md", "Tutorial: one event, one query"),
    ("pilotscope.md", "Tutorial: from a script to `pilot run`"),
    *((block.page, block.heading) for block in blocks() if block.page == "tutorial.md"),
}
"""Run by `test_tutorials.py`, each as a whole."""
ELSEWHERE = {
    ("README.md", "Your own event in five minutes"): "test_readme.py runs it",
    ("ci.md", "GitHub Actions"): "test_ci_page.py runs it",
    ("debugging.md", "Where a call failed"): "test_runner.py makes a run end with this line",
    ("events.md", "The columns of a collected table"): "test_collected_row.py runs it",
    ("events.md", "Saving from any event"): "test_saved_by_events.py runs it",
    ("events.md", "The queries to come"): "test_shown_workload.py runs it",
    ("steering.md", "Rights on a server of your own"): "test_granted_rights.py grants them",
    ("steering.md", "Libraries for other roles"): "test_granted_rights.py runs them",
}
SHOWN = {
    ("comparing.md", ""): "figures of a run of the demo",
    ("ci.md", "What to expect"): "figures of a run of the demo",
    ("signals.md", ""): "a command only",
    ("workloads.md", "Load shapes"): "figures of a machine",
}
"""Output that is shown and depends on the machine; tests of the views hold its words."""
PROGRAMS = {"cd", "echo", "cat", "zcat", "grep", "jq", "pip", "pytest", "pg_dump", "python3"}
PROGRAMS |= {"pipx", "rm", "uv"}


def place(block: Block) -> tuple[str, str]:
    return block.page, block.heading


CONSTRUCTOR = ("steering.md", "Push handlers")
SHELL = [
    pytest.param(words, id=f"{block}-{number}")
    for block in blocks("sh", "console")
    for number, words in enumerate(commands(block))
]


@pytest.mark.parametrize("words", SHELL)
def test_each_command_is_one(words: list[str]) -> None:
    while "=" in words[0]:
        words = words[1:]
    program, *arguments = words
    if Path(program).name == "pilot":
        path = next(path for path in (" ".join(arguments[:2]), *arguments[:1]) if path in COMMANDS)
        rest = _with_run(arguments[len(path.split()) :])
        load_command(path).make_context("pilot", rest)  # raises for what it does not take
        files = [word for word in rest if word.startswith(("workloads/", "configs/"))]
    elif program in ("python", "python3", ".venv/bin/python") and arguments[0] == "-m":
        module = ROOT.joinpath(*arguments[1].split("."))
        own = module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        assert own or importlib.util.find_spec(arguments[1])
        files = []
    elif program == "python":
        files = arguments[:1]
    elif program.startswith(".ci/"):
        files = [program]
    else:
        assert Path(program).name in PROGRAMS
        files = []
    for file in files:
        assert (ROOT / file).exists()


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_each_config_loads(block: Block, tmp_path: Path) -> None:
    if place(block) in ELSEWHERE:
        return
    (tmp_path / "pilot.yaml").write_text(block.text, "utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block.text), "secret")
    assert load_config(cwd=tmp_path, environ=environ) != load_config(
        cwd=tmp_path.parent, environ={}
    )
    jsonschema.validate(yaml.safe_load(block.text), config_schema())


@pytest.mark.parametrize("page", ["events.md", "steering.md"])
def test_the_first_example_runs(page: str, project: Project) -> None:
    code, config = (block for block in blocks("python", "yaml") if place(block) == (page, ""))
    (file,) = re.findall(r"(\w+\.py):", config.text)
    project.write(file, code.text)
    project.write("w.sql", "SELECT 1 AS comments;\n" * 40)
    project.config(config.text)
    finished = project.run("w.sql")
    assert (finished.exit_code, finished.reasons) == (0, ())
    assert finished.steered == (40 if page == "steering.md" else 0)
    assert finished.event_firings == (2 if page == "events.md" else 0)


def test_the_handler_with_a_constructor_runs(project: Project) -> None:
    code, config = (block for block in blocks("python", "yaml") if place(block) == CONSTRUCTOR)
    model = (
        "from pilotcli import PilotModel\n"
        "class Arms(PilotModel):\n"
        "    def save_model(self): pass\n"
        "    def load_model(self): self.model = {'SELECT 1': {'work_mem': '7MB'}}\n"
    )
    project.write("drivers.py", code.text + model)
    project.write("w.sql", "SELECT 1; SELECT 2;")
    project.config(config.text)
    finished = project.run("w.sql", sets=("models.arms.load=true",))
    assert (finished.exit_code, finished.steered) == (0, 1)


def block_of(page: str, heading: str, language: str = "python") -> str:
    (found,) = (one.text for one in blocks(language) if place(one) == (page, heading))
    return found


def test_the_signatures_of_events() -> None:
    classes = ast.parse(block_of("events.md", "The four classes")).body
    assert len(classes) == 4
    for cls in classes:
        assert isinstance(cls, ast.ClassDef)
        for method in cls.body:
            assert isinstance(method, ast.FunctionDef)
            real = inspect.signature(getattr(getattr(pilotcli, cls.name), method.name))
            plain = [
                one.replace(annotation=inspect.Parameter.empty) for one in real.parameters.values()
            ]
            shown = ast.unparse(method.args).replace("=", " = ")
            assert shown == ", ".join(map(str, plain)).replace("=", " = ").replace("  ", " ")


def test_the_model_is_one(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(block_of("events.md", "Models"), names)
    saved, loaded = names["MyModel"]("m"), names["MyModel"]("m")
    saved.model = {"a": 1}
    saved.dump(tmp_path)
    loaded.restore(tmp_path)
    assert loaded.model == saved.model


class MyEvent(pilotcli.QueryFinishEvent):
    """For the example "From Python"."""

    def process(self, db_controller: object, data_manager: Any) -> None:
        print(f"{len(data_manager.read_all('plans'))} rows")


@pytest.fixture
def python(pilot_config: PostgreSQLConfig) -> Any:
    """Runs an example on the shared server; returns its names."""

    def run(text: str, **names: object) -> dict[str, Any]:
        text = text.replace("PostgreSQLConfig()", "shared").replace('"SELECT ..."', "sql")
        exec(text, known := {"shared": pilot_config, **names})
        return known

    return run


def test_from_python(python: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = block_of("events.md", "From Python").replace(
        "    rows = ", "    for _ in range(10):\n        rows = "
    )
    assert list(map(list, python(text, MyEvent=MyEvent)["rows"])) == [[1]]
    assert capsys.readouterr().out == "10 rows\n"


SQL = "SELECT a.n FROM generate_series(1, 9) a(n) JOIN generate_series(1, 9) b(n) ON a.n = b.n"


def test_by_hand(python: Any, capsys: pytest.CaptureFixture[str]) -> None:
    python(block_of("steering.md", "By hand: `PilotDataInteractor`"), sql=SQL)
    time, node = capsys.readouterr().out.split(maxsplit=1)
    assert float(time) > 0
    assert node.strip() in ("Merge Join", "Hash Join", "Nested Loop")


def test_true_rows_in_plans(python: Any, pilot_config: PostgreSQLConfig) -> None:
    with pilotcli.PilotDataInteractor(pilot_config) as interactor:
        sql = "SELECT 1 FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
        session = interactor.db_controller.session()
        plan = session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}").rows[0][0][0]
        names = {"interactor": interactor, "sql": sql, "plan": plan}
        known = python(block_of("steering.md", "True rows in plans"), **names)
    assert sorted(known["plans"].keys.values()) == sorted(known["plans"].cards)
    assert known["rows"] and len(known["true_rows"]) <= len(known["plans"].keys)


def test_the_kinds_of_indexes_of_the_example(pilot_config: PostgreSQLConfig) -> None:
    lines = block_of("steering.md", "Knobs and indexes").splitlines()
    known: dict[str, Any] = {}
    exec(lines[0], known)
    with pilotcli.PilotDataInteractor(pilot_config) as interactor:
        connection = interactor.db_controller.session().connection
        statements = [
            create_statement(eval(line, known)).as_string(connection) for line in lines[2:]
        ]
    assert [statement.replace('"', "") for statement in statements] == [
        "CREATE INDEX by_owner ON posts (owner, score)",
        "CREATE INDEX  ON posts (score DESC NULLS LAST) INCLUDE (id)",
        "CREATE UNIQUE INDEX  ON users (lower(name)) WHERE (active)",
        "CREATE INDEX  ON posts USING gin (tags) WITH (fastupdate=off)",
    ]


def test_the_advisor_of_the_example(project: Project, pilot_config: PostgreSQLConfig) -> None:
    project.write("drivers.py", block_of("steering.md", "What-if indexes"))
    project.write(
        "w.sql",
        "SELECT id FROM posts WHERE owner_id = 7;"
        "SELECT 1 / (count(*) = 1)::int AS made FROM pg_indexes"
        " WHERE tablename = 'posts' AND indexdef LIKE '%(owner_id)';",
    )
    project.config("handlers: [drivers.py:Advises]")
    with pilotcli.PilotDataInteractor(pilot_config) as interactor:
        session = interactor.db_controller.session()
        session.execute(
            "CREATE TABLE posts AS SELECT n AS id, n AS owner_id, n AS score"
            " FROM generate_series(1, 20000) AS n; ANALYZE posts"
        )
        try:
            finished = project.run("w.sql")
            assert (finished.exit_code, finished.reasons) == (0, ())
        finally:
            session.execute("DROP TABLE posts")


def test_what_is_copied_into_a_container() -> None:
    copied, installed = block_of("steering.md", "The planner module", "text").splitlines()
    built = Path(copied.split()[2])
    libraries = "/usr/lib/postgresql/17/lib"
    place_ = ServerPlace(CONTAINER, True, None, None, libraries, None)
    advice = how_to_install(Need("17.5", False, built), place_)
    assert f"`{copied.replace('shop:', 'CONTAINER:')}`" in advice
    assert f"`{installed.replace(' shop ', ' CONTAINER ')}`" in advice


def test_the_keys_of_the_example(pilot_config: PostgreSQLConfig) -> None:
    text = block_of("steering.md", "Sub-plan queries", "sql")
    keys = block_of("steering.md", "Sub-plan queries", "text").splitlines()
    with pilotcli.PilotDataInteractor(pilot_config) as interactor:
        session = interactor.db_controller.session()
        session.execute(
            "CREATE TABLE posts (id int, owner_id int, score int);"
            "CREATE TABLE users (id int, country text)"
        )
        interactor.pull_subquery_card()
        try:
            assert list(interactor.execute(text).subquery_2_card) == keys
        finally:
            session.execute("DROP TABLE posts, users")


def test_the_key_of_pilotscope() -> None:
    key = block_of("pilotscope.md", "What to know", "sql").strip()
    sql = key.partition("*/ ")[2].removesuffix(";")
    subplan = SubPlan("", frozenset("ub"))
    assert list(cards_of(NamedCards({sql: 1.0}, [], lambda: {subplan: sql}))) == [key]


def test_the_label_of_the_example(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(block_of("workloads.md", "Labels", "sql"))
    with open_workload([tmp_path / "w.sql"]) as queries:
        assert [query.label for query in queries] == ["orders_a_day"]


def test_the_expected_answers_of_the_examples(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text(block_of("workloads.md", "Expected answers", "sql"))
    (tmp_path / "w.csv").write_text(block_of("workloads.md", "Expected answers", "text"))
    with open_workload([tmp_path / "w.sql", tmp_path / "w.csv"]) as queries:
        found = {query.label: query.facts.expect for query in queries}
    assert list(found) == ["badges", "q1", "q2", "q3"]
    assert None not in found.values()


HERE = {
    *(("events.md", heading) for heading in ("", "The four classes", "Models", "From Python")),
    *(("steering.md", heading) for heading in ("", "True rows in plans", "Sub-plan queries")),
    *(("steering.md", heading) for heading in ("Knobs and indexes", "The planner module")),
    ("steering.md", "What-if indexes"),
    CONSTRUCTOR,
    ("steering.md", "By hand: `PilotDataInteractor`"),
    ("pilotscope.md", "What to know"),
    ("workloads.md", "Labels"),
    ("workloads.md", "Expected answers"),
}


def test_every_block_is_held() -> None:
    others = [block for block in blocks() if block.language not in ("sh", "yaml")]
    others = [block for block in others if block.page != "troubleshooting.md"]
    held = {*HERE, *TUTORIALS, *ELSEWHERE, *SHOWN}
    assert [str(block) for block in others if place(block) not in held] == []
    assert held == {place(block) for block in blocks() if place(block) in held}
