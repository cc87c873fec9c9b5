"""PilotScope's module names, for drivers that were written for it.

`import pilotcli.compat.pilotscope` makes `pilotscope` and its modules importable in a script;
`python -m pilotcli.compat script.py` does so for a script that stays as it is, and `pilot run` for
the classes that a config names. A real `pilotscope` that is installed is never shadowed unless that
is asked for.
"""

from __future__ import annotations

from pilotcli.plugins.aliases import install, which

__all__ = ["install", "which"]
