"""What psql sends and what pilot sends is the same list of statements."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from psql_recorder import PsqlRecorder

from pilotcli.common.errors import WorkloadError
from pilotcli.workload import iter_statements, open_workload

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.sql"))


def says_something(sql: bytes) -> bool:
    """Whether there is more than comments and semicolons in a message of psql."""
    while (rest := re.sub(rb"(?s)/\*(?:(?!/\*|\*/).)*\*/", b"", sql)) != sql:
        sql = rest
    return bool(re.sub(rb"--[^\n\r]*|[;\s]", b"", sql))


def same(ours: str, sent: bytes) -> bool:
    """Whether the two agree; psql sends the closing semicolon along."""
    return sent in (ours.encode(), ours.encode() + b";")


@pytest.mark.parametrize("script", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_is_cut_as_psql_cuts_it(script: Path, psql: PsqlRecorder) -> None:
    expected = json.loads(script.with_suffix(".json").read_text(encoding="utf-8"))
    with open_workload([script]) as workload:
        queries = list(workload)
        data = [
            query.copy
            and query.copy.path.read_bytes()[query.copy.offset :][: query.copy.size_bytes]
            for query in queries
        ]
    assert [query.sql for query in queries] == expected
    sent = [message for message in psql.run(script) if says_something(message[0])]
    assert len(sent) == len(expected)
    for ours, copied, (message, passed) in zip(expected, data, sent, strict=True):
        assert same(ours, message)
        # Before version 18, psql sent the end mark of the data as well.
        assert copied == passed or (passed and copied == passed.removesuffix(b"\\.\n"))


KEYWORDS = "CREATE|OR REPLACE|FUNCTION|procedure|BEGIN|end|CASE|ATOMIC|table|SELECT|AND"
NAMELIKE = "a|e|E|u|b1|x|1|1.5|0x1F|1e5|ü|_|n"
WORDS = st.sampled_from([*KEYWORDS.split("|"), *NAMELIKE.split("|")])
MARKS = st.sampled_from([*"+-*/<=.,&[]@|~%:$", "::", ":=", "--\n", "!=", "@-", "=>"])
QUOTED = st.builds(
    lambda prefix, inside: f"{prefix}'{inside}'",
    st.sampled_from(["", "E", "e", "U&", "u&", "B", "x", "N", "n"]),
    st.lists(
        st.sampled_from(
            ["a", ";", "''", "\\\\", "--", "/*", "$$", '"', "\n", "\n\n", ":v", "(", "☃"]
        )
    ).map("".join),
)
ESCAPED = st.sampled_from(["E'\\''", "E'a\\';b'", "e'\\\n;'", "E'\\'''", "'\\'", "U&'\\'", "N'\\'"])
NAMES = st.sampled_from(['"a"', '"a;b"', '"a""b;"', 'U&"\\0061;"', '"\n;"', '"e\n\n"', '"\'"'])
DOLLARS = st.sampled_from(
    ["$$;$$", "$a$;$b$;$a$", "$a$ $$;' $a$", "$1", "$2$$;$$", "a$$", "a$b$", "1a$x$", "$é$;\n\n$é$"]
)
COMMENTS = st.sampled_from(
    ["/* ; */", "/*/**/;*/", "/***/", "-- ; '\n", "--\r", "/*+ h */", "-- name: x\n", "/*\n\n*/"]
)
GAPS = st.sampled_from([" ", " ", "\n", "\n\n", "\r\n", "\t", "\n \n", "\r", "\f", ""])
GROUPS = st.sampled_from(["(", ")", "(a;b)", "(';')", "((a) b)", "(\n\n)", "($$;$$)", "(-- )\n)"])
VARIABLES = st.sampled_from(
    [
        ":v",
        ":'v'",
        ':"v"',
        ":{?v}",
        ":{?none}",
        ":none",
        ":'none'",
        ":w",
        ":q",
        ":c",
        "[1:2]",
        ":two",
    ]
)
COMMANDS = st.sampled_from(
    [
        *("\\echo hi", "\\set v 1", "\\set v 'a b'", "\\unset v", "\\timing", "\\g", "\\gx", "\\r"),
        *("\\x \\echo", "\\p \\\\ a", "\\set w ';'", "\\set w ':w'", "\\set c '--'"),
        *("\\set q '''a;'''", "\\set two ':v, :w'", "\\set q 'E''a''\n''b;'''"),
        "\\if 1\n a; \n\\else\n b '; ;' (\n\\endif",
        "\\if 0\n a;\n\\elif t\n b;\n\\endif",
        "\\if no\n\\g\n\\q\n\\endif",
    ]
).map(lambda text: f"{text}\n")
JOINS = st.sampled_from([";", ";", ";", "\\;", "\\:", ";;"])
# psql 18.6 loses the rest of a script when an empty statement comes first behind the data (15 does
# not), so another one stands there.
COPIES = st.sampled_from(
    ["\n;COPY t FROM STDIN;\n1;'\n\\.\nSELECT 0;", "\n;copy t(a) from stdin; b;\n\\.\n"]
)
MODES = st.sampled_from(
    ["\n;SET standard_conforming_strings = off;", "\n;set standard_conforming_strings to on;\n"]
)
COMPLAINTS = [
    "is never closed",
    "is in the value of a variable",
    "joined to another statement",
    "cannot be replayed",
    "has no \\if before it",
    "has no \\endif",
]
SCRIPTS = st.lists(
    st.one_of(
        *(WORDS, WORDS, MARKS, QUOTED, ESCAPED, NAMES, DOLLARS, COMMENTS, GAPS, GAPS, GROUPS),
        *(VARIABLES, COMMANDS, JOINS, JOINS),
        *(COPIES, MODES),
    ),
    max_size=25,
).map("".join)


@pytest.mark.slow
@settings(max_examples=400)
@given(script=SCRIPTS)
def test_any_script_is_cut_as_psql_cuts_it(
    script: str, psql: PsqlRecorder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "property.sql"
    file.write_bytes(script.encode())
    try:
        found = [found.sql for found in iter_statements(io.BytesIO(script.encode()))]
    except WorkloadError as problem:
        # Where psql goes on after a complaint, pilot stops.
        assume(not any(complaint in str(problem) for complaint in COMPLAINTS))
        raise
    ours = [sql for sql in found if says_something(sql.encode())]
    sent = [sql for sql, _ in psql.run(file) if says_something(sql)]
    assert len(sent) == len(ours), (sent, ours)
    for mine, theirs in zip(ours, sent, strict=True):
        assert same(mine, theirs), (mine, theirs)


@settings(max_examples=300)
@given(script=SCRIPTS, chunk=st.integers(1, 40))
def test_where_the_text_is_cut_into_pieces_does_not_matter(script: str, chunk: int) -> None:
    def read(size: int) -> object:
        try:
            return list(iter_statements(io.BytesIO(script.encode()), chunk_bytes=size))
        except WorkloadError as problem:
            return str(problem)

    assert read(chunk) == read(1 << 18)


@settings(max_examples=500)
@given(
    text=st.one_of(
        st.binary(max_size=80),
        st.text("';\"$\\:()-/*\n\r eEU&ab1{}?\x00.`", max_size=60).map(str.encode),
        st.lists(COMMANDS, max_size=6).map(lambda found: "".join(found).encode()),
    ),
    chunk=st.integers(1, 50),
)
def test_nothing_but_a_workload_error_comes_out(text: bytes, chunk: int) -> None:
    try:
        for found in iter_statements(io.BytesIO(text), chunk_bytes=chunk):
            assert found.sql.encode()
            assert found.line >= 1
    except WorkloadError as problem:
        assert problem.hint
