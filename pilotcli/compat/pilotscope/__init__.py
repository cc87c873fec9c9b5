"""The package `pilotscope`, as far as drivers use it; see `pilotcli.compat`."""

from __future__ import annotations

from pilotcli.compat import install

install()
