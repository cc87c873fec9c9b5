"""What handlers may return, and the texts that become of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pilotcli.common.errors import SteeringError
from pilotcli.steering.methods import ScanJoinMethodEnum, coarse_settings, hint_text, order_of
from pilotcli.steering.requests import Pushes
from pilotcli.steering.sql import literal, restore_settings, set_all


def test_hints_are_settings_and_their_values() -> None:
    pushes = Pushes()
    pushes.add_hints({"enable_nestloop": False, "work_mem": "64MB", "random_page_cost": 1.1})
    pushes.add_hints({"work_mem": "1GB"})
    pushes.add_hints(None)
    assert pushes.hints == {
        "enable_nestloop": "off",
        "work_mem": "1GB",
        "random_page_cost": "1.1",
    }


def test_values_of_hints_may_be_numpys() -> None:
    import numpy

    pushes = Pushes()
    pushes.add_hints({"enable_nestloop": numpy.bool_(False), "work_mem": numpy.int64(4096)})
    pushes.add_hints({"random_page_cost": numpy.float32(1.5), "seq_page_cost": Decimal("2.5")})
    assert pushes.hints == {
        "enable_nestloop": "off",
        "work_mem": "4096",
        "random_page_cost": "1.5",
        "seq_page_cost": "2.5",
    }


@pytest.mark.parametrize(
    "given", [["enable_nestloop"], "enable_nestloop", {1: "off"}, {"a": None}, {"a": [1]}, {"": 1}]
)
def test_hints_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(SteeringError):
        Pushes().add_hints(given)


@pytest.mark.parametrize("rows", [-1, float("nan"), float("inf"), "12", None, True, b"1", [1]])
def test_rows_that_are_no_number_are_refused(rows: Any) -> None:
    with pytest.raises(SteeringError, match="number of rows"):
        Pushes().add_cards({"SELECT COUNT(*) FROM posts AS p": rows})


def test_rows_from_zero_on_are_taken() -> None:
    import numpy

    pushes = Pushes()
    pushes.add_cards({"a": 0, "b": 1.5, "c": numpy.float32(2), "d": numpy.int64(3)})
    assert pushes.cards == {"a": 0.0, "b": 1.5, "c": 2.0, "d": 3.0}


@pytest.mark.parametrize(
    ("given", "comment"),
    [
        ("/*+ SeqScan(a) */", "/*+ SeqScan(a) */"),
        ("SeqScan(a)", "/*+ SeqScan(a) */"),
        ("/* only words */", "/* only words */"),
        ("", ""),
        (None, ""),
    ],
)
def test_comments(given: str | None, comment: str) -> None:
    pushes = Pushes()
    pushes.add_comment(given)
    assert pushes.comment == comment


@pytest.mark.parametrize("given", ["a */ DROP TABLE t; /*", "/* a */ b */", 1, "nul\0"])
def test_a_comment_cannot_be_left(given: Any) -> None:
    with pytest.raises(SteeringError):
        Pushes().add_comment(given)


def test_methods_take_one_pair_or_several() -> None:
    pushes = Pushes()
    pushes.add_methods((ScanJoinMethodEnum.SEQ, "p"))
    pushes.add_methods([(ScanJoinMethodEnum.HASHJOIN, "p u"), ("NestLoop", "u c")])
    pushes.add_methods((ScanJoinMethodEnum.JOINORDER, "((p u) c)"))
    assert hint_text(pushes.methods, pushes.order) == (
        "SeqScan(p) HashJoin(p u) NestLoop(u c) Leading(((p u) c))"
    )


@pytest.mark.parametrize(
    "given", [("SlowScan", "p"), (ScanJoinMethodEnum.SEQ,), 7, [("SeqScan", "p */ DROP")], ("", "")]
)
def test_methods_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(SteeringError):
        Pushes().add_methods(given)


def test_an_order_becomes_pairs() -> None:
    assert hint_text((), ["p", "u", "c"]) == "Leading(((p u) c))"
    assert hint_text((), [["p", "u"], ["c", "v"]]) == "Leading(((p u) (c v)))"
    assert hint_text((), ["p", "u"]) == "Leading((p u))"


@pytest.mark.parametrize(
    ("given", "order"),
    [
        (["p", "u", "c"], ["p", "u", "c"]),
        ("p u c", ["p", "u", "c"]),
        ("((p u) c)", [["p", "u"], "c"]),
        ('("My T" u)', ["My T", "u"]),
        ((("p", "u"), "c"), [("p", "u"), "c"]),
    ],
)
def test_orders(given: Any, order: Any) -> None:
    assert order_of(given) == order


@pytest.mark.parametrize(
    "given",
    [
        "",
        "p",
        "(p u",
        "p u)",
        [],
        ["p"],
        [["p"], "u"],
        7,
        ["p", 1],
        "p u p",
        [["a", "b"], ["c", "a"]],
    ],
)
def test_orders_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(SteeringError):
        order_of(given)


def test_coarse_settings_leave_on_what_is_asked_for() -> None:
    enum = ScanJoinMethodEnum
    settings, unmet = coarse_settings([(enum.HASHJOIN, "a b"), (enum.NESTLOOP, "b c")])
    assert settings == {
        "enable_mergejoin": "off",
        "enable_hashjoin": "on",
        "enable_nestloop": "on",
    }
    assert unmet == []
    settings, unmet = coarse_settings([(enum.NOSEQ, "a"), (enum.PARALLEL, "a 4")])
    assert settings == {"enable_seqscan": "off"}
    assert unmet == ["Parallel(a 4)"]
    settings, _ = coarse_settings([(enum.INDEXONLY, "a")])
    assert settings["enable_indexscan"] == "on"
    assert settings["enable_seqscan"] == "off"


def test_texts_are_quoted() -> None:
    assert literal("it's") == "'it''s'"
    assert literal("a\\b") == " E'a\\\\b'"
    assert set_all((("work_mem", "64MB"), ("a.b", "x'; DROP"))) == (
        "SET LOCAL \"work_mem\" = '64MB'; SET LOCAL \"a\".\"b\" = 'x''; DROP'; "
    )
    assert set_all((("search_path", "a, b"),), "") == ("SET \"search_path\" = 'a', 'b'; ")
    assert restore_settings(["a"], [None], "LOCAL ") == "SELECT set_config('a', '', true)"
