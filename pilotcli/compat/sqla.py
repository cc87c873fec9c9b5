"""SQLAlchemy over a controller, for drivers that use what PilotScope's controllers rest on.

It is not required by pilot: a driver that needs it has it installed. Raises `CapabilityError`
where it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotcli.common.errors import CapabilityError

if TYPE_CHECKING:
    from pilotcli.databases.controller import PostgreSQLController


def _module() -> Any:
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise CapabilityError(
            "SQLAlchemy is not installed, which pilot's controllers do without",
            hint="Install it: pip install sqlalchemy; or use execute() and the other methods.",
        ) from None
    return sqlalchemy


def engine_of(controller: PostgreSQLController, *, echo: bool) -> Any:
    """An engine on the controller's database, in autocommit mode. Each of its connections is
    apart from the controller's sessions, with the same time-out."""
    module = _module()

    def connection() -> Any:
        timeout_s = controller.config.sql_execution_timeout
        return controller.target().session(timeout_s=timeout_s).connection

    return module.create_engine(
        "postgresql+psycopg2://",
        creator=connection,
        poolclass=module.pool.NullPool,
        isolation_level="AUTOCOMMIT",
        echo=echo,
    )


def metadata() -> Any:
    """An empty collection of tables."""
    return _module().MetaData()


def table_of(name: str, tables: Any, engine: Any) -> Any:
    """The table `name`, with its columns as the database has them."""
    return _module().Table(name, tables, autoload_with=engine)


def statement_text(statement: Any, connection: Any) -> str:
    """The SQL of a statement that was built with SQLAlchemy, with its values in it as psycopg2's
    `connection` writes them."""
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

    compiled = statement.compile(
        dialect=PGDialect_psycopg2(),  # type: ignore[no-untyped-call]
        compile_kwargs={"render_postcompile": True},
    )
    with connection.cursor() as cursor:
        text: bytes = cursor.mogrify(compiled.string, compiled.construct_params())
    return text.decode()
