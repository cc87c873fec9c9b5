"""PostgreSQL's lexical rules as patterns over bytes.

The text is scanned as UTF-8 bytes: every byte from 0x80 up is a letter to PostgreSQL's lexer, so
nothing needs decoding to find where a statement ends. The patterns skip whole stretches in which
nothing can happen; what they cannot decide alone, they leave to `scanner`.

Source: PostgreSQL documentation, section 4.1 "Lexical Structure".

No token pattern matches in two ways, and each that depends on what follows asks for that byte to
be there. So a match that fails may be retried with more text, and never has to be taken back.
"""

from __future__ import annotations

import re

from pilotcli.common.sql_commands import words_where

SPACE = rb" \t\n\r\f\v"
NAME_BYTES = bytes(
    byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte in b"_$"
)
_NAME = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"
_VARIABLE = rb"[A-Za-z0-9_\x80-\xff]+"

_TRIVIA = rb"[%b]*(?:--[^\n\r]*[\n\r][%b]*)*" % (SPACE, SPACE)

_TO_LINE_END = rb"[ \t\f\v]*(?:[^' \t\f\v\r\-]|\r\n|-[^\-]|--[^\n\r]*\r?\n)"
# A string without a backslash ends at the same place whatever its kind is. One that a lone
# carriage return follows may continue after it, in the same kind: the scanner decides that.
_STRING = rb"'[^'\\]*(?:''[^'\\]*)*'(?=%b)" % _TO_LINE_END
_TOKENS = rb"|".join(
    [
        _STRING,
        rb'"[^"]*"',
        rb"::",
        rb":(?=[^:A-Za-z0-9_\x80-\xff'\"{])",
        rb"--[^\n\r]*(?=[\n\r])",
        rb"-(?=[^\-])",
        rb"/(?=[^*])",
        rb"/\*[^*/]*\*/",
    ]
)
_STOPS = rb";'\"$\\:()\-/"


def _stretch(stops: bytes, tokens: bytes, nesting: int) -> bytes:
    """A pattern for plain bytes, `tokens` and parentheses nested up to `nesting` deep."""
    plain = rb"[^%b]*" % stops
    inner = rb"%b(?:(?:%b)%b)*" % (plain, tokens, plain)
    for _ in range(nesting):
        inner = rb"%b(?:(?:%b|\(%b\))%b)*" % (plain, tokens, inner, plain)
    return inner


WATCHED = words_where(lambda command: command.changes_settings or command.effect == "block")
"""Commands that may change how the text after them is read: `scanner` reads them."""
STATEMENT = re.compile(
    _TRIVIA
    + rb"(?!(?i:create|copy|%b)(?![A-Za-z0-9_$\x80-\xff]))" % "|".join(sorted(WATCHED)).encode()
    + rb"(%b)" % _NAME
    + _stretch(_STOPS, _TOKENS, 3)
)
"""A whole ordinary statement, up to its semicolon; group 1 is its first word."""

BLANK_LINES = re.compile(
    rb"('[^']*'|\"[^\"]*\"|--[^\n\r]*|/\*[^*/]*\*/)|\n\n+"  # quotes and comments keep theirs
)
"""The blank lines in a statement that `STATEMENT` matched; group 1 is what is to stay."""

STRETCH = re.compile(_stretch(_STOPS + rb"\n", _TOKENS + rb"|\n(?=[^\n\\])", 3))
"""As much of a statement as holds nothing to decide."""

VALUE_STRETCH = re.compile(rb"[^%b]*" % _STOPS)
"""The same inside the value of a variable, where a newline ends no line of the script."""

WORDS = re.compile(
    rb"((?![eEbBxXnN]'|[uU]&['\"])%b)" % _NAME
    + rb"|[0-9]+(?:%b)?" % _NAME
    + rb"|[eEbBxXnNuU](?=['&])|[^A-Za-z0-9_\x80-\xff\n%b]+" % _STOPS
    + rb"|\n(?=[^\n\\])|::|:(?=[^:A-Za-z0-9_\x80-\xff'\"{])|-(?=[^\-])|/(?=[^*])"
)
"""One token of the beginning of a statement; group 1 is an identifier or keyword."""

LINE_COMMENT = re.compile(rb"--[^\n\r]*")
COMMENT_EDGE = re.compile(rb"/\*|\*/")
ESCAPED_STRETCH = re.compile(rb"[^'\\]*(?:\\.[^'\\]*)*", re.DOTALL)
DOLLAR_WORD = re.compile(rb"\$[A-Za-z0-9_\x80-\xff]*")
DOLLAR_QUOTE = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
PARAMETER = re.compile(rb"\$[0-9]+(?:%b)?" % _NAME)
NAME_REST = re.compile(rb"[A-Za-z0-9_$\x80-\xff]*")
BETWEEN_STRINGS = re.compile(rb"[ \t\f\v\r]*(?:--[^\n\r]*[ \t\f\v\r]*)*(?:-\Z)?")
CONTINUED = re.compile(rb"[ \t\f\v]*(?:--[^\n\r]*)?\r[ \t\f\v\r]*(?:--[^\n\r]*\r[ \t\f\v\r]*)*'")
CONTINUED_IN_VALUE = re.compile(
    rb"[ \t\f\v]*(?:--[^\n\r]*)?[\n\r][%b]*(?:--[^\n\r]*[\n\r][%b]*)*'" % (SPACE, SPACE)
)
VARIABLE = re.compile(
    rb":(?:(%b)|'(%b)'|\"(%b)\"|\{\?(%b)\})" % (_VARIABLE, _VARIABLE, _VARIABLE, _VARIABLE)
)
"""A psql variable; groups: plain, as a literal, as an identifier, whether it is set."""
VARIABLE_BEGIN = re.compile(rb":(?:['\"]|\{\??)?[A-Za-z0-9_\x80-\xff]*")

# Lower case only: pg_dump heads every object with a comment `-- Name: ...; Type: ...`.
NOTE = re.compile(rb"^[ \t]*--[ \t]*(name|expect)[ \t]*:[ \t]*([^\n\r]*[^\n\r \t])", re.MULTILINE)
"""A comment line that says something about the statement below it."""

_GAP = rb"(?:[%b]|--[^\n\r]*(?:[\n\r]|\Z)|/\*(?:[^*]|\*(?!/))*\*/)" % SPACE
_PART = rb'(?:"(?:[^"]|"")*"|[uU]&"(?:[^"]|"")*"|%b(?![A-Za-z0-9_$\x80-\xff]))' % _NAME
COPY_FROM_STDIN = re.compile(
    rb"(?i:%(g)b*copy%(g)b+(?:binary%(g)b+)?"
    rb"(?:%(p)b%(g)b*\.%(g)b*)*%(p)b%(g)b*(?:\([^()]*\)%(g)b*)?"
    rb"from%(g)b+std(?:in|out)(?![A-Za-z0-9_$\x80-\xff]))" % {b"g": _GAP, b"p": _PART}
)
"""`COPY table [(columns)] FROM STDIN`; the grammar takes STDOUT there as well."""
