"""Output files that are no regular files are written to, never replaced."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from project_folder import PILOT, Project

from pilotcli.common.errors import StorageError, UsageError
from pilotcli.reports.files import check_distinct, check_file, write_whole

OPTIONS = ["--summary", "--junit", "--report", "--output"]


def _is_root() -> bool:
    return os.geteuid() == 0


@pytest.fixture
def null(tmp_path: Path) -> Path:
    """A device of our own like /dev/null."""
    path = tmp_path / "null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs root")
    return path


def test_a_device_stays_one(null: Path) -> None:
    check_file(null, "--report", ".html")
    write_whole(null, "x")
    assert stat.S_ISCHR(null.lstat().st_mode)


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_pipe_gets_the_text(tmp_path: Path, reader_first: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_file(pipe, "--junit", ".xml")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    writer = threading.Thread(target=write_whole, args=(pipe, "text" * 50_000))
    threads = [reader, writer] if reader_first else [writer, reader]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read == ["text" * 50_000]
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotcli.reports.files.READER_WAIT_S", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(StorageError, match="nobody reads this pipe"):
        write_whole(pipe, "x")
    assert pipe.is_fifo()


def test_a_link_and_its_target_stay_what_they_are(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("something longer than the new text")
    target.chmod(0o600)
    link.symlink_to("target")
    before = target.stat()
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    after = target.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_link_to_nothing_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    check_file(tmp_path / "link", "--summary")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "new"


def test_all_names_of_a_file_have_the_new_text(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    os.link(tmp_path / "one", tmp_path / "two")
    write_whole(tmp_path / "one", "new")
    assert (tmp_path / "two").read_text() == "new"


def test_a_replaced_file_keeps_its_mode_and_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("old")
    path.chmod(0o640)
    if _is_root():
        os.chown(path, 12345, 12346)
    before = path.stat()
    write_whole(path, "new")
    after = path.stat()
    assert path.read_text() == "new"
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_what_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError, match="is a socket"):
            check_file(tmp_path / "socket", "--summary")
    with pytest.raises(UsageError, match="is a folder"):
        check_file(tmp_path, "--summary")
    with pytest.raises(UsageError, match="Bad file descriptor"):
        check_file(Path("/dev/fd/1000000"), "--summary")
    with Path("/dev/null").open() as reading, pytest.raises(UsageError, match="cannot be written"):
        check_file(Path(f"/dev/fd/{reading.fileno()}"), "--summary")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UsageError, match="symbolic links"):
        check_file(tmp_path / "circle", "--summary")


def test_two_options_do_not_name_one_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    (tmp_path / "link").symlink_to("x.csv")
    with pytest.raises(UsageError, match="--output and --summary both name"):
        check_distinct([("--output", path), ("--summary", tmp_path / "link")])
    check_distinct([("--output", Path("/dev/null")), ("--summary", Path("/dev/null"))])


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_holds_the_file_alone(project: Project, option: str, name: str) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    done = project.command("run", "w.sql", "-q", option, name)
    assert done.returncode == 0, done.stderr
    begins = {"--summary": "## ", "--junit": "<?xml", "--report": "<!doctype html>"}
    assert done.stdout.startswith(begins.get(option, "{"))
    if option == "--output":
        assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["ok"]
    assert "1 ok" in done.stderr


@pytest.mark.slow
def test_standard_output_that_is_a_file_keeps_what_it_has(project: Project) -> None:
    project.config()
    project.write("w.sql", "SELECT 1;")
    path = project.write("out", "first\n")
    with path.open("a") as file:
        subprocess.run(
            [PILOT, "run", "w.sql", "-q", "--summary", "/dev/stdout"],
            cwd=project.folder,
            stdout=file,
            check=True,
            timeout=120,
        )
    text = path.read_text()
    assert text.startswith("first\n## ")
    done = project.command("runs", "export", "-o", "-", "--format", "csv", "--table", "runs")
    assert done.stdout.startswith("schema_version,")
    assert "wrote" in done.stderr
    for command in (["report", "1", "-o", "-"], ["show", "--summary", "-"]):
        done = project.command("runs", *command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(("<!doctype", "## ")), command


@pytest.mark.slow
def test_no_output_replaces_what_the_run_reads(project: Project) -> None:
    project.write(
        "own.py", "from pilotcli import QueryFinishEvent\nclass Own(QueryFinishEvent): pass\n"
    )
    project.config("events: [{class: own.py:Own, args: {interval_count: 1}}]")
    (project.folder / "queries").mkdir()
    project.write("queries/a.sql", "SELECT 1;")
    project.write("queries/b.csv", "sql\nSELECT 1\n")
    read = ["queries/a.sql", "queries/b.csv", "pilot.yaml", "own.py"]
    before = [(project.folder / name).read_bytes() for name in read]
    for workload in ("queries", "queries/*", "queries/?.*"):
        for name in read:
            option = "--output" if name.endswith(".csv") else "--summary"
            done = project.command("run", workload, option, name)
            assert done.returncode == 2, (workload, name)
            assert "which it would replace" in done.stderr
    assert [(project.folder / name).read_bytes() for name in read] == before
