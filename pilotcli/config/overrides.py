"""`--set key.path=value`: one value put into the tree of a config."""

from __future__ import annotations

from pilotcli.common.redaction import MASK
from pilotcli.common.suggestions import did_you_mean
from pilotcli.config.model import Mark
from pilotcli.config.secrets import masked, names_secret
from pilotcli.config.tree import Node, Problems, parse_yaml
from pilotcli.config.variables import Variables

_OF_ALL = {"events": ("count", "timeout"), "handlers": ("timeout",)}
"""Keys that a list of these has beside its entries."""


def override(root: Node, text: str, problems: Problems, variables: Variables) -> None:
    """Put the override `text` into `root`; what is wrong with it goes to `problems`.

    A part of the path is a key, the place of an entry in a list (from 0), or an entry's name. A
    text that begins with `--` is an option of `pilot run`, for a key of `run:`.
    """
    dotted, equals, value_text = text.partition("=")
    is_option = dotted.startswith("--")
    if is_option:
        dotted = f"run.{dotted[2:].replace('-', '_')}"
    keys = dotted.strip().split(".")
    shown = MASK if names_secret(value_text) else masked(value_text, keys[-1])
    origin = f"--set {dotted}{equals}{shown}"
    if is_option:
        origin = f"{text.partition('=')[0]} {shown}"
    mark = Mark(origin, 0, 0)
    if not equals or not all(keys):
        hint = "Write --set key.path=value, for example --set run.workers=4."
        problems.at(mark, "this is no override", hint=hint)
        return
    known = len(problems.found)
    value = parse_yaml(value_text, origin, problems, variables, origin=origin)
    if len(problems.found) > known:
        return
    value = value or Node(None, mark, overridden=True)
    value.key_mark = mark
    place = root
    for depth, key in enumerate(keys[:-1]):
        _spell_out(place, keys[:depth])
        child = _child(place, key, mark, problems)
        if child is None:
            return
        of_all = keys[depth + 1] in _OF_ALL.get(keys[depth], ())
        if of_all and isinstance(child.value, list):
            child.value = {"list": Node(child.value, child.mark)}
        place = child
    _spell_out(place, keys[:-1])
    if isinstance(place.value, dict):
        place.value[keys[-1]] = value
        return
    target = _child(place, keys[-1], mark, problems)
    if target is not None:
        target.value, target.text, target.source = value.value, value.text, value.source
        target.mark, target.overridden = mark, True


def _child(place: Node, key: str, mark: Mark, problems: Problems) -> Node | None:
    """What `key` names below `place`: a value, or the entry of a list."""
    if isinstance(place.value, dict):
        listed = place.value.get("list")
        if key not in place.value and listed is not None and isinstance(listed.value, list):
            return _child(listed, key, mark, problems)
        new = Node(None, mark, key_mark=mark, overridden=True)
        child: Node = place.value.setdefault(key, new)
        return child
    if not isinstance(place.value, list):
        problems.at(mark, f"{place.shown_value()} has no key {key!r}")
        return None
    names = entry_names(place.value)
    entries: list[Node] = place.value
    if key in names:
        return entries[names.index(key)]
    if key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < len(entries):
        return entries[int(key)]
    problems.at(mark, f"there is no entry {key!r}", hint=did_you_mean(key, names, listed="It has"))
    return None


def _spell_out(place: Node, path: list[str]) -> None:
    """Make a mapping of the name of a table, a class path or nothing, which are short forms of
    one."""
    if place.value is None:
        place.value = {}
    elif isinstance(place.value, str):
        alone = Node(place.value, place.mark, place.text, place.source, None, place.overridden)
        place.value = {"table" if path == ["collect"] else "class": alone}


def entry_names(entries: list[Node]) -> list[str]:
    """The name of each event or handler: its `name`, or else its class's, numbered where taken."""
    given = [_given_name(entry) for entry in entries]
    taken = {name for name in given if name}
    numbers: dict[str, int] = {}
    names = []
    for entry, name in zip(entries, given, strict=True):
        if not name:
            name = _free(_class_name(entry), taken, numbers)
            taken.add(name)
        names.append(name)
    return names


def _given_name(entry: Node) -> str:
    named = entry.value.get("name") if isinstance(entry.value, dict) else None
    return named.text if named is not None else ""


def _class_name(entry: Node) -> str:
    path = entry.value.get("class", Node(None)) if isinstance(entry.value, dict) else entry
    return path.text.replace(":", ".").rpartition(".")[2]


def _free(name: str, taken: set[str], numbers: dict[str, int]) -> str:
    """`name`, numbered where it is taken; `numbers` says from where on to look."""
    number, free = numbers.get(name, 1), name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    numbers[name] = number
    return free
