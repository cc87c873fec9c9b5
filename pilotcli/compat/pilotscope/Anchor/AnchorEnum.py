"""The names of pushes and pulls."""

from __future__ import annotations

from pilotcli.common.errors import UsageError
from pilotcli.compat.pilotscope.PilotEnum import PilotEnum

__all__ = ["AnchorEnum"]


class AnchorEnum(PilotEnum):
    """What can be pushed and pulled; each value is its name."""

    BASE_ANCHOR = "BASE_ANCHOR"
    HINT_PUSH_ANCHOR = "HINT_PUSH_ANCHOR"
    CARD_PUSH_ANCHOR = "CARD_PUSH_ANCHOR"
    COST_PUSH_ANCHOR = "COST_PUSH_ANCHOR"
    INDEX_PUSH_ANCHOR = "INDEX_PUSH_ANCHOR"
    KNOB_PUSH_ANCHOR = "KNOB_PUSH_ANCHOR"
    COMMENT_PUSH_ANCHOR = "COMMENT_PUSH_ANCHOR"
    SCAN_JOIN_METHOD_PUSH_ANCHOR = "SCAN_JOIN_METHOD_PUSH_ANCHOR"
    RECORD_PULL_ANCHOR = "RECORD_PULL_ANCHOR"
    LOGICAL_PLAN_PULL_ANCHOR = "LOGICAL_PLAN_PULL_ANCHOR"
    PHYSICAL_PLAN_PULL_ANCHOR = "PHYSICAL_PLAN_PULL_ANCHOR"
    OPTIMIZED_SQL_PULL_ANCHOR = "OPTIMIZED_SQL_PULL_ANCHOR"
    EXECUTION_TIME_PULL_ANCHOR = "EXECUTION_TIME_PULL_ANCHOR"
    SUBQUERY_CARD_PULL_ANCHOR = "SUBQUERY_CARD_PULL_ANCHOR"
    ESTIMATED_COST_PULL_ANCHOR = "ESTIMATED_COST_PULL_ANCHOR"
    BUFFERCACHE_PULL_ANCHOR = "BUFFERCACHE_PULL_ANCHOR"

    @staticmethod
    def to_anchor_enum(anchor_name: str) -> AnchorEnum:
        """The anchor of that name. Raises `UsageError` where there is none."""
        try:
            return AnchorEnum[anchor_name]
        except KeyError:
            raise UsageError(f"there is no push or pull {anchor_name!r}") from None
