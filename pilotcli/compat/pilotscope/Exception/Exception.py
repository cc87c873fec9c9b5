"""Exceptions. Those that pilot itself raises are its own classes under PilotScope's names."""

from __future__ import annotations

from pilotcli.common import errors

__all__ = [
    "DBStatementTimeoutException",
    "DatabaseCrashException",
    "DatabaseDeepControlException",
    "DatabaseStartException",
    "InteractorReceiveTimeoutException",
    "PilotScopeExecCommandException",
    "PilotScopeInternalError",
    "PilotScopeMutualExclusionException",
    "PilotScopeNotSupportedOperationException",
]

DBStatementTimeoutException = errors.QueryTimeout
InteractorReceiveTimeoutException = errors.QueryTimeout
DatabaseCrashException = errors.DatabaseError
DatabaseDeepControlException = errors.CapabilityError
DatabaseStartException = errors.SteeringError
PilotScopeNotSupportedOperationException = errors.CapabilityError


class PilotScopeInternalError(errors.PilotError):
    """A defect; never raised by pilot."""

    def __init__(self, message: str = "") -> None:
        super().__init__(f"an error within the driver or pilotscope: {message}")


class PilotScopeMutualExclusionException(errors.PilotError):
    """A push and a pull that exclude each other."""

    def __init__(self, anchors: object) -> None:
        super().__init__(f"{anchors} exclude each other")


class PilotScopeExecCommandException(errors.PilotError):
    """A driver's shell command failed; `hint` has what it said."""

    def __init__(self, cmd: object, said: str | None = None) -> None:
        super().__init__(f"the command {cmd} failed", hint=said and said.strip())
