"""The row that a run stores about a query."""

from __future__ import annotations

import datetime
from decimal import Decimal

from pilotcli.common.records import Query
from pilotcli.config.model import CollectSection
from pilotcli.databases.protocols import Rows
from pilotcli.replay.collected_row import collected_row


def test_records_are_the_texts_that_the_server_sends() -> None:
    noon = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
    values = (
        memoryview(b"\0\xff"),
        datetime.timedelta(1, 90),
        noon,
        Decimal("1.10"),
        [noon.date()],
    )
    found = collected_row(
        CollectSection(records=True), Query(1, "q1", "SELECT 1"), "ok", 0.1, Rows([values], 1), None
    )
    assert found["records"] == [
        ["\\x00ff", "1 day 00:01:30", "2024-02-29 12:00:00+00", "1.10", ["2024-02-29"]]
    ]
