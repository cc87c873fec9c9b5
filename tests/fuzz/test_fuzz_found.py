"""What fuzzing has found, one test for each: they must never come back."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pilotcli.common.errors import ConfigError, PluginError, SteeringError, WorkloadError
from pilotcli.config import load_config
from pilotcli.config.secrets import masked_dsn, names_secret
from pilotcli.databases.changes.autoconf import FileAutoConf
from pilotcli.databases.knobs.values import as_texts
from pilotcli.drivers.plans import plan_features
from pilotcli.plugins.importing import load_object
from pilotcli.steering.auto_explain import read_auto_explain
from pilotcli.steering.planner.messages import HEAD, Report, parse_report
from pilotcli.workload import open_workload


def test_a_variable_that_doubles_with_every_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grow.sql"
    path.write_text("\\set v 'xxxxxxxxxxxxxxxx'\n" + "\\set v :v:v\n" * 60 + "SELECT :'v';\n")
    with pytest.raises(WorkloadError, match="grow beyond 64,000,000 bytes") as raised:
        list(open_workload([path]))
    assert raised.value.line is not None
    assert 20 < raised.value.line < 30


def test_a_long_argument_of_a_command_takes_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "long.sql"
    path.write_text("\\set v " + "x" * 2_000_000 + "\nSELECT 1;\n")  # 10 ** 12 bytes copied before
    assert len(list(open_workload([path]))) == 1


def test_files_of_one_name_and_different_kinds_keep_different_labels(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1")
    (tmp_path / "a.csv").write_text("sql\nSELECT 2\n")
    (tmp_path / "a.sql.gz").write_bytes(gzip.compress(b"SELECT 3"))
    labels = [query.label for query in open_workload([tmp_path])]
    assert labels == ["a.csv", "a.sql", "a.sql.gz"]


@pytest.mark.parametrize("path", ["\0", "\0/a", "a/\0*", "*\0/?"])
def test_a_path_with_a_zero_byte_is_refused(path: str) -> None:
    with pytest.raises(WorkloadError, match="cannot be used as a path"):
        open_workload([path])


def test_an_override_of_one_long_word_takes_linear_time(tmp_path: Path) -> None:
    assert not names_secret("x" * 2_000_000)  # 10 ** 12 steps before
    assert names_secret("{db: 1, my-password: x}")
    with pytest.raises(ConfigError):
        load_config(None, ["run.workers=" + "x" * 1_000_000], cwd=tmp_path)


def test_the_passwords_of_a_long_text_are_looked_for_in_linear_time() -> None:
    masked_dsn("://a:" * 200_000)
    masked_dsn("@" + "://a:" * 200_000)
    masked_dsn("://" + "?" * 1_000_000)
    assert "secret" not in masked_dsn("postgresql://u:se:cr@secret@h/d?a?password=secret&b=1")


def test_a_message_about_a_variable_does_not_repeat_a_megabyte(tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").write_text("home: '" + "${X:-" * 100_000 + "'\n")
    with pytest.raises(ConfigError) as raised:
        load_config(None, environ={}, cwd=tmp_path)
    assert len(raised.value.message) < 1_000


def test_forged_notices_are_passed_over() -> None:
    forged = [
        "INFO:  " + HEAD + '"applied":["x"]}',
        "INFO:  " + HEAD + "broken",
        "INFO:  " + HEAD + '"ignored":[1]}',
    ]
    assert parse_report(forged) == Report(passed_over=3)
    assert read_auto_explain(['duration: 1 ms  plan:\n{"Query Text": "x"}'])[0] is None
    plan = '{"Node Type": "Result", "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1,'
    plan += ' "Plan Width": 4'
    for text in (
        f'{{"Query Text": "x", "Plan": {plan}, "Plans": [1]}}}}',
        f'{{"Query Text": "x", "Plan": {plan}, "Plans": 1}}}}',
        '{"Query Text": "x", "Plan": 7}',
        '{"Query Text": 7, "Plan": {}}',
        "[1]",
    ):
        assert read_auto_explain([f"duration: 1.5 ms  plan:\n{text}"], "x")[0] is None
    real = f'duration: 1.5 ms  plan:\n{{"Query Text": "SET a; x", "Plan": {plan}}}}}'
    assert read_auto_explain([real], "x ")[0] is not None
    assert read_auto_explain([real], "y")[0] is None
    assert read_auto_explain([real], "EXECUTE y(1)") == (None, 1)
    prepared = real.replace("SET a; x", "prepare y(int) as x")  # what EXECUTE is reported with
    assert read_auto_explain([prepared], "execute y(1)")[0] is not None
    assert read_auto_explain([prepared], "SELECT y(1)") == (None, 1)
    assert read_auto_explain(['1.2.3 ms  plan:\n{"Plan": {}}'])[0] is None


def test_numbers_that_no_float_holds() -> None:
    assert "rows" not in plan_features({"Plan": {"Node Type": "Result", "Plan Rows": 10**400}})
    odd = {"Node Type": "Nested Loop", "Plans": [{}, {"Node Type": []}]}
    assert plan_features(odd)["nodes"] == 3
    with pytest.raises(SteeringError, match="not an integer of"):
        as_texts({"work_mem": 10**5000})


def test_other_settings_survive_a_write(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.auto.conf"
    path.write_bytes("a = 'x\u2028y\rz'\nb = '1'".encode())
    conf = FileAutoConf(tmp_path)
    conf.write("c", "2\r")
    assert conf.read() == {"a": "x\u2028y\rz", "b": "1", "c": "2\r"}


def test_a_file_of_a_user_that_is_not_there_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "w.sql").write_text("SELECT 1;\n\\i ~nobody-of-that-name/x.sql\n")
    with pytest.raises(WorkloadError, match="~nobody-of-that-name/x") as raised:
        list(open_workload([tmp_path / "w.sql"]))
    assert raised.value.line == 2
    with pytest.raises(PluginError, match="~nobody-of-that-name/x"):
        load_object("~nobody-of-that-name/x.py:A", tmp_path)
