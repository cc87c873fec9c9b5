"""What a config may say, what it means, and what is said about one that is wrong."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import ConfigError
from pilotcli.config import RunConfig, choose_embedded, load_config
from pilotcli.config.home import shown_path
from pilotcli.config.model import CollectSection, RunSection, StoreSection

EVERYTHING = """\
home: state
database:
  dsn: postgresql://ann@db/shop
  embedded: no
  name: 007
  postgres_bin: /opt/pg/bin
  settings: {shared_buffers: 1GB, work_mem: 0100, jit: off, random_page_cost: 1.10}
  session:
    enable_seqscan: yes
  setup: [schema.sql, ../data.sql]
  connect_timeout: 500ms
store:
  database: seen
run:
  timeout: 5min
  reconnect: 2min
  repeat: 3
  warmup: 1
  shuffle: true
  seed: -7
  limit: 10
  workers: 4
  max_failures: 2
  fail_fast: true
  pretraining: always
workload: [queries/, '-']
collect: {table: observed, physical_plan: true}
models:
  latency: {class: mine.py:Latency, args: {alpha: 1e-3}, load: 3, keep: 5, trust: true}
  plain: pkg.models.Plain
events:
  count: successful
  list:
    - pkg.Collect
    - class: pkg.Collect
      args: {interval_count: 5, names: [a, {deep: null}]}
      enabled: false
    - {name: Train, class: 'mine.py:Train', model: latency}
handlers:
  - {class: mine.py:Hints, model: plain}
"""


def test_every_key_is_read(tmp_path: Path, load: Any) -> None:
    config = load(EVERYTHING)
    at = tmp_path
    assert (config.path, config.base, config.home) == (at / "pilot.yaml", at, at / "state")
    database = config.database
    assert (database.dsn, database.embedded, database.name) == (
        "postgresql://ann@db/shop",
        False,
        "007",
    )
    assert database.postgres_bin == Path("/opt/pg/bin")
    assert database.settings == {
        "shared_buffers": "1GB",
        "work_mem": "0100",
        "jit": "off",
        "random_page_cost": "1.10",
    }
    assert database.session == {"enable_seqscan": "on"}
    assert database.setup == (at / "schema.sql", at / "../data.sql")
    assert database.connect_timeout == 0.5
    assert config.store == StoreSection(database="seen")
    assert config.run == RunSection(
        timeout=300.0,
        reconnect=120.0,
        repeat=3,
        warmup=1,
        shuffle=True,
        seed=-7,
        limit=10,
        workers=4,
        max_failures=2,
        fail_fast=True,
        pretraining="always",
    )
    assert config.workload == ("queries", "-")
    assert config.collect == CollectSection("observed", physical_plan=True)
    latency, plain = config.models
    assert (latency.name, latency.class_path, latency.args) == (
        "latency",
        "mine.py:Latency",
        {"alpha": 0.001},
    )
    assert (latency.load, latency.keep, plain.load, plain.keep) == (3, 5, "auto", None)
    assert (latency.trust, plain.trust) == (True, False)
    assert config.count == "successful"
    assert [one.name for one in config.events] == ["Collect", "Collect-2", "Train"]
    assert [one.enabled for one in config.events] == [True, False, True]
    assert config.events[1].args == {"interval_count": 5, "names": ["a", {"deep": None}]}
    assert (config.events[2].model, config.handlers[0].name) == ("latency", "Hints")
    mark = config.events[1].arg_marks["interval_count"]
    assert (mark.file, mark.line, mark.column) == ("pilot.yaml", 36, 14)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "~", "run:\nevents:\n", "\ufeff"])
def test_what_is_empty_means_the_defaults(tmp_path: Path, load: Any, text: str) -> None:
    assert load(text) == RunConfig(
        path=tmp_path / "pilot.yaml", base=tmp_path, home=tmp_path / ".pilot"
    )


def test_without_any_config_it_is_the_embedded_database(tmp_path: Path) -> None:
    config = load_config(environ={}, cwd=tmp_path)
    assert config == RunConfig(base=tmp_path, home=tmp_path / ".pilot")
    assert choose_embedded(config.database, {})


def test_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    text = "home: h\nworkload: q.sql\ndatabase: {setup: s.sql, postgres_bin: bin}"
    (tmp_path / "conf" / "a.yaml").write_text(text)
    config = load_config(Path("conf/a.yaml"), environ={}, cwd=tmp_path)
    at = tmp_path / "conf"
    assert (config.base, config.home, config.workload) == (at, at / "h", ("conf/q.sql",))
    assert (config.database.setup, config.database.postgres_bin) == ((at / "s.sql",), at / "bin")
    elsewhere = load_config(at / "a.yaml", environ={}, cwd=Path("/"))
    assert elsewhere.workload == (str(at / "q.sql").lstrip("/"),)


def test_the_default_home_is_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yaml").write_text("run: {repeat: 2}")
    assert load_config(Path("conf/a.yaml"), cwd=tmp_path).home == tmp_path / ".pilot"


def test_a_path_may_begin_at_the_users_home(load: Any, refused: Any) -> None:
    assert load("home: ~/pilot").home == Path("~/pilot").expanduser()
    assert "No user has the name" in refused("home: ~nobody-at-all/x")[0]


def test_aliases_and_merge_keys_work(load: Any) -> None:
    config = load("""\
models: {m: a.M}
events:
  - &base
    class: a.One
    model: m
    args: &args {interval_count: 5, deep: 1}
  - <<: *base
    class: a.Two
  - <<: [{model: m}, {class: a.Three, model: other}]
    args: {<<: *args, deep: 2}
""")
    one, two, three = config.events
    assert (two.class_path, two.model, two.args) == ("a.Two", "m", one.args)
    assert (three.class_path, three.model) == ("a.Three", "m")
    assert three.args == {"interval_count": 5, "deep": 2}
    assert two.class_mark is not None
    assert two.class_mark.line == 8


def test_all_problems_are_told_at_once_in_the_order_of_the_file(refused: Any) -> None:
    assert refused("""\
hom: x
run:
  repat: 3
  workers: 0
  timeout: 3 days
  pretraining: allways
database: [1]
collect: {}
models:
  a: {class: nodots}
  b: {clas: x.Y}
  c: {class: x.Y, load: soon, keep: 0}
events:
  - class: a.B
    model: lateny
    args: [1]
  - {name: q, class: x.Y, enabled: maybe}
  - {name: q, class: x.Y}
  - 5
  - {name: 'a,b', class: x.Y}
workload: {}
""") == [
        "pilot.yaml:1:1: the config has no key 'hom'\n    Did you mean 'home'?",
        "pilot.yaml:3:3: run has no key 'repat'\n    Did you mean 'repeat'?",
        "pilot.yaml:4:12: run.workers must be a whole number from 1 to 1000, not 0",
        "pilot.yaml:5:12: run.timeout must be a time above zero and below 24 days, not '3 days'\n"
        "    Write 500ms, 30s, 5min, 1h, or a number of seconds.",
        "pilot.yaml:6:16: run.pretraining cannot be 'allways'\n    Did you mean 'always'?",
        "pilot.yaml:7:11: database must be a mapping of keys, not a list",
        "pilot.yaml:8:10: collect.table is missing",
        "pilot.yaml:10:14: the model 'a': 'nodots' is not a class path\n"
        "    Write class: package.module.Class or class: path/to/file.py:Class",
        "pilot.yaml:11:7: the model 'b' has no key 'clas'\n    Did you mean 'class'?",
        "pilot.yaml:12:25: load must be auto, true, false or the number of a version, not 'soon'",
        "pilot.yaml:12:37: keep must be a whole number from 1 on, not 0",
        "pilot.yaml:15:12: the event 'B': there is no model 'lateny'\n    The models are: a, b, c.",
        "pilot.yaml:16:11: args must be a mapping of argument names to values, not a list",
        "pilot.yaml:17:36: enabled must be true or false, not 'maybe'",
        "pilot.yaml:18:12: event 3: the name 'q' is taken\n"
        "    Each needs a name of its own; `--events` chooses by it.",
        "pilot.yaml:19:5: event 4 must be a mapping of keys, not 5",
        "pilot.yaml:20:12: event 5: a name has no comma",
        "pilot.yaml:21:11: workload must be a text, not a mapping",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "1:1: a config is a mapping of keys, not a list\n    Begin with a key such as"),
        ("hello", "1:1: a config is a mapping of keys, not 'hello'"),
        ("run: {repeat: yes}", "1:15: run.repeat must be a whole number, not yes"),
        ("run: {repeat: '3'}", "1:15: run.repeat must be a whole number, not '3'"),
        ("run: {seed: 1.5}", "1:13: run.seed must be a whole number, not 1.5"),
        ("run: {timeout: 0}", "1:16: run.timeout must be a time above zero"),
        ("run: {timeout: -1s}", "1:16: run.timeout must be a time above zero"),
        ("run: {timeout: .inf}", "1:16: run.timeout must be a time above zero"),
        ("store: {database: ''}", "1:19: store.database must be a text that is not empty"),
        (
            "store: {database: on}",
            "1:19: store.database must be a text, not on\n    A text that looks",
        ),
        ("database: {settings: {a: [1]}}", "1:26: the setting a must be one value, not a list"),
        (
            "events: {list: [], number: 1}",
            "1:20: events has no key 'number'\n    Its keys are: count",
        ),
        ("events: {count: 3}", "1:17: count cannot be 3\n    One of: finished, successful."),
        ("events: a.B", "1:9: events must be a list of events, not 'a.B'\n    events: [{cl"),
        ("models: [a.B]", "1:9: models must be a mapping of names to models"),
        ("models: {'': a.B}", "1:10: a model needs a name"),
        ("events: [{}]", "1:10: event 1 has no class\n    Write class: package.module.Class"),
        ("events: [{class: }]", "1:10: event 1 has no class"),
        ("a: 1\nrun: {}\na: 2", "3:1: the key 'a' appears twice, first in line 1"),
        ("run: {[1]: 2}", "1:7: a key must be a single word, not a list or mapping"),
        ("run: {<<: 3}", "1:11: `<<` takes a mapping or a list of mappings"),
        ("run: {seed: !!int x}", "1:13: 'x' is no !!int"),
        (
            "run: {seed: !mine 3}",
            "1:13: a tag means nothing here\n    Quote a text that begins with !.",
        ),
        ("run: !!python/object:os.system {}", "1:6: the tag !!python/object:os.system means"),
        ("run: {seed: " + "9" * 400 + "}", "1:13: this number is too large"),
    ],
)
def test_a_value_that_does_not_hold(refused: Any, text: str, problem: str) -> None:
    problems = refused(text)
    assert any(one.startswith(f"pilot.yaml:{problem}") for one in problems), problems


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: b: c", "1:5", "Quote a value that holds ': '"),
        ("run: @x", "1:6", "Quote a value that begins with one of"),
        ("run:\n\tseed: 1", "2:1", "There is a tab in this line; indent with spaces."),
        ("run: {seed: 1", "1:14", ""),
        ("run: {seed: ${A:-1}}", "1:14", "Between { } or [ ] a variable needs quotes"),
        ("run: *here", "1:6", "Quote a text that begins with *."),
        ("a: 1\n---\nb: 1", "2:1", "Take out the line `---`"),
        ("run: \x07", "1:6", ""),
    ],
)
def test_what_is_no_yaml(refused: Any, text: str, place: str, hint: str) -> None:
    [one] = refused(text)
    problem, _, rest = one.partition("\n    ")
    # What comes after these words is PyYAML's.
    assert problem.startswith(f"pilot.yaml:{place}: this is no valid YAML: "), one
    assert rest.startswith(hint) and bool(rest) == bool(hint), one


def test_what_is_no_utf8(refused: Any) -> None:
    [one] = refused("run: {}\nhome: cafä".encode("latin-1"))
    assert one.startswith("pilot.yaml:2:10: the config is not UTF-8 text\n    Save it as UTF-8")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{" * 200_000,
        "a: " + "{a: " * 2_000,
        "- " * 5_000,
        "? " * 5_000,
        "ä: " + "[" * 2_000 + "]" * 2_000,
    ],
)
def test_a_deep_file_is_refused_not_crashed_on(refused: Any, text: str) -> None:
    [one] = refused(text)
    assert ": this is no valid YAML: this is nested more than 100 levels deep\n    Take out" in one


def test_a_mistake_after_many_brackets_is_not_called_deep(refused: Any) -> None:
    [one] = refused('a: "' + "[" * 2_000)
    assert "levels deep" not in one
    [one] = refused("a: [" + "[], " * 200 + "@")
    assert "Quote a value that begins with" in one


def test_a_bomb_of_aliases_does_not_go_off(refused: Any) -> None:
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for name, above in zip(names[1:], names, strict=False):
        lines.append(f"{name}: &{name} [{', '.join([f'*{above}'] * 10)}]")
    assert any("grows beyond 100000 values" in one for one in refused("\n".join(lines)))
    deep = "\n".join(f"{n}: &{n} {'[' * 90}{f'*{a}' if a else 1}{']' * 90}"
                     for n, a in zip("abcd", ["", *"abc"], strict=True))  # fmt: skip
    assert any("grows beyond 200 levels" in one for one in refused(deep))
    assert any("itself a part of" in one for one in refused("a: &a [*a]"))


def test_a_variable_behind_many_aliases_is_filled_once(refused: Any) -> None:
    aliases = ", ".join(["*a"] * 50_000)
    tracemalloc.start()
    try:
        refused(f'home: &a "${{V}}"\nother: [{aliases}]', environ={"V": "v" * 100_000})
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200e6  # a copy for each alias would be 5 GB


def test_a_huge_file_is_no_config(refused: Any) -> None:
    [one] = refused("# " + "x" * 4_000_000)
    assert "a config has at most 4 MB" in one


def test_paths_that_lead_to_no_config(tmp_path: Path) -> None:
    def refused(path: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load_config(Path(path), cwd=tmp_path)
        return str(caught.value)

    assert refused("a.yaml") == (
        "a.yaml: there is no such config\n    `pilot init` writes a config to start from."
    )
    (tmp_path / "forum.yaml").touch()
    assert "Did you mean 'forum.yaml'?" in refused("form.yaml")
    assert refused("no/a.yaml").startswith("no: there is no such folder")
    assert refused("forum.yaml/a.yaml").startswith("forum.yaml: there is no such folder")
    (tmp_path / "pilot.yaml").mkdir()
    assert refused("pilot.yaml").startswith("pilot.yaml: this is a folder, no config")
    with pytest.raises(ConfigError, match="this is a folder"):
        load_config(cwd=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_config_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_config(path)


def test_a_broken_link_is_not_taken_for_no_config(tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").symlink_to("gone.yaml")
    with pytest.raises(ConfigError, match="there is no such config"):
        load_config(cwd=tmp_path)


def test_a_path_is_shown_from_here_and_without_dots_where_that_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "deep" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "inner")
    for name in ("a.sql", "deep/b.sql"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "configs" / ".." / "a.sql") == "a.sql"
    assert shown_path(tmp_path / "link" / ".." / "b.sql") == "link/../b.sql"
    assert shown_path(tmp_path / "configs" / "*.sql") == "configs/*.sql"
