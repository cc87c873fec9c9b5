"""Reads pg_stat_statements from a server."""

from __future__ import annotations

from pilotcli.common.errors import CapabilityError, QueryError
from pilotcli.databases.protocols import Session
from pilotcli.workload.logs.stat_statements import OWN, VIEW, StatementRow

_FOUND = f"""SELECT {OWN} e.extversion, quote_ident(n.nspname),
    array_agg(a.attname::text)
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = e.extname
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE e.extname = 'pg_stat_statements'
GROUP BY e.extversion, n.nspname"""  # noqa: S608 - a comment of pilot's own
_ROWS = """SELECT coalesce(s.query, ''), s.calls, s.total_exec_time / 1000,
    coalesce(r.rolname, ''), coalesce(d.datname, ''), coalesce(s.queryid::text, ''),
    s.rows
FROM {schema}.pg_stat_statements s
LEFT JOIN pg_roles r ON r.oid = s.userid
LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE {wanted}
ORDER BY s.total_exec_time DESC, 6, 5, 4"""
_NOT_ALLOWED = "42501"  # insufficient_privilege
_NOT_LOADED = "55000"  # object_not_in_prerequisite_state
_LOAD = (
    f"add {VIEW} to `shared_preload_libraries` and restart the server; for the embedded server: "
    f"--set database.settings.shared_preload_libraries={VIEW}"
)


def read_stat_statements(session: Session) -> list[StatementRow]:
    """Returns the statements of all databases and users, those that took most time first.

    What functions have run inside is left out. Raises `CapabilityError` where the database has no
    pg_stat_statements, an old one, or one that the role may not read.
    """
    found = session.execute(_FOUND).rows
    if not found:
        raise CapabilityError(
            f"the database has no extension {VIEW}",
            hint=f"Run CREATE EXTENSION {VIEW} in it, or name a database that has it: the "
            f"statistics are of all databases. The server needs its library, too: {_LOAD}.",
        )
    version, schema, columns = found[0]
    if "total_exec_time" not in columns:
        raise CapabilityError(
            f"the extension {VIEW} is of version {version}, and pilot needs 1.8",
            hint=f"Run ALTER EXTENSION {VIEW} UPDATE.",
        )
    wanted = "s.toplevel" if "toplevel" in columns else "true"
    try:
        rows = session.execute(_ROWS.format(schema=schema, wanted=wanted)).rows
    except QueryError as error:
        if error.sqlstate == _NOT_LOADED:
            hint = f"The server has not loaded the library: {_LOAD}."
        elif error.sqlstate == _NOT_ALLOWED:
            hint = "Have an administrator run GRANT pg_read_all_stats to the role, and GRANT "
            hint += f"USAGE ON SCHEMA {schema} and GRANT SELECT ON {schema}.{VIEW}."
        else:
            raise
        raise CapabilityError(f"{VIEW} cannot be read: {error.message}", hint=hint) from None
    return [StatementRow(*row) for row in rows]
