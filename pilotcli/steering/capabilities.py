"""What a session can do for a driver, found out by trying.

A row in a catalog does not prove that an extension works, and a setting that can be set does not
prove that a library is loaded. So each probe steers an EXPLAIN and reads the plan.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from pilotcli.common.errors import CapabilityError, QueryError
from pilotcli.config import PilotConfig
from pilotcli.databases.embedded.binaries import find_binaries
from pilotcli.databases.protocols import Target
from pilotcli.databases.remedies import how_to_load, package_of
from pilotcli.databases.session.connection import version_text
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.target import PostgresTarget
from pilotcli.steering.advising import Adviser
from pilotcli.steering.auto_explain import settings_for
from pilotcli.steering.hint_abilities import HintAbilities
from pilotcli.steering.naming import Namer
from pilotcli.steering.planner import Built, Missing, Planner, find_pg_config, load, provide
from pilotcli.steering.sql import set_all
from pilotcli.steering.subplans import GraphCatalog


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
    postgres = postgres_of(target)
    with contextlib.closing(postgres.session()) as session:
        yield Abilities(session, postgres.config, may_build=may_build, pg_config=pg_config)


def postgres_of(target: Target) -> PostgresTarget:
    """Returns `target`, a PostgreSQL; raises `CapabilityError` for a database of another kind."""
    if isinstance(target, PostgresTarget):
        return target
    raise CapabilityError(f"{target.description} cannot be steered")
