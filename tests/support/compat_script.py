"""Runs scripts that were written for PilotScope on an embedded server of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

Run = Callable[[str], dict[str, object]]

SETUP = """
from pilotscope.Factory.DBControllerFectory import DBControllerFactory
from pilotscope.PilotConfig import PostgreSQLConfig
import json

config = PostgreSQLConfig()
config.postgres_bin = POSTGRES_BIN
config.db = "shop"
controller = DBControllerFactory.get_db_controller(config)
controller.execute("DROP TABLE IF EXISTS item, sale")
controller.execute("CREATE TABLE item (id int PRIMARY KEY, kind int)")
controller.execute("CREATE TABLE sale (id int PRIMARY KEY, item_id int, amount int)")
controller.execute("INSERT INTO item SELECT g, g % 10 FROM generate_series(1, 200) AS g")
controller.execute("INSERT INTO sale SELECT g, g % 200 + 1, 1 FROM generate_series(1, 2000) AS g")
controller.execute("ANALYZE")
JOIN = "SELECT count(*) AS n FROM item i, sale s WHERE s.item_id = i.id AND i.kind = 3"
found = {}
"""


def runner(folder: Path, programs: Path | None) -> Run:
    """Runs scripts in `folder`, on a server of these `programs` (None: pilot's own)."""
    path = "None" if programs is None else f"Path({str(programs)!r})"
    where = f"from pathlib import Path\nPOSTGRES_BIN = {path}\n"

    def run(script: str) -> dict[str, object]:
        text = where + SETUP + textwrap.dedent(script) + "\nprint(json.dumps(found))\n"
        (folder / "script.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pilotcli.compat", "script.py"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return told

    return run
