"""Logs that are text: by the prefix that is given, or guessed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from pilot_starter import PILOT, run_pilot

from pilotcli.common.errors import UsageError, WorkloadError
from pilotcli.workload import open_workload
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
    "i": "SELECT",
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
            line(prefix, "LOG:  statement: SELECT 3", l="19", p="77", c="69a7c2bf.4d", a="psql"),
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
    guessed = found.prefix.replace("%q", "")
    assert guessed == prefix.replace("%q", "").replace("%h", "%r")


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
    with pytest.raises(WorkloadError) as problem:
        find_logs([tmp_path / "a.log"], "%t (%p) ")
    assert str(problem.value).startswith(
        f"{tmp_path}/a.log:2: no line begins as --prefix '%t (%p) ' says; the first entry is: "
        "2026-03-04 05:06:07.250 UTC [4242] LOG:  duration: 250.000 ms"
    )


PEOPLE = [
    {"u": "bench", "d": "bench", "a": "pgbench", "h": "[local]", "r": "[local]", "p": "101"},
    {"u": "ann", "d": "shop", "a": "psql", "h": "127.0.0.1", "r": "127.0.0.1(99)", "p": "102"},
    {"u": "bob", "d": "shop", "a": "web app", "h": "::1", "r": "::1(5433)", "p": "103"},
    {"u": "[unknown]", "d": "[unknown]", "a": "[unknown]", "h": "db.example", "r": "db(7)",
     "p": "104"},
]  # fmt: skip


def of_people(prefix: str, counts: tuple[int, ...] = (60, 20, 10, 2)) -> str:
    """A log of several users: a statement of each after the other, that names the user's place."""
    lines, number = [], 0
    for person, count in enumerate(counts):
        for _ in range(count):
            number += 1
            second = f"{number // 60:02d}:{number % 60:02d}"
            values = {
                **PEOPLE[person],
                "m": f"2026-03-04 05:{second}.250 CET",
                "t": f"2026-03-04 05:{second} CET",
                "n": f"17726007{number:02d}.250",
                "l": str(2 * number),
                "c": f"69a7c2bf.{101 + person:x}",
            }
            if number % 7 == 0:
                lines.append(line(prefix.partition("%q")[0], "LOG:  checkpoint", **values))
                values["l"] = str(2 * number + 1)
            lines.append(line(prefix, f"LOG:  statement: SELECT {person}", **values))
    return "".join(lines)


OF_PEOPLE = {
    "%m [%p] %q%u@%d/%a ": "uda",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ": "uda",
    "< %m %u %d %p %s > ": "",
    "%m %p %u %d %a %h ": "",
    "%m | %d | %u | %a | %p | ": "",
    "%n|%c|%l|%u|%d|": "",
    "[%m] [%u] [%d] [%p] [%a]: ": "",
    "%t:%r:user=%u,db=%d,app=%a,client=%h:[%p]: [%l-1]": "uda",
    "%m %l %p db=%d %u ": "d",
    "%t %s %p %u@%d %a %i ": "ud",
    "%u@%d %m [%p] ": "ud",
    "%m [%p] prod %u@%d ": "ud",
    "%m [%p-%l] %q%u@%d ": "ud",
    "%m\t%p\t%u\t%d\t": "",
    "%m [%p] user: %u, db: %d ": "",
}
"""Prefixes, and which names a guess must know. Of the others it must say that it does not."""


@pytest.mark.parametrize("prefix", OF_PEOPLE)
@pytest.mark.parametrize("counts", [(60, 20, 10, 2), (3, 6, 0, 0), (3, 0, 0, 0), (0, 1, 1, 1)])
def test_a_guess_loses_no_statement_of_any_user(
    tmp_path: Path, prefix: str, counts: tuple[int, ...]
) -> None:
    path = tmp_path / "monday.log"
    path.write_text(of_people(prefix, counts))
    (log,) = find_logs([path])
    found = list(LogConverter().read([log]))
    assert [int(one.sql[-1]) for one in found] == [
        person for person, count in enumerate(counts) for _ in range(count)
    ]
    for one in found:
        values = PEOPLE[int(one.sql[-1])]
        known = {"u": one.user, "d": one.database, "a": one.application}
        for letter, name in (("u", "user"), ("d", "database"), ("a", "application")):
            expected = values[letter].replace("[unknown]", "")
            if known[letter] or (letter in OF_PEOPLE[prefix] and sum(counts) > 50):
                assert known[letter] == expected
            elif f"%{letter}" in prefix and expected:
                assert name in log.guess().partition("no statement has its ")[2]
        session = {values["p"], f"69a7c2bf.{int(values['p']):x}"}
        assert one.session in session or (prefix.startswith("%m %l") and sum(counts) == 3)


def test_a_column_that_is_the_same_in_the_whole_head_is_no_text_of_the_prefix(
    tmp_path: Path,
) -> None:
    prefix = "%m [%p] %q%u@%d/%a "
    (tmp_path / "a.log").write_text(of_people(prefix, (3_000, 50, 0, 0)))
    (log,) = find_logs([tmp_path / "a.log"])
    assert "pgbench" not in log.format.prefix
    assert len(list(LogConverter().read([log]))) == 3_050


def test_entries_with_another_prefix_are_counted_and_shown(tmp_path: Path) -> None:
    text = of_people("%m [%p] %u@%d ") + line("%t %u ", "ERROR:  no", u="x")
    text += line("%m [%p] %u@%d ", "STATEMENT:  SELECT 1") + line("%t %u ", "LOG:  checkpoint")
    (tmp_path / "a.log").write_text(text)
    for prefix in (None, "%m [%p] %u@%d "):
        converter = LogConverter()
        assert len(list(converter.read(find_logs([tmp_path / "a.log"], prefix)))) == 92
        (note,) = [note for note in converter.notes() if "begin" in note]
        assert note.startswith("left out: 1 entry that does not begin as log_line_prefix = '%m [%p")
        assert note.endswith(
            f"the first is {tmp_path}/a.log:106: 2026-03-04 05:06:07 UTC x ERROR:  no"
        )


def test_a_log_with_many_entries_of_another_prefix_is_refused(tmp_path: Path) -> None:
    text = of_people("%m [%p] %u@%d ") + 6 * line("%m %u [%p] ", "LOG:  duration: 1 ms")
    (tmp_path / "a.log").write_text(text)
    with pytest.raises(WorkloadError, match=r"a\.log:106: 6 entries of 98 begin otherwise"):
        statements(tmp_path / "a.log", "%m [%p] %u@%d ")


def test_a_log_whose_prefix_cannot_be_guessed_is_refused_as_that(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("at 05:06:07 LOG:  statement: SELECT 1\n" * 9)
    for path in (tmp_path / "a.log", tmp_path):
        with pytest.raises(
            WorkloadError, match=r"a\.log:1: the log_line_prefix of this log cannot"
        ):
            find_logs([path])


def test_empty_logs_are_passed_over_among_others(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("")
    for path in (tmp_path / "a.log", tmp_path):
        with pytest.raises(WorkloadError, match=r"a\.log: the log is empty"):
            find_logs([path])
    (tmp_path / "b.log").write_text(log("%m [%p] "))
    assert len(find_logs([tmp_path / "a.log", tmp_path / "b.log"])) == 1


def test_verbose_entries_have_a_state_and_a_location(tmp_path: Path) -> None:
    text = log("%m [%p] %u@%d ").replace("LOG:  ", "LOG:  00000: ")
    text = text.replace("ERROR:  ", "ERROR:  22012: ").replace("STATEMENT:", "LOCATION:  f, a.c:1\n"
        + line("%m [%p] %u@%d ", "STATEMENT:")[:-1])  # fmt: skip
    (tmp_path / "a.log").write_text(text)
    first, second = statements(tmp_path / "a.log")
    assert (first.sql, second.sql) == ("SELECT 'a\nb',\n\t2", "SELECT 3")


def test_a_run_refuses_a_log_whose_prefix_cannot_be_guessed(tmp_path: Path) -> None:
    entries = "at 05:06:07 LOG:  statement: SELECT 1\n"
    (tmp_path / "a.log").write_text(entries)
    with pytest.raises(WorkloadError, match=r"a\.log:1: the log_line_prefix of this log cannot"):
        list(open_workload([str(tmp_path / "a.log")]))
    (tmp_path / "a.sql").write_text(f"-- {entries}SELECT 1;")
    assert [query.sql for query in open_workload([str(tmp_path / "a.sql")])] == ["SELECT 1"]


def test_standard_input(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(
        [PILOT, "workloads", "from-log", "-", "-o", "-"],
        input=of_people("%m [%p] %u@%d "),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count("\n") == 92
    assert done.stderr.splitlines() == [
        "<stdin>: guessed log_line_prefix = '%m [%p] %q%u@%d '; give another one with --prefix",
        "wrote standard output: 92 statements of 1:31",
        "the statements are from several databases: bench (60), shop (30), (none) (2)",
    ]
    assert not list((tmp_path / "temporary").glob("pilot-workload-*"))


def test_the_command_says_that_a_log_does_not_have_what_where_asks_for(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(of_people("%m %p %u %d "))
    words = ["workloads", "from-log", "a.log", "-o", "-", "--where"]
    done = run_pilot(*words, "database = shop", cwd=tmp_path)
    assert done.returncode == 2
    assert "a.log: no statement has its database, which --where asks for" in done.stderr
    done = run_pilot(*words, "database = shop", "--prefix", "%m %p %-1u %d ", cwd=tmp_path)
    assert "asks for" not in done.stderr
    assert done.stdout.count("\n") == 30
