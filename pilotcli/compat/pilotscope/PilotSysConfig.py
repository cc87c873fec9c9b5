"""Names that the store uses."""

from __future__ import annotations

from pilotcli.storage.store.copy_batch import KEY
from pilotcli.storage.store.tables import VISITS

__all__ = ["PilotSysConfig"]


class PilotSysConfig:
    """Constants of the store."""

    DATA_COLLECT_TABLE_PRIMARY_ID = KEY
    """The key column of every table that `DataManager` makes."""
    DATA_VISIT_RECORD_TABLE = VISITS
    """The table that remembers how far each reader has read."""
    ANCHOR_TRANS_JSON_KEY = "anchor"
    """A word of the messages between PilotScope and its patched server."""
