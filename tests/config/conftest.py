"""How the config's tests load one: a text written as `pilot.yaml` into a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pilotcli.common.errors import ConfigError
from pilotcli.config import RunConfig, load_config

Load = Callable[..., RunConfig]
Refused = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a text, with overrides and an environment of nothing but what is given."""

    def load(
        text: str | bytes, *overrides: str, environ: Mapping[str, str] | None = None
    ) -> RunConfig:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "pilot.yaml").write_bytes(data)
        return load_config(None, overrides, environ=environ or {}, cwd=tmp_path)

    return load


@pytest.fixture
def refused(load: Load) -> Refused:
    """The problems of a text that must not load, each as it is shown, hints on lines below."""

    def refused(
        text: str | bytes, *overrides: str, environ: Mapping[str, str] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides, environ=environ)
        assert caught.value.exit_code == 2
        return [str(problem) for problem in caught.value.problems]

    return refused
