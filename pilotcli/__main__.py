"""`python -m pilotcli` is `pilot`."""

from __future__ import annotations

from pilotcli.cli.main import main

main()
