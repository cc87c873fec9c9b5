"""Finds out what a server can do for a driver, by trying.

A row in a catalog does not prove that an extension works, and a setting that can be set does not
prove that a library is loaded. So each probe steers an EXPLAIN and reads the plan.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pilotcli.common.errors import CapabilityError, DatabaseError, PilotError, QueryError
from pilotcli.common.quantities import plural
from pilotcli.config import PilotConfig
from pilotcli.databases.controller import PostgreSQLController
from pilotcli.databases.controller.what_if import hypopg_works
from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.protocols import Target
from pilotcli.databases.remedies import (
    how_to_create,
    how_to_load,
    how_to_set,
    package_of,
    role_of,
    with_version,
)
from pilotcli.databases.session.connection import version_text
from pilotcli.databases.session.session import PostgresSession, plan_of
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.advising import Adviser
from pilotcli.steering.auto_explain import settings_for
from pilotcli.steering.hint_abilities import HintAbilities
from pilotcli.steering.naming import Namer
from pilotcli.steering.planner import Built, Missing, Planner, find_pg_config, load, provide
from pilotcli.steering.planner.what_if import sees_indexes
from pilotcli.steering.sql import set_all
from pilotcli.steering.subplans import GraphCatalog


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


class Abilities(HintAbilities):
    """What one session can do; each ability is probed when it is first read.

    The session must not be in a transaction at that time. A missing planner module is built for the
    embedded server, and with `may_build` for other servers too; `pg_config` is what it is compiled
    with then (None: that of an installation of the same major version).
    """

    def __init__(
        self,
        session: PostgresSession,
        config: PilotConfig,
        *,
        may_build: bool = False,
        pg_config: Path | None = None,
    ) -> None:
        super().__init__(session)
        self._config = config
        self._may_build = may_build
        self._given_pg_config = pg_config
        self._schema_changes = session.schema_changes.count
        self._missing: dict[str, tuple[str, str]] = {}

    @property
    def server_version(self) -> str:
        """The server's version as it names it: `19rc1`."""
        return version_text(self.session.connection)

    @property
    def planner(self) -> Planner | None:
        """The planner module, loaded into the session and tested; None without it."""
        planner = self.planner_or_why
        return planner if isinstance(planner, Planner) else None

    @cached_property
    def planner_or_why(self) -> Planner | Missing:
        """The planner module, or why it is missing."""
        config = self._config
        if config.planner == "never":
            return Missing(
                "the planner module is switched off",
                "Remove `steering.planner: never` from the config.",
            )
        return load(
            self.session,
            cache=config.home / "planner",
            pg_config=self._pg_config(),
            may_build=self._embedded or self._may_build,
        )

    def build_planner(self) -> Built:
        """Returns the planner module's file for the session's server, and builds it if it is
        missing, or with a given pg_config in any case. Raises as `planner.provide`."""
        return provide(
            self.session,
            cache=self._config.home / "planner",
            pg_config=self._pg_config(),
            again=self._given_pg_config is not None,
        )

    @property
    def _embedded(self) -> bool:
        return bool(getattr(self._config, "embedded", False))

    def _pg_config(self) -> Path | None:
        if self._given_pg_config is not None:
            return self._given_pg_config
        if not self._embedded:
            # PilotScope's drivers name the folder of the server's programs.
            folder = getattr(self._config, "pg_bin_path", None)
            version = version_text(self.session.connection)
            return None if folder is None else find_pg_config(version, Path(folder))
        return find_binaries(getattr(self._config, "postgres_bin", None)).folder / "pg_config"

    @cached_property
    def auto_explain(self) -> bool:
        """Whether auto_explain reports a query's plan and time in this session."""
        session = self.session
        for library in ("auto_explain", "$libdir/plugins/auto_explain"):
            with contextlib.suppress(QueryError):
                session.execute(f"LOAD '{library}'")
                break
        session.listen()
        try:
            session.execute(f"{set_all(settings_for(actual_rows=False))}SELECT 1")
        except QueryError:
            return False
        return any(" ms " in notice for notice in session.take_notices())

    @cached_property
    def adviser(self) -> Adviser:
        """Writes advice; needs pg_plan_advice."""
        return Adviser(self.session, self.namer, self.catalog)

    @cached_property
    def _catalog(self) -> GraphCatalog:
        return GraphCatalog(self.session)

    def remedy_for(self, library: str) -> str:
        """Returns what would make a library of the server work in sessions of this role."""
        source = "PostgreSQL's contrib modules"
        if library == "pg_hint_plan":
            source = f"{library} (package {package_of(self.session, 'pg-hint-plan')})"
            if self._embedded and getattr(self._config, "postgres_bin", None) is None:
                return (
                    f"Install a PostgreSQL that has {source}, and set `database.postgres_bin` to "
                    "the folder of its programs: the one that comes with pilot takes no extensions."
                )
        return how_to_load(self.session, library, source)

    @property
    def catalog(self) -> GraphCatalog:
        """The facts about the relations of the session's database."""
        self.schema_has_changed()
        return self._catalog

    @cached_property
    def namer(self) -> Namer:
        """The sub-plans of the session's queries; needs the planner module."""
        return Namer(self.session)

    def forget_schema(self) -> None:
        """Read the catalog again when it is next needed, since names may mean something else."""
        if "_catalog" in self.__dict__:
            self._catalog.forget()
        if "namer" in self.__dict__:
            self.namer.forget()

    def schema_has_changed(self) -> bool:
        """Whether a session of the same target has changed the schema since the last call; the
        catalog is then read again."""
        changes = self.session.schema_changes.count
        if changes == self._schema_changes:
            return False
        self._schema_changes = changes
        self.forget_schema()
        return True

    def missing(self, ability: str) -> CapabilityError:
        """Returns the error for something that this session cannot do."""
        if ability not in self._missing:  # the remedy asks the server, and queries come here
            self._missing[ability] = self._why_missing(ability)
        reason, remedy = self._missing[ability]
        return CapabilityError(f"this server does not take {ability}: {reason}", hint=remedy)

    def _why_missing(self, ability: str) -> tuple[str, str]:
        """Returns why the session cannot do something, and what would help."""
        if ability == "pushed cardinalities":
            why = self.planner_or_why
            return (why.reason, why.remedy) if isinstance(why, Missing) else ("", "")
        if ability == "hint comments":
            remedy = f"{self.remedy_for('pg_hint_plan')} Or push hints as settings."
            return "pg_hint_plan does not work in this session", remedy
        if ability == "scan and join methods":
            reason = "the planner has no setting for it, and pg_hint_plan is missing"
            return reason, self.remedy_for("pg_hint_plan")
        assert ability == "plan advice"
        if self.session.connection.server_version < 190000:
            reason = f"PostgreSQL {self.server_version} has no pg_plan_advice"
            return reason, "Use PostgreSQL 19 or newer."
        reason = "pg_plan_advice does not work in this session"
        return reason, self.remedy_for("pg_plan_advice")


@contextlib.contextmanager
def abilities_of(
    target: Target, *, may_build: bool = False, pg_config: Path | None = None
) -> Iterator[Abilities]:
    """Yields the abilities of a new session of `target`; see `Abilities` for the options.

    Raises `CapabilityError` for a database that pilot does not steer.
    """
    postgres = _postgres(target)
    with contextlib.closing(postgres.session()) as session:
        yield Abilities(session, postgres.config, may_build=may_build, pg_config=pg_config)


def _postgres(target: Target) -> PostgresTarget:
    if isinstance(target, PostgresTarget):
        return target
    raise CapabilityError(f"{target.description} cannot be steered")


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
    postgres = _postgres(target)
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
