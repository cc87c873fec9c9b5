"""What can be the name, a tag or the note of a run."""

from __future__ import annotations

import pytest

from pilotcli.common.errors import UsageError
from pilotcli.common.labels import RunLabels, checked_labels, is_run_name


def test_labels_are_taken_as_they_are_each_tag_once() -> None:
    labels = checked_labels("nightly-2026.11", ["pr/12", "k=v", "pr/12"], 'a, b\nand "c"')
    assert labels == RunLabels("nightly-2026.11", ("pr/12", "k=v"), 'a, b\nand "c"')


@pytest.mark.parametrize("name", ["", "12", "last", "a b", "a:b", "a/b", "-a", "a\n", "x" * 101])
def test_a_name_is_no_number_no_path_and_no_option(name: str) -> None:
    assert not is_run_name(name)
    with pytest.raises(UsageError, match="cannot be the name of a run"):
        checked_labels(name, [], None)


@pytest.mark.parametrize("tag", ["", "a b", "a,b", 'a"b', "a\\b", "a\x1bb", "x" * 101])
def test_a_tag_is_one_word(tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        checked_labels(None, [tag], None)


def test_a_note_has_a_limit() -> None:
    with pytest.raises(UsageError, match="the note has 10,001 characters"):
        checked_labels(None, [], "x" * 10_001)
