"""Reads what users made in a PostgreSQL that bears on what a query determines of its rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pilotcli.databases.protocols import DatabaseObjects

_VIEWS = """SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c
WHERE c.relkind = 'v' AND c.relnamespace NOT IN (
    SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))"""
_POLICIES = """SELECT c.relname, 'SELECT 1 FROM pg_class WHERE ' || pg_get_expr(p.polqual, c.oid)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relrowsecurity AND p.polcmd IN ('r', '*') AND p.polqual IS NOT NULL"""
_OWN = """ p.pronamespace NOT IN (
    SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))"""
_ROW_FUNCTIONS = """SELECT p.proname FROM pg_proc p
WHERE p.pronargs = 1 AND p.proargtypes[0] IN (SELECT oid FROM pg_type WHERE typtype = 'c') AND"""
_OPERATORS = """SELECT o.oprname, p.proname FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE"""
_CASTS = """SELECT t.word, p.proname FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc,
    LATERAL (SELECT typname FROM pg_type WHERE oid = c.casttarget
        UNION SELECT split_part(format_type(c.casttarget, NULL), ' ', 1)) AS t (word)
WHERE"""
_FUNCTIONS = """SELECT p.proname, p.prokind::text, p.provolatile::text, l.lanname,
    CASE WHEN l.lanname = 'sql' AND p.prosrc = '' AND p.prokind = 'f'
        THEN pg_get_functiondef(p.oid) ELSE p.prosrc END
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE"""
_UNIQUE = """SELECT c.relname, array_agg(a.attname::text) FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (
    (string_to_array(i.indkey::text, ' ')::int2[])[1:i.indnkeyatts])
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND c.relkind <> 't' AND c.relnamespace <> 'pg_catalog'::regnamespace
GROUP BY i.indexrelid, c.relname HAVING bool_and(a.attnotnull)"""
_ATOMIC = re.compile(r"\bBEGIN ATOMIC\b(.*)\bEND\b|\bRETURN\b(.*)", re.DOTALL)


def read_objects(rows_of: Callable[[str], Sequence[Sequence[Any]]]) -> DatabaseObjects:
    """Reads them with `rows_of`, which runs a query and returns its rows."""
    functions: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for name, kind, volatility, language, text in rows_of(_FUNCTIONS + _OWN):
        if found := _ATOMIC.search(text) if text.startswith("CREATE") else None:
            text = found[1] or f"SELECT {found[2]}"
        functions[name].append((kind, volatility, language, text))
    unique: dict[str, list[frozenset[str]]] = defaultdict(list)
    for name, columns in rows_of(_UNIQUE):
        unique[name].append(frozenset(columns))
    # Of views with one name in several schemas, one that leaves something open decides: all are
    # read as one.
    views: dict[str, list[str]] = defaultdict(list)
    for name, text in (*rows_of(_VIEWS), *rows_of(_POLICIES)):
        if text is not None:  # dropped meanwhile
            views[name].append(text.strip().rstrip(";"))
    united = {
        name: texts[0] if len(texts) == 1 else " UNION ALL ".join(f"({text})" for text in texts)
        for name, texts in views.items()
    }
    return DatabaseObjects(
        united,
        functions,
        unique,
        row_functions={name for (name,) in rows_of(_ROW_FUNCTIONS + _OWN)},
        operators=_lists(rows_of(_OPERATORS + _OWN)),
        casts=_lists((word.lower(), name) for word, name in rows_of(_CASTS + _OWN)),
    )


def _lists(pairs: Iterable[Sequence[str]]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found
