"""Tells what a server can do for a driver, from an `EXPLAIN` steered in each way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pilotcli.common.errors import CapabilityError, DatabaseError, PilotError, QueryError
from pilotcli.common.quantities import plural
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.controller.what_if import hypopg_works
from pilotcli.databases.protocols import Target
from pilotcli.databases.remedies import how_to_create, how_to_set, package_of, role_of, with_version
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.auto_explain import settings_for
from pilotcli.steering.capabilities import Abilities, postgres_of
from pilotcli.steering.planner import Missing, Planner
from pilotcli.steering.planner.what_if import sees_indexes
from pilotcli.steering.sql import set_all


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that a driver may ask for.

    - `state`: `full`, `coarse` (less precise than asked for, or slower), or `missing`;
    - `how`: how the server does it, or why it cannot;
    - `remedy`: what would improve it.
    """

    what: str
    state: Literal["full", "coarse", "missing"]
    how: str
    remedy: str = ""


def probe(able: Abilities, target: Target) -> Iterator[Capability]:
    """Yields the capabilities of a target's server; `able` is from `abilities_of`.

    Extensions that a probe creates are dropped when the target is closed.
    """
    session, planner = able.session, able.planner_or_why
    missing = planner if isinstance(planner, Missing) else None
    remedy = missing.remedy if missing else ""
    has_hypopg = hypopg_works(session)  # before auto_explain is loaded, as what-if sessions do
    module = "planner module"
    if isinstance(planner, Planner) and planner.built_for is not None:
        module += f", built with the headers of {planner.built_for}"
    yield _hints(session)
    if missing is None:
        yield Capability("plan and time", "full", f"from the query's one execution: {module}")
    elif able.auto_explain:
        how = "from the query's one execution, without planning time: auto_explain"
        yield Capability("plan and time", "full", how)
    else:
        names = [name for name, _ in settings_for(actual_rows=False)]
        other = how_to_set(session, "auto_explain", names)
        other = f"\nOr, for this alone: {other}" if other else ""
        how = "a second EXPLAIN; time from the client"
        yield Capability("plan and time", "coarse", how, remedy + other)
    if missing is None:
        yield Capability("sub-plan cardinalities", "full", f"from one planning: {module}")
        yield Capability("pushed cardinalities", "full", f"relations and joins: {module}")
    else:
        how = "one EXPLAIN for each sub-plan query"
        if able.hint_plan:
            how += f"; {missing.reason}"  # which is not said below
        yield Capability("sub-plan cardinalities", "coarse", how, remedy)
        if able.hint_plan:
            yield Capability("pushed cardinalities", "coarse", "joins only: pg_hint_plan", remedy)
        else:
            yield Capability("pushed cardinalities", "missing", missing.reason, remedy)
    yield from _methods(able)
    postgres = postgres_of(target)
    knobs = postgres.knobs
    yield _unless("knobs", "ALTER SYSTEM, undone at the end", knobs.why_fixed())
    yield _unless("restart", "while nobody else is connected", knobs.why_no_restart())
    yield _indexes(session)
    if missing is None and sees_indexes(session):
        yield Capability("what-if indexes", "full", "by the planner module")
    elif has_hypopg:
        how = with_version(session, "hypopg", "HypoPG")
        if re.match(r"HypoPG (0|1\.[0-3])\b", how):
            how += "; it hides no existing index, as 1.4 does"
        yield Capability("what-if indexes", "full", how)
    else:
        hypopg = f"HypoPG (package {package_of(session, 'hypopg')})"
        other = f"Without locks: {how_to_create(session, 'hypopg', hypopg)}"
        yield Capability(
            "what-if indexes",
            "coarse",
            "real ones, in a transaction that locks their tables and is rolled back",
            f"{remedy}\n{other}" if remedy else other,
        )
    yield _buffercache(postgres)


def _methods(able: Abilities) -> Iterator[Capability]:
    """Yields how methods, join orders and hint comments reach the planner: by advice, then by
    hints, then by settings and a rewritten query."""
    hints = able.hint_plan
    remedy = "" if hints else able.remedy_for("pg_hint_plan")
    if able.plan_advice:
        others = "pg_hint_plan" if hints else "settings"
        how = f"pg_plan_advice, for each relation; No..., Memoize and Parallel: {others}"
        yield Capability("scan and join methods", "full", how)
        yield Capability("join order", "full", "pg_plan_advice, without a change of the query")
    elif hints:
        yield Capability("scan and join methods", "full", "pg_hint_plan, for each relation")
        yield Capability("join order", "full", "pg_hint_plan, without a change of the query")
    else:
        finer = remedy
        if able.session.connection.server_version >= 190000:
            finer = able.remedy_for("pg_plan_advice")
        how = "settings, for the whole query: no pg_plan_advice, no pg_hint_plan"
        yield Capability("scan and join methods", "coarse", how, f"Finer: {finer}")
        yield Capability("join order", "full", "the query rewritten to explicit joins")
    if hints:
        loaded = "loaded by the server" if able.native_hints else "loaded by pilot where it is used"
        name = with_version(able.session, "pg_hint_plan")
        yield Capability("hint comments", "full", f"{name}, {loaded}")
    else:
        yield Capability("hint comments", "missing", "pg_hint_plan is missing", remedy)


def _unless(what: str, how: str, why_not: PilotError | None) -> Capability:
    if why_not is None:
        return Capability(what, "full", how)
    return Capability(what, "missing", why_not.message, why_not.hint or "")


def _indexes(session: PostgresSession) -> Capability:
    lacking = (
        "SELECT count(*) FILTER (WHERE NOT pg_has_role(relowner, 'USAGE')),"
        " string_agg(DISTINCT quote_ident(pg_get_userbyid(relowner)), ', ')"
        " FILTER (WHERE NOT pg_has_role(relowner, 'USAGE') AND NOT rolsuper),"
        " string_agg(DISTINCT quote_ident(nspname), ', ')"
        " FILTER (WHERE NOT has_schema_privilege(n.oid, 'CREATE'))"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " JOIN pg_roles r ON r.oid = relowner WHERE relkind IN ('r', 'p')"
        " AND nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    ((others, owners, schemas),) = session.execute(lacking).rows
    how = "CREATE INDEX, undone at the end"
    role = role_of(session)
    if others:
        others_text = plural(others, "table belongs", "tables belong")
        how += f"; {others_text} to other roles"
        remedy = "Use a role that owns the tables."
        if owners is not None:
            remedy += f" Or have an administrator run `GRANT {owners} TO {role.name}`."
        return Capability("indexes", "coarse", how, remedy)
    if schemas:
        how += f"; the role has no right to create in {schemas}"
        statement = f"GRANT CREATE ON SCHEMA {schemas} TO {role.name}"
        remedy = f"Have an administrator run `{statement}` in the database {role.database}."
        return Capability("indexes", "coarse", how, remedy)
    return Capability("indexes", "full", how)


def _buffercache(target: PostgresTarget) -> Capability:
    controller = PostgreSQLController(target.config, target=target)
    try:
        controller.get_buffercache()
    except CapabilityError as exc:
        return Capability("buffer cache", "missing", exc.message, exc.hint or "")
    finally:
        controller.close()
    with contextlib.closing(target.session()) as session:
        how = with_version(session, "pg_buffercache")
    return Capability("buffer cache", "full", how)


def _hints(session: PostgresSession) -> Capability:
    # Constants, because the planner may read a large table with several workers.
    text = (
        "EXPLAIN (FORMAT JSON) SELECT 1 FROM (VALUES (1), (2)) AS a (n)"
        " JOIN (VALUES (1), (2)) AS b (n) ON a.n = b.n"
    )
    settings = (("enable_nestloop", "on"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off"))
    try:
        kind = plan_of(session.execute(set_all(settings) + text))["Plan"]["Node Type"]
    except (QueryError, DatabaseError) as exc:
        return Capability("hints", "missing", exc.message)
    if kind != "Nested Loop":
        return Capability("hints", "missing", f"the planner did not obey: {kind}")
    return Capability("hints", "full", "SET LOCAL in the query's own message")
