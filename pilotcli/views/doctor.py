"""What `pilot doctor` shows."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

from pilotcli.checks.doctor import Check
from pilotcli.common.quantities import plural
from pilotcli.steering.probing import Capability
from pilotcli.views.console import columns, out
from pilotcli.views.tables import show_json
from pilotcli.views.text import clean

AS_ABOVE = "What to do is above."
_NARROWEST = 20


def show_checks(found: Iterable[Check | Capability], format: str) -> list[Check]:
    """Each check as it is made, then what the database can do; all checks come back."""
    if format == "json":
        seen = list(found)
        checks = [item for item in seen if isinstance(item, Check)]
        able = [item for item in seen if isinstance(item, Capability)]
        show_json({"checks": checks, "capabilities": able})
        return checks
    checks = []
    titled = False
    remedies: set[str] = set()
    for item in found:
        lines = item.remedy.splitlines()
        remedy = AS_ABOVE if lines and remedies.issuperset(lines) else item.remedy
        remedies.update(lines)
        if isinstance(item, Check):
            checks.append(item)
            _show(f"{item.state:<8} {item.what:<9} ", item.found, remedy)
            continue
        if not titled:
            out("\nWhat a driver can do with this database:")
            titled = True
        _show(f"{item.state:<8} {item.what:<23}", item.how, remedy)
    out()
    counts = ((sum(item.state == kind for item in checks), kind) for kind in ("problem", "warning"))
    out(", ".join(plural(count, kind) for count, kind in counts if count) or "All is well.")
    return checks


def _show(head: str, found: str, remedy: str) -> None:
    width = max(columns() - len(head), _NARROWEST)
    lines = [
        part
        for line in found.splitlines()
        for part in wrap(clean(line), width, break_long_words=False, break_on_hyphens=False)
    ]
    # A remedy is not wrapped: its commands are to be copied.
    first, *more = [*(lines or [""]), *map(clean, remedy.splitlines())]
    out(f"{head}{first}".rstrip())
    for line in more:
        out(f"{'':<{len(head)}}{line}")
