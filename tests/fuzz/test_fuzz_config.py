"""Whatever a config file or an override holds: a config, or a `ConfigError` that says where.

`tests/config/test_config_fuzz.py` makes configs from the keys there are; these come from files that
people have, damaged, and from what YAML has to offer to a malicious hand.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from fuzzing import cases, damaged, odd_texts
from hypothesis import given
from hypothesis import strategies as st

from pilotcli.common.errors import ConfigError
from pilotcli.config import RunConfig, load_config, shown_config

_ROOT = Path(__file__).resolve().parents[2]
_CONFIGS = [path.read_bytes() for path in sorted((_ROOT / "configs").glob("*.yaml"))]
_TOKENS = [
    *(b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r", b"\r\n", b"\x85", "\u2028".encode()),
    *(b"&a ", b"*a", b"<<: *a", b"!!int ", b"!!python/object:os.system ", b"? ", b"- ", b": "),
    *(b".nan", b"-.inf", b"1e999", b"9" * 400, b"0x" + b"f" * 400, b"${X}", b"${X:-", b"$${"),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"|", b">-", b"{", b"]", b"'", b'"', b"#", b"\n"),
    *(b"[" * 150, b"{a: " * 150, b"- " * 150, b"run:\n", b"events:\n", b"timeout: "),
]


def _loads_or_is_refused(folder: Path, data: bytes, *overrides: str) -> RunConfig | None:
    (folder / "pilot.yaml").write_bytes(data)
    try:
        config = load_config(None, overrides, environ={"X": "x: [1]"}, cwd=folder)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file or not data, problem
            assert problem.line is None or 1 <= problem.line <= data.count(b"\n") + len(data) + 1
            assert len(problem.message) < 5000
        return None
    shown_config(config)
    return config


@cases(500)
@given(damaged(_CONFIGS, _TOKENS))
def test_a_damaged_config_loads_or_is_refused(tmp_path: Path, data: bytes) -> None:
    _loads_or_is_refused(tmp_path, data)


@cases(150)
@given(
    st.sampled_from([one.decode() for one in _CONFIGS]) | odd_texts,
    st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "cp037", "utf-7"]),
)
def test_any_encoding_loads_or_is_refused(tmp_path: Path, text: str, encoding: str) -> None:
    config = _loads_or_is_refused(tmp_path, text.encode(encoding, "replace"))
    if encoding == "utf-8-sig" and text.startswith("#"):
        assert config is not None


def test_a_value_of_any_length_is_quoted_in_part(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(None, (f"models.run=={'9' * 50_000}",), environ={}, cwd=tmp_path)
    (problem, *_) = refused.value.problems
    assert len(problem.message) < 3_000
    assert problem.message.endswith("is not a class path")


@cases(400)
@given(
    st.lists(
        st.builds(
            "{}{}{}".format,
            st.lists(
                st.sampled_from(["run", "events", "list", "models", "0", "-1", "9" * 30, "args"])
                | odd_texts.filter(lambda text: len(text) < 100),
                max_size=4,
            ).map(".".join),
            st.sampled_from(["=", "", "=="]),
            odd_texts.filter(lambda text: "\ud800" not in text),
        ),
        max_size=3,
    )
)
def test_any_overrides_are_applied_or_refused(tmp_path: Path, overrides: list[str]) -> None:
    _loads_or_is_refused(tmp_path, _CONFIGS[-1], *overrides)


_BOMBS = {
    "billion laughs": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "billion keys": "a: &a {x: 1}\n"
    + "".join(
        f"{b}: &{b} {{{', '.join(f'k{n}: *{a}' for n in range(10))}}}\n"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "billion merges": "a: &a {x: 1}\n"
    + "".join(
        f"{b}: &{b} {{<<: [{', '.join(['*' + a] * 10)}]}}\n"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "its own anchor": "a: &a [*a]\n",
    "its own key": "&a a: &b {c: *b}\n",
    "deep lists": "[" * 100_000,
    "deep mappings": "{a: " * 100_000,
    "deep dashes": "- " * 50_000,
    "a long number": "run: {timeout: " + "9" * 1_000_000 + "}\n",
    "a long hexadecimal": "run: {timeout: 0x" + "f" * 1_000_000 + "}\n",
    "a long text": "home: '" + "x" * 3_000_000 + "'\n",
    "a long key": "x" * 3_000_000 + ": 1\n",
    "many keys": "".join(f"k{n}: 1\n" for n in range(5_000)),
    "one key often": "run: 1\n" * 10_000,
    "many variables": "home: '" + "${X}" * 100_000 + "'\n",
    "open variables": "home: '" + "${X:-" * 100_000 + "'\n",
    "grown variables": "a: &a '" + "${X}" * 10_000 + "'\nb: [" + ", ".join(["*a"] * 10_000) + "]\n",
    "comments": "#\n" * 1_000_000,
}


@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_is_refused_or_read_in_bounded_memory(tmp_path: Path, name: str) -> None:
    data = _BOMBS[name].encode()
    assert len(data) < 4_000_000
    tracemalloc.start()
    try:
        _loads_or_is_refused(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 250_000_000
    finally:
        tracemalloc.stop()


def test_a_larger_file_is_not_even_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 4 MB"):
        (tmp_path / "pilot.yaml").write_bytes(b"#" * 4_000_001)
        load_config(None, cwd=tmp_path)
