"""Whoever holds a lock is alive, also in another container; a killed process is dead."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pilotcli.common.errors import StorageError
from pilotcli.common.liveness import hold, is_held, remove_unheld

HOLDER = """
import sys; from pathlib import Path
from pilotcli.common.liveness import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path, *before: str) -> subprocess.Popen[str]:
    """A process that holds the lock `path`."""
    command = [*before, sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.lock"


def test_a_lock_is_held_until_it_is_released(path: Path) -> None:
    assert not is_held(path)
    held = hold(path)
    assert held is not None
    assert is_held(path)
    assert hold(path) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held.release()
    held.release()
    assert not path.exists()
    assert not is_held(path)


def in_other_processes() -> Sequence[object]:
    unshare = ("unshare", "--pid", "--fork", "--kill-child")
    works = (
        shutil.which("unshare") and not subprocess.run([*unshare, "true"], check=False).returncode
    )
    reason = "this user may not make a PID namespace"
    return [
        pytest.param((), id="same-namespace"),
        pytest.param(
            unshare, id="other-namespace", marks=pytest.mark.skipif(not works, reason=reason)
        ),
    ]


@pytest.mark.parametrize("before", in_other_processes())
def test_a_process_is_alive_until_it_is_killed(path: Path, before: Sequence[str]) -> None:
    with holder(path, *before) as process:
        assert is_held(path)
        assert hold(path) is None
        remove_unheld([path])
        assert path.exists()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        if before:  # the namespace's own first process is killed after its parent
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        assert not is_held(path)
    remove_unheld([path])
    assert not path.exists()


def test_a_process_that_was_stopped_is_alive(path: Path) -> None:
    with holder(path) as process:
        process.send_signal(signal.SIGSTOP)
        assert is_held(path)
        process.kill()


def test_what_a_killed_process_left_can_be_held(path: Path) -> None:
    with holder(path) as process:
        process.kill()
    held = hold(path)
    assert held is not None
    assert is_held(path)
    held.release()


def test_a_forked_process_does_not_keep_its_parent_alive(path: Path) -> None:
    fork = (
        "import os; reads, writes = os.pipe()\n"
        "if not os.fork(): os.write(writes, b'.'); os.read(0, 1); os._exit(0)\n"
        "os.read(reads, 1); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", HOLDER.replace("print(", f"{fork}print("), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is not None
        assert not is_held(path)  # the child still waits for its input


def test_no_symbolic_link_is_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "target")
    with pytest.raises(StorageError, match=r"some\.lock cannot be taken"):
        hold(path)
    assert not is_held(path)
    remove_unheld([path])
    assert path.is_symlink()
    assert not (tmp_path / "target").exists()


def test_the_group_of_a_shared_folder_may_look(path: Path) -> None:
    path.parent.chmod(0o770)
    held = hold(path)
    assert held is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    held.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_and_the_owner_of_a_folder_see_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    for above in (tmp_path, *tmp_path.parents[:3]):  # one more with xdist
        above.chmod(above.stat().st_mode | 0o011)
    path = folder / "some.lock"
    held = hold(path)
    assert held is not None
    assert path.stat().st_uid == 65534
    assert is_held_for_owner(path)
    assert path.exists()
    held.release()
    path.touch()
    os.chown(path, 65534, 65534)
    assert not is_held_for_owner(path)
    assert not path.exists()


def is_held_for_owner(path: Path) -> bool:
    """What the user 65534 finds, who then removes the lock where nobody holds it."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        found = is_held(path)
        remove_unheld([path])
        os._exit(found)
    return bool(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_and_nobody_counts_as_dead(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match=r"file system of .*some\.lock has no locks") as caught:
        hold(path)
    assert caught.value.hint is not None and "`home:`" in caught.value.hint
    assert is_held(path)
    remove_unheld([path])
    assert path.exists()
