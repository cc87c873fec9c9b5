"""The queries of the demo's workload, by label."""

from __future__ import annotations

from forum_demo import ROOT

from pilotcli.workload import open_workload

FORUM = {query.label: query.sql for query in open_workload([ROOT / "workloads" / "forum.sql"])}
