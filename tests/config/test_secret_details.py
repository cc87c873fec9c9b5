"""Secrets within secrets, below secrets' names, and in other spellings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotcli.common.redaction import MASK, forget_secrets, keep_secret, redacted
from pilotcli.config import load_config
from pilotcli.config.secrets import masked, secrets_in


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert masked("x abcdef-ghi y", secrets={"abcdef", "abcdef-ghi"}) == f"x {MASK} y"
    keep_secret({"abcdef", "abcdef-ghi"})
    assert redacted("x abcdef-ghi y") == f"x {MASK} y"


def test_all_below_a_secrets_name_is_secret() -> None:
    assert secrets_in({"password": {"a": "one", "b": ["two"]}, "user": "me"}) == {"one", "two"}


def test_a_percent_encoded_secret_is_found_in_small_letters_too() -> None:
    keep_secret({"p@ss/wörd"})
    for text in ("p%40ss%2Fw%C3%B6rd", "p%40ss%2fw%c3%b6rd"):
        assert redacted(f"GET /?x={text}") == f"GET /?x={MASK}"


def test_secrets_of_every_section_are_known(tmp_path: Path) -> None:
    path = tmp_path / "pilot.yaml"
    path.write_text(
        """
        models: {m: {class: "x:M", args: {token: model-secret}}}
        events: [{class: "x:E", args: {api_key: event-secret}}]
        handlers: [{class: "x:H", args: {deep: [{password: handler-secret}]}}]
        """
    )
    assert load_config(path).secrets == {"model-secret", "event-secret", "handler-secret"}
    assert redacted("a handler-secret") == f"a {MASK}"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "pilot.yaml"
    path.write_bytes(b"\xef\xbb\xbfrun: {workers: 3}\n")
    assert load_config(path).run.workers == 3
