"""The files that `pilot init` begins a project with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pilotcli.common.errors import UsageError

__all__ = ["FILES", "write_scaffold"]

FILES = ("pilot.yaml", "events.py", "queries.sql", "schema.sql")


def write_scaffold(folder: Path) -> tuple[Path, ...]:
    """Write the files into `folder`, which is created where missing, and return their paths.

    Raises `UsageError` when one of them is there already; then none is written.
    """
    present = [name for name in FILES if (folder / name).exists()]
    if present:
        raise UsageError(
            f"{folder} has {', '.join(present)} already; nothing was written",
            hint="Name an empty folder: pilot init my-project",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            text = resources.files(__name__).joinpath(name).read_text("utf-8")
            (folder / name).write_text(text, "utf-8")
    except OSError as exc:
        raise UsageError(
            f"{exc.filename or folder}: {exc.strerror}",
            hint="Name a folder that you may write to.",
        ) from exc
    return tuple(folder / name for name in FILES)
