"""Values as SQL text, in the form libpq gives them."""

from __future__ import annotations


def quote_literal(value: bytes) -> bytes:
    """`value` as an SQL string, in the form libpq gives it (PQescapeLiteral)."""
    doubled = value.replace(b"'", b"''")
    if b"\\" in value:
        return b" E'" + doubled.replace(b"\\", b"\\\\") + b"'"
    return b"'" + doubled + b"'"


def quote_name(value: bytes) -> bytes:
    """`value` as a quoted SQL identifier."""
    return b'"' + value.replace(b'"', b'""') + b'"'
