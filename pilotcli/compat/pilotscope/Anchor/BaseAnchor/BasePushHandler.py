"""Push handlers: what drivers derive from to put something into the database for each query.

These are pilot's own, with PilotScope's arguments and attributes. A handler that no driver derives
from pushes the data that it was made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pilotcli.common.errors import CapabilityError
from pilotcli.common.records import Index
from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.Anchor.BaseAnchor.BaseAnchorHandler import BaseAnchorHandler
from pilotcli.compat.pilotscope.PilotEnum import PushHandlerTriggerLevelEnum
from pilotcli.compat.refused import RefusedClass
from pilotcli.compat.subplan_keys import rows_given
from pilotcli.steering import handlers as own
from pilotcli.steering.methods import Method
from pilotcli.steering.requests import Pushes

__all__ = [
    "BasePushHandler",
    "CardPushHandler",
    "CommentPushHandler",
    "CostPushHandler",
    "HintPushHandler",
    "IndexPushHandler",
    "KnobPushHandler",
    "ScanJoinMethodPushHandler",
]


class BasePushHandler(BaseAnchorHandler, own.BasePushHandler):
    """The base of push handlers; drivers derive from one of those below."""

    scheduler = "pilotcli.compat.pilotscope.PilotScheduler:PilotScheduler"
    trigger_level = PushHandlerTriggerLevelEnum.QUERY
    have_been_triggered = False
    """Whether a handler for the whole workload was called."""
    given: ClassVar[str] = ""
    """The attribute with what the handler was made with."""

    def acquire_injected_data(self, sql: str) -> Any:
        """What to push for `sql`; None for nothing. Drivers override this; else it is what the
        handler was made with."""
        return getattr(self, self.given) if self.given else None

    def exec_commands_before_sql(self, db_controller: Any) -> None:
        """Refused: pilot itself carries out what is pushed. Raises `CapabilityError`."""
        raise CapabilityError(
            "push handlers send nothing themselves",
            hint="Return what is to be pushed from acquire_injected_data(sql).",
        )


class CardPushHandler(BasePushHandler, own.CardPushHandler):
    """pilot's own; rows may be texts of numbers too, as models of PilotScope's return them.

    `enable_parameterized_subquery` changes nothing: no key has parameters, and the rows of lookups
    follow from those of their joins.
    """

    anchor = AnchorEnum.CARD_PUSH_ANCHOR
    given = "subquery_2_card"

    def __init__(
        self,
        config: Any,
        subquery_2_card: Mapping[str, Any] | None = None,
        enable_parameterized_subquery: bool = False,
    ) -> None:
        super().__init__(config)
        self.subquery_2_card = subquery_2_card
        self.enable_parameterized_subquery = enable_parameterized_subquery

    def put(self, data: Mapping[str, Any] | None, pushes: Pushes) -> None:
        """See `Pushes.add_cards`."""
        super().put(rows_given(data), pushes)


class HintPushHandler(BasePushHandler, own.HintPushHandler):
    """pilot's own."""

    anchor = AnchorEnum.HINT_PUSH_ANCHOR
    given = "key_2_value_for_hint"

    def __init__(self, config: Any, key_2_value_for_hint: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.key_2_value_for_hint = key_2_value_for_hint


class CommentPushHandler(BasePushHandler, own.CommentPushHandler):
    """pilot's own."""

    anchor = AnchorEnum.COMMENT_PUSH_ANCHOR

    def __init__(self, config: Any, comment_str: str = "") -> None:
        super().__init__(config)
        self.comment_str = comment_str

    def acquire_injected_data(self, sql: str) -> Any:
        """The comment; `comment_str` unless a driver overrides this."""
        return self.comment_str or None


class ScanJoinMethodPushHandler(BasePushHandler, own.ScanJoinMethodPushHandler):
    """pilot's own."""

    anchor = AnchorEnum.SCAN_JOIN_METHOD_PUSH_ANCHOR

    def __init__(self, config: Any, methods: Method | Sequence[Method] | None = None) -> None:
        super().__init__(config)
        self.methods = [methods] if isinstance(methods, tuple) else list(methods or ())

    def acquire_injected_data(self, sql: str) -> Any:
        """Pairs of method and names; `methods` unless a driver overrides this."""
        return self.methods or None


class KnobPushHandler(BasePushHandler, own.KnobPushHandler):
    """pilot's own."""

    anchor = AnchorEnum.KNOB_PUSH_ANCHOR
    given = "key_2_value_for_knob"
    trigger_level = PushHandlerTriggerLevelEnum.WORKLOAD

    def __init__(self, config: Any, key_2_value_for_knob: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.key_2_value_for_knob = key_2_value_for_knob


class IndexPushHandler(BasePushHandler, own.IndexPushHandler):
    """pilot's own. As in PilotScope, the other indexes go unless `drop_other` is False."""

    anchor = AnchorEnum.INDEX_PUSH_ANCHOR
    given = "indexes"
    trigger_level = PushHandlerTriggerLevelEnum.WORKLOAD
    trigger_type = PushHandlerTriggerLevelEnum.WORKLOAD

    def __init__(
        self, config: Any, indexes: Sequence[Index] | None = None, drop_other: bool = True
    ) -> None:
        super().__init__(config)
        self.indexes = indexes
        self.drop_other = drop_other


class CostPushHandler(RefusedClass):
    """Refused: costs of sub-plans cannot be pushed, nor does PilotScope push any. Raises
    `CapabilityError`."""

    message = "costs of sub-plans cannot be pushed"
    hint = "Push cardinalities, or methods."
