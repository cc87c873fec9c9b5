"""What may stand in a workload as the expected answer of a query."""

from __future__ import annotations

import re

from pilotcli.common.errors import WorkloadError

COUNTED_ONLY = "rows that were only counted"
"""What the digest of a result has in place of its rows, if not all were kept."""

COUNT = re.compile(r"\d+")
ROWS = re.compile(r"(\d+)\s+rows?")
_PART = rf"\d+:(?:[0-9a-f]{{32}}|{COUNTED_ONLY})"
_DIGEST = re.compile(rf"(?:{_PART})?/{_PART}|{_PART}")


def expected_text(text: str, file: str | None, line: int | None) -> str:
    """Returns an expected answer without the space around it. Raises `WorkloadError` for a text
    that is no answer."""
    text = text.strip()
    if any(form.fullmatch(text) for form in (COUNT, ROWS, _DIGEST)):
        return text
    raise WorkloadError(
        f"the query expects {text[:60]!r}, which is no answer",
        file=file,
        line=line,
        hint="Write a number (5), a number of rows (5 rows), or the digest of an earlier run's "
        "result (`answer` in `pilot runs export`).",
    )
