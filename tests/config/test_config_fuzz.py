"""Whatever a config holds, it loads or is refused with problems; what loads is shown truly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotcli.common.errors import ConfigError
from pilotcli.config import RunConfig, load_config, shown_config, shown_yaml
from pilotcli.config.overrides import override
from pilotcli.config.secrets import is_secret_name
from pilotcli.config.tree import Node, Problems
from pilotcli.config.variables import Variables

pytestmark = pytest.mark.slow

KEYS = [
    *("home", "database", "store", "run", "workload", "collect", "models", "events", "handlers"),
    *("dsn", "embedded", "name", "postgres_bin", "settings", "session", "setup", "class", "args"),
    *("load", "keep", "model", "enabled", "list", "count", "table", "timeout", "workers", "seed"),
    *("pretraining", "limit", "repeat", "records", "database", "my_model", "<<", "1", ""),
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.binary(max_size=5),
    st.text(max_size=8),
    st.sampled_from(
        ["a.b.C", "f.py:C", "my_model", "auto", "always", "30s", "${X}", "${X:-a.b.C}", "$${", "~"]
    ),
)
trees = st.recursive(
    scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), scalars), children, max_size=5),
    ),
    max_leaves=25,
)
configs = st.dictionaries(st.sampled_from(KEYS[:9]), trees, max_size=6)

texts = st.text(max_size=6).filter(
    lambda text: text.strip() and "\0" not in text
) | st.sampled_from(["${", "$${X}", "a: b", "#", "~", "1e3", "0o7", "9" * 400])
words = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: not is_secret_name(word))
paths = words.map(lambda word: f"{word}.sql")
argument = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts | st.floats(allow_nan=False),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(words, children, max_size=3),
    max_leaves=8,
)
plugin = st.fixed_dictionaries(
    {"class": st.sampled_from(["a.b.C", "a/f.py:C", "a.b:C"])},
    optional={"args": st.dictionaries(words, argument, max_size=3), "model": st.just("mine")},
)
duration = st.one_of(
    st.integers(1, 10**6),
    st.floats(0.001, 10**6),
    st.integers(1, 999).map(lambda number: f"{number}ms"),
)
good_configs = st.fixed_dictionaries(
    {"models": st.just({"mine": "a.b.M"})},
    optional={
        "database": st.fixed_dictionaries(
            {},
            optional={
                "name": texts,
                "embedded": st.booleans(),
                "setup": paths | st.lists(paths, max_size=3),
                "settings": st.dictionaries(words, texts | st.integers() | st.booleans()),
                "connect_timeout": duration,
            },
        ),
        "run": st.fixed_dictionaries(
            {},
            optional={
                "timeout": duration,
                "repeat": st.integers(1, 9),
                "seed": st.integers(-(2**63), 2**63),
                "shuffle": st.booleans(),
                "pretraining": st.sampled_from(["auto", "always", "never"]),
            },
        ),
        "workload": paths | st.lists(paths | st.just("-"), max_size=3),
        "collect": words | st.fixed_dictionaries({"table": words}),
        "events": st.lists(plugin, max_size=3),
        "handlers": st.lists(plugin, max_size=3),
    },
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pilot-fuzz-") as name:
        yield Path(name)


def _load(folder: Path, data: bytes) -> RunConfig:
    (folder / "pilot.yaml").write_bytes(data)
    return load_config(None, environ={}, cwd=folder)


def _accepts_or_refuses(folder: Path, data: bytes) -> None:
    try:
        config = _load(folder, data)
    except ConfigError as exc:
        assert exc.problems
        places = [(one.line is None, one.line, one.column) for one in exc.problems]
        assert places == sorted(places)
    else:
        shown_config(config)


def _escaped(value: Any) -> Any:
    """`value` as it must be written so that no text in it is a variable."""
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _without_places(config: RunConfig) -> RunConfig:
    def bare(specs: tuple[Any, ...]) -> tuple[Any, ...]:
        marks = {"mark": None, "class_mark": None, "arg_marks": {}}
        return tuple(
            replace(one, **marks, **({"model_mark": None} if hasattr(one, "model_mark") else {}))
            for one in specs
        )

    return replace(
        config,
        models=bare(config.models),
        events=bare(config.events),
        handlers=bare(config.handlers),
    )


fuzz = settings(max_examples=300)


@fuzz
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_any_bytes_load_or_are_refused(folder: Path, data: bytes) -> None:
    _accepts_or_refuses(folder, data)


@fuzz
@given(st.text(alphabet="a:-[]{}&*!<>|#%@`'\"\\ \n\t?,~0.1$", max_size=40))
def test_any_punctuation_loads_or_is_refused(folder: Path, text: str) -> None:
    _accepts_or_refuses(folder, text.encode())


@fuzz
@given(configs)
def test_any_tree_loads_or_is_refused(folder: Path, tree: dict[str, Any]) -> None:
    _accepts_or_refuses(folder, yaml.dump(tree, allow_unicode=True).encode("utf-8", "replace"))


@fuzz
@given(good_configs)
def test_what_is_shown_loads_as_the_same_config(folder: Path, tree: dict[str, Any]) -> None:
    config = _load(folder, yaml.safe_dump(_escaped(tree), allow_unicode=True).encode())
    shown = shown_yaml(config).encode()
    assert _without_places(_load(folder, shown)) == _without_places(config)


@fuzz
@given(
    st.text(max_size=20)
    | st.builds(
        "{}={}".format,
        st.lists(st.sampled_from([*KEYS, "0", "C"]), max_size=4).map(".".join),
        st.text(max_size=10) | st.sampled_from(["1", "[a, b]", "{a: 1}", "a.b.C", "${X}"]),
    )
)
def test_any_override_is_applied_or_refused(text: str) -> None:
    problems = Problems()
    root = Node({"events": Node([Node("a.b.C", text="a.b.C")])})
    override(root, text, problems, Variables({}))
    assert isinstance(root.value, dict)
    if "=" not in text:
        assert problems.found
