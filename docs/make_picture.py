"""Makes `docs/live.svg`, the README's picture, from a real run of the demo.

    python docs/make_picture.py

It replays the demo from scratch in a temporary folder and draws the live view as it stands after
`QUERIES` queries.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from pilotcli.common.signals import Bus, QueryFinished, Signal
from pilotcli.config import load_config
from pilotcli.run.commands import RunRequest, run
from pilotcli.views.live import LiveView

ROOT = Path(__file__).parents[1]
QUERIES = 55


def main() -> None:
    view = LiveView(io.StringIO(), size=lambda: (84, 22), color=True, thread=False)
    done = 0

    def draw(signal: Signal) -> None:
        nonlocal done
        if not isinstance(signal, QueryFinished):
            return
        done += 1
        view.refresh()
        if done == QUERIES:
            title = "pilot run workloads/forum.sql -c configs/forum.yaml"
            view.save_svg(ROOT / "docs" / "live.svg", title)

    with tempfile.TemporaryDirectory(prefix="pilot-picture-") as folder, view:
        for part in ("configs", "workloads"):
            shutil.copytree(ROOT / part, Path(folder) / part)
        os.chdir(folder)
        config = load_config(Path("configs/forum.yaml"))
        run(RunRequest(config, ("workloads/forum.sql",)), Bus(view, draw))


if __name__ == "__main__":
    main()
