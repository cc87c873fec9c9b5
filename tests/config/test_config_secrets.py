"""No secret of a config is ever shown: not merged, not as repr, not in a message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotcli.common.errors import ConfigError
from pilotcli.config import PostgreSQLConfig, masked_dsn, shown_config
from pilotcli.config.secrets import is_secret_name, masked, secrets_in

SECRET = "hunter2-geheim"

DSNS = [
    ("postgresql://ann:{}@h/db", "postgresql://ann:***@h/db"),
    ("postgresql://:{}@h/db", "postgresql://:***@h/db"),
    ("postgres://ann:{}@h1:5432,h2:5433/db", "postgres://ann:***@h1:5432,h2:5433/db"),
    ("postgresql://ann:a%40{}%2F@[::1]:5432/db", "postgresql://ann:***@[::1]:5432/db"),
    # Characters that should have been percent-encoded, and that libpq takes as they are.
    ("postgresql://ann:a@{}@h/db", "postgresql://ann:***@h/db"),
    ("postgresql://ann:a?b#{}@h/db", "postgresql://ann:***@h/db"),
    ("postgresql://ann:a/b{}/c@h/db", "postgresql://ann:***@h/db"),
    ("postgresql://ann:a b {}@h/db", "postgresql://ann:***@h/db"),
    ("postgresql:///db?user=ann&password={}", "postgresql:///db?user=ann&password=***"),
    ("postgresql:///db?password={}&user=ann", "postgresql:///db?password=***&user=ann"),
    ("postgresql:///db?sslpassword={}&user=ann", "postgresql:///db?sslpassword=***&user=ann"),
    ("postgresql:///db?pass%77ord={}", "postgresql:///db?pass%77ord=***"),
    ("postgresql:///db?oauth_client_secret={}", "postgresql:///db?oauth_client_secret=***"),
    ("host=h user=ann password={}", "host=h user=ann password=***"),
    ("host=h password = {} user=ann", "host=h password = *** user=ann"),
    ("password='{}' host=h", "password=*** host=h"),
    (r"password='it\'s {}' host=h", "password=*** host=h"),
    (r"password=a\ {} host=h", "password=*** host=h"),
    ("password='open {}", "password=***"),
    ("PASSWORD={} host=h", "PASSWORD=*** host=h"),
    ("sslpassword={} host=h", "sslpassword=*** host=h"),
    ("password={} options='-c search_path=x://y'", "password=*** options='-c search_path=x://y'"),
]


@pytest.mark.parametrize(("dsn", "shown"), DSNS)
def test_a_dsn_is_shown_without_its_password(dsn: str, shown: str) -> None:
    assert masked_dsn(dsn.format(SECRET)) == shown


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ann@h:5432/db?sslmode=require",
        "postgresql://h:5432/db",
        "postgresql:///db?host=/tmp&user=ann",
        "host=h port=5432 user=ann passfile=/home/ann/.pgpass",
        "service=shop",
    ],
)
def test_a_dsn_without_a_password_is_shown_whole(dsn: str) -> None:
    assert masked_dsn(dsn) == dsn


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PGPASSWORD",
        "user_pwd",
        "passwd",
        "passphrase",
        "api_key",
        "apiKey",
        "token",
        "auth-token",
        "client_secret",
        "credentials",
        "private_key",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    value = {name: {"a": SECRET, "b": [SECRET]}, "other": [{name: SECRET}, 3]}
    assert masked(value) == {name: "***", "other": [{name: "***"}, 3]}
    assert secrets_in(value) == {SECRET}


@pytest.mark.parametrize(
    "name", ["max_tokens", "tokenizer", "key", "user", "table", "keyword", "passes", "author"]
)
def test_names_of_nothing_secret(name: str) -> None:
    assert not is_secret_name(name)
    assert masked({name: "visible"}) == {name: "visible"}


CONFIG = """\
database:
  dsn: postgresql://ann:{0}@h/db
  settings: {{primary_conninfo: 'host=h password={0}'}}
store:
  dsn: host=h password='{0}'
models:
  m: {{class: a.b.M, args: {{api_key: {0}}}}}
events:
  - class: a.b.E
    args:
      password: {0}
      nested: {{token: [{0}]}}
      url: https://u:{0}@h/x
      at: ${{DB_PASSWORD}}
"""


def test_nothing_that_is_shown_of_a_config_has_its_secrets(load: Any) -> None:
    config = load(CONFIG.format(SECRET), environ={"DB_PASSWORD": "from-outside"})
    assert config.database.dsn == f"postgresql://ann:{SECRET}@h/db"
    assert config.events[0].args["at"] == "from-outside"
    shown = json.dumps(shown_config(config))
    parts = (config, config.database, config.store, *config.models, *config.events)
    made = PostgreSQLConfig.from_run_config(config, embedded=False)
    for text in (shown, *map(repr, parts), repr(made), str(made)):
        assert SECRET not in text
        assert "from-outside" not in text
    assert "postgresql://ann:***@h/db" in shown


def test_the_config_of_a_driver_shows_no_password() -> None:
    config = PostgreSQLConfig(
        db_host="h", db_user="ann", db_user_pwd=SECRET, dsn=f"postgresql://ann:{SECRET}@h/db"
    )
    assert SECRET not in repr(config)
    assert SECRET not in str(config)
    assert "db_user='ann'" in repr(config)


@pytest.mark.parametrize(
    "text",
    [
        "database: postgresql://ann:{}@h/db",
        "postgresql://ann:{}@h/db",
        "host=h password={}",
        "database: {{dsn: {{password: {}}}}}",
        "database: {{dsn: [postgresql://ann:{}@h/db]}}",
        "database: {{embedded: 'postgresql://ann:{}@h/db'}}",
        "run: {{repeat: 'host=h password={}'}}",
        "run: {{pretraining: 'host=h password={}'}}",
        "events: ['postgresql://ann:{}@h/db']",
        "events: [{{class: a.b.C, args: 'password={}'}}]",
        "models: {{m: {{class: a.b.C, load: 'password={}'}}}}",
        "models: 'password={}'",
        "postgresql://ann:{}@h/db: 1",
        "database: {{'postgresql://ann:{}@h/db': 1}}",
        "events: [{{class: a.b.C, model: 'password={}'}}]",
        "events: [{{class: a.b.C, name: 'x,password={}'}}]",
        "a: {{'password={0}': 1, 'password={0}': 1}}",
        "database: {{dsn: *{}}}",
        "database: {{dsn: !{} x}}",
    ],
)
def test_no_problem_quotes_a_secret(refused: Any, text: str) -> None:
    problems = refused(text.format(SECRET))
    assert problems
    assert SECRET not in "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        "run: {repeat: '${DB_PASSWORD}'}",
        "run: ${DB_PASSWORD}",
        "home: !!int ${DB_PASSWORD}",
        "run: {pretraining: '${DB_PASSWORD}'}",
        "events: ['${DB_PASSWORD}']",
        "events: [{class: '${DB_PASSWORD}'}]",
        "events: [{class: a.b.C, model: '${DB_PASSWORD}'}]",
        "events: [{class: a.b.C, name: 'a,${DB_PASSWORD}'}]",
        "models: {m: {class: a.b.C, load: '${DB_PASSWORD}'}}",
        "${DB_PASSWORD}",
    ],
)
def test_no_problem_quotes_what_a_variable_holds(refused: Any, text: str) -> None:
    problems = refused(text, environ={"DB_PASSWORD": SECRET})
    assert problems
    assert SECRET not in "\n".join(problems)


@pytest.mark.parametrize(
    "override",
    [
        "database.dsn=[postgresql://ann:{}@h/db]",
        "database.dsm=postgresql://ann:{}@h/db",
        "database=password={}",
        "events=postgresql://ann:{}@h/db",
        "models.m.args.password={}",
        "postgresql://ann:{}@h/db",
        "events=[{{class: a.b.C, args: {{password: {}}}, modell: x}}]",
        "run={{x: {{token: {}}}}}",
        "run={{token: {}",
    ],
)
def test_no_problem_with_an_override_quotes_a_secret(refused: Any, override: str) -> None:
    problems = refused("", override.format(SECRET))
    assert problems
    assert SECRET not in "\n".join(problems)


def test_an_error_as_a_whole_quotes_no_secret(load: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"database: postgresql://ann:{SECRET}@h/db\nrun: 3\n")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
