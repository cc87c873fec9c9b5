"""The base of handlers."""

from __future__ import annotations

from typing import Any, ClassVar

from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum

__all__ = ["BaseAnchorHandler"]

_LAST = 9


class BaseAnchorHandler:
    """The base of push and of pull handlers: what is pushed or pulled has a name."""

    anchor: ClassVar[AnchorEnum] = AnchorEnum.BASE_ANCHOR
    anchor_name: str = AnchorEnum.BASE_ANCHOR.name
    enable = True
    name_2_priority: ClassVar[dict[str, int]] = {
        AnchorEnum.KNOB_PUSH_ANCHOR.name: -1,
        AnchorEnum.EXECUTION_TIME_PULL_ANCHOR.name: 0,
        AnchorEnum.PHYSICAL_PLAN_PULL_ANCHOR.name: 1,
        "OTHER": _LAST,
    }
    """PilotScope's order of handlers, the lowest first; pilot keeps to that of their
    registration, knobs before all others."""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "anchor" in vars(cls):
            cls.anchor_name = cls.anchor.name

    def get_call_priority(self) -> int:
        """The place in PilotScope's order."""
        return self.name_2_priority.get(self.anchor_name, self.name_2_priority["OTHER"])

    def add_trans_params(self, params: dict[str, Any]) -> None:
        """Add what PilotScope's messages begin with; pilot sends none."""
        params.update(enable=self.enable, name=self.anchor_name)
