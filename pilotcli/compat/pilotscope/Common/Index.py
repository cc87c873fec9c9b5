"""An index, by its columns and table."""

from __future__ import annotations

from pilotcli.records import Index

__all__ = ["Index"]
