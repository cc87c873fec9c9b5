"""How the shell completes values: what finds them is loaded when the shell asks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

from pilotcli.cli import commands

Completion = Callable[[Any, str], Sequence[tuple[str, str]]]


def completed_by(place: str) -> Completion:
    """Returns the completion by the function at `place` (`runs:runs`) in
    `pilotcli.cli.completions`.

    It gets the parameters that stand on the command line already, and the word so far. It must
    not disturb the line that is being typed: what it prints is dropped, and if it fails, for
    example because the config has an error, nothing is completed.
    """

    def complete(ctx: Any, incomplete: str) -> Sequence[tuple[str, str]]:
        dropped = io.StringIO()
        try:
            with contextlib.redirect_stdout(dropped), contextlib.redirect_stderr(dropped):
                found = commands.load(f"completions.{place}")(_parameters(ctx), incomplete)
                return [
                    (value, commands.brief(text)) for value, text in found if _is_one_word(value)
                ]
        except Exception:  # noqa: BLE001 - see above
            return []

    return complete


def _parameters(ctx: Any) -> dict[str, Any]:
    """The values on the command line. Of an option that is still without its value, typer leaves
    the arguments before it unread."""
    values, left = dict(ctx.params), list(ctx.args)
    for param in ctx.command.params:
        if param.param_type_name == "argument" and left and not values.get(param.name):
            values[param.name] = left if param.nargs == -1 else left.pop(0)
    return values


def _is_one_word(value: str) -> bool:
    return value.isprintable() and not any(letter in " \"'\\`$;&|<>" for letter in value)
