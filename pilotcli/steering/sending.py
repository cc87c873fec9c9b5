"""Sends a query with its settings.

There are three ways to send a query with settings:

- A plain query and its settings are one message, `SET LOCAL ...; /* hints */ SELECT ...`. The
  server runs such a message in a transaction of its own (PostgreSQL manual 55.2.2.1), so that the
  settings end with it.
- Inside the workload's own transaction the settings are made at a savepoint, so that a setting that
  the server refuses does not break the transaction. After the query they get their old values
  back, except those that the query itself has set (`set_config`).
- A command that must not run in a transaction (`VACUUM`) gets settings of the session, which get
  their old values back after it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pilotcli.common.errors import QueryCancelled, QueryError, QueryTimeout, SteeringError
from pilotcli.common.records import Query
from pilotcli.common.suggestions import sentences
from pilotcli.databases.protocols import Rows
from pilotcli.databases.session.session import PostgresSession
from pilotcli.databases.setting_names import SETTING_NAMES, UNKNOWN_SETTING, meant_setting
from pilotcli.steering.message import Message
from pilotcli.steering.planned_query import is_planned
from pilotcli.steering.requests import Steered
from pilotcli.steering.sql import own_statements, restore_settings, show_settings

_SAVEPOINT = "pilot_steering"


def send(
    session: PostgresSession, query: Query, message: Message, explain: str, steered: Steered
) -> Rows:
    """Sends the message, with `explain` in front of its query, and returns the rows.

    Counts the time of settings in messages of their own as steering. Raises `SteeringError` if the
    server refuses a setting, and otherwise as `PostgresSession.execute`.
    """
    if not message.steers:
        return session.execute(explain + message.sql, query.copy)
    if session.in_transaction or not is_planned(query):
        return _send_between(session, query, message, explain, steered)
    try:
        return session.execute(f"{message.comment}{message.prefix()}{explain}{message.sql}")
    except (QueryTimeout, QueryCancelled):
        raise
    except QueryError:
        _check_settings(session, message)
        raise


def _check_settings(session: PostgresSession, message: Message) -> None:
    try:
        session.execute(f"BEGIN; {message.prefix()}ROLLBACK")
    except QueryError as refused:
        session.rollback()
        raise _refusal(session, message, refused) from None


def _send_between(
    session: PostgresSession, query: Query, message: Message, explain: str, steered: Steered
) -> Rows:
    """Send the settings, the query, and the old values of the settings one after the other."""
    names = message.names()
    in_transaction = session.in_transaction
    scope = "LOCAL " if in_transaction else ""
    if session.transaction_failed:
        return session.execute(message.sql)
    before: Sequence[str | None] = ()
    pushed: Sequence[str | None] = ()
    if names:
        with own_statements(session), _steering_time(steered):
            before = session.execute(show_settings(names)).rows[0]
            pushed = _set_between(session, message, names, scope)
    try:
        return session.execute(f"{message.comment}{explain}{message.sql}", query.copy)
    finally:
        # The settings of a transaction that failed or ended are gone with it.
        lives = not session.closed and not session.transaction_failed
        if names and lives and session.in_transaction == in_transaction:
            with own_statements(session), _steering_time(steered):
                session.execute(restore_settings(names, before, scope, pushed))


def _set_between(
    session: PostgresSession, message: Message, names: Sequence[str], scope: str
) -> Sequence[str | None]:
    """Set what the message sets, and return the values as the server shows them."""
    in_transaction = session.in_transaction
    begin, end = (
        (f"SAVEPOINT {_SAVEPOINT}; ", f"RELEASE SAVEPOINT {_SAVEPOINT}; ")
        if in_transaction
        else ("BEGIN; ", "COMMIT; ")
    )
    try:
        return session.execute(f"{begin}{message.prefix(scope)}{end}{show_settings(names)}").rows[0]
    except QueryError as refused:
        if in_transaction:
            session.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}; RELEASE SAVEPOINT {_SAVEPOINT}")
        else:
            session.rollback()
        raise _refusal(session, message, refused) from None


@contextmanager
def _steering_time(steered: Steered) -> Iterator[None]:
    """Counts the time in it as steering, not as the query's."""
    began = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - began
        steered.steering_s += spent
        steered.elapsed_s -= spent


def _refusal(session: PostgresSession, message: Message, error: QueryError) -> SteeringError:
    """The error for settings that the server has refused, with the name that was probably meant:
    results keep the message alone."""
    text = f"the server refuses a pushed setting: {error.message}"
    if error.sqlstate == UNKNOWN_SETTING and not session.closed:
        with own_statements(session), suppress(QueryError):
            known = [name for (name,) in session.execute(SETTING_NAMES).rows]
            text = sentences(text, meant_setting(message.settings, known))
    return SteeringError(text, hint=error.hint).standing_for(error)
