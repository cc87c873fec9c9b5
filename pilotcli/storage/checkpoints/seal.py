"""Where a checkpoint comes from: a seal that only its own home can make.

Loading a model runs code: most models are read with Python's pickle, which calls what the file
names (the library's own manual warns of it). So a checkpoint that somebody put into the home must
not count as one that was saved there. Each home has a random key, in a file for its owner alone,
and each manifest a keyed digest (HMAC, RFC 2104, with SHA-256) over its content, model and number.

The key belongs to the home: a home that is moved or restored as a whole keeps its key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pilotcli.common.files import open_over

SEAL = "seal"
"""The manifest's key for the digest; all others are what it is made of."""

Origin = Literal["own", "other", "unsealed"]
"""Where a checkpoint comes from: `own`: saved or adopted by this home, and its manifest unchanged
since; `other`: sealed elsewhere, under another name, or changed; `unsealed`: without a seal, as
pilots before this one saved it."""

_KEY_BYTES = 32


def key_of(file: Path) -> bytes | None:
    """Returns the key in `file`; None if there is none that this user alone can know.

    A key that belongs to another user, or that others can read, proves nothing. Raises `OSError`
    if the file cannot be read for another reason, which says nothing about the key.
    """
    try:
        with file.open("rb") as opened:
            info = os.fstat(opened.fileno())
            text = opened.read(_KEY_BYTES * 2 + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None
    if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077:
        return None
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def make_key(file: Path) -> None:
    """Write a new key into `file` unless it exists. The caller holds a lock against others that do
    the same. Raises `OSError`."""
    if file.exists():
        return
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(open_over(new), "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(_KEY_BYTES))
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)


def seal_of(key: bytes, content: Mapping[str, Any], model: str, version: int) -> str:
    """The seal of a manifest of this content, as version `version` of `model`."""
    sealed = {name: value for name, value in content.items() if name != SEAL}
    text = json.dumps([model, version, sealed], sort_keys=True)
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()


def origin_of(key: bytes | None, content: Mapping[str, Any], model: str, version: int) -> Origin:
    """Where the manifest of this content comes from, found as version `version` of `model`."""
    seal = content.get(SEAL)
    if seal is None:
        return "unsealed"
    if key is None or not isinstance(seal, str):
        return "other"
    expected = seal_of(key, content, model, version)
    same = hmac.compare_digest(seal.encode("utf-8", "replace"), expected.encode("ascii"))
    return "own" if same else "other"
