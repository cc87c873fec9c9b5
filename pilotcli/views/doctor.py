"""What `pilot doctor` shows."""

from __future__ import annotations

from collections.abc import Iterable

from pilotcli.checks.doctor import Check
from pilotcli.common.quantities import plural
from pilotcli.steering.capabilities import Capability
from pilotcli.views.console import out
from pilotcli.views.tables import show_json
from pilotcli.views.text import clean

AS_ABOVE = "What to do is above."


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
    first, *more = found.splitlines() or [""]
    out(f"{head}{clean(first)}".rstrip())
    for line in [*more, *remedy.splitlines()]:
        out(f"{'':<{len(head)}}{clean(line)}")
