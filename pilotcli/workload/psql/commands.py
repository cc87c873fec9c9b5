"""Which of psql's meta-commands matter to a workload."""

from __future__ import annotations

import re

_HARMLESS = """
? C H T a conninfo copyright echo errverbose f h help html o out p pset print qecho s t timing
warn x
"""
HARMLESS = frozenset(_HARMLESS.split())
"""Commands that change what psql shows, and nothing that it sends."""

_SHOWS = re.compile(
    r"(?:d[abcCdDEgilLmnopstuTvxXy]?|dA[cfop]?|ddp|de[stuw]|df[anptw]*|dF[dpt]?|dO|dP[itn]*"
    r"|drds|drg|dR[ps]|l|list|lo_list|sf|sv|z)[S+x]*"
)

WHOLE_LINE = frozenset(["!", "copy", "ef", "ev", "h", "help", "sf", "sv"])
"""Commands whose argument is the whole rest of the line, whatever it holds."""

SETTINGS = {
    "AUTOCOMMIT": True,
    "ON_ERROR_ROLLBACK": False,
    "SINGLELINE": False,
    "SINGLESTEP": False,
}
"""Variables that make psql send other statements, with the one value at which they do not."""

_FILLED_BY_PSQL = """
AUTOCOMMIT COMP_KEYWORD_CASE DBNAME ECHO ECHO_HIDDEN ENCODING ERROR FETCH_COUNT HIDE_TABLEAM
HIDE_TOAST_COMPRESSION HISTCONTROL HISTFILE HISTSIZE HOST IGNOREEOF LAST_ERROR_MESSAGE
LAST_ERROR_SQLSTATE LASTOID ON_ERROR_ROLLBACK ON_ERROR_STOP PIPELINE_COMMAND_COUNT
PIPELINE_RESULT_COUNT PIPELINE_SYNC_COUNT PORT PROMPT1 PROMPT2 PROMPT3 QUIET ROW_COUNT
SERVER_VERSION_NAME SERVER_VERSION_NUM SERVICE SHELL_ERROR SHELL_EXIT_CODE SHOW_ALL_RESULTS
SHOW_CONTEXT SINGLELINE SINGLESTEP SQLSTATE USER VERBOSITY VERSION VERSION_NAME VERSION_NUM
WATCH_INTERVAL
"""
FILLED_BY_PSQL = frozenset(_FILLED_BY_PSQL.split())
"""Variables that psql itself fills from its connection and its options."""

_ADVICE = {
    "!": "Run the program before pilot.",
    "c": "Name the database in the config (database.dsn); a workload runs in one.",
    "connect": "Name the database in the config (database.dsn); a workload runs in one.",
    "copy": "Use COPY ... FROM STDIN with the data below it, or load the data before the run.",
    "gexec": "Write out the statements that it would make.",
    "gset": "Give the value with \\set.",
    "prompt": "Give the value with \\set.",
    "watch": "Use --repeat to replay the workload.",
    "bind": "Write the values in the place of $1, $2, ..., or use PREPARE and EXECUTE.",
    "bind_named": "Use PREPARE and EXECUTE.",
    "cd": "Give the path of the file to \\i in full, or use \\ir.",
    "lo_import": "Load the data before the run.",
    # What pgbench has and psql has not.
    "sleep": "Remove the line: pilot sends a query as soon as the one before it has ended.",
    "shell": "Run the program before pilot.",
    "setshell": "Give the value with \\set.",
    "aset": "Give the value with \\set.",
}


def advice(name: str) -> str:
    """What to do about a command that is refused."""
    if name in _ADVICE:
        return _ADVICE[name]
    return "End the statement with a semicolon, or remove the line."


def only_shows(name: str) -> bool:
    """Whether the command only shows what is in the database: `\\d`, `\\dt+`, `\\l`, `\\sv`, ..."""
    return _SHOWS.fullmatch(name) is not None
