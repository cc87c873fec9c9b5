"""Parses SQL with sqlglot, and writes SQL from a syntax tree.

sqlglot translates between dialects, and may give a function another name. Here functions keep their
names, and identifiers have the spelling of PostgreSQL's catalog. All other modules take `exp` from
here: importing them does not import sqlglot.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pilotcli.steering.subplans.errors import NotAnalysable

if TYPE_CHECKING:
    from sqlglot import exp
else:

    class _Expressions:
        """sqlglot's `exp`, imported when something of it is first used: that takes a while."""

        def __getattr__(self, name: str) -> Any:
            from sqlglot import exp as expressions

            value = self.__dict__[name] = getattr(expressions, name)
            return value

    exp = _Expressions()

__all__ = ["column", "exp", "identifier", "parse", "quoted", "to_sql"]

_COMMANDS = re.compile(r"(?:SELECT|WITH|INSERT|UPDATE|DELETE|VALUES|TABLE)\b|\(", re.IGNORECASE)
_GAP = re.compile(r"(?:\s|;|--[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)+")
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")

# Words that need quotes as the name of a relation or a column (manual, appendix C).
_RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization between bigint binary
    bit boolean both case cast char character check coalesce collate collation column
    concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user dec decimal default
    deferrable desc distinct do else end except exists extract false fetch float for
    foreign freeze from full grant greatest group grouping having ilike in initially inner
    inout int integer intersect interval into is isnull join json_array json_arrayagg
    json_exists json_object json_objectagg json_query json_scalar json_serialize
    json_table json_value lateral leading least left like limit localtime localtimestamp
    merge_action national natural nchar none normalize not notnull null nullif numeric
    offset on only or order out outer overlaps overlay placing position precision primary
    real references returning right row select session_user setof similar smallint some
    substring symmetric system_user table tablesample then time timestamp to trailing
    treat trim true union unique user using values varchar variadic verbose when where
    window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces
    xmlparse xmlpi xmlroot xmlserialize xmltable""".split()  # noqa: SIM905
)


@cache
def _dialect() -> Any:
    """PostgreSQL's dialect with functions under their own names."""
    from sqlglot.dialects.postgres import Postgres

    base: Any = Postgres.Parser
    kept = {"CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM", "NORMALIZE"}

    class OwnParser(base):  # type: ignore[misc]
        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012 - sqlglot's own way
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser for name, parser in base.FUNCTION_PARSERS.items() if name in kept
        }

    class OwnDialect(Postgres):
        Parser = OwnParser

    return OwnDialect()


def parse(sql: str) -> exp.Expression:
    """Returns the syntax tree of the one statement in `sql`, names in the catalog's spelling.

    Raises `NotAnalysable` for a statement that is not a query, or that sqlglot cannot parse.
    """
    from sqlglot.errors import SqlglotError

    gap = _GAP.match(sql)
    start = gap.end() if gap else 0
    if _COMMANDS.match(sql, start) is None:
        word = sql[start : start + 40].split(None, 1)[0] if sql[start:].strip() else "nothing"
        raise NotAnalysable(f"{word.upper()} is not a statement with sub-plans")
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise NotAnalysable("the query has bytes that are not UTF-8") from None
    try:
        trees = [tree for tree in _dialect().parse(sql) if tree is not None]
    except (SqlglotError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotAnalysable(f"sqlglot cannot parse the query: {problem}") from None
    if len(trees) != 1:
        raise NotAnalysable(f"there are {len(trees)} statements, and one is expected")
    tree: Any = trees[0]
    for node in tree.walk():
        if isinstance(node, exp.Identifier):
            name = node.this
            if not node.args.get("quoted"):
                name = name.lower()
                node.set("this", name)
            if len(name.encode()) > 63:
                raise NotAnalysable("a name in it is longer than PostgreSQL keeps")
            node.set("quoted", not _is_plain(name))
        elif isinstance(node, exp.Command):
            raise NotAnalysable("sqlglot cannot parse the query")
        node.comments = None
    return cast(exp.Expression, tree)


def to_sql(tree: exp.Expression) -> str:
    """Returns the SQL of a syntax tree."""
    from sqlglot.errors import ErrorLevel

    generator = _dialect().generator(comments=False, unsupported_level=ErrorLevel.IGNORE)
    return str(generator.generate(tree, copy=False))


def table_name(table: exp.Expression) -> str:
    """Returns the name of a table as SQL, with the schema that the statement gives."""
    return to_sql(exp.Table(this=table.this, db=table.args.get("db")))


def quoted(name: str) -> str:
    """Returns `name` as SQL, in quotes if it needs them."""
    return name if _is_plain(name) else '"' + name.replace('"', '""') + '"'


def identifier(name: str) -> exp.Identifier:
    """Returns `name` as a node."""
    return exp.Identifier(this=name, quoted=not _is_plain(name))


def column(relation: str, name: str, bit: int | None) -> exp.Column:
    """Returns a column; `bit`: its relation's number, None for a relation outside of the block."""
    made = exp.Column(this=identifier(name), table=identifier(relation))
    made.meta["bit"] = bit
    return made


def _is_plain(name: str) -> bool:
    return _PLAIN.match(name) is not None and name not in _RESERVED
