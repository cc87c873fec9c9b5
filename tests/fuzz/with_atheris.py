"""Feeds the readers what a coverage-guided fuzzer makes up, until one of them breaks its promise.

    pip install atheris
    python tests/fuzz/with_atheris.py {config,split,tables,plans,notices} [SECONDS]

The promise is the one that the tests beside it hold: a value, or one of pilot's own errors. What
breaks it is printed with its traceback and left as `crash-*` in the working folder; it then becomes
a test in `test_fuzz_found.py`. Not part of the test suite: it needs atheris, and time.
"""

from __future__ import annotations

import io
import json
import math
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pilotcli", "yaml"]):
    from pilotcli.common.errors import ConfigError, PilotError, WorkloadError
    from pilotcli.config import load_config, shown_config
    from pilotcli.drivers.plans import plan_features, worst_misestimate
    from pilotcli.steering.auto_explain import read_auto_explain
    from pilotcli.steering.planner.messages import HEAD, parse_report
    from pilotcli.steering.subplans.explain import _told
    from pilotcli.workload import iter_statements, open_workload

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(tempfile.mkdtemp(prefix="pilot-atheris-"))
NAMES = ("w.csv", "w.jsonl", "w.txt", "w")
MESSAGES = (HEAD[:-1].encode(), b"pilot_subplans ", b"duration: 1.5 ms  plan:\n")
PLAN = b'{"Plan": {"Node Type": "Hash Join", "Plan Rows": 10, "Actual Rows": 1, "Plans": []}}'


def config(data: bytes) -> None:
    """Any bytes in the place of pilot.yaml."""
    (FOLDER / "pilot.yaml").write_bytes(data)
    try:
        shown_config(load_config(None, (), environ={"X": "x: [1]"}, cwd=FOLDER))
    except ConfigError as error:
        assert error.problems


def split(data: bytes) -> None:
    """Any bytes as a script: the same statements whatever the pieces in which it is read."""

    def read(chunk_bytes: int) -> object:
        try:
            return list(iter_statements(io.BytesIO(data), chunk_bytes=chunk_bytes))
        except WorkloadError as error:
            return error.message

    if b"\0" not in data and b"\\i" not in data:
        assert read(3) == read(1 << 18)


def tables(data: bytes) -> None:
    """Any bytes as a CSV, JSON lines or labelled file; the first byte says which."""
    path = FOLDER / NAMES[data[0] % len(NAMES) if data else 0]
    path.write_bytes(data[1:])
    try:
        with open_workload([path]) as workload:
            queries = list(workload)
    except WorkloadError as error:
        assert error.message
    else:
        assert all(query.sql.strip(" \t\n\r\f\v") for query in queries)


def plans(data: bytes) -> None:
    """Any text as a plan, and what it holds when it is JSON."""
    text = data.decode("utf-8", "surrogateescape")
    shapes: list[object] = [text]
    with suppress(ValueError, RecursionError):
        shapes.append(json.loads(text))
    for shape in shapes:
        assert all(math.isfinite(value) for value in plan_features(shape).values())
        worst = worst_misestimate(shape)
        assert worst is None or worst.factor >= 1


def notices(data: bytes) -> None:
    """Any text behind each of the words that the readers of notices look for."""
    text = data.decode("utf-8", "replace")
    told = [text, *(word.decode() + text for word in MESSAGES)]
    report = parse_report(told)
    assert all(isinstance(one.rows, float) for one in report.estimates)
    found, _ = read_auto_explain(told)
    assert found is None or set(json.loads(found[1])) == {"Plan"}
    with suppress(PilotError):
        _told(told)


TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "config": (config, [path.read_bytes() for path in (ROOT / "configs").glob("*.yaml")]),
    "split": (
        split,
        [path.read_bytes() for path in (ROOT / "tests/workload/psql/corpus").glob("*.sql")],
    ),
    "tables": (
        tables,
        [
            b"\0sql,label\nSELECT 1,a\n",
            b'\1{"sql": "SELECT 1", "label": "q1"}\n',
            b"\2q1#####SELECT 1\n",
            b"\3SELECT 1;\n",
        ],
    ),
    "plans": (plans, [PLAN, b"[" + PLAN + b"]", PLAN[9:-1]]),
    "notices": (
        notices,
        [
            PLAN,
            b'{"applied":[0],"ignored":[[1,"x"]],"planning_ms":0.5,"plan":' + PLAN + b"}",
            b'{"rows":[1,2.5],"failure":null}',
            b'{"estimates":[{"block":1,"names":["a"],"rows":2,"pushed":null}]}',
        ],
    ),
}


def main() -> None:
    name = sys.argv[1]
    seconds = sys.argv[2] if len(sys.argv) > 2 else "600"
    target, seeds = TARGETS[name]
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2000", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
