"""The state of the Git repository that a folder belongs to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 2.0
"""How long Git may take. A repository that is too large for it is left out."""

# Nothing that the repository's own configuration names is started: no hook, no monitor, no pager.
_COMMAND = (
    *("git", "--no-pager", "--no-optional-locks"),
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
    *("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=all"),
)
_COMMIT = "# branch.oid "


def git_state(folder: Path, time_limit_s: float = TIME_LIMIT_S) -> dict[str, Any] | None:
    """Returns the `commit` that is checked out in `folder`, and whether tracked files are
    `changed` since; None without Git, a repository or a commit, or after `time_limit_s`."""
    # In a hook, Git's variables name the repository of the hook.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    try:
        done = subprocess.run(
            _COMMAND,
            cwd=folder,
            env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=time_limit_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    commit = next((line.removeprefix(_COMMIT) for line in lines if line.startswith(_COMMIT)), "")
    if not commit.isalnum():  # (initial): there is no commit yet
        return None
    return {"commit": commit, "changed": any(not line.startswith("#") for line in lines)}
