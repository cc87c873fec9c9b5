"""The planner's plans of a query under several settings, in one message to the server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2 import sql as compose

from pilotcli.common.errors import QueryError
from pilotcli.databases.changes.objects import run
from pilotcli.databases.knobs.values import setting_text
from pilotcli.databases.session.session import PostgresSession

# The block ends with an error of its own, so that the server takes its settings back; variables
# keep their values.
_FUNCTION = """
CREATE OR REPLACE FUNCTION pg_temp.pilot_plans(query text, choices json) RETURNS SETOF json
LANGUAGE plpgsql AS $pilot$
DECLARE
  choice json;
  plan json;
BEGIN
  FOR choice IN SELECT json_array_elements(choices) LOOP
    BEGIN
      PERFORM set_config(key, value, true) FROM json_each_text(choice);
      EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
      RAISE SQLSTATE 'PLT00';
    EXCEPTION WHEN SQLSTATE 'PLT00' THEN
      NULL;
    END;
    RETURN NEXT plan;
  END LOOP;
END $pilot$
"""
_MISSING = ("42883", "3F000")
"""The SQLSTATEs of a function, or the schema of temporary ones, that is not there (PostgreSQL
manual, appendix A)."""
_REFUSED = ("42501", "25006", "42704", "0A000")
"""Where no function can be made: no right to, a server that only reads, no PL/pgSQL."""


def plans_under(
    session: PostgresSession, sql: str, choices: Sequence[Mapping[str, object]]
) -> list[dict[str, Any]]:
    """Returns the plan of `sql`, a dict with the key `Plan`, under each of `choices` of settings.

    Where the server lets the role make no temporary function, each plan is a message of its own.
    Raises `QueryError` for a query or a setting that the server refuses.
    """
    texts = [
        {name: setting_text(value) or str(value) for name, value in choice.items()}
        for choice in choices
    ]
    literal = compose.Literal
    arguments = literal(sql), literal(json.dumps(texts))
    ask = "SELECT * FROM pg_temp.pilot_plans({}, {})"
    try:
        try:
            rows = run(session, ask, *arguments)
        except QueryError as error:
            if error.sqlstate not in _MISSING or session.in_transaction:
                raise
            session.execute(_FUNCTION)
            rows = run(session, ask, *arguments)
    except QueryError as error:
        if error.sqlstate not in _REFUSED or session.in_transaction:
            raise
        return [_plan_under(session, sql, choice) for choice in texts]
    return [row[0][0] for row in rows]


def _plan_under(session: PostgresSession, sql: str, choice: Mapping[str, str]) -> dict[str, Any]:
    session.execute("BEGIN")
    try:
        for name, value in choice.items():
            run(session, "SELECT set_config({}, {}, true)", *map(compose.Literal, (name, value)))
        return session.explain(sql)
    finally:
        session.rollback()
