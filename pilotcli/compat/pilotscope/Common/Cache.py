"""A value in a file of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pilotcli.common.files import open_over

__all__ = ["Cache"]


class Cache:
    """Keeps one value, as JSON, in `<directory>/<name>.json`; without a directory in `.pilot/cache`
    of the current folder.

    Subclasses may override `get_file_name` and `get_identifier`.
    """

    def __init__(self, name: str, directory: str | Path | None = None, enable: bool = True) -> None:
        self.name = name
        self.directory = Path(".pilot") / "cache" if directory is None else Path(directory)
        self.enable = enable

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / f"{Path(self.get_file_name()).name}.json"

    def get_file_name(self) -> str:
        """The name of the file, without its ending."""
        return self.name

    def get_identifier(self) -> Any:
        """What the value belongs to, as JSON can hold it. A value that was saved under another
        identifier is not read."""
        return ""

    def exist(self) -> bool:
        """Whether a value was saved."""
        return self.enable and self.path.is_file()

    def save(self, target: Any) -> None:
        """Save a value, whole or not at all. Raises `TypeError` for one that JSON cannot hold."""
        if not self.enable:
            return
        text = json.dumps([self.get_identifier(), target])
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.new")
        with os.fdopen(open_over(new), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def read(self) -> Any:
        """The value. Raises `RuntimeError` when this is not enabled, when nothing was saved, and
        for a value of another identifier."""
        if not self.enable:
            raise RuntimeError(f"the cache {self.name!r} is not enabled")
        if not self.exist():
            raise RuntimeError(f"nothing was saved in {self.path}")
        identifier, value = json.loads(self.path.read_text("utf-8"))
        if identifier != json.loads(json.dumps(self.get_identifier())):
            raise RuntimeError(f"{self.path} holds the value of another identifier")
        return value
