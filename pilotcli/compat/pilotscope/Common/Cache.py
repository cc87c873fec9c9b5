"""A value in a file of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["Cache"]


class Cache:
    """Keeps one value, as JSON, in `.pilot/cache/<name>.json` of the current folder."""

    def __init__(self, name: str, enable: bool = True) -> None:
        self.enable = enable
        self.path = Path(".pilot") / "cache" / f"{Path(name).name}.json"

    def exist(self) -> bool:
        """Whether a value was saved."""
        return self.enable and self.path.is_file()

    def save(self, value: Any) -> None:
        """Save a value, whole or not at all."""
        if not self.enable:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def read(self) -> Any:
        """The value. Raises `FileNotFoundError` without one."""
        return json.loads(self.path.read_text("utf-8"))
