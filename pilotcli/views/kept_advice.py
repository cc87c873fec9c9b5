"""What `pilot runs advice` shows."""

from __future__ import annotations

import json

from pilotcli.common.quantities import plural
from pilotcli.common.unsafe import escaped_json
from pilotcli.reports.advice import RunAdvice
from pilotcli.views.console import out
from pilotcli.views.tables import as_json
from pilotcli.views.text import clean


def advice_json(advice: RunAdvice) -> str:
    """Returns the advice as JSON."""
    return escaped_json(json.dumps(as_json(advice), indent=2, ensure_ascii=False)) + "\n"


def show_advice(advice: RunAdvice) -> None:
    """Print the advice of each query, and why the others have none."""
    with_advice = [query for query in advice.queries if query.advice is not None]
    total = plural(len(advice.queries), "query", "queries")
    out(
        f"run {advice.run_id}: advice for {len(with_advice)} of {total}, "
        f"PostgreSQL {clean(advice.server_version)}"
    )
    for query in with_advice:
        number = "" if query.query_id is None else f"  (query identifier {query.query_id})"
        out()
        out(f"{clean(query.label)}{number}")
        out(f"    {clean(query.advice)}")
        if query.differs:
            out(f"    not followed without the pushes: {clean(query.differs)}")
    others = [query for query in advice.queries if query.advice is None]
    if others:
        out()
        out("no advice:")
        for query in others:
            out(f"    {clean(query.label)}: {clean(query.reason)}")
    out()
    out(f"warning: {advice.warning}")
