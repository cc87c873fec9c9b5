"""The names of pushes and pulls."""

from __future__ import annotations

from pilotcli.compat.pilotscope.PilotEnum import PilotEnum

__all__ = ["AnchorEnum"]


class AnchorEnum(PilotEnum):
    """What can be pushed and pulled."""

    HINT_PUSH_ANCHOR = "hint_push"
    CARD_PUSH_ANCHOR = "card_push"
    COMMENT_PUSH_ANCHOR = "comment_push"
    KNOB_PUSH_ANCHOR = "knob_push"
    INDEX_PUSH_ANCHOR = "index_push"
    SCAN_JOIN_METHOD_PUSH_ANCHOR = "scan_join_method_push"
    RECORD_PULL_ANCHOR = "record_pull"
    EXECUTION_TIME_PULL_ANCHOR = "execution_time_pull"
    PHYSICAL_PLAN_PULL_ANCHOR = "physical_plan_pull"
    SUBQUERY_CARD_PULL_ANCHOR = "subquery_card_pull"
    BUFFERCACHE_PULL_ANCHOR = "buffercache_pull"
    ESTIMATED_COST_PULL_ANCHOR = "estimated_cost_pull"
