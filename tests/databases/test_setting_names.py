"""A setting with a misspelt name is refused with the name that was probably meant."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pilotcli.common.errors import DatabaseError, UsageError
from pilotcli.config import PostgreSQLConfig
from pilotcli.databases.opening import open_target
from pilotcli.databases.setting_names import meant_setting

KNOWN = ("enable_nestloop", "DateStyle", "work_mem")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["work_mem", "enable_nestlop"], "Did you mean 'enable_nestloop'?"),
        (["Datestile"], "Did you mean 'DateStyle'?"),
        (["WORK_MEM", "datestyle"], None),
        (["pg_hint_plan.enable_hint"], None),
        (["zzz"], None),
        ([], None),
    ],
)
def test_the_name_that_was_meant(names: list[str], said: str | None) -> None:
    assert meant_setting(names, KNOWN) == said


def test_a_setting_of_the_session(pilot_config: PostgreSQLConfig) -> None:
    pilot_config.session_settings = {"enable_nestlop": "off"}
    with closing(open_target(pilot_config)) as target, pytest.raises(UsageError) as refused:
        target.session()
    assert str(refused.value.hint).startswith("Did you mean 'enable_nestloop'? Correct it under")


def test_a_setting_of_the_embedded_server(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)  # as root the server is another user's
    config = PostgreSQLConfig(home=tmp_path / ".pilot")
    config.server_settings = {"work_memm": "4MB"}
    with pytest.raises(DatabaseError, match="did not start") as refused:
        open_target(config)
    assert str(refused.value.hint).startswith("Did you mean 'work_mem'? The whole log is")
