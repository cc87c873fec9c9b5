"""The error of a driver's call is shown with its place in the driver's own files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import DriverError
from pilotcli.common.failures import failure_of, is_users, own_traceback, place_of

DRIVER = """import json
def reads(text):
    return json.loads(text)
def ends():
    raise SystemExit(3)
def wraps(text):
    try:
        reads(text)
    except ValueError as exc:
        raise RuntimeError("no plan") from exc
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of a driver in the file drivers.py of the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "drivers.py"
    path.write_text(DRIVER)
    names: dict[str, Any] = {}
    exec(compile(DRIVER, str(path), "exec"), names)
    return names


def raised(call: Any, *arguments: object) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call(*arguments)
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # type: ignore[union-attr]
    return caught.value


def test_the_place_is_the_innermost_of_the_drivers_own(driver: dict[str, Any]) -> None:
    error = raised(driver["reads"], "{")
    assert place_of(error) == "drivers.py:3"
    assert failure_of(error).startswith("drivers.py:3: JSONDecodeError: Expecting")


def test_an_exit_has_its_place(driver: dict[str, Any]) -> None:
    assert failure_of(raised(driver["ends"])) == "drivers.py:5: it called sys.exit(3)"


def test_an_error_of_pilots_own_has_the_place_of_its_cause(driver: dict[str, Any]) -> None:
    error = DriverError("the model cannot be saved")
    error.__cause__ = raised(driver["reads"], "{")
    assert place_of(error) == "drivers.py:3"
    assert place_of(DriverError("nobody raised it")) is None
    assert failure_of(DriverError("nobody")) == "DriverError: nobody"


def test_a_file_elsewhere_has_its_whole_path(
    driver: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert place_of(raised(driver["ends"])) == f"{tmp_path}/drivers.py:5"


def test_the_own_traceback_leaves_out_what_others_have_written(driver: dict[str, Any]) -> None:
    text = own_traceback(raised(driver["wraps"], "{"))
    assert [line.strip() for line in text.splitlines() if line.startswith("  File")] == [
        f'File "{Path("drivers.py").absolute()}", line 8, in wraps',
        f'File "{Path("drivers.py").absolute()}", line 3, in reads',
        f'File "{Path("drivers.py").absolute()}", line 10, in wraps',
    ]
    assert text.count("JSONDecodeError: Expecting") == 1
    assert text.endswith("RuntimeError: no plan\n")


def test_what_is_not_the_users(tmp_path: Path) -> None:
    assert is_users(str(tmp_path / "drivers.py"))
    assert not is_users(subprocess.__file__)
    assert not is_users(pytest.__file__)
    assert not is_users("<frozen importlib._bootstrap>")
    assert not is_users(sys.modules[DriverError.__module__].__file__ or "")
