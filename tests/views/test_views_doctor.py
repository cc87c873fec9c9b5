"""What `pilot doctor` shows on a terminal."""

from __future__ import annotations

import pytest

from pilotcli.steering.probing import Capability
from pilotcli.views import doctor

HOW = "real ones, in a transaction that locks their tables and is rolled back"
REMEDY = "Have a superuser run `ALTER ROLE app SET session_preload_libraries = 'pg_hint_plan'`."


def test_a_reason_is_wrapped_at_words_and_a_command_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Capability("what-if indexes", "coarse", HOW, REMEDY)]
    monkeypatch.setattr(doctor, "columns", lambda: 80)
    doctor.show_checks(found, "table")
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[2] == f"coarse   {'what-if indexes':<23}real ones, in a transaction that locks their"
    )
    assert lines[3:5] == [f"{'':32}tables and is rolled back", f"{'':32}{REMEDY}"]
    monkeypatch.undo()
    doctor.show_checks(found, "table")
    assert HOW in capsys.readouterr().out
