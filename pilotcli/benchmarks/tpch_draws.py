"""Other parameters for the 22 queries of TPC-H, as the standard draws them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Domains:
    """The values from which the standard draws parameters, as they are in the data."""

    nations: tuple[tuple[str, str], ...]  # nation, region
    colors: tuple[str, ...]
    types: tuple[str, ...]
    containers: tuple[str, ...]
    brands: tuple[str, ...]
    segments: tuple[str, ...]
    modes: tuple[str, ...]
    scale: float


def read_domains(duck: Any, scale: float) -> Domains:
    """Returns the domains of the data that `duck` holds."""

    def values(sql: str) -> tuple[str, ...]:
        return tuple(value for (value,) in duck.execute(sql).fetchall())

    def column(name: str, table: str) -> tuple[str, ...]:
        return values(f"SELECT DISTINCT {name} FROM {table} ORDER BY 1")  # noqa: S608 - ours

    nations = duck.execute(
        "SELECT n_name, r_name FROM nation JOIN region ON n_regionkey = r_regionkey ORDER BY 1"
    ).fetchall()
    return Domains(
        nations=tuple((nation, region) for nation, region in nations),
        colors=column("unnest(string_split(p_name, ' '))", "part"),
        types=column("p_type", "part"),
        containers=column("p_container", "part"),
        brands=column("p_brand", "part"),
        segments=column("c_mktsegment", "customer"),
        modes=column("l_shipmode", "lineitem"),
        scale=scale,
    )


def with_parameters(number: int, sql: str, domains: Domains, chance: random.Random) -> str:
    """Returns query `number` with other parameters, drawn as the standard draws them (2.4).

    `sql` has the parameters of the standard's validation run.
    """
    return replaced(sql, _DRAWS[number](domains, chance))


def validation(number: int, sql: str, scale: float) -> str:
    """Returns query `number` with the validation run's parameters; one depends on the scale."""
    return replaced(sql, {"0.0001000000": _fraction(scale)}) if number == 11 else sql


def replaced(sql: str, values: Mapping[str, str]) -> str:
    """Returns `sql` with all texts replaced at once, so that no replacement is replaced again."""
    parts = [sql]
    marks: list[str] = []
    for old in sorted(values, key=len, reverse=True):
        assert old in sql, old
        mark = f"\0{len(marks)}\0"
        marks.append(values[old])
        parts[0] = parts[0].replace(old, mark)
    for number, new in enumerate(marks):
        parts[0] = parts[0].replace(f"\0{number}\0", new)
    return parts[0]


def _fraction(scale: float) -> str:
    return f"{0.0001 / scale:.10f}"


def _later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _months(chance: random.Random, first: date, count: int) -> date:
    """Returns the first day of one of `count` months from `first` on."""
    return _later(first, chance.randrange(count))


def _year(chance: random.Random) -> dict[str, str]:
    year = chance.randint(1993, 1997)
    return {"1994-01-01": f"{year}-01-01", "1995-01-01": f"{year + 1}-01-01"}


def _nation(domains: Domains, chance: random.Random) -> str:
    return chance.choice(domains.nations)[0]


def _region(domains: Domains, chance: random.Random) -> str:
    return chance.choice(sorted({region for _, region in domains.nations}))


def _q1(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"1998-09-02": str(date(1998, 12, 1) - timedelta(days=chance.randint(60, 120)))}


def _q2(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {
        "p_size = 15": f"p_size = {chance.randint(1, 50)}",
        "BRASS": chance.choice(domains.types).split()[2],
        "EUROPE": _region(domains, chance),
    }


def _q3(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {
        "BUILDING": chance.choice(domains.segments),
        "1995-03-15": f"1995-03-{chance.randint(1, 31):02}",
    }


def _q4(domains: Domains, chance: random.Random) -> dict[str, str]:
    day = _months(chance, date(1993, 1, 1), 58)
    return {"1993-07-01": str(day), "1993-10-01": str(_later(day, 3))}


def _q5(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"ASIA": _region(domains, chance), **_year(chance)}


def _q6(domains: Domains, chance: random.Random) -> dict[str, str]:
    discount = chance.randint(2, 9)
    return {
        "0.05": f"0.{discount - 1:02}",
        "0.07": f"0.{discount + 1:02}",
        "l_quantity < 24": f"l_quantity < {chance.randint(24, 25)}",
        **_year(chance),
    }


def _q7(domains: Domains, chance: random.Random) -> dict[str, str]:
    (first, _), (second, _) = chance.sample(domains.nations, 2)
    return {"FRANCE": first, "GERMANY": second}


def _q8(domains: Domains, chance: random.Random) -> dict[str, str]:
    nation, region = chance.choice(domains.nations)
    kind = chance.choice(domains.types)
    return {"BRAZIL": nation, "AMERICA": region, "ECONOMY ANODIZED STEEL": kind}


def _q9(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"%green%": f"%{chance.choice(domains.colors)}%"}


def _q10(domains: Domains, chance: random.Random) -> dict[str, str]:
    day = _months(chance, date(1993, 2, 1), 24)
    return {"1993-10-01": str(day), "1994-01-01": str(_later(day, 3))}


def _q11(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"GERMANY": _nation(domains, chance), "0.0001000000": _fraction(domains.scale)}


def _q12(domains: Domains, chance: random.Random) -> dict[str, str]:
    first, second = chance.sample(domains.modes, 2)
    return {"'MAIL', 'SHIP'": f"'{first}', '{second}'", **_year(chance)}


def _q13(domains: Domains, chance: random.Random) -> dict[str, str]:
    first = chance.choice(("special", "pending", "unusual", "express"))
    second = chance.choice(("packages", "requests", "accounts", "deposits"))
    return {"%special%requests%": f"%{first}%{second}%"}


def _q14(domains: Domains, chance: random.Random) -> dict[str, str]:
    day = _months(chance, date(1993, 1, 1), 60)
    return {"1995-09-01": str(day), "1995-10-01": str(_later(day, 1))}


def _q15(domains: Domains, chance: random.Random) -> dict[str, str]:
    day = _months(chance, date(1993, 1, 1), 58)
    return {"1996-01-01": str(day), "1996-04-01": str(_later(day, 3))}


def _q16(domains: Domains, chance: random.Random) -> dict[str, str]:
    sizes = ", ".join(map(str, chance.sample(range(1, 51), 8)))
    return {
        "Brand#45": chance.choice(domains.brands),
        "MEDIUM POLISHED%": " ".join(chance.choice(domains.types).split()[:2]) + "%",
        "(49, 14, 23, 45, 19, 3, 36, 9)": f"({sizes})",
    }


def _q17(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {
        "Brand#23": chance.choice(domains.brands),
        "MED BOX": chance.choice(domains.containers),
    }


def _q18(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"> 300": f"> {chance.randint(312, 315)}"}


def _q19(domains: Domains, chance: random.Random) -> dict[str, str]:
    values = {}
    for brand, at, low, high in (("12", 1, 1, 10), ("23", 10, 10, 20), ("34", 20, 20, 30)):
        values[f"Brand#{brand}"] = chance.choice(domains.brands)
        quantity = chance.randint(low, high)
        values[f">= {at}\n"] = f">= {quantity}\n"
        values[f"<= {at} + 10"] = f"<= {quantity} + 10"
    return values


def _q20(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {
        "forest%": f"{chance.choice(domains.colors)}%",
        "CANADA": _nation(domains, chance),
        **_year(chance),
    }


def _q21(domains: Domains, chance: random.Random) -> dict[str, str]:
    return {"SAUDI ARABIA": _nation(domains, chance)}


def _q22(domains: Domains, chance: random.Random) -> dict[str, str]:
    codes = ", ".join(f"'{code}'" for code in chance.sample(range(10, 35), 7))
    return {"'13', '31', '23', '29', '30', '18', '17'": codes}


_Draw = Callable[[Domains, random.Random], dict[str, str]]
_ALL: Sequence[_Draw] = (
    *(_q1, _q2, _q3, _q4, _q5, _q6, _q7, _q8, _q9, _q10, _q11),
    *(_q12, _q13, _q14, _q15, _q16, _q17, _q18, _q19, _q20, _q21, _q22),
)
_DRAWS = dict(enumerate(_ALL, 1))
