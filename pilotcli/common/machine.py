"""What this machine is: its system, its processor and its memory."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def machine_facts() -> dict[str, str | int]:
    """Returns the facts that are known of this machine, in types of JSON.

    - `system`: its name and release, `Debian GNU/Linux 12 (bookworm)`; `kernel`, `architecture`;
    - `cpu`: the model of its processor; `cpus`: how many of them this process may use;
    - `memory_bytes`: its memory.
    """
    facts: dict[str, str | int | None] = {
        "system": _system(),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": available_cpus(),
        "memory_bytes": _memory_bytes(),
    }
    return {name: value for name, value in facts.items() if value}


def available_cpus() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.mac_ver()[0] or platform.release()}"


def _cpu_model() -> str:
    """The processor's name; on other systems than Linux on x86, only its architecture."""
    with contextlib.suppress(OSError), _CPU_INFO.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # the system does not know the name
        return None
