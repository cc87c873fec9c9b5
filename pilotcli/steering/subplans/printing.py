"""Lets the server print conditions and relations in its own spelling.

The planner simplifies a condition before it tests it, and EXPLAIN shows the result. The relations
in it are replaced by functions with the same names and columns, since views, partitions and
sub-queries have other names in a plan. Nothing is run, and nothing is left behind.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.sql import literal, own_statements
from pilotcli.steering.subplans.errors import NotAnalysable
from pilotcli.steering.subplans.parsing import quoted
from pilotcli.steering.subplans.spelling import one_line, split

_HEAD = "pilot_spelling "
_PREPARED = "pilot_shown"
_ALIKE = (
    "PERFORM set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true), "
    "set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '3', true), "
    "set_config('bytea_output', 'hex', true), set_config('quote_all_identifiers', 'off', true)"
)

# Values and names are written the same in every session, and so that another one reads the same
# values. A query is read before, since its own constants are in the session's form: as a view, or
# as a prepared statement, which outlives an error. DateStyle keeps its order, which only reading
# needs. Every part ends with an error of its own, which undoes its settings and views.
_BLOCK = """DO $pilot_block$
DECLARE
    command text;
    answer json;
    answers json[] := '{{}}';
BEGIN
    FOREACH command IN ARRAY ARRAY[{commands}]::text[] LOOP
        BEGIN
            PERFORM set_config('join_collapse_limit', '1', true),
                set_config('client_min_messages', 'warning', true);
            IF command LIKE 'PLAN %' THEN
                EXECUTE substr(command, 6) INTO answer;
                answer := json_build_object('found', answer);
            ELSIF command LIKE 'SHOW %' THEN
                EXECUTE 'PREPARE {prepared} AS ' || substr(command, 6);
                {alike};
                EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE {prepared}' INTO answer;
                answer := json_build_object('found', answer -> 0 -> 'Plan' -> 'Output');
            ELSIF command LIKE 'CREATE%' THEN
                EXECUTE command;
                {alike};
                answer := json_build_object('found',
                    pg_catalog.pg_get_viewdef('pg_temp.pilot_view'::regclass, false));
            ELSE
                {alike};
                EXECUTE command INTO answer;
                answer := json_build_object('found', answer);
            END IF;
            RAISE SQLSTATE 'PIL0T';
        EXCEPTION
            WHEN SQLSTATE 'PIL0T' THEN NULL;
            WHEN OTHERS THEN answer := json_build_object('failure', SQLERRM);
        END;
        IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = '{prepared}') THEN
            DEALLOCATE {prepared};
        END IF;
        answers := answers || answer;
    END LOOP;
    RAISE INFO USING MESSAGE = '{head}' || array_to_json(answers);
END
$pilot_block$"""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A relation's name, and its columns with their types as SQL."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """An item of FROM."""
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in self.columns) or "none int"
        return f"pg_catalog.jsonb_to_recordset(NULL) AS {quoted(self.name)}({columns})"


def _from(stand_ins: Iterable[StandIn]) -> str:
    # Names are shown with their relation only if there are two relations.
    parts = [*(part.text for part in stand_ins), StandIn("*", ()).text]
    return " CROSS JOIN ".join(parts)


def ask(session: PostgresSession, commands: Sequence[str]) -> list[Any]:
    """Returns the answers of the server; a `NotAnalysable` where it refuses a command."""
    texts = ", ".join(literal(command) for command in commands)
    # Other messages have texts of the workload, as those of auto_explain about these commands.
    head = f"{_HEAD}{secrets.token_hex(8)} "
    with own_statements(session) as notices:
        session.execute(_BLOCK.format(commands=texts, head=head, prepared=_PREPARED, alike=_ALIKE))
    for notice in notices:
        at = notice.find(head)
        if at >= 0:
            answers = json.loads(notice[at + len(head) :])
            return [
                answer["found"]
                if "found" in answer
                else NotAnalysable(f"the server cannot print the query: {answer['failure']}")
                for answer in answers
            ]
    raise QueryError("the server did not print the query")


def explained(
    session: PostgresSession, lists: Sequence[tuple[Sequence[str], Sequence[StandIn]]]
) -> list[list[str]]:
    """Returns expressions as the planner simplifies them, list by list; those of one list are over
    the same relations."""
    commands = [
        f"SHOW SELECT {', '.join(texts)} FROM {_from(stand_ins)}"  # noqa: S608
        for texts, stand_ins in lists
    ]
    found = []
    for (texts, _), answer in zip(lists, ask(session, commands), strict=True):
        if isinstance(answer, NotAnalysable):
            raise answer
        if len(answer) < len(texts):
            raise NotAnalysable("the server does not print its conditions")
        found.append(answer[: len(texts)])
    return found


def types_of(
    session: PostgresSession, texts: Sequence[str], stand_ins: Sequence[StandIn]
) -> list[int]:
    """Returns the types of expressions, by number, without computing them."""
    if not texts:
        return []
    shown = ", ".join(
        f'pg_catalog.pg_typeof(CASE WHEN "?".never THEN {text} END)::oid' for text in texts
    )
    command = (
        f"SELECT pg_catalog.json_build_array({shown}) FROM (SELECT false AS never OFFSET 0) "  # noqa: S608
        f'AS "?" LEFT JOIN ({_from(stand_ins)}) ON false'
    )
    (answer,) = ask(session, [command])
    if isinstance(answer, NotAnalysable):
        raise answer
    return [int(number) for number in answer]


def printed_items(
    session: PostgresSession, wanted: Sequence[tuple[Sequence[str], str]]
) -> list[str]:
    """Returns items of FROM as the server prints them, each given with the items that it uses."""
    parts = _selects(session, [("1", [*around, item]) for around, item in wanted])
    return [split(items, ",")[-2] for _, items in parts]


def printed_sub_queries(
    session: PostgresSession, wanted: Sequence[tuple[Sequence[str], str]]
) -> list[str]:
    """Returns sub-queries as the server prints them, each given with the items that it uses."""
    parts = _selects(session, [(text, around) for around, text in wanted])
    return [head.removeprefix("SELECT ").rsplit(" AS ", 1)[0] for head, _ in parts]


def printed_with(session: PostgresSession, text: str) -> str:
    """Returns a part of WITH as the server prints it."""
    (view,) = _views(session, [f"WITH {text} SELECT 1 AS x0"])
    head = split(view, "SELECT")[0]
    return head.removeprefix("WITH ").removeprefix("RECURSIVE ")


def _selects(
    session: PostgresSession, wanted: Sequence[tuple[str, Sequence[str]]]
) -> list[list[str]]:
    """Returns queries of an expression and items of FROM as the server prints them, each as the
    part before FROM and the one after it."""
    queries = [
        f"SELECT {text} AS x0 FROM {', '.join([*items, StandIn('*', ()).text])}"  # noqa: S608
        for text, items in wanted
    ]
    return [split(text, "FROM", 1) for text in _views(session, queries)]


def _views(session: PostgresSession, queries: Sequence[str]) -> list[str]:
    """Returns queries as the server prints them."""
    texts = []
    for answer in ask(session, [f"CREATE TEMPORARY VIEW pilot_view AS {part}" for part in queries]):
        if isinstance(answer, NotAnalysable):
            raise answer
        texts.append(one_line(answer))
    return texts


def is_empty(explained: list[dict[str, Any]]) -> bool:
    """Whether a plan returns no rows for sure."""
    plan = explained[0]["Plan"]
    return bool(plan["Node Type"] == "Result" and plan.get("One-Time Filter") == "false")


def column_types(
    session: PostgresSession, joined: str, columns: Sequence[str], before: str
) -> list[str]:
    """Returns the types of columns of a join as SQL; `before`: the WITH clause."""
    shown = ", ".join(
        f"pg_catalog.format_type(pg_catalog.pg_typeof({column})::oid, -1)" for column in columns
    )
    command = (
        f"{before}SELECT pg_catalog.json_build_array({shown}) FROM "  # noqa: S608
        '(SELECT false AS never OFFSET 0) AS "?" LEFT JOIN '
        f"({joined} CROSS JOIN {StandIn('*', ()).text}) ON false"
    )
    (answer,) = ask(session, [command])
    if isinstance(answer, NotAnalysable):
        raise answer
    return list(answer)


def with_types(columns: Mapping[str, str | None], name: str) -> StandIn:
    """Returns what replaces a relation. Raises `NotAnalysable` if a type is not known."""
    unknown = [column for column, kind in columns.items() if kind is None]
    if unknown:
        raise NotAnalysable(f"the type of the column {unknown[0]} of {name} is not known")
    return StandIn(name, tuple((column, kind or "") for column, kind in columns.items()))
