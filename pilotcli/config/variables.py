"""`${VAR}` and `${VAR:-default}` in the texts of a config."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pilotcli.config.secrets import is_secret_name

# In the order in which they are tried: an escape, a variable, and what only looks like one. A
# default may hold everything but `}` and another variable.
_VARIABLE = re.compile(
    r"(?P<escape>\$\$\{)"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:[^}$]|\$(?!\{))*))?\}"
    r"|(?P<broken>\$\{[^}]*\}?)"
)


class Variables:
    """The environment that a config reads from.

    `secrets` gathers the values that came from variables with a secret's name, such as
    `DB_PASSWORD`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.secrets: set[str] = set()

    def fill(self, text: str) -> tuple[str, list[tuple[str, str]]]:
        """`text` with its variables replaced, and the problems, each with a hint.

        An empty variable counts as unset where there is a default, as in the shell.
        """
        problems: list[tuple[str, str]] = []

        def value(found: re.Match[str]) -> str:
            if found["escape"]:
                return "${"
            name = found["name"]
            if name is None:
                hint = "Write ${NAME}, ${NAME:-default}, or $${ for the characters ${ themselves."
                broken = found["broken"]
                shown = broken if len(broken) <= 60 else f"{broken[:60]}..."
                problems.append((f"{shown!r} names no variable", hint))
                return ""
            known = self._environ.get(name)
            if not known and found["default"] is not None:
                return str(found["default"])
            if known is None:
                hint = f"Set it, or give a default: ${{{name}:-default}}"
                problems.append((f"the environment variable {name} is not set", hint))
                return ""
            if known and is_secret_name(name):
                self.secrets.add(known)
            return known

        return _VARIABLE.sub(value, text), problems
