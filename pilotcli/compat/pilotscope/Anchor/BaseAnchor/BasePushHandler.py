"""Push handlers: what drivers derive from to put something into the database for each query.

pilot's own, made with PilotScope's arguments and with the attributes that it gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pilotcli.compat.pilotscope.Anchor.AnchorEnum import AnchorEnum
from pilotcli.compat.pilotscope.PilotEnum import PushHandlerTriggerLevelEnum
from pilotcli.errors import CapabilityError
from pilotcli.records import Index
from pilotcli.steering import handlers as own
from pilotcli.steering.handlers import BasePushHandler
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


class _Named:
    """What PilotScope's push handlers have besides their values."""

    anchor: ClassVar[AnchorEnum]
    trigger_level = PushHandlerTriggerLevelEnum.QUERY

    @property
    def anchor_name(self) -> str:
        """The name of what is pushed."""
        return self.anchor.name


class CardPushHandler(_Named, own.CardPushHandler):
    """pilot's own; rows may be texts of numbers too, as models of PilotScope's return them.

    `subquery_2_card` is kept and not used: what `acquire_injected_data` returns is pushed. Keys of
    parameterised sub-plan queries are always taken, whatever `enable_parameterized_subquery` says.
    """

    anchor = AnchorEnum.CARD_PUSH_ANCHOR

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
        if isinstance(data, Mapping):
            data = {key: _rows(rows) for key, rows in data.items()}
        super().put(data, pushes)


class HintPushHandler(_Named, own.HintPushHandler):
    """pilot's own; `key_2_value_for_hint` is kept and not used."""

    anchor = AnchorEnum.HINT_PUSH_ANCHOR

    def __init__(self, config: Any, key_2_value_for_hint: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.key_2_value_for_hint = key_2_value_for_hint


class CommentPushHandler(_Named, own.CommentPushHandler):
    """pilot's own; `comment_str` is kept and not used."""

    anchor = AnchorEnum.COMMENT_PUSH_ANCHOR

    def __init__(self, config: Any, comment_str: str = "") -> None:
        super().__init__(config)
        self.comment_str = comment_str


class ScanJoinMethodPushHandler(_Named, own.ScanJoinMethodPushHandler):
    """pilot's own; `methods` are kept and not used."""

    anchor = AnchorEnum.SCAN_JOIN_METHOD_PUSH_ANCHOR

    def __init__(self, config: Any, methods: Method | Sequence[Method] | None = None) -> None:
        super().__init__(config)
        self.methods = [methods] if isinstance(methods, tuple) else list(methods or ())


class KnobPushHandler(_Named, own.KnobPushHandler):
    """pilot's own; `key_2_value_for_knob` is kept and not used."""

    anchor = AnchorEnum.KNOB_PUSH_ANCHOR
    trigger_level = PushHandlerTriggerLevelEnum.WORKLOAD

    def __init__(self, config: Any, key_2_value_for_knob: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.key_2_value_for_knob = key_2_value_for_knob


class IndexPushHandler(_Named, own.IndexPushHandler):
    """pilot's own; `indexes` are kept and not used. As in PilotScope, the other indexes go unless
    `drop_other` is False."""

    anchor = AnchorEnum.INDEX_PUSH_ANCHOR
    trigger_level = PushHandlerTriggerLevelEnum.WORKLOAD

    def __init__(
        self, config: Any, indexes: Sequence[Index] | None = None, drop_other: bool = True
    ) -> None:
        super().__init__(config, drop_other)
        self.indexes = indexes


def _rows(value: Any) -> Any:
    """The number that a text stands for; anything else as it is, to be judged further on."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class CostPushHandler:
    """Refused: costs of sub-plans cannot be pushed, in PilotScope neither. Raises
    `CapabilityError`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        raise CapabilityError(
            "costs of sub-plans cannot be pushed", hint="Push cardinalities, or methods."
        )
