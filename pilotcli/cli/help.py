"""`pilot help`."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from pilotcli.common.errors import UsageError
from pilotcli.views.console import out


def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The words of a command or a group: run, or runs compare. Default: all commands.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the help of a command, as --help does.

    \b
    Examples:
      pilot help
      pilot help run
      pilot help runs compare
    """
    place = context.find_root()
    for word in command or ():
        if not isinstance(place.command, TyperGroup):
            raise UsageError(
                f"{place.command_path} has no commands, so no {word!r}",
                hint=f"Write pilot help {place.command_path.removeprefix('pilot ')}.",
            )
        name, found, _ = place.command.resolve_command(place, [word])
        assert found is not None
        place = found.make_context(name, [], parent=place, resilient_parsing=True)
        place.resilient_parsing = False
    out(place.get_help(), exact=True)
