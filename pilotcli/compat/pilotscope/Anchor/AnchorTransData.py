"""What PilotScope's anchors hand to each other while one query runs."""

from __future__ import annotations

from typing import Any

__all__ = ["AnchorTransData"]


class AnchorTransData:
    """Holds what was pulled; nothing of pilot's fills it, since one message brings all of it."""

    def __init__(self) -> None:
        self.physical_plan: dict[str, Any] | None = None
        self.buffercache: dict[str, int] | None = None
        self.estimated_cost: float | None = None
