"""What was pulled about a query."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

from pilotcli.common import records

__all__ = ["PilotTransData"]


@dataclass
class PilotTransData(records.PilotTransData):
    """pilot's own, to which drivers may add further attributes.

    `parser_time`, `http_time`, `anchor_names` and `anchor_times` are about PilotScope's patched
    server and stay empty; PostgreSQL shows no `logical_plan`.
    """

    logical_plan: dict[str, Any] | None = None
    anchor_name: str | None = None
    parser_time: float | None = None
    http_time: float | None = None
    anchor_names: list[str] = field(default_factory=list)
    anchor_times: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, data: records.PilotTransData) -> PilotTransData:
        """`data`, in this class."""
        return cls(**{field.name: getattr(data, field.name) for field in fields(data)})

    @classmethod
    def parse_2_instance(cls, target_json: Any, sql: str) -> PilotTransData:
        """The data of a JSON object, or its text, about `sql`; keys that are no attributes are
        skipped, numbers become floats, and `subquery` and `card` become `subquery_2_card`."""
        given = json.loads(target_json) if isinstance(target_json, str) else target_json
        data = cls(sql=sql)
        known = {field.name for field in fields(cls)} - {"sql"}
        for key, value in given.items():
            if key in known:
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                setattr(data, key, float(value) if is_number else value)
        if "subquery" in given and "card" in given:
            cards = map(float, given["card"])
            data.subquery_2_card = dict(zip(given["subquery"], cards, strict=True))
        return data

    def add_property(self, key: str, value: Any) -> None:
        """Add an attribute."""
        setattr(self, key, value)
