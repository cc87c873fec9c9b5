"""What is known of the machine, also where the system does not say much."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from pilotcli.common import machine


def test_it_is_described() -> None:
    facts = machine.machine_facts()
    assert facts["kernel"] == f"{platform.system()} {platform.release()}"
    assert facts["architecture"] == platform.machine()
    assert 1 <= int(facts["cpus"]) <= (os.cpu_count() or 1)
    assert int(facts["memory_bytes"]) > 10_000_000


def test_the_model_of_the_processor_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Fast  CPU @ 3.0GHz\n")
    monkeypatch.setattr(machine, "_CPU_INFO", info)
    assert machine.machine_facts()["cpu"] == "Fast CPU @ 3.0GHz"


def test_what_a_system_does_not_say_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> str:
        raise OSError

    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "freedesktop_os_release", unknown)
    monkeypatch.setattr(os, "sysconf", unknown)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    facts = machine.machine_facts()
    assert {"cpu", "memory_bytes"}.isdisjoint(facts)
    assert facts["cpus"] == os.cpu_count()
    assert str(facts["system"]).startswith(platform.system())
