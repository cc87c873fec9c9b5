from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pilotcli.common.errors import ConfigError, Problem, StorageError, UsageError
from pilotcli.views.console import Writer, err, error, out, wants_color, wants_live
from pilotcli.views.jsonl import JsonlView
from pilotcli.views.live import LiveView
from pilotcli.views.plain import PlainView
from pilotcli.views.view import make_view


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_go_to_their_streams(capsys: pytest.CaptureFixture[str]) -> None:
    out("one")
    err("two")
    out()
    assert capsys.readouterr() == ("one\n\n", "two\n")


def test_an_error_is_told_with_its_hint_and_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error(UsageError("no such file: \x1b[31mx.sql\nsecond line", hint="Check the name."))
    assert capsys.readouterr().err == (
        "error: no such file: x.sql\n  second line\n  Check the name.\n"
    )


def test_all_problems_of_a_config_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("bad key", "c.yaml", 1, 2, hint="Use good."), Problem("worse", "c.yaml", 9)]
    error(ConfigError(problems))
    assert capsys.readouterr().err.splitlines() == [
        "error: 2 problems in the config",
        "  c.yaml:1:2: bad key",
        "      Use good.",
        "  c.yaml:9: worse",
    ]


def test_an_error_is_red_where_colour_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    error(UsageError("no"))
    assert capsys.readouterr().err == "\x1b[1;31merror:\x1b[0m no\n"


@pytest.mark.parametrize(
    ("settings", "choice", "stream", "expected"),
    [
        ({}, None, Tty(), True),
        ({}, None, io.StringIO(), False),
        ({}, None, None, False),
        ({}, False, Tty(), False),
        ({"NO_COLOR": "1"}, None, Tty(), False),
        ({"NO_COLOR": ""}, None, Tty(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, Tty(), False),
        ({"NO_COLOR": "1"}, True, io.StringIO(), True),
        ({"FORCE_COLOR": "1"}, None, io.StringIO(), True),
        ({"FORCE_COLOR": "0"}, None, Tty(), False),
        ({"TERM": "dumb"}, None, Tty(), False),
    ],
)
def test_who_decides_on_colour(
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    choice: bool | None,
    stream: Any,
    expected: bool,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert wants_color(stream, choice) is expected


def test_a_closed_stream_is_no_terminal() -> None:
    with Path(os.devnull).open() as stream:
        pass
    assert not wants_live(stream)
    assert not wants_live(object())


@pytest.mark.parametrize(
    ("options", "settings", "tty", "expected"),
    [
        ({}, {}, True, LiveView),
        ({}, {}, False, PlainView),
        ({}, {"TERM": "dumb"}, True, PlainView),
        ({}, {"CI": "true"}, True, PlainView),
        ({"format": "live"}, {"CI": "true"}, True, LiveView),
        ({"format": "live"}, {}, False, PlainView),
        ({"format": "plain"}, {}, True, PlainView),
        ({"quiet": True}, {}, True, PlainView),
        ({"format": "jsonl"}, {}, True, JsonlView),
    ],
)
def test_which_view_is_made(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    settings: dict[str, str],
    tty: bool,
    expected: type,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert type(make_view(stream=Tty() if tty else io.StringIO(), **options)) is expected


@pytest.mark.parametrize("format", ["auto", "plain", "jsonl"])
def test_a_view_keeps_to_the_stream_of_its_beginning(
    make: Any, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", first)
    with make_view(format=format) as view:
        monkeypatch.setattr(sys, "stdout", second)
        view(make.started())
        view(make.ended())
    assert first.getvalue()
    assert not second.getvalue()
    assert "\x1b" not in first.getvalue()


def test_a_stream_without_unicode_gets_one_character_for_one() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Writer(stream).write("━─▶ 85 µs … 東 ↓\n")
    assert raw.getvalue() == b"#-> 85 us ~ ? v\n"


def test_a_closed_pipe_silences_a_writer() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        writer = Writer(stream)
        writer.write("nobody reads this")
        assert writer.closed
        writer.write("nor this")


def test_a_full_disk_is_no_closed_pipe() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as stream:
        writer = Writer(stream)
        writer.write("x")
        writer.write("y")
    assert writer.closed
    with pytest.raises(StorageError, match="No space left"):
        writer.check()


def test_no_stream_at_all_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    out("x")
    with make_view() as view:
        view("y")


def test_out_ends_when_the_reader_has_gone_without_noise_at_exit() -> None:
    code = """
from pilotcli.views.console import out
try:
    for _ in range(100_000):
        out("x" * 100)
except BrokenPipeError:
    raise SystemExit(42)
"""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert os.read(reader, 10) == b"x" * 10
    os.close(reader)
    _, noise = process.communicate(timeout=60)
    assert (process.returncode, noise) == (42, "")


def test_rich_is_not_loaded_for_a_log() -> None:
    modules = "sys, pilotcli.views.plain, pilotcli.views.jsonl"
    code = f"import {modules}; print('rich.console' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
