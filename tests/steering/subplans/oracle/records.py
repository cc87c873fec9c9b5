"""What the oracle is given, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("count", "estimate", "observed", "push", "rows", "silent", "module", "error")
"""The kinds of findings; `Finding` explains them."""


@dataclass(frozen=True, slots=True)
class Case:
    """A query of the corpus.

    - `role`: the role that asks it; `since`: the first server version with its syntax;
    - `ordered`: the planner's numbers depend on the order of the equalities in EXISTS, which a key
      has in the order of their texts, or GEQO visits other sub-plans after a push
      (docs/steering.md): neither the keys' own estimates nor the list after a push are compared;
    - `borrowed`: made for other purposes: the server may refuse it, and its LIMIT may pick any of
      several rows, so that only their number is compared.
    """

    label: str
    sql: str
    role: str | None = None
    since: int = 0
    borrowed: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between a sub-plan and the truth.

    `kind`:
    - `count`: the key does not run;
    - `estimate`: the planner's rows for the key alone differ from the rows under the key;
    - `observed`: the rows of an executed plan differ from the key's count;
    - `push`: a pushed key was refused, is in no report, did not change the plan or changed the
      estimate of another sub-plan;
    - `rows`: the query returned other rows with pushed cardinalities;
    - `silent`: there are no sub-plans and no reason;
    - `module`: with and without the planner module there are other keys;
    - `error`: pulling or running failed.
    """

    kind: str
    query: str
    sql: str
    key: str
    expected: object
    seen: object

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.query}: expected {self.expected}, seen {self.seen}\n"
            f"    query {self.sql}\n    key   {self.key}"
        )


@dataclass(slots=True)
class Verdict:
    """What came out for one query: its findings, and how many sub-plans were judged how."""

    case: Case
    keys: int = 0
    left_out: str | None = None
    observed: int = 0
    order: int = 0
    """Sub-plans whose rows the planner expects in another order of FROM and WHERE only."""
    slow: list[str] = field(default_factory=list)
    """Keys and settings that took too long to be judged."""
    applied: int = 0
    ignored: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, kind: str, key: str, expected: object, seen: object) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, self.case.label, self.case.sql, key, expected, seen))
