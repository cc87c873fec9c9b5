"""The base of handlers."""

from __future__ import annotations

from pilotcli.steering.handlers import BasePushHandler as BaseAnchorHandler

__all__ = ["BaseAnchorHandler"]
