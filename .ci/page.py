"""Writes what was measured into docs/servers.md, between its markers. The prose is kept by hand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from lanes import PROJECT, SERVERS, WHEEL, programs_of
from results import Row, columns, markdown, skips
from roots import RootError

PAGE = PROJECT / "docs" / "servers.md"
ROLES = ("superuser", "ordinary", "preloaded")

Capabilities = dict[str, list[dict[str, str]]]
"""Of each role, as `pilot doctor --format json` has them."""


def write_page(rows: Sequence[Row], python: Path) -> None:
    """Write the table of `rows`, and what each role gets on each server that is to be had."""
    text = put(PAGE.read_text("utf-8"), "tests", [*markdown(rows), "", *map(_item, skips(rows))])
    found = {}
    for server in SERVERS:
        try:
            programs = "wheel" if server.name == WHEEL else str(programs_of(server))
        except RootError:
            continue
        found[server.name] = _roles(python, programs)
    for role in ROLES:
        text = put(text, role, role_table({name: roles[role] for name, roles in found.items()}))
    PAGE.write_text(text, "utf-8")


def put(text: str, name: str, lines: Iterable[str]) -> str:
    """`text` with these lines between the markers of `name`."""
    begin, end = f"<!-- {name}: made -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = text.partition(begin)
    _, marker, after = rest.partition(end)
    if not marker:
        raise ValueError(f"{PAGE} has no place for {name}")
    body = "\n".join(lines)
    return f"{before}{begin}\n{body}\n\n{end}{after}"


def role_table(found: dict[str, list[dict[str, str]]]) -> list[str]:
    """What a role gets: capability by capability, the servers together that have it alike."""
    lines = [["capability", "on", "state", "how"]]
    names = dict.fromkeys(item["what"] for items in found.values() for item in items)
    for what in names:
        alike: dict[tuple[str, str], list[str]] = {}
        for server, items in found.items():
            item = next((item for item in items if item["what"] == what), None)
            state, how = ("-", "") if item is None else (item["state"], _shown(item["how"]))
            alike.setdefault((state, how), []).append(server)
        for (state, how), servers in alike.items():
            on = "all" if len(servers) == len(found) else ", ".join(servers)
            lines.append([what, on, state, how])
    return columns(lines)


def _shown(text: str) -> str:
    """What a server says as a cell of a table, without the versions of its extensions."""
    text = re.sub(r"\b(pg_\w+|HypoPG) \d[\d.]*\d", r"\1", text)
    return re.sub(r"\s+", " ", text).replace("|", r"\|")


def _item(line: str) -> str:
    return "- " + line.removeprefix("skipped: ")


def _roles(python: Path, programs: str) -> Capabilities:
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("roles.py")), programs],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Capabilities = json.loads(done.stdout)
    return found
