"""TPC-H: the tables, and the scales at which they have keys."""

from __future__ import annotations

import itertools

from pilotcli.benchmarks.duck import Table


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    """Reads `name type, name type`; no column may be null."""
    pairs = (column.strip().split(" ", 1) for column in text.split(";"))
    return tuple((name, f"{kind} NOT NULL") for name, kind in pairs)


TABLES = (
    Table(
        "region",
        _columns("r_regionkey integer; r_name varchar(25); r_comment varchar(152)"),
        "r_regionkey",
    ),
    Table(
        "nation",
        _columns(
            "n_nationkey integer; n_name varchar(25); n_regionkey integer; n_comment varchar(152)"
        ),
        "n_nationkey",
        (("n_regionkey", "region", "r_regionkey"),),
        ("n_regionkey",),
    ),
    Table(
        "supplier",
        _columns(
            "s_suppkey integer; s_name varchar(25); s_address varchar(40); s_nationkey integer;"
            " s_phone varchar(15); s_acctbal decimal(15,2); s_comment varchar(101)"
        ),
        "s_suppkey",
        (("s_nationkey", "nation", "n_nationkey"),),
        ("s_nationkey",),
    ),
    Table(
        "customer",
        _columns(
            "c_custkey integer; c_name varchar(25); c_address varchar(40); c_nationkey integer;"
            " c_phone varchar(15); c_acctbal decimal(15,2); c_mktsegment varchar(10);"
            " c_comment varchar(117)"
        ),
        "c_custkey",
        (("c_nationkey", "nation", "n_nationkey"),),
        ("c_nationkey",),
    ),
    Table(
        "part",
        _columns(
            "p_partkey integer; p_name varchar(55); p_mfgr varchar(25); p_brand varchar(10);"
            " p_type varchar(25); p_size integer; p_container varchar(10);"
            " p_retailprice decimal(15,2); p_comment varchar(23)"
        ),
        "p_partkey",
    ),
    Table(
        "partsupp",
        _columns(
            "ps_partkey integer; ps_suppkey integer; ps_availqty integer;"
            " ps_supplycost decimal(15,2); ps_comment varchar(199)"
        ),
        "ps_partkey, ps_suppkey",
        (("ps_partkey", "part", "p_partkey"), ("ps_suppkey", "supplier", "s_suppkey")),
        ("ps_suppkey",),
    ),
    Table(
        "orders",
        _columns(
            "o_orderkey bigint; o_custkey integer; o_orderstatus varchar(1);"
            " o_totalprice decimal(15,2); o_orderdate date; o_orderpriority varchar(15);"
            " o_clerk varchar(15); o_shippriority integer; o_comment varchar(79)"
        ),
        "o_orderkey",
        (("o_custkey", "customer", "c_custkey"),),
        ("o_custkey", "o_orderdate"),
    ),
    Table(
        "lineitem",
        _columns(
            "l_orderkey bigint; l_partkey integer; l_suppkey integer; l_linenumber integer;"
            " l_quantity decimal(15,2); l_extendedprice decimal(15,2); l_discount decimal(15,2);"
            " l_tax decimal(15,2); l_returnflag varchar(1); l_linestatus varchar(1);"
            " l_shipdate date; l_commitdate date; l_receiptdate date; l_shipinstruct varchar(25);"
            " l_shipmode varchar(10); l_comment varchar(44)"
        ),
        "l_orderkey, l_linenumber",
        (
            ("l_orderkey", "orders", "o_orderkey"),
            ("l_partkey, l_suppkey", "partsupp", "ps_partkey, ps_suppkey"),
        ),
        ("l_partkey, l_suppkey", "l_suppkey", "l_shipdate", "l_commitdate", "l_receiptdate"),
    ),
)
"""The standard's tables (1.4), with indexes on foreign keys and dates, as it allows (1.5.7)."""


def scale_with_keys(scale: float) -> float:
    """Returns `scale`, or the next one at which dbgen gives each part four different suppliers.

    dbgen takes a scale below 1 in thousandths. It finds the suppliers by a formula (4.2.3), which
    at some small scales gives a part one supplier twice.
    """
    if scale >= 1:
        return scale
    thousandths = int(scale * 1000)
    found = next(number for number in itertools.count(thousandths) if _suppliers_differ(number))
    return scale if found == thousandths else found / 1000


def _suppliers_differ(thousandths: int) -> bool:
    suppliers = 10 * thousandths
    # A part's suppliers are so many apart; there are 20 times as many parts as suppliers.
    steps = [suppliers // 4 + turn for turn in range(20)]
    return suppliers > 0 and all(step * times % suppliers for step in steps for times in (1, 2, 3))
