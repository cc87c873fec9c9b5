"""Texts of statements in which everything stands that could end one, or its field, too early."""

from __future__ import annotations

from hypothesis import strategies as st

pieces = st.lists(
    st.sampled_from(
        [
            "'", '"', "''", "\\", "\n", "\n\t", "\t", "\r", "\r\n", ";", "; ", "$1", "$2", "$$",
            "$a$", "--", "/*", "*/", ",", ", $1 = 'x'", "é", "€", "😀", "\u2028", "\x85", "\x0b",
            "\x1f", "\x7f", "LOG:  statement: SELECT 'no'", "\nLOG:  ", "DETAIL:  ", "{", "}",
            "\n2026-03-04 05:05:00.000 UTC [1] LOG:  statement: SELECT 'no'",
            '{"timestamp":"2026-03-04 05:05:00.000 UTC","message":"statement: SELECT 1"}\n',
            "duration: 1.000 ms  statement: ", ":a", "word", " ", "%s", "?", "0",
        ]
    )
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    max_size=6,
).map("".join)  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _dollar(text: str) -> str:
    return f"$q${text.replace('$', '_')}$q$"


def _block_comment(text: str) -> str:
    return f"/* {text.replace('*', '_').replace('/', '_')} /* in */ $1 ; */"


def _line_comment(text: str) -> str:
    return f"-- $1 ; {text.translate({10: 32, 13: 32})}\n"


fragments = (
    st.sampled_from(["a", "+", "f(1)", ",", "x1", "1.5e3", "::text", "(b)", "\n", "[1]", "\t"])
    | pieces.map(quoted)
    | pieces.map(lambda text: "E" + quoted(text.replace("\\", "\\\\")))
    | pieces.map(lambda text: '"' + text.replace('"', '""') + '"')
    | pieces.map(_dollar)
    | pieces.map(_block_comment)
    | pieces.map(_line_comment)
    | st.just("'" + "long; " * 15_000 + "'")
)
words = st.sampled_from(["SELECT", "UPDATE t SET", "INSERT INTO t", "with x as", "CALL", "DO"])

one_statement = st.tuples(words, st.lists(fragments, max_size=4)).map(
    lambda made: " ".join([made[0], *made[1]])
)
