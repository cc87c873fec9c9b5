"""Addresses of files to download, as `--from` names them."""

from __future__ import annotations

from urllib.parse import urlsplit

from pilotcli.common.errors import UsageError

SCHEMES = ("https://", "http://")
SHA256 = "#sha256="
"""What stands between an address and the checksum that the user expects."""


def shown_name(name: str) -> str:
    """Returns what `--from` names as messages and files show it: an address without its query,
    which may hold a secret.

    Raises `UsageError` for an address that holds a password.
    """
    if not name.startswith(SCHEMES):
        return name
    address, _, sha256 = name.partition(SHA256)
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise UsageError(
            "--from: an address with a user or a password is not taken",
            hint="Fetch the file by other means, and name it.",
        )
    plain = parts._replace(query="...").geturl() if parts.query else address
    return f"{plain}{SHA256}{sha256}" if sha256 else plain
