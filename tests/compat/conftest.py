"""Scripts that were written for PilotScope run on servers of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from compat_script import Run, runner
from server_folder import server_folder
from steered import KINDS, postgres_bin


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a script after SETUP; what it puts into `found` comes back."""
    programs = postgres_bin(request.param)
    with server_folder() as folder:
        yield runner(folder, programs)
