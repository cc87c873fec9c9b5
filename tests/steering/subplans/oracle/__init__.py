"""Judges the sub-plans of queries by what a server does with them.

`python -m tests.steering.subplans.oracle` judges the corpus and more, and prints a table.
"""

from __future__ import annotations

from .corpus import SCHEMA, cases_of, corpus_files
from .judge import Oracle
from .records import Case, Finding, Verdict

__all__ = ["SCHEMA", "Case", "Finding", "Oracle", "Verdict", "cases_of", "corpus_files"]
