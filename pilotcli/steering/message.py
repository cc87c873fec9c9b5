"""The message that the server gets for a query, with what is pushed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pilotcli.steering.hint_plan import Hint
from pilotcli.steering.plan_advice import Item
from pilotcli.steering.planner import ROWS_SETTING
from pilotcli.steering.sql import literal, set_all


@dataclass(slots=True)
class Message:
    """A query as it is sent, and the state of its pushes.

    - `sql`: the query, with its joins in the pushed order;
    - `settings`: settings for this query; `reports`: settings by which extensions take and report
      about what is pushed; `comment`: the comments in front of the query;
    - `rows`: the planner module's setting; `cards`: the sub-plan query of each of its entries;
    - `hints`: pg_hint_plan's hints, and `advice`: pg_plan_advice's items, as they are in the
      message, each with the push that it stands for; `sent_hints`: all hints in the comment, in
      their order, with those of the query itself;
    - `numbers`: the pushed rows, by sub-plan query;
    - `applied`: the pushes that are in the message and that nobody reports about; `ignored`: those
      that are not in it, each with a reason.
    """

    sql: str
    settings: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    rows: str = ""
    cards: tuple[str, ...] = ()
    hints: list[tuple[str, Hint]] = field(default_factory=list)
    sent_hints: Sequence[Hint] = ()
    advice: list[tuple[str, Item]] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)

    @property
    def steers(self) -> bool:
        """Whether the message is more than the query."""
        return bool(self.settings or self.reports or self.comment or self.rows)

    def prefix(self, scope: str = "LOCAL ") -> str:
        """Returns the settings as statements."""
        settings = set_all(tuple({**self.reports, **self.settings}.items()), scope)
        if not self.rows:
            return settings
        return f"{settings}SET {scope}{ROWS_SETTING} = {literal(self.rows)}; "

    def override(self, settings: Mapping[str, str], by: str) -> None:
        """Add settings that precede hints: a hint with another value is not applied."""
        for name, hint in list(self.settings.items()):
            value = settings.get(name.lower(), hint)
            if hint != value:
                del self.settings[name]
                self.applied.remove(f"{name} = {hint}")
                self.ignored.append((f"{name} = {hint}", f"{by} sets it to {value}"))
        self.settings.update(settings)

    def give_way(self, hints: Iterable[Hint]) -> None:
        """Drop settings that hints set otherwise: for the planner, the hints count."""
        by_name = {hint.setting[0]: hint for hint in hints if hint.setting is not None}
        for name, value in list(self.settings.items()):
            hint = by_name.get(name.lower())
            if hint is not None and hint.setting != (name.lower(), value):
                del self.settings[name]
                self.applied.remove(f"{name} = {value}")
                self.ignored.append((f"{name} = {value}", f"the hint {hint.text} replaces it"))

    def names(self) -> list[str]:
        """Returns the names of the settings."""
        names = [*{**self.reports, **self.settings}]
        return [*names, ROWS_SETTING] if self.rows else names
