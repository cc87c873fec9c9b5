"""Applies each patch of this folder to a copy of the project, and runs the tests named in it.

    python -m tests.mutants [-j WORKERS] [NAME...]

A patch is a defect made on purpose. Its first lines say what is wrong with it and which tests must
fail:

    The tail is cleared although results came in meanwhile.
    tests: tests/storage/journal/test_journal.py -k meanwhile
    (a unified diff)

A mutant is killed when its tests fail, and survives when they pass. The exit code is 1 where one
survives, does not apply, or where its tests do not run or fail without it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
TESTS = "tests: "
PASSED, FAILED = 0, 1  # pytest's exit codes
LONGEST_S = 600


@dataclass(frozen=True)
class Mutant:
    """A patch, what is wrong with it, and pytest's arguments that select the tests to fail."""

    path: Path
    defect: str
    tests: tuple[str, ...]


def read(path: Path) -> Mutant:
    """Returns the mutant in `path`. Raises `SystemExit` where it names no tests."""
    head = path.read_text("utf-8").partition("\n--- ")[0].splitlines()
    named = [line.removeprefix(TESTS) for line in head if line.startswith(TESTS)]
    if len(named) != 1:
        sys.exit(f"{path.name}: one line must begin with {TESTS!r}")
    defect = " ".join(line for line in head if not line.startswith(TESTS))
    return Mutant(path, defect, tuple(shlex.split(named[0])))


def copy_project(folder: Path) -> None:
    """Copies what git tracks, and what it does not ignore, into `folder`."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.split("\0"):
        if name and (ROOT / name).is_file():
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
            copy.chmod((ROOT / name).stat().st_mode)


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Runs `tests` in `folder`; returns pytest's exit code and the end of its output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compile the copy once, not for each mutant
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True,
            timeout=LONGEST_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return FAILED, "the tests did not end"
    return done.returncode, (done.stdout + done.stderr)[-1500:]


def change(folder: Path, mutant: Mutant, *options: str) -> str:
    """Applies the patch of `mutant` to the copy in `folder`; returns why it does not apply."""
    apply = ["git", "apply", "--recount", "-C1", *options, str(mutant.path)]
    applied = subprocess.run(apply, cwd=folder, capture_output=True, text=True, check=False)
    # Python tells a file that was compiled by its size and the second of its last change.
    for name in re.findall(r"(?m)^\+\+\+ b/(\S+)", mutant.path.read_text("utf-8")):
        Path(cache_from_source(str(folder / name))).unlink(missing_ok=True)
    return applied.stderr if applied.returncode else ""


def try_mutant(mutant: Mutant, folders: SimpleQueue[Path]) -> tuple[str, str]:
    """Returns the verdict on `mutant` (`killed`, `SURVIVED` or `BROKEN`) and why it is broken.

    `folders` holds copies of the project that nobody uses; one of them is taken meanwhile.
    """
    folder = folders.get()
    try:
        if problem := change(folder, mutant):
            return "BROKEN", problem
        code, output = run_tests(folder, mutant.tests)
        change(folder, mutant, "--reverse")
    finally:
        folders.put(folder)
    if code in (PASSED, FAILED):
        return ("SURVIVED", "") if code == PASSED else ("killed", "")
    return "BROKEN", output


def try_unchanged(mutants: Sequence[Mutant], folder: Path) -> str:
    """Returns what went wrong where the tests of `mutants` fail on the unchanged copy."""
    for tests in sorted({mutant.tests for mutant in mutants}):
        code, output = run_tests(folder, tests)
        if code != PASSED:
            return f"pytest {shlex.join(tests)} without a mutant:\n{output}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="patches to try, by default all")
    parser.add_argument("-j", "--workers", type=int, default=2, help="how many at once")
    options = parser.parse_args()
    paths = [FOLDER / f"{name.removesuffix('.patch')}.patch" for name in options.names]
    mutants = [read(path) for path in paths or sorted(FOLDER.glob("*.patch"))]
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="pilot-mutants-") as name:
        Path(name).chmod(0o755)  # as root the server runs as another user
        folders = SimpleQueue[Path]()
        for number in range(options.workers):
            copy_project(Path(name) / str(number))
            folders.put(Path(name) / str(number))
        if problem := try_unchanged(mutants, Path(name) / "0"):
            sys.exit(problem)
        with ThreadPoolExecutor(options.workers) as pool:
            tried = pool.map(lambda mutant: try_mutant(mutant, folders), mutants)
            for mutant, (verdict, why) in zip(mutants, tried, strict=True):
                print(f"{verdict:8}  {mutant.path.stem}: {mutant.defect}", flush=True)
                if why:
                    print(why)
                verdicts.append(verdict)
    print(f"{verdicts.count('killed')} of {len(verdicts)} mutants killed")
    return 0 if verdicts and set(verdicts) == {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main())
