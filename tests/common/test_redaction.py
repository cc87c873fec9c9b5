"""What a process knows to be secret is masked in any text, however it is spelt there."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg2.extensions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import ConfigError, PilotError, Problem, QueryError, WorkloadError
from pilotcli.common.redaction import dsn_secrets, forget_secrets, keep_secret, redacted
from pilotcli.config import load_config
from pilotcli.views.log_lines import LogLines

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=20)
SPELLINGS = {
    "plain": str,
    "in a URL": lambda one: quote(one, safe=""),
    "in a form": quote_plus,
    "in Python": lambda one: repr(one)[1:-1],
    "in ASCII": lambda one: ascii(one)[1:-1],
    "in JSON": lambda one: json.dumps(one)[1:-1],
    "in SQL": lambda one: one.replace("'", "''"),
    "in a connection string": lambda one: one.replace("\\", "\\\\").replace("'", "\\'"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=200)
@given(password=TEXTS)
def test_a_secret_is_masked_however_it_is_spelt(spelling: str, password: str) -> None:
    forget_secrets()
    keep_secret([password])
    assert redacted(f"<{SPELLINGS[spelling](password)}>") == "<***>"


@settings(max_examples=300)
@given(password=TEXTS)
def test_the_password_of_a_connection_string_is_found(password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    pairs = f"host=h1 user=u1 dbname=d1 password='{escaped}'"
    url = f"postgresql://u1:{quote(password, safe='')}@h1:5432/d1?sslmode=prefer"
    late = f"postgresql://u1@h1/d1?password={quote(password, safe='')}"
    for dsn in (pairs, url, late):
        assert psycopg2.extensions.parse_dsn(dsn)["password"] == password
        if password not in dsn.replace(password, "", 1).replace("password", "", 1):
            assert password in dsn_secrets(dsn)


def test_a_password_that_stands_in_the_open_is_no_secret() -> None:
    assert dsn_secrets("postgresql://postgres:postgres@localhost/postgres") == set()
    assert dsn_secrets("host=h user=forum password=forum") == set()
    assert dsn_secrets("host=h user=forum password=forum2") == {"forum2"}
    assert dsn_secrets(None) == set()


def test_short_secrets_do_not_mask_half_of_all_words() -> None:
    keep_secret(["", "a", "abc"])
    assert redacted("abcabc a") == "abcabc a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see postgresql://ann:x9y@h/db, there", "see postgresql://ann:***@h/db, there"),
        ("(password=x9y)", "(password=***"),
        ("dsn: host=h password='x 9' dbname=d", "dsn: host=h password=*** dbname=d"),
        ("?user=ann&password=x9y&x=1", "?user=ann&password=***&x=1"),
        ("http://h:80/path and ann@h", "http://h:80/path and ann@h"),
        ("passwords = 3", "passwords = 3"),
    ],
)  # fmt: skip
def test_what_stands_as_a_password_is_masked_unknown(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_errors_are_made_without_secrets() -> None:
    keep_secret(["geheim-7"])
    problem = Problem("not geheim-7", "f.yaml", 1, 1, "no geheim-7")
    errors = (
        PilotError("not geheim-7", hint="try geheim-7"),
        QueryError('invalid input: "geheim-7"', hint="geheim-7"),
        WorkloadError("geheim-7", file="w.sql", line=3),
        ConfigError([problem]),
    )
    for error in errors:
        told = f"{error!s} {error!r} {error.message} {error.hint} {error.args}"
        assert "geheim-7" not in told
        assert "***" in told
    assert all("geheim" not in str(one) for one in ConfigError([problem]).problems)


def test_a_config_makes_its_secrets_known(tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").write_text(
        "database: {dsn: 'postgresql://u:one%20one@h/db', session: {a.b: password=sixsix}}\n"
        "store: {dsn: 'password=twotwo'}\n"
        "models: {m: {class: a.B, args: {api_key: threethree}}}\n"
        "events: [{class: a.B, args: {nested: {token: fourfour}}}]\n"
        "handlers: [{class: a.B, args: {x: '${MY_SECRET}'}}]\n"
    )
    config = load_config(None, environ={"MY_SECRET": "fivefive"}, cwd=tmp_path)
    text = " ".join(sorted(config.secrets))
    assert text == "fivefive fourfour one one one%20one sixsix threethree twotwo"
    assert set(redacted(text).split()) == {"***"}


def test_what_pilot_logs_has_neither_secrets_nor_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep_secret(["geheim-7"])
    log = logging.getLogger("tests.of.log.lines")
    handler = LogLines()
    log.addHandler(handler)
    log.propagate = False
    try:
        log.error("\x1b[31mgeheim-7\x1b]0;title\x07\x9b2J: %s\nsecond", "x\x08\u202e")
    finally:
        log.removeHandler(handler)
    assert capsys.readouterr().err == "***: x\nsecond\n"
