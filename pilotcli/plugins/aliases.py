"""Makes `import pilotscope` find `pilotcli.compat.pilotscope`, for drivers of PilotScope."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_NAME = "pilotscope"
_HOME = f"pilotcli.compat.{_NAME}"


Report = Callable[[bool, Path | None], object]
"""Gets whether pilot's own modules are imported, and the folder of a real PilotScope."""


class _Aliases(MetaPathFinder, Loader):
    """Finds `pilotscope.X` as the module `pilotcli.compat.pilotscope.X`: one module, two names."""

    def __init__(self) -> None:
        self.before_installed = False
        self.report: Report | None = None
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == _NAME:
            # Decided as late as this: the script may have changed sys.path before.
            found_at = installed_folder()
            takes_ours = self.before_installed or found_at is None
            if self.report is not None:
                self.report(takes_ours, found_at)
            if not takes_ours:
                return None
        elif not fullname.startswith(f"{_NAME}.") or sys.modules[_NAME].__name__ != _HOME:
            return None
        try:
            found = importlib.util.find_spec(_HOME + fullname.removeprefix(_NAME))
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_HOME + spec.name.removeprefix(_NAME))
        self._specs[module.__name__] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module is complete; importlib has replaced its spec by the alias's.
        module.__spec__ = self._specs.pop(module.__name__)


_aliases = _Aliases()


def install(*, before_installed: bool | None = None, report: Report | None = None) -> None:
    """Make `pilotscope` importable; safe to call again.

    An installed PilotScope, or a checkout that is on `sys.path` when the name is imported, goes
    first, unless `before_installed`; None keeps what was said before. The first `report` that is
    given is called with the decision.
    """
    if before_installed is not None:
        _aliases.before_installed = before_installed
    _aliases.report = _aliases.report or report
    if _aliases not in sys.meta_path:
        # First, since the other finders would load this package's modules a second time.
        sys.meta_path.insert(0, _aliases)


def installed_folder() -> Path | None:
    """Returns the folder of PilotScope's own package, where Python finds one; nothing of it is
    imported."""
    spec = PathFinder.find_spec(_NAME)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def choice() -> str | None:
    """Returns which `pilotscope` a driver has imported, in words, if there are two to choose from;
    otherwise None."""
    if _NAME not in sys.modules or PathFinder.find_spec(_NAME) is None:
        return None
    if which() == "ours":
        return "drivers use pilot's own pilotscope (compat.pilotscope: ours)"
    return "drivers use the installed pilotscope (`compat: {pilotscope: ours}` takes pilot's own)"


def which() -> str:
    """Returns which `pilotscope` an import finds now: `ours`, `installed` or `none`."""
    known = sys.modules.get(_NAME)
    if known is not None:
        return "ours" if known.__name__ == _HOME else "installed"
    if installed_folder() is not None:
        is_ours = _aliases in sys.meta_path and _aliases.before_installed
        return "ours" if is_ours else "installed"
    return "ours" if _aliases in sys.meta_path else "none"
