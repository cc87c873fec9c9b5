"""Replaced values: PostgreSQL takes them for the types that it took the values for."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from fuzzing import cases, json_values
from hypothesis import example, given
from hypothesis import strategies as st
from sql_texts import one_statement

from pilotcli.common.errors import QueryError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.protocols import Session
from pilotcli.workload.logs.anonymous import Anonymiser
from pilotcli.workload.logs.other_values import _KEPT

_ASCII = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_words = st.text(_ASCII + " .-_%'\"\\{}()[],:;äé/@\n$", max_size=14)
_hex = "0123456789abcdef"
_dates = st.dates(date(1, 1, 1))
_forms = st.sampled_from(["{0:04}-{1:02}-{2:02}", "{0:04}/{1}/{2}", "{0:04}{1:02}{2:02}"])
_dates_near = st.dates(date(1905, 1, 1), date(2090, 1, 1))


def _form(day: date, form: str) -> str:
    return form.format(day.year, day.month, day.day)


_iso = st.builds(_form, _dates, st.just("{0:04}-{1:02}-{2:02}"))
_times = st.sampled_from(["00:00", "10:15:00", "23:59:59.999999", "7:05 PM", "04:05:06+02"])
_day = (
    st.builds(_form, _dates_near, _forms)
    | _iso
    | st.builds(
        lambda day, form: day.strftime(form),
        _dates_near,
        st.sampled_from(["%m/%d/%Y", "%B %d, %Y", "%d-%b-%Y", "%d %b %Y", "J2451187", "%m.%d.%Y"]),
    )
    | st.builds(
        lambda year, day: f"{year}-{day.month:02}-{day.day:02}",
        st.integers(10_000, 290_000),
        _dates,
    )
    | st.builds(lambda year: f"{year:04}-02-28 BC", st.integers(1, 4700))
)
_moments = st.datetimes(datetime(1, 1, 1)).map(str) | st.builds(
    lambda day, join, time: day + join + time,
    _iso,
    st.sampled_from([" ", "T"]),
    st.sampled_from(["10:15:00Z", "10:15:00+02", "10:15:00.5 UTC", "23:59", "01:02:03-05:30"]),
)
_numbers = (
    st.integers(-(10**22), 10**22).map(str)
    | st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.builds("{}{}e{}".format, st.integers(-999, 999), st.just(".5"), st.integers(-30, 30))
)
_addresses = st.ip_addresses().map(str)
_networks = st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
    st.ip_addresses(v=4) | st.ip_addresses(v=6),
    st.integers(16, 32),
)
_json = st.builds(
    lambda value, ascii: json.dumps(value, ensure_ascii=ascii, allow_nan=False),
    json_values.filter(lambda value: not re.search("Inf|NaN|ud[89a-f]|u0000", json.dumps(value))),
    st.booleans(),
).filter(lambda text: text.isascii() or text.isprintable())


def _pairs(inner: st.SearchStrategy[int] | st.SearchStrategy[date]) -> st.SearchStrategy[str]:
    return st.tuples(inner, inner).map(lambda two: "[{},{})".format(*sorted(two)))


def _array(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quoted = inner.map(lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"')
    return st.lists(quoted | st.just("NULL"), max_size=4).map(lambda all: "{" + ",".join(all) + "}")


_digits_of = {
    "smallint": st.integers(-(2**15), 2**15 - 1).map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "oid": st.integers(0, 2**32 - 1).map(str),
    "numeric": _numbers,
    "double precision": _numbers | st.sampled_from(["1e308", "-1e+300", "1e-05", "5e-324"]),
    "real": st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    "money": st.decimals(0, 10**9, places=2).map(lambda number: f"${number:,}"),
    "text": _words,
    "date": _day,
    "timestamp": _moments,
    "timestamptz": _moments,
    "uuid": st.uuids().map(str) | st.uuids().map(lambda uuid: uuid.hex.upper()),
    "inet": _addresses | _networks,
    "cidr": _networks,
    "macaddr": st.text(_hex, min_size=12, max_size=12).map(lambda t: ":".join(re.findall("..", t))),
    "macaddr8": st.text(_hex, min_size=16, max_size=16),
    "bytea": st.binary(max_size=9).map(lambda data: "\\x" + data.hex()),
    "varbit": st.text("01", min_size=3, max_size=40),
    "json": _json,
    "jsonb": _json,
    "int[]": _array(st.integers(-(2**31), 2**31 - 1).map(str)),
    "text[]": _array(_words),
    "date[]": _array(_iso),
    "bytea[]": _array(st.binary(max_size=4).map(lambda data: "\\x" + data.hex())),
    "int4range": _pairs(st.integers(-(2**31), 2**31 - 1)),
    "daterange": _pairs(_dates),
    "box": _pairs(st.integers()).map(lambda pair: f"({pair[1:-1]}),({pair[1:-1]})"),
    "pg_lsn": st.builds("{:X}/{:X}".format, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    "tsvector": st.lists(st.text(_ASCII, min_size=1, max_size=8), max_size=3).map(" ".join),
}
_kept_of = {
    "boolean": st.sampled_from(["t", "false", "yes", "on", "1"]),
    "boolean[]": st.sampled_from(["{t,f,NULL}", "{true,false}"]),
    "time": _times,
    "timetz": _times,
    "interval": st.sampled_from(
        [
            *(
                "3 days",
                "1 year 2 mons -3 days 04:05:06",
                "P1Y2M3DT4H5M6S",
                "@ 1 minute ago",
                "1-2",
            ),
            *("1.5h", "3 day 14706 s 5 us", "P0001-02-03T04:05:06"),
        ]
    ),
    "timestamp": st.sampled_from(["infinity", "-infinity", "epoch", "now", "today", "allballs"]),
    "double precision": st.sampled_from(["NaN", "Infinity", "-inf", "0"]),
    "double precision[]": st.just("{NaN,NULL,-Infinity}"),
    "regclass": st.sampled_from(["pg_class", "pg_catalog.pg_type"]),
    "regtype": st.just("double precision"),
    "int4range": st.just("empty"),
    "jsonb": st.sampled_from(["null", "true", "[true, null]"]),
}


def _of(kinds: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[tuple[str, str]]:
    return st.sampled_from(sorted(kinds)).flatmap(
        lambda kind: st.tuples(st.just(kind), kinds[kind])
    )


def literal(text: str, escaped: bool) -> str:
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if escaped else f"'{doubled}'"


@pytest.fixture(scope="module")
def session(server_home: Path) -> Iterator[Session]:
    target = open_target(PostgreSQLConfig(home=server_home))
    with_settings = target.session(timeout_s=30)
    with_settings.execute("SET DateStyle = 'ISO, MDY'")
    yield with_settings
    with_settings.close()
    target.close()


def taken(session: Session, sql: str) -> bool:
    try:
        session.execute(sql)
    except QueryError:
        return False
    return True


def of_data(text: str) -> list[str]:
    """The words and numbers that say something: a lone zero and one digit may stay."""
    plain = re.sub(r"\\u....|\\.", " ", text)
    found = re.findall(r"[^\W\d_]{3,}|[1-9][0-9]{2,}", plain)
    return [part for part in found if not _KEPT.fullmatch(part)]


@cases(900)
@given(_of(_digits_of), st.booleans(), st.integers(1, 5), st.booleans())
@example(("double precision", "1e-45"), False, 1, False)
def test_a_type_takes_the_other_value_too(
    session: Session, typed: tuple[str, str], escaped: bool, seed: int, cast: bool
) -> None:
    kind, text = typed
    old = literal(text, escaped)
    sql = f"SELECT {old}::{kind}" if cast else f"SELECT {old}"
    other = Anonymiser(seed).replace(sql)
    assert other == Anonymiser(seed).replace(sql)
    made = other.removeprefix("SELECT ").removesuffix(f"::{kind}" if cast else "")
    if taken(session, f"SELECT {old}::{kind}"):
        assert taken(session, f"SELECT {made}::{kind}"), (old, made)
    if of_data(text):
        assert made != old
    if kind in ("text", "integer", "bigint", "money", "text[]"):
        assert not set(of_data(text)) & set(of_data(made)), (old, made)


@cases(60)
@given(_of(_kept_of))
def test_a_special_value_stays(session: Session, typed: tuple[str, str]) -> None:
    sql = f"SELECT '{typed[1]}'::{typed[0]}"
    assert Anonymiser(1).replace(sql) == sql


@cases(120)
@given(
    one_statement.filter(lambda sql: len(sql) < 10_000)
    | st.text(max_size=30).map("SELECT {}".format)
)
def test_any_text_is_replaced(sql: str) -> None:
    other = Anonymiser(1).replace(sql)
    assert Anonymiser(1).replace(sql) == other
