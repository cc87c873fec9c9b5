"""Logs as a server writes them are read back exactly; cut or damaged ones are read or refused."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fuzzing import cases, damaged
from hypothesis import assume, given
from hypothesis import strategies as st
from server_logs import Fields, csvlog_of, jsonlog_of, textlog_of
from sql_texts import fragments, one_statement, pieces, quoted, words

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import open_workload
from pilotcli.workload.logs.choice import Choice
from pilotcli.workload.logs.convert import LogConverter, write_jsonl
from pilotcli.workload.logs.files import find_logs, log_format
from pilotcli.workload.logs.statements import LoggedStatement

PREFIXES = (
    "%m [%p] %l %q%u@%d ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m:%r:%u@%d:[%p]:%l:%e:%c:%q%a:",
    "%n %c %l %a ",
)
FORMATS = ("csvlog", "jsonlog", *PREFIXES)
MODES = ("durations", "statements", "statements alone")
_EPOCH = 1772600700  # 2026-03-04 05:05:00 UTC


@dataclass
class Sent:
    """What a client sends at once: its text, what is read of it, and the values apart from it."""

    text: str
    read: list[str]
    values: list[str | None] | None = None


@st.composite
def simple(draw: st.DrawFn) -> Sent:
    """One statement, several, or none."""
    texts = draw(st.lists(one_statement, max_size=3))
    end = draw(st.sampled_from(["", ";", " ; ", "\n", ";;"]))
    return Sent("; ".join(texts) + end, texts)


@st.composite
def extended(draw: st.DrawFn) -> Sent:
    """One statement with parameters."""
    values = draw(st.lists(st.none() | pieces, min_size=1, max_size=11))
    parts = draw(st.lists(fragments | st.integers(1, len(values)), min_size=1, max_size=5))
    word = draw(words)
    text = " ".join([word, *(f"${part}" if isinstance(part, int) else part for part in parts)])
    literals = ["NULL" if value is None else _literal(value) for value in values]
    filled = [literals[part - 1] if isinstance(part, int) else part for part in parts]
    return Sent(text, [" ".join([word, *filled])], values)


def _literal(value: str) -> str:
    return " E" + quoted(value).replace("\\", "\\\\") if "\\" in value else quoted(value)


@dataclass
class Session:
    number: int
    free_us: int = 0
    lines: int = 0
    in_block: bool = False
    aborted: bool = False


@dataclass
class Server:
    """Writes what it is told, as one with these settings; `read` is what a log's reader finds."""

    mode: str
    rows: list[tuple[int, Fields]] = field(default_factory=list)
    read: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=lambda: [Session(n) for n in range(3)])

    def send(self, session: Session, sent: Sent, gap_us: int, spent_us: int, fails: bool) -> None:
        begin = session.free_us + gap_us
        session.free_us = end = begin + spent_us
        word = sent.text.strip(" ;\n")
        ends_block = word in ("COMMIT", "ROLLBACK")
        fails = (fails and word != "BEGIN") or session.aborted
        fails = fails and not ends_block and bool(sent.read)
        kind = "statement" if sent.values is None else "execute S_1/C:2"
        detail = "" if sent.values is None else "Parameters: " + ", ".join(
            f"${n} = {'NULL' if value is None else quoted(value)}"
            for n, value in enumerate(sent.values, 1)
        )  # fmt: skip
        took = f"duration: {spent_us // 1000}.{spent_us % 1000:03} ms"
        if self.mode != "durations":
            self.log(session, begin, f"{kind}: {sent.text}", detail=detail)
        if fails:
            self.log(session, end, "it failed", error_severity="ERROR", statement=sent.text,
                     state_code="22012", hint="Mend\nit.")  # fmt: skip
        elif self.mode == "durations":
            self.log(session, end, f"{took}  {kind}: {sent.text}", detail=detail)
        elif self.mode == "statements":
            self.log(session, end, took)
        read = ["ROLLBACK"] if word == "COMMIT" and session.aborted else sent.read
        if not fails:
            alone = len(read) == 1 and self.mode != "statements alone"
            found = self.read.setdefault(f"65a1f.{session.number}", [])
            found += [(one, spent_us if alone else None) for one in read]
        if ends_block:
            session.in_block = session.aborted = False
        elif word == "BEGIN" and not fails:
            session.in_block = True
        elif fails and session.in_block:
            session.aborted = True

    def log(self, session: Session, at_us: int, message: str, **more: str) -> None:
        session.lines += 1
        ms = at_us // 1000
        second, minute = ms // 1000 % 60, ms // 60_000
        row = {
            "timestamp": f"2026-03-04 05:{5 + minute:02}:{second:02}.{ms % 1000:03} UTC",
            "epoch": f"{_EPOCH + ms // 1000}.{ms % 1000:03}",
            "user": "ann", "dbname": "shop", "pid": str(77 + session.number),
            "from": "10.0.0.7:5432", "session_id": f"65a1f.{session.number}",
            "line_num": str(session.lines), "ps": "SELECT", "txid": "0", "vxid": "3/2",
            "session_start": "2026-03-04 05:00:00 UTC", "error_severity": "LOG",
            "state_code": "00000", "message": message, "application_name": "web app",
            "backend_type": "client backend", "query_id": "0", **more,
        }  # fmt: skip
        self.rows.append((at_us, row))

    def entries(self) -> list[Fields]:
        return [row for _, row in sorted(self.rows, key=lambda timed: timed[0])]


@st.composite
def servers(draw: st.DrawFn) -> Server:
    """A server that three sessions have sent statements to."""
    server = Server(draw(st.sampled_from(MODES)))
    control = st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK", "COMMIT;"])
    for _ in range(draw(st.integers(1, 8))):
        session = server.sessions[draw(st.integers(0, 2))]
        sent = draw(simple() | extended() | control.map(lambda word: Sent(word, [word.strip(";")])))
        gap, spent = draw(st.integers(0, 3_000_000)), draw(st.integers(1, 9_000_000))
        server.send(session, sent, gap, spent, draw(st.booleans()) and draw(st.booleans()))
        if draw(st.booleans()):
            noise = draw(st.sampled_from(["connection received", "statement: SELECT 'raised'"]))
            severity = draw(st.sampled_from(["WARNING", "NOTICE"]))
            server.log(session, session.free_us, noise, error_severity=severity)
    return server


def written(rows: Sequence[Fields], format: str) -> bytes:
    if format == "csvlog":
        return csvlog_of(rows).encode()
    if format == "jsonlog":
        return jsonlog_of(rows).encode()
    return textlog_of(rows, format).encode()


def read(path: Path, data: bytes, format: str) -> list[LoggedStatement]:
    path.write_bytes(data)
    prefix = format if format in PREFIXES else None
    if log_format(data, prefix) is None:
        return []
    # A log is told by its first 64 KiB.
    assume(log_format(data[: 1 << 16], prefix) is not None)
    return list(LogConverter(Choice(with_failed=False)).read(find_logs([path], prefix)))


def bare(sql: str) -> str:
    """A statement without what may stand around it: space and semicolons."""
    return sql.strip(" \t\n\r\f\v;")


def session_of(one: LoggedStatement) -> str:
    return one.session if "." in one.session else f"65a1f.{int(one.session) - 77}"


@pytest.mark.parametrize("format", FORMATS)
@cases(60)
@given(server=servers())
def test_what_a_server_logged_is_read_back(tmp_path: Path, server: Server, format: str) -> None:
    found: dict[str, list[tuple[str, int | None]]] = {}
    before = 0.0
    for one in read(tmp_path / "a.log", written(server.entries(), format), format):
        spent = None if one.duration_s is None else round(one.duration_s * 1e6)
        found.setdefault(session_of(one), []).append((bare(one.sql), spent))
        assert one.started >= before
        before = one.started
        assert one.database == ("shop" if "log" in format or "%d" in format else "")
    expected = {
        name: [(bare(sql), spent) for sql, spent in sent]
        for name, sent in server.read.items()
        if sent
    }
    assert found == expected


def _shown(statements: Sequence[LoggedStatement]) -> list[tuple[str, str, str, float | None]]:
    """What was read, whatever line it came from."""
    return [(session_of(one), one.label, one.sql, one.duration_s) for one in statements]


@pytest.mark.parametrize("format", FORMATS)
@cases(60)
@given(server=servers(), data=st.data())
def test_a_log_that_is_cut_loses_what_is_at_the_cut(
    tmp_path: Path, server: Server, format: str, data: st.DataObject
) -> None:
    rows = server.entries()
    texts = [written([row], format) for row in rows]
    ends = [0]
    for text in texts:
        ends.append(ends[-1] + len(text))
    whole = b"".join(texts)
    at = data.draw(st.integers(0, len(whole)), label="cut at")
    if data.draw(st.booleans(), label="between entries"):
        at = max(end for end in ends if end <= at)
    path = tmp_path / "a.log"
    # The end is missing.
    inside = [row for row, end in zip(rows, ends[1:], strict=True) if end <= at]
    found = _shown(read(path, whole[:at], format))
    expected = _shown(read(path, written(inside, format), format))
    if len(inside) < len(rows) and whole[at : ends[len(inside) + 1]] in (b"\n", b"0\n"):
        expected = found  # only the end of the line is missing, or the query's identifier
    elif format in PREFIXES and found != expected:
        # The lines of the statement are there; nobody can see whether others are missing.
        if not whole[:at].endswith(b"\n"):
            true = _shown(read(path, written(rows[: len(inside) + 1], format), format))
            assert all(one in true for one in found)
        found = [one for one in found if one in expected]
        if rows[len(inside)]["error_severity"] == "ERROR":  # whose STATEMENT is missing
            expected = [one for one in expected if one in found]
    assert found == expected
    # The beginning is missing.
    inside = [row for row, end in zip(rows, ends, strict=False) if end >= at]
    found = _shown(read(path, whole[at:], format))
    assert found == _shown(read(path, written(inside, format), format))


_LOGS = [
    (format, written(server_rows, format))
    for format in FORMATS
    for server_rows in [
        [
            {**row, "detail": "Parameters: $1 = 'it''s', $2 = NULL"} if n % 2 else row
            for n, row in enumerate(
                {
                    "timestamp": f"2026-03-04 05:05:0{n}.250 UTC", "epoch": f"{_EPOCH + n}.250",
                    "user": "ann", "dbname": "shop", "pid": "77", "from": "10.0.0.7:5432",
                    "session_id": "65a1f.1", "line_num": str(n), "ps": "SELECT", "txid": "0",
                    "error_severity": severity, "state_code": "00000", "message": message,
                    "application_name": "web", "backend_type": "client backend", "query_id": "0",
                    "statement": "SELECT 1/0" if severity == "ERROR" else "",
                }
                for n, (severity, message) in enumerate(
                    [
                        ("LOG", "statement: BEGIN"),
                        ("LOG", "duration: 1.000 ms  execute <unnamed>: SELECT $1,\n '$2', $2"),
                        ("ERROR", "division by zero"),
                        ("LOG", "execute a/b: SELECT E'\\'' -- \"x\"\n, $1"),
                        ("LOG", "duration: 3.000 ms"),
                        ("LOG", "duration: 2.000 ms  plan:\nQuery Text: SELECT 7\n"
                         "Result  (cost=0.00..0.01 rows=1 width=4)"),
                        ("LOG", "statement: COMMIT; SELECT ';'"),
                    ]
                )
            )
        ]
    ]
]  # fmt: skip
_TOKENS = [
    *(b'"', b'""', b",", b"\n", b"\r", b"\n\t", b"\t", b"\0", b"\xff", b"'", b"$1", b"{", b"}"),
    *(b"[", b"null", b"5", b"LOG:  ", b"ERROR:  ", b"DETAIL:  ", b"STATEMENT:  ", b"statement: "),
    *(
        b"duration: ",
        b"1e999 ms",
        b"\\ud800",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"[" * 3000,
        b"9" * 5000,
    ),
    *(b'"message":', b'"timestamp":', b'"error_severity":"ERROR",', b"2026-13-04", b"99:99"),
    b"+99:99",
]


def _reads_or_refuses(path: Path, prefix: str | None) -> None:
    try:
        logs = find_logs([path], prefix)
        statements = list(LogConverter().read(logs))
    except WorkloadError as error:
        assert error.message
        assert error.line is None or error.line >= 1
        assert error.file is not None or "there is no log in" in error.message
    else:
        for one in statements:
            assert one.line >= 1
            one.sql.encode()
            assert "\0" not in one.sql
        with (path.parent / "w.jsonl").open("wb") as file:
            write_jsonl(statements, file)
        if statements:
            with open_workload([path.parent / "w.jsonl"]) as workload:
                assert len(list(workload)) == len(statements)
    try:
        with open_workload([path]) as workload:
            for query in workload:
                query.label.encode()
    except WorkloadError as error:
        assert error.message


@pytest.mark.parametrize(("format", "log"), _LOGS, ids=FORMATS)
@cases(200)
@given(data=st.data())
def test_a_damaged_log_reads_or_is_refused(
    tmp_path: Path, format: str, log: bytes, data: st.DataObject
) -> None:
    made = data.draw(damaged([log, log[:-3], log + log], _TOKENS))
    packed = data.draw(st.booleans())
    path = tmp_path / "a.log"
    path.write_bytes(gzip.compress(made, 1) if packed else made)
    _reads_or_refuses(path, format if format in PREFIXES and data.draw(st.booleans()) else None)


@pytest.mark.parametrize(("format", "log"), _LOGS, ids=FORMATS)
@cases(200)
@given(data=st.data())
def test_a_log_with_a_flipped_bit_reads_or_is_refused(
    tmp_path: Path, format: str, log: bytes, data: st.DataObject
) -> None:
    made = bytearray(log)
    for _ in range(data.draw(st.integers(1, 2))):
        made[data.draw(st.integers(0, len(made) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "a.log"
    path.write_bytes(made)
    _reads_or_refuses(path, format if format in PREFIXES else None)
