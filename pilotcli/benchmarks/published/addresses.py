"""Addresses of files to download, as `--from` names them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pilotcli.common.errors import UsageError

SCHEMES = ("https://", "http://")
SHA256 = "#sha256="
"""What stands between an address and the checksum that the user expects."""

_DIGITS = re.compile(r"[0-9a-f]{64}")


def parted(name: str) -> tuple[str, str]:
    """Returns the address and the SHA-256 that is expected, or an empty text.

    Raises `UsageError` for another checksum, or one that is none.
    """
    address, sign, rest = name.partition("#")
    sha256 = rest.removeprefix(SHA256[1:]).lower()
    if sign and (not rest.startswith(SHA256[1:]) or not _DIGITS.fullmatch(sha256)):
        raise UsageError(
            f"--from: #{rest} is no checksum",
            hint=f"Write {SHA256} and 64 hexadecimal digits behind the address, or nothing.",
        )
    return address, sha256


def shown_name(name: str) -> str:
    """Returns what `--from` names as messages and files show it: an address without its query,
    which may hold a secret.

    Raises `UsageError` for an address that holds a password.
    """
    if not name.startswith(SCHEMES):
        return name
    address, sign, rest = name.partition("#")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise UsageError(
            "--from: an address with a user or a password is not taken",
            hint="Fetch the file by other means, and name it.",
        )
    plain = parts._replace(query="...").geturl() if parts.query else address
    return plain + sign + rest
