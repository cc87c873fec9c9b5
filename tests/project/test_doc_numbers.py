"""The numbers that pages claim are those of the code."""

from __future__ import annotations

import pytest
from doc_blocks import ROOT

from pilotcli.analysis.statistics import CONFIDENCE, LEAST_QUERIES
from pilotcli.analysis.verdicts import LEAST_EFFECT, SAME_WITHIN
from pilotcli.cli.replay import LEAST_ROUNDS, WARMUPS
from pilotcli.common.redaction import SHORTEST_PART
from pilotcli.config import PostgreSQLConfig
from pilotcli.config.model import RunSection, StoreSection
from pilotcli.replay.scheduler import MOST_ATTEMPTS
from pilotcli.run.model_rollback import LEAST_SLOWDOWN, LEVEL, LOOKS
from pilotcli.steering.subplans.explain import EXPLAIN_LIMIT
from pilotcli.storage.journal.rows import MAX_SQL_CHARS
from pilotcli.storage.journal.statistics import EXACT_RESULTS
from pilotcli.storage.journal.summary import SLOWEST_KEPT

WORDS = {1: "one", 3: "three", 4: "four", 6: "six", 1_000_000: "a million"}
*_FIRST, _LAST = map(str, LOOKS)
CLAIMS = [
    ("comparing.md", f"measures {WORDS[LEAST_ROUNDS]} rounds"),
    ("config.md", f"takes {LEAST_ROUNDS} rounds"),
    ("config.md", f"takes {WARMUPS} warm-up round"),
    ("commands.md", f"its {LEAST_ROUNDS} rounds and {WARMUPS} warm-up round"),
    ("comparing.md", f"beyond the noise and at least {LEAST_EFFECT - 1:.0%}".replace("%", " %")),
    ("comparing.md", f"the difference is at least {LEAST_EFFECT - 1:.0%}".replace("%", " %")),
    ("comparing.md", f"within a factor of {SAME_WITHIN}"),
    ("comparing.md", f"each at the {CONFIDENCE:.0%} level".replace("%", " %")),
    ("signals.md", f"its {CONFIDENCE:.0%} interval".replace("%", " %")),
    ("comparing.md", f"{WORDS[LEAST_QUERIES].capitalize()} queries that also ran before"),
    ("export.md", f"null for fewer than {WORDS[LEAST_QUERIES]} queries"),
    ("comparing.md", f"after {', '.join(_FIRST)} and {_LAST} queries"),
    ("comparing.md", f"more than {LEAST_SLOWDOWN - 1:.0%} slower".replace("%", " %")),
    ("comparing.md", f"significance level of {LEVEL * len(LOOKS):.0%}".replace("%", " %")),
    ("events.md", f"times out after {PostgreSQLConfig().sql_execution_timeout:g} seconds"),
    ("reliability.md", f"`run.reconnect` ({RunSection().reconnect:g} s by default)"),
    ("reliability.md", f"sent at most {WORDS[MOST_ATTEMPTS]} times"),
    ("reliability.md", f"the {SLOWEST_KEPT} slowest queries are exact"),
    ("reliability.md", f"Up to {EXACT_RESULTS:,} results"),
    ("export.md", f"up to {WORDS[MAX_SQL_CHARS]} characters"),
    ("steering.md", f"at most {EXPLAIN_LIMIT:,} sub-plans"),
    ("config.md", f"less than {WORDS[SHORTEST_PART]} characters"),
    ("safety.md", f"fewer than {WORDS[SHORTEST_PART]} characters"),
    ("glossary.md", f"the database `{StoreSection().database}`"),
]


@pytest.mark.parametrize(("page", "claim"), CLAIMS)
def test_a_number_is_that_of_the_code(page: str, claim: str) -> None:
    assert claim in (ROOT / "docs" / page).read_text("utf-8")
