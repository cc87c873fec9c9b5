"""Indexes as SQL: their statements, and what the server's definition of an index says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg2 import sql as compose

from pilotcli.common.errors import SteeringError
from pilotcli.common.records import Index
from pilotcli.databases.controller.names import identifier

_CLOSES = {"(": ")", "[": "]"}


def create_statement(index: Index) -> compose.Composable:
    """The statement that makes `index`."""
    keys: list[compose.Composable] = [compose.SQL(key) for key in index.keys]
    parts: list[compose.Composable] = [
        compose.SQL("CREATE UNIQUE INDEX" if index.unique else "CREATE INDEX"),
        compose.SQL(" "),
        compose.SQL("") if index.index_name is None else compose.Identifier(index.index_name),
        compose.SQL(" ON {}").format(identifier(index.table)),
    ]
    if index.method != "btree":
        parts.append(compose.SQL(" USING {}").format(compose.Identifier(index.method)))
    named = keys or [compose.Identifier(column) for column in index.columns]
    parts.append(compose.SQL(" ({})").format(compose.SQL(", ").join(named)))
    if index.include:
        included = compose.SQL(", ").join(map(compose.Identifier, index.include))
        parts.append(compose.SQL(" INCLUDE ({})").format(included))
    if index.nulls_not_distinct:
        parts.append(compose.SQL(" NULLS NOT DISTINCT"))
    if index.options:
        parts.append(compose.SQL(f" WITH ({index.options})"))
    if index.where is not None:
        parts.append(compose.SQL(f" WHERE ({index.where})"))
    return compose.Composed(parts)


def require_parts(index: Index) -> None:
    """Raises `SteeringError` where the SQL of an index would not stay within its place."""
    texts = [("key", key) for key in index.keys]
    texts += [("condition", index.where)] if index.where is not None else []
    texts += [("options", index.options)] if index.options else []
    for what, text in texts:
        if not isinstance(text, str) or not text.strip() or not _is_one_part(text):
            raise SteeringError(
                f"the {what} of an index cannot be part of its statement: {text!r}",
                hint="Write one SQL expression, without comments, backslashes and semicolons.",
            )
        if what == "key" and len(_split(text)) > 1:
            raise SteeringError(f"this is more than one key of an index: {text!r}")
    if isinstance(index.keys, str) or (index.keys and len(index.keys) != len(index.columns)):
        raise SteeringError(
            f"an index has {len(index.columns)} columns and {len(index.keys)} keys",
            hint="`keys` has one SQL text for each of `columns`, or is left out.",
        )
    if isinstance(index.include, str):
        raise SteeringError(f"the included columns are a list, not {index.include!r}")


def is_plain(index: Index) -> bool:
    """Whether an index is a B-tree of columns alone."""
    return index == Index(index.columns, index.table, index.index_name)


def same_index(index: Index, wanted: Index) -> bool:
    """Whether `index` is what `wanted` names: by its name, or without a name by what it is. Columns
    alone name any index that has them as its keys."""
    if index.table != wanted.table:
        return False
    if wanted.index_name is not None:
        return index.index_name == wanted.index_name
    if tuple(index.columns) != tuple(wanted.columns):
        return False
    return is_plain(wanted) or is_alike(index, wanted)


def is_alike(index: Index, wanted: Index) -> bool:
    """Whether two indexes differ in nothing but their names."""
    return _kind(index) == _kind(wanted)


def find_index(indexes: Sequence[Index], wanted: Index) -> int | None:
    """The place of the index that `wanted` names, None for none: first one that is exactly so."""
    places = [at for at, index in enumerate(indexes) if same_index(index, wanted)]
    exact = [at for at in places if is_alike(indexes[at], wanted)]
    return next(iter(exact or places), None)


def read_definition(
    columns: Sequence[str], quoted: Sequence[str], table: str, name: str, definition: str
) -> Index:
    """The index whose `CREATE INDEX` the server has written, from the first key on.

    `columns` are the names of its keys' columns and the texts of expressions, `quoted` the same as
    SQL.
    """
    parts = dict(_clauses(definition))
    keys = list(map(str.strip, _split(parts[""])))
    included = list(map(_unquoted, _split(parts["INCLUDE"]))) if "INCLUDE" in parts else ()
    return Index(
        columns,
        table,
        name,
        keys=() if keys == list(quoted) else keys,
        include=included,
        where=parts.get("WHERE"),
        nulls_not_distinct="NULLS NOT DISTINCT" in parts,
        options=parts.get("WITH", ""),
    )


def _kind(index: Index) -> tuple[object, ...]:
    where = None if index.where is None else _bare(index.where)
    return (
        *(index.table, tuple(index.columns), tuple(index.keys), tuple(index.include), where),
        *(index.unique, index.nulls_not_distinct, index.method, index.options),
    )


def _bare(text: str) -> str:
    """A text without parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and next(_closing(text, 0)) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _clauses(definition: str) -> Iterator[tuple[str, str]]:
    """The clauses of a definition after `USING method (`, the keys under the empty name."""
    end = next(_closing(f"({definition}", 0)) - 1
    yield "", definition[:end]
    rest = definition[end + 1 :].strip()
    while rest:
        for name in ("INCLUDE", "WITH", "NULLS NOT DISTINCT", "WHERE"):
            if rest.startswith(name):
                rest = rest[len(name) :].strip()
                break
        else:
            return
        if name == "NULLS NOT DISTINCT":
            yield name, ""
        elif name == "WHERE":
            yield name, _bare(rest)
            return
        else:
            end = next(_closing(rest, 0))
            yield name, rest[1:end]
            rest = rest[end + 1 :].strip()


def _outside_quotes(text: str) -> Iterator[tuple[int, str]]:
    """The characters of SQL outside of quotes, with their places; raises `ValueError` at a quote
    without an end. In the server's own texts and in standard strings a quote ends at the next one.
    """
    at = 0
    while at < len(text):
        if text[at] in "'\"":
            at = text.index(text[at], at + 1)
        else:
            yield at, text[at]
        at += 1


def _closing(text: str, at: int) -> Iterator[int]:
    """The place of the parenthesis that closes the one at `at`."""
    depth = 0
    for place, character in _outside_quotes(text):
        if place < at:
            continue
        depth += (character in "([") - (character in ")]")
        if depth == 0:
            yield place


def _split(text: str) -> list[str]:
    """The parts of a list between its commas."""
    parts, begin, depth = [], 0, 0
    for place, character in _outside_quotes(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def _is_one_part(text: str) -> bool:
    """Whether a text cannot end what stands around it."""
    opened: list[str] = []
    before = ""
    try:
        for _, character in _outside_quotes(text):
            if character in "([":
                opened.append(_CLOSES[character])
            elif character in ")]" and (not opened or opened.pop() != character):
                return False
            if character in ";$" or before + character in ("--", "/*"):
                return False
            before = character
    except ValueError:
        return False
    # In E'...' a backslash may hide the end of the string.
    return not opened and "\\" not in text


def _unquoted(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
