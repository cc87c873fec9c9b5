"""Plans, notices, manifests, logs and knobs of any form: a value, or a `PilotError`."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fuzzing import cases, damaged, json_values, odd_texts
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pilotcli.common.errors import CheckpointError, PilotError, SteeringError, StorageError
from pilotcli.databases.changes.autoconf import FileAutoConf, _list_of
from pilotcli.databases.changes.log import Book, ChangeLog, Entry, Owner
from pilotcli.databases.knobs.values import as_texts
from pilotcli.drivers.plans import plan_features, plan_nodes, worst_misestimate
from pilotcli.steering.auto_explain import read_auto_explain
from pilotcli.steering.planner.messages import HEAD, Report, parse_report
from pilotcli.steering.subplans.explain import _read_report
from pilotcli.storage.checkpoints.checkpoints import CheckpointStore
from pilotcli.storage.checkpoints.manifest import read_manifest

_KEYS = [
    *("Node Type", "Plan Rows", "Total Cost", "Plans", "Alias", "Relation Name", "Actual Rows"),
    *("Actual Loops", "Filter", "Hash Cond", "Parent Relationship", "Join Type", "Plan"),
    *("Startup Cost", "Plan Width", "Workers Planned", "Subplan Name", "Strategy"),
]
_KINDS = ["Seq Scan", "Hash Join", "Nested Loop", "Append", "Limit", "Hash", "Gather", "Aggregate"]
_plans = st.recursive(
    st.dictionaries(st.sampled_from(_KEYS), json_values | st.sampled_from(_KINDS), max_size=6),
    lambda inner: st.fixed_dictionaries(
        {"Node Type": st.sampled_from(_KINDS), "Plans": st.lists(inner, max_size=3)},
        optional=dict.fromkeys(_KEYS[1:3], json_values),
    ),
    max_leaves=8,
)


def _deep(depth: int) -> dict[str, Any]:
    plan: dict[str, Any] = {"Node Type": "Result"}
    for _ in range(depth):
        plan = {"Node Type": "Limit", "Plans": [plan]}
    return {"Plan": plan}


@cases(400)
@given(json_values | _plans | _plans.map(lambda plan: {"Plan": plan}) | st.text(max_size=20))
def test_any_plan_has_features_that_are_numbers(plan: object) -> None:
    for shape in (plan, json.dumps(plan), [plan]):
        assert all(math.isfinite(value) for value in plan_features(shape).values())
        worst = worst_misestimate(shape)
        assert worst is None or worst.factor >= 1
        list(plan_nodes(shape))


def test_a_plan_of_any_depth_has_features() -> None:
    assert plan_features(_deep(5_000))["depth"] == 5_000
    assert plan_features("[" * 100_000) == {}


_messages = st.builds(
    "{}{}{}".format,
    st.sampled_from(["INFO:  ", "", "x" * 70]),
    st.sampled_from(
        [HEAD[:-1], "pilot_planner 1 ", "pilot_planner 1", "pilot_subplans ", "duration: 1.5 ms\n"]
    ),
    st.dictionaries(
        st.sampled_from(
            [
                *("applied", "ignored", "blocks", "sets", "planning_ms", "execution_ms", "plan"),
                *("rows", "failure", "Plan"),
            ]
        ),
        json_values
        | st.lists(st.integers(), max_size=3)
        | st.lists(st.tuples(st.integers(), st.text(max_size=3)), max_size=2)
        | st.lists(
            st.fixed_dictionaries(dict.fromkeys(("number", "relations", "tree"), json_values)),
            max_size=2,
        ),
        max_size=4,
    ).map(json.dumps)
    | st.text(max_size=20).map(lambda text: "{" + text)
    | st.sampled_from(["{" + "[" * 100_000, '{"applied":[0]}', '{"plan":', "{" * 100]),
)


@cases(600)
@given(st.lists(_messages, max_size=3))
@example([f'INFO:  {HEAD}"planning_ms": {10**400}}}'])
@example([f'{HEAD}"blocks":[],"sets":{{"1":[[1,{10**400}]]}}}}'])
@example([HEAD + '"blocks":[],"sets":{"1":[[1,7]]}}'])
def test_any_notices_are_read_or_passed_over(notices: list[str]) -> None:
    report = parse_report(notices)
    assert all(isinstance(number, int) for number in report.applied)
    assert all(isinstance(number, int) for number, _ in report.ignored)
    for known in report.sets.values():
        assert all(isinstance(mask, int) and isinstance(rows, float) for mask, rows in known)
    found, _ = read_auto_explain(notices)
    if found is not None:
        assert found[0] >= 0
        assert set(json.loads(found[1])) == {"Plan"}
    try:
        report = _read_report(notices, "pilot_subplans ", 2)
    except PilotError:
        return
    assert report["failure"] is not None or len(report["rows"]) == 2


def test_a_message_of_another_form_does_not_hide_the_one_behind_it() -> None:
    forged = "INFO:  " + HEAD + '"applied":"no list","naming_ms":1}'
    real = "INFO:  " + HEAD + '"applied":[0],"planning_ms":0.5,"plan":{"Plan": {}}}'
    assert parse_report([forged, real]) == Report(
        (0,), planning_ms=0.5, plan_text='{"Plan": {}}', passed_over=1
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    store = CheckpointStore(tmp_path / "models")
    made = store.save("m", lambda folder: (folder / "a").write_text("a"), model_class="a.B")
    return made.path


@cases(300)
@given(st.data())
def test_any_manifest_is_read_or_refused(checkpoint: Path, data: st.DataObject) -> None:
    path = checkpoint / "manifest.json"
    good = path.read_bytes()
    content = json.loads(good)
    if data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(content)))
        content[key] = data.draw(json_values | st.lists(st.dictionaries(st.text(), json_values)))
        text = json.dumps(content).encode("utf-8", "surrogatepass")
    else:
        text = data.draw(damaged([good], [b"[" * 50_000, b"9" * 5000, b"NaN", b"null", b"\xff"]))
    path.write_bytes(text)
    try:
        version, files, _ = read_manifest(checkpoint)
    except CheckpointError as error:
        assert str(path) in error.message or "newer pilot" in error.message
    else:
        assert isinstance(version.version, int)
        assert isinstance(version.created_at, (int, float))
        assert all(isinstance(file.name, str) for file in files)
        assert all(isinstance(value, float) for value in version.metrics.values())
    finally:
        path.write_bytes(good)


@pytest.fixture
def log(tmp_path: Path) -> ChangeLog:
    log = ChangeLog(tmp_path / "home")
    entries = [Entry("setting", "work_mem", {"before": None, "after": "4MB"})]
    Book(log, Owner.new(), "7", "here").plan(entries)
    return log


@cases(150)
@given(
    st.sampled_from(["detail", "server", "kind", "name", "state", "host", "pid_start", "token"]),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=9) | st.text(max_size=9),
)
def test_any_row_of_the_log_is_read_or_refused(log: ChangeLog, column: str, value: object) -> None:
    connection = sqlite3.connect(log.path)
    (before,) = connection.execute(f"SELECT {column} FROM changes").fetchone()
    try:
        connection.execute(f"UPDATE changes SET {column} = ?", (value,))
    except sqlite3.Error:  # NULL, or half of a surrogate pair
        connection.close()
        return
    connection.commit()
    try:
        assert len(log.pending()) == 1
    except StorageError as error:
        assert str(log.path) in error.message
    connection.execute(f"UPDATE changes SET {column} = ?", (before,))
    connection.commit()
    connection.close()


@cases(150)
@given(st.data())
def test_any_file_in_the_place_of_the_log_is_read_or_refused(
    log: ChangeLog, data: st.DataObject
) -> None:
    good = log.path.read_bytes()
    log.path.write_bytes(data.draw(damaged([good, good[:4096]])))
    try:
        log.pending()
    except StorageError as error:
        assert str(log.path) in error.message
    finally:
        log.path.write_bytes(good)


_lines = st.lists(
    st.sampled_from(
        [
            *("work_mem = '4MB'\n", "a.b = 'x''y\\\\'\n", "# a comment\n", "port=1 # x\n", "= 1\n"),
            *("x '", "\n", "\r", "\x0c", "\u2028", "'", " " * 3000, "a = '" + "\\" * 3000),
        ]
    )
    | st.text(max_size=8),
    max_size=6,
).map("".join)
_values = st.text(max_size=20).filter(
    lambda text: ("\0" not in text and text.isascii()) or text.isprintable()
) | st.sampled_from(["a\rb", "a\r\nb", "a\u2028b", "a\x85b", "a\x0bb", "it's \\n", "\n", " "])


@cases(300)
@given(_lines, _values)
def test_a_setting_is_read_back_as_it_was_written(tmp_path: Path, lines: str, value: str) -> None:
    assume("\0" not in value)
    path = tmp_path / "postgresql.auto.conf"
    path.write_bytes(lines.encode("utf-8", "surrogatepass"))
    conf = FileAutoConf(tmp_path)
    before = conf.read()
    conf.write("pilot.setting", value)
    after = conf.read()
    assert after.pop("pilot.setting") == value
    before.pop("pilot.setting", None)
    if lines.endswith("\n") or not lines:
        assert after == before
    conf.write("pilot.setting", None)
    assert "pilot.setting" not in conf.read()


@cases(300)
@given(odd_texts | st.lists(st.sampled_from(['"', ",", " ", "a", '""', "é"])).map("".join))
def test_any_list_of_a_setting_is_taken_apart(text: str) -> None:
    assert all(isinstance(one, str) for one in _list_of(text))


@cases(300)
@given(
    st.dictionaries(odd_texts | st.sampled_from(["work_mem", "a.b"]), json_values, max_size=3)
    | json_values
)
def test_any_knobs_are_texts_or_refused(knobs: Any) -> None:
    try:
        texts = as_texts(knobs)
    except SteeringError as error:
        assert len(error.message) < 75_000
        return
    assert all("\0" not in text and "\n" not in text for text in texts.values())
