"""Logs that are text: by the prefix that is given, or guessed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotcli.common.errors import UsageError, WorkloadError
from pilotcli.workload.logs.convert import LogConverter
from pilotcli.workload.logs.files import find_logs, log_format
from pilotcli.workload.logs.statements import LoggedStatement

VALUES = {
    "m": "2026-03-04 05:06:07.250 UTC",
    "t": "2026-03-04 05:06:07 UTC",
    "n": "1772600767.250",
    "p": "4242",
    "u": "ann-b",
    "d": "shop_1",
    "a": "web app",
    "r": "10.0.0.7(5432)",
    "h": "10.0.0.7",
    "c": "69a7c2bf.1092",
    "l": "17",
    "e": "00000",
    "s": "2026-03-04 05:00:00 UTC",
    "v": "3/17",
    "x": "0",
    "q": "",
    "%": "%",
}


def line(prefix: str, text: str, **values: str) -> str:
    """A line as a server with this prefix writes it."""
    known = {**VALUES, **values}
    return (
        re.sub(r"%(.)", lambda found: known[found[1]], prefix) + text.replace("\n", "\n\t") + "\n"
    )


def log(prefix: str) -> str:
    return "".join(
        [
            line(prefix.partition("%q")[0], "LOG:  database system is ready"),
            line(prefix, "LOG:  duration: 250.000 ms  execute <unnamed>: SELECT $1,\n\t2"),
            line(prefix, "DETAIL:  Parameters: $1 = 'a\nb'"),
            line(prefix, "ERROR:  no\nway", l="18"),
            line(prefix, "STATEMENT:  SELECT\n1/0"),
            line(prefix, "LOG:  statement: SELECT 3", l="19", p="77", c="69a7c2bf.2", a="psql"),
        ]
    )


def statements(path: Path, prefix: str | None = None) -> list[LoggedStatement]:
    return list(LogConverter().read(find_logs([path], prefix)))


PREFIXES = [
    "%m [%p] ",
    "%m [%p] %q%u@%d ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%r ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t-%c-",
    "%m [%p]: [%l-1] db=%d,user=%u ",
    "%n %p %u@%d ",
    "< %m %u@%d %c >",
    "%m [%p] %q%u@%d %a %c %l ",
    "%m pid=%p db=%d user=%u %% ",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("given", [True, False], ids=["given", "guessed"])
def test_a_prefix(tmp_path: Path, prefix: str, given: bool) -> None:
    path = tmp_path / "monday.log"
    path.write_text(log(prefix))
    first, second = statements(path, prefix if given else None)
    assert first.sql == "SELECT 'a\nb',\n\t2"
    assert second.sql == "SELECT 3"
    assert first.duration_s == 0.25
    if "%m" in prefix or "%n" in prefix:
        assert second.started - first.started == pytest.approx(0.25)
    for letter, value in (("u", first.user), ("d", first.database), ("a", first.application)):
        assert value == (VALUES[letter] if f"%{letter}" in prefix else "")
    assert first.session != second.session
    assert first.session == (VALUES["c"] if "%c" in prefix else VALUES["p"])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_guess_is_the_prefix_itself_or_as_good(prefix: str) -> None:
    found = log_format(log(prefix).encode())
    assert found is not None
    assert (found.kind, found.guessed) == ("stderr", True)
    assert found.prefix.replace("%h", "%r") == prefix.replace("%q", "").replace("%h", "%r") or (
        prefix in ("%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",)
    )


def test_names_that_nobody_knows_are_empty(tmp_path: Path) -> None:
    text = line("%m [%p] %u@%d ", "LOG:  statement: SELECT 1", u="[unknown]", d="[unknown]")
    (tmp_path / "a.log").write_text(text)
    (one,) = statements(tmp_path / "a.log")
    assert (one.user, one.database) == ("", "")


def test_a_width_fills_with_spaces(tmp_path: Path) -> None:
    text = line("%m [%p] %u ", "LOG:  statement: SELECT 1", u="ann       ", p="   42")
    (tmp_path / "a.log").write_text(text)
    (one,) = statements(tmp_path / "a.log", "%m [%5p] %-10u ")
    assert (one.user, one.session) == ("ann", "42")


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("%m ", "no time .* or no session"), ("%p ", "no time"), ("%m %p %z ", "%z, which")],
)
def test_a_prefix_that_is_not_enough_is_refused(tmp_path: Path, prefix: str, message: str) -> None:
    (tmp_path / "a.log").write_text(log("%m [%p] "))
    with pytest.raises(UsageError, match=message):
        find_logs([tmp_path / "a.log"], prefix)


def test_a_prefix_that_does_not_match_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(log("%m [%p] "))
    with pytest.raises(WorkloadError, match="this is no log"):
        find_logs([tmp_path / "a.log"], "%t (%p) ")
