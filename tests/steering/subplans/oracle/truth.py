"""The truth about sub-plans' keys: their counts, and the planner's rows for each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pilotcli.common.errors import QueryError
from pilotcli.databases.session.session import PostgresSession
from pilotcli.steering.sql import literal

from .key_text import reordered, with_all_columns

KEY_TIMEOUT_MS = 1500

# Plans and counts each query; one that fails has the error's text instead. The planner expects the
# rows of the aggregate's input, which follows its InitPlans.
_FUNCTION = """CREATE FUNCTION pg_temp.truths(keys text[], counted boolean, OUT rows float8,
    OUT count int8, OUT error text) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    key text;
    plan jsonb;
BEGIN
    FOREACH key IN ARRAY keys LOOP
        rows := NULL; count := NULL; error := NULL;
        BEGIN
            EXECUTE 'EXPLAIN (FORMAT JSON) ' || key INTO plan;
            rows := (jsonb_path_query_first(plan,
                '$[0].Plan.Plans[*] ? (@."Parent Relationship" == "Outer")."Plan Rows"'))::float8;
            IF counted THEN
                EXECUTE key INTO count;
            END IF;
        EXCEPTION WHEN others THEN
            error := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$"""
_SETTINGS = f"""SET max_parallel_workers_per_gather = 0; SET join_collapse_limit = 100;
SET from_collapse_limit = 100; SET geqo = off; SET statement_timeout = {KEY_TIMEOUT_MS};
SET plan_cache_mode = force_custom_plan"""


@dataclass(frozen=True, slots=True)
class Truth:
    """The planner's rows for a key, its count (None if it takes too long), or an error."""

    rows: float | None
    count: int | None
    error: str | None


def alike(one: float, other: float) -> bool:
    """Whether two estimates are the same to rounding."""
    return abs(one - other) <= max(1.0, 0.01 * max(one, other))


class Truths:
    """Asks for the truth in a session of its own, all keys of a query in one message."""

    def __init__(self, session: PostgresSession) -> None:
        self.session = session
        session.execute(_FUNCTION)
        session.execute(_SETTINGS)
        if session.connection.server_version >= 180000:
            # The planner removes a key's self-join that it could not remove in the query.
            session.execute("SET enable_self_join_elimination = off")

    def of(self, keys: Sequence[str], *, counted: bool = True) -> dict[str, Truth]:
        """Returns the rows, the count (None if it takes too long) and the error of each key."""
        listed = ", ".join(map(literal, keys))
        try:
            rows = self.session.execute(
                f"SELECT * FROM pg_temp.truths(ARRAY[{listed}]::text[], {counted})"
            ).rows
            return {key: Truth(*row) for key, row in zip(keys, rows, strict=True)}
        except QueryError as error:
            if len(keys) == 1 and counted:
                return self.of(keys, counted=False)
            if len(keys) == 1:
                is_slow = error.sqlstate == "57014"
                return {keys[0]: Truth(None, None, None if is_slow else error.message)}
            return {name: truth for key in keys for name, truth in self.of([key]).items()}

    def has_estimate(self, key: str, rows: float) -> bool:
        """Whether the planner expects `rows` from the key in another form: another order of FROM or
        WHERE, or a condition twice.

        The rows of three or more relations depend on the order in which their equalities are read
        (equivalence classes in `src/backend/optimizer/README`). From 19 on, those of a grouped
        sub-query depend on whether it aggregates before its joins, so on whether its aggregates
        are used.
        """
        for orders in ([with_all_columns(key)], *reordered(key)):
            listed = ", ".join(map(literal, orders))
            try:
                found = self.session.execute(
                    f"SELECT rows FROM pg_temp.truths(ARRAY[{listed}]::text[], false)"
                ).rows
            except QueryError:
                return False
            if any(other is not None and alike(rows, other) for (other,) in found):
                return True
        return False

    def removes_self_join(self, sql: str) -> bool:
        """Whether the planner removes a join of a table with itself, as from PostgreSQL 18 on.

        It then estimates joins by equalities that it has read before, with other columns.
        """
        if self.session.connection.server_version < 180000:
            return False
        plans = []
        for setting in ("on", "off"):
            set_local = f"SET LOCAL enable_self_join_elimination = {setting}; EXPLAIN (VERBOSE) "
            try:
                rows = self.session.execute(set_local + sql).rows
            except QueryError:
                return False
            plans.append(sum(" on " in line for (line,) in rows))
        return plans[0] < plans[1]
