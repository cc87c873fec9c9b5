"""Exceptions. Those that pilot itself raises are its own classes under PilotScope's names."""

from __future__ import annotations

from pilotcli.common.errors import (
    CapabilityError,
    DatabaseError,
    PilotError,
    QueryTimeout,
    SteeringError,
)

__all__ = [
    "DBStatementTimeoutException",
    "DatabaseCrashException",
    "DatabaseDeepControlException",
    "DatabaseStartException",
    "InteractorReceiveTimeoutException",
    "PilotScopeInternalError",
    "PilotScopeMutualExclusionException",
    "PilotScopeNotSupportedOperationException",
]

DBStatementTimeoutException = QueryTimeout
InteractorReceiveTimeoutException = QueryTimeout
DatabaseCrashException = DatabaseError
DatabaseDeepControlException = CapabilityError
DatabaseStartException = SteeringError
PilotScopeNotSupportedOperationException = CapabilityError


class PilotScopeInternalError(PilotError):
    """A defect; never raised by pilot."""

    def __init__(self, message: str = "") -> None:
        super().__init__(f"an error within the driver or pilotscope: {message}")


class PilotScopeMutualExclusionException(PilotError):
    """Pushes that exclude each other; pilot raises its own errors and never this."""

    def __init__(self, anchors: object) -> None:
        super().__init__(f"{anchors} exclude each other")
