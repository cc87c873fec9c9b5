"""The oracle reads keys well enough to tell which sub-plans depend on which."""

from __future__ import annotations

import pytest
from oracle.key_text import is_part, reordered

BOTH = "SELECT COUNT(*) FROM a, b WHERE a.id = b.a_id AND a.x > 3 AND b.y = 7"


@pytest.mark.parametrize(
    ("key", "other", "expected"),
    [
        ("SELECT COUNT(*) FROM a WHERE a.x > 3", BOTH, True),
        ("SELECT COUNT(*) FROM b WHERE b.y = 7", BOTH, True),
        (BOTH, "SELECT COUNT(*) FROM a WHERE a.x > 3", False),
        # A relation of the same name in another block has other conditions.
        ("SELECT COUNT(*) FROM a WHERE a.x > 4", BOTH, False),
        ("SELECT COUNT(*) FROM a WHERE a.x > 3", "SELECT COUNT(*) FROM a", False),
        # An equality may follow from others.
        ("SELECT COUNT(*) FROM a WHERE a.id = 7", BOTH, True),
        ("SELECT COUNT(*) FROM a WHERE a.id = 8", BOTH, False),
        # A sub-query and a view hold relations.
        (
            "SELECT COUNT(*) FROM a WHERE a.x > 3",
            "SELECT COUNT(*) FROM (SELECT x FROM (SELECT * FROM a WHERE x > 3) q) r, b",
            True,
        ),
        ("SELECT COUNT(*) FROM a WHERE a.x > 3", "SELECT COUNT(*) FROM v, c", True),
        ("SELECT COUNT(*) FROM a", "SELECT COUNT(*) FROM b", False),
        (
            "WITH q AS (SELECT * FROM a AS r) SELECT COUNT(*) FROM q",
            "SELECT COUNT(*) FROM (SELECT * FROM a) s",
            True,
        ),
    ],
)
def test_a_sub_plan_is_part_of_another(key: str, other: str, expected: bool) -> None:
    assert is_part(key, other, {"v"}) is expected


def test_a_key_is_written_in_other_orders() -> None:
    key = "SELECT COUNT(*) FROM a, b, f(1, ' WHERE ') c WHERE a.x = ' AND ' AND (b.y = 1 AND c)"
    found = {order for orders in reordered(key) for order in orders}
    assert len(found) == 36  # six orders of FROM, and of WHERE two, or six with one of them twice
    assert (
        "SELECT COUNT(*) FROM b, f(1, ' WHERE ') c, a WHERE (b.y = 1 AND c) AND a.x = ' AND '"
        in (found)
    )
    where = "SELECT COUNT(*) FROM a WHERE a.x = 1 AND a.y = 2 AND"
    assert list(reordered(where.removesuffix(" AND"))) == [[f"{where} a.x = 1", f"{where} a.y = 2"]]
