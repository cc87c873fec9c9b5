"""`pilot runs advice`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pilotcli.analysis.compare_named import named_run, open_journal
from pilotcli.cli.database import database_config
from pilotcli.cli.options import ConfigOption, RunArgument, SetOption
from pilotcli.common.errors import UsageError
from pilotcli.reports.advice import advice_of_run, as_stash
from pilotcli.reports.files import check_file, whole_file, writes_to_stdout, written_name
from pilotcli.views.console import err, out
from pilotcli.views.kept_advice import advice_json, show_advice
from pilotcli.views.text import clean


def advice(
    run: RunArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a .sql or .json file, or - for standard output, instead of a table.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: Annotated[
        Literal["table", "json", "sql"] | None,
        typer.Option(
            "--format",
            help="Print a table for people, JSON for programs, or SQL that fills a stash of "
            "pg_stash_advice. Default: by the file's name, or table.",
        ),
    ] = None,
) -> None:
    """Write what a driver learned as plan advice.

    The server of the config plans the last pushes of each query again and writes the plan as
    advice. So it needs PostgreSQL 19 or newer with pg_plan_advice. The advice belongs to this
    version and schema.

    \b
    Examples:
      pilot runs advice 12
      pilot runs advice 12 -o advice.sql
      pilot runs advice 12 --format json
    """
    if output is not None:
        check_file(output, "--output", ".sql", ".json")
        format = format or ("json" if output.suffix == ".json" else "sql")
        if format == "table":
            raise UsageError(
                "--output writes SQL or JSON, not a table",
                hint="Leave --format out, or choose --format sql.",
            )
    pilot_config = database_config(config, set_)
    home = pilot_config.home
    home, run_id = (home, None) if run is None else named_run(home, run)
    with open_journal(home) as journal:
        found = advice_of_run(journal, run_id, pilot_config)
    if format in (None, "table"):
        show_advice(found)
        return
    text = as_stash(found) if format == "sql" else advice_json(found)
    if output is None:
        out(text.rstrip("\n"), exact=True)
    else:
        with whole_file(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
        count = sum(query.advice is not None for query in found.queries)
        (err if writes_to_stdout([output]) else out)(
            f"wrote {clean(written_name(output))}: advice for {count} of {len(found.queries)} "
            "queries"
        )
    err(f"warning: {found.warning}")
