"""What pickle cannot take is named by its place."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from pilotcli.storage.checkpoints.pickling import unpicklable_part


class Slotted:
    __slots__ = ("lock", "size")

    def __init__(self) -> None:
        self.size = 1
        self.lock = threading.Lock()


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Stateful(Plain):
    """As one that leaves its cache out."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "cache"}


class Nameless:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __repr__(self) -> str:
        raise ValueError("no words")


def raised_by(value: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        pickle.dumps(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (threading.Lock(), "model, of the type _thread.lock"),
        ({"weights": [1], "hook": threading.Lock()}, "model['hook'], of"),
        ([1, (2, threading.Lock())], "model[1][1], of"),
        (Plain(net=Plain(layers=[1, Plain(lock=threading.Lock())])), "model.net.layers[1].lock, "),
        (Slotted(), "model.lock, of"),
        (Stateful(cache=threading.Lock(), lock=threading.Lock()), "model.lock, of"),
        ({"n": Nameless()}, "model['n'].lock, of"),
        (Plain(update=lambda: None), "model.update, of the type builtins.function"),
    ],
)
def test_the_place_is_named(value: Any, place: str) -> None:
    found = unpicklable_part(value, "model", raised_by(value))
    assert found is not None
    assert found.startswith(place)


def test_another_error_is_not_explained() -> None:
    lock = threading.Lock()
    assert unpicklable_part({"lock": lock}, "model", TypeError("not JSON")) is None
    assert unpicklable_part({"fine": 1}, "model", raised_by(lock)) is None


def test_a_model_that_holds_itself_comes_to_an_end() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    loop["lock"] = threading.Lock()
    found = unpicklable_part(loop, "model", raised_by(loop))
    assert found is not None
    assert found.startswith("model['lock'], of")
