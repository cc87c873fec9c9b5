"""The texts of hints and advice: how pilot writes them, and what it reads of the server's."""

from __future__ import annotations

import pytest

from pilotcli.common.errors import SteeringError
from pilotcli.steering.hint_plan import (
    Hint,
    comment_of,
    in_order,
    is_numbered,
    quote_name,
    read_hints,
    read_report,
    split_comments,
    split_names,
    take_own_hints,
)
from pilotcli.steering.methods import ScanJoinMethodEnum, hint_text, methods_of
from pilotcli.steering.plan_advice import (
    Item,
    PlanShape,
    order_item,
    read_advice,
    read_feedback,
    single_items,
)


def texts(hints: list[Hint]) -> list[str]:
    return [hint.text for hint in hints]


def test_a_comment_is_split_into_its_hints() -> None:
    hints = read_hints(' HashJoin(a c)  Leading((("x y" b) c)) Rows(a b #3) nonsense SeqScan(a)')
    assert texts(hints) == [
        "HashJoin(a c)",
        'Leading((("x y" b) c))',
        "Rows(a b #3)",
        "nonsense SeqScan(a)",
    ]
    assert [hint.is_known for hint in hints] == [True, True, True, False]
    assert hints[1].relations == ("x y", "b", "c")
    assert hints[2].relations == ("a", "b")
    assert read_hints("  ") == []
    assert read_hints("SeqScan(a")[0].words is None


def test_what_stops_the_extension_comes_last() -> None:
    hints = read_hints("HashJoinn(a b) SeqScan(a)")
    assert texts(in_order(hints)) == ["SeqScan(a)", "HashJoinn(a b)"]
    assert comment_of(hints) == "/*+ SeqScan(a) HashJoinn(a b) */"
    assert comment_of([]) == ""
    with pytest.raises(SteeringError, match="end of a comment"):
        comment_of(read_hints('SeqScan("a*/b")'))


def test_several_pushed_comments_have_one_list_of_hints() -> None:
    plain, hints = split_comments("/* mine *//*+ SeqScan(a) *//*+IndexScan(b)*/")
    assert plain == "/* mine */"
    assert texts(hints) == ["SeqScan(a)", "IndexScan(b)"]


def test_names_are_quoted_where_the_extension_needs_it() -> None:
    assert [quote_name(name) for name in ("p", "p#2", "a b", 'a"b', "(x)")] == [
        "p",
        "p#2",
        '"a b"',
        '"a""b"',
        '"(x)"',
    ]
    assert split_names('"a b" u "c""d"') == ["a b", "u", 'c"d']
    assert hint_text((), ["a b", ["c", "D"]]) == 'Leading(("a b" (c D)))'


def test_which_names_only_pilot_knows() -> None:
    found = {name: is_numbered(name) for name in ("p", "p#2", "p##2", "a##b#3", "a#b", "#")}
    assert found == {
        "p": False,
        "p#2": True,
        "p##2": False,
        "a##b#3": True,
        "a#b": False,
        "#": False,
    }


@pytest.mark.parametrize("version", [150000, 170000])
def test_hints_in_the_querys_own_text(version: int) -> None:
    for sql in ("/*+ SeqScan(a) */ SELECT 1", "EXPLAIN (COSTS off) SELECT /*+ SeqScan(a) */ 1"):
        text, own = take_own_hints(sql, version)
        assert texts(own) == ["SeqScan(a)"]
        assert text == sql.replace("/*+", "/*-")
    for sql in (
        "SELECT '/*+ SeqScan(a) */'",
        'SELECT 1 AS "/*+ SeqScan(a) */"',
        "SELECT 1 -- /*+ SeqScan(a) */\n",
        "SELECT $x$ /*+ SeqScan(a) */ $x$",
        r"SELECT E'\' /*+ SeqScan(a) */'",
        "SELECT 1 /* /*+ SeqScan(a) */ */",
    ):
        assert take_own_hints(sql, version) == (sql, [])


def test_older_extensions_take_hints_at_the_front_only() -> None:
    sql = "SELECT 'x' /*+ SeqScan(a) */"
    assert texts(take_own_hints(sql, 170000)[1]) == ["SeqScan(a)"]
    assert take_own_hints(sql, 160000)[1] == []


REPORT = (
    "INFO:  pg_hint_plan:\nused hint:\nNestLoop(a c)\nRows(a c *2)\nParallel(a 3 soft)\n"
    "not used hint:\nSeqScan(zz)\nduplication hint:\nHashJoin(a c)\nerror hint:\nRows(a #3)\n\n"
)
COMPLAINTS = [
    'INFO:  pg_hint_plan: hint syntax error at or near " HashJoinn(x) "\n'
    'DETAIL:  Unrecognized hint keyword "HashJoinn".\n',
    'INFO:  pg_hint_plan: hint syntax error at or near " SeqScan(zz) HashJoinn(x) "\n'
    "DETAIL:  Rows hint requires at least two relations.\n",
]


def test_what_the_extension_says_of_each_hint() -> None:
    sent = read_hints(
        "HashJoin(c a) NestLoop(c a) Rows(c a *2) Parallel(a 3) Rows(a #3) SeqScan(zz) HashJoinn(x)"
    )
    report = read_report([*COMPLAINTS, "NOTICE:  something else\n", REPORT])
    assert {hint.text: report.reason(hint, sent) for hint in sent} == {
        "HashJoin(c a)": "another hint after it is for the same relations",
        "NestLoop(c a)": None,
        "Rows(c a *2)": None,
        "Parallel(a 3)": None,
        "Rows(a #3)": "pg_hint_plan: Rows hint requires at least two relations",
        "SeqScan(zz)": "",
        "HashJoinn(x)": 'pg_hint_plan: Unrecognized hint keyword "HashJoinn"',
    }
    assert "has not read it" in str(read_report([]).reason(sent[0], sent))


def test_an_index_that_is_not_there() -> None:
    sent = read_hints("IndexScan(a nope) IndexScan(b by_c)")
    report = read_report(
        [
            "INFO:  available indexes for IndexScan(a):\n",
            "INFO:  available indexes for IndexScan(b): by_c\n",
            "INFO:  pg_hint_plan:\nused hint:\nIndexScan(a nope)\nIndexScan(b by_c)\n",
        ]
    )
    assert [report.reason(hint, sent) for hint in sent] == ["a has no such index", None]


def test_a_hint_that_one_of_two_plannings_used_is_used() -> None:
    other = REPORT.replace("used hint:\nNestLoop(a c)", "used hint:", 1)
    other = other.replace("not used hint:\n", "not used hint:\nNestLoop(a c)\n")
    (hint,) = read_hints("NestLoop(a c)")
    for notices in ([REPORT, other], [other, REPORT]):
        assert read_report(notices).reason(hint, [hint]) is None
    assert read_report([other]).reason(hint, [hint]) == ""


ADVICE = """JOIN_ORDER(u#2 (c#3 u) "X y")
 NESTED_LOOP_PLAIN("X y")
 HASH_JOIN(u (u c#3))
 SEQ_SCAN(pg_class@q_1 c#3 p/public.p_1 "*VALUES*")
 INDEX_SCAN("X y" public.by_x
  u#2 public."By u")"""


def test_advice_says_how_a_plan_joins() -> None:
    shape = PlanShape(read_advice(ADVICE))
    assert shape.joins == [
        (frozenset({"c#3"}), frozenset({"u"})),
        (frozenset({"u#2"}), frozenset({"u", "c#3"})),
        (frozenset({"u#2", "u", "c#3"}), frozenset({'"X y"'})),
    ]
    assert shape.methods[frozenset({"u", "c#3"})] == "HASH_JOIN"
    assert shape.scans["u#2"].text == 'INDEX_SCAN(u#2 public."By u")'
    assert shape.named("X y") == ['"X y"']
    assert shape.named("u") == ["u", "u#2"]
    assert shape.named("u#2") == ["u#2"]
    assert shape.named("pg_class") == ["pg_class@q_1"]
    assert shape.named("p") == ["p"]
    assert shape.scanned("p") == ["p/public.p_1"]
    assert shape.scanned("u") == ["u"]
    assert shape.named("nobody") == []
    assert shape.meeting(frozenset({"c#3", "u#2"})) == shape.joins[1]
    assert read_advice("no advice") == []
    assert read_advice("HASH_JOIN(a") == []


def test_items_are_as_the_feedback_has_them() -> None:
    items = read_advice('hash_join(c (a b) "c") JOIN_ORDER(a {b c}) index_scan(a i b j)')
    assert [item.text for item in single_items(items)] == [
        "HASH_JOIN(c)",
        "HASH_JOIN((a b))",
        "HASH_JOIN(c)",
        "JOIN_ORDER(a {b c})",
        "INDEX_SCAN(a i)",
        "INDEX_SCAN(b j)",
    ]
    assert order_item([["p", "u"], ["c", "v"]]).text == "JOIN_ORDER(p u (c v))"
    assert order_item(["u", "p", "c"]).text == "JOIN_ORDER(u p c)"


WARNING = (
    "WARNING:  supplied plan advice was not enforced\n"
    'DETAIL:  advice SEQ_SCAN(zz) feedback is "not matched"\n'
    'advice INDEX_SCAN(c nope) feedback is "matched, inapplicable, failed"\n'
    'advice JOIN_ORDER(c a) feedback is "matched, conflicting"\n'
)


def test_what_the_server_says_of_advice() -> None:
    feedback = read_feedback(["NOTICE:  x", WARNING])

    def reason(text: str) -> str | None:
        (item,) = read_advice(text)
        assert isinstance(item, Item)
        return feedback.reason(item)

    assert reason("HASH_JOIN(c)") is None
    assert reason("JOIN_ORDER(c a)") is None  # the plan follows it
    assert reason("SEQ_SCAN(zz)") == "the query has no such relation (pg_plan_advice: not matched)"
    assert "cannot do it" in str(reason("INDEX_SCAN(c nope)"))
    assert read_feedback([WARNING + "CONTEXT:  SQL function f\n"]).said == {}


def test_a_name_may_have_one_sign_of_a_comment() -> None:
    for text in ('"a/b" c', '"a*b" c', '"*" "/"'):
        methods = methods_of((ScanJoinMethodEnum.HASHJOIN, text))
        assert hint_text(methods, None) == f"HashJoin({text})"
    for text in ('"a*/b" c', '"a/*b" c'):
        with pytest.raises(SteeringError, match="needs the names of relations"):
            methods_of((ScanJoinMethodEnum.HASHJOIN, text))
