"""JUnit's XML and the summary for a CI's page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from project_folder import Project

from pilotcli.analysis.comparison import Comparison
from pilotcli.common.errors import StorageError
from pilotcli.reports.junit import write_junit
from pilotcli.reports.summary import summary_text
from pilotcli.storage.journal import Journal

pytestmark = pytest.mark.slow


def test_junit_has_queries_events_and_conditions(
    paired_home: Path, comparison: Comparison, tmp_path: Path
) -> None:
    path = tmp_path / "out.xml"
    with Journal.open(paired_home) as journal:
        write_junit(path, journal, 1, comparison, ["any.slowdown > 5%: slower: query-3 by 300%"])
    root = ElementTree.parse(path).getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["queries", "events", "conditions"]
    for suite in (root, *suites.values()):
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(len(list(suite.iter("failure"))))
        assert float(suite.get("time") or -1) == pytest.approx(
            sum(float(case.get("time") or 0) for case in cases), abs=1e-4
        )
    failed = {
        case.get("classname"): case[0].get("message") for case in suites["queries"] if len(case)
    }
    assert set(failed) == {"w.sql:4", "w.sql:5", "w.sql:7"}
    assert failed["w.sql:7"] == "other rows than the baseline"
    (event,) = suites["events"]
    assert (event[0].get("message") or "").startswith("1 of 2 firings failed: ValueError")
    assert "Traceback" in (event[0].text or "")


def test_the_summary_is_short_and_safe(paired_home: Path, comparison: Comparison) -> None:
    with Journal.open(paired_home) as journal:
        text = summary_text(journal, 1, comparison, ["results.differ: 1 (query-7)"])
    lines = text.splitlines()
    assert lines[0] == "## ❌ pilot run 1: failed, exit code 1"
    assert "- **results.differ: 1 \\(query-7\\)**" in lines
    assert "<img" not in text and "\x1b" not in text.replace("\\x1b", "")
    assert len(lines) < 80
    assert any(line.startswith("| Update | 2 | 1 | 1.00 s | ValueError: ") for line in lines)


def test_both_are_written_of_any_run_however_it_ends(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT nothing;\n")
    project.config()
    done = project.command("run", "w.sql", "--junit", "out.xml", "--summary", "out.md")
    assert done.returncode == 1
    root = ElementTree.parse(project.folder / "out.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert "## ❌ pilot run 1: failed" in (project.folder / "out.md").read_text()
    again = project.command("runs", "show", "1", "--junit", "again.xml", "--summary", "again.md")
    assert again.returncode == 0, again.stderr
    assert (project.folder / "again.xml").read_bytes() == (project.folder / "out.xml").read_bytes()


def test_the_summary_has_a_query_that_fails_each_time_once(project: Project) -> None:
    project.write("w.sql", "SELECT nothing;\nSELECT 1;\nSELECT nobody;\n")
    project.config()
    project.command("run", "w.sql", "--repeat", "7", "--summary", "out.md")
    lines = (project.folder / "out.md").read_text().splitlines()
    at = lines.index("| failed query | status | error | executions |")
    told = [line.strip("| ").split(" | ") for line in lines[at + 2 : at + 5]]
    assert [(row[0], row[-1]) for row in told] == [("q1", "7"), ("q3", "7"), ("", "")]


def test_conditions_are_cases_whatever_else_went_wrong(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT nothing;\n")
    project.config()
    gates = ("--fail-if", "queries.unmatched >= 0", "--fail-if", "results.differ")
    words = ("run", "w.sql", "--against", "native", *gates, "--junit", "out.xml")
    done = project.command(*words)
    assert done.returncode == 1
    (suite,) = ElementTree.parse(project.folder / "out.xml").findall(
        "testsuite[@name='conditions']"
    )
    assert [case.get("name") for case in suite] == ["queries.unmatched >= 0"]
    project.command("runs", "show", "1", "--junit", "again.xml")
    assert (project.folder / "again.xml").read_bytes() == (project.folder / "out.xml").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--junit", "out.txt"), "its name must end with .xml"),
        (("--junit", "nowhere/out.xml"), "is missing or cannot be written"),
        (("--summary", "."), "is a folder"),
        (("--report", "page.pdf"), "its name must end with .html"),
    ],
)
def test_files_that_could_not_be_written_are_refused_before(
    project: Project, words: tuple[str, ...], said: str
) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config()
    done = project.command("run", "w.sql", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (project.folder / ".pilot" / "journal.db").exists()


def test_a_folder_that_goes_away_is_told(paired_home: Path, tmp_path: Path) -> None:
    with Journal.open(paired_home) as journal, pytest.raises(StorageError, match="written"):
        write_junit(tmp_path / "gone" / "out.xml", journal, 1)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("missing.sql",), "missing.sql does not exist"),
        (("w.sql", "--set", "events=[gone.py:Event]"), "there is no file"),
        (("w.sql", "--set", "run.workers=0"), "run.workers must be"),
        (("w.sql", "--set", "database.dsn=host=/nowhere"), "/nowhere"),
    ],
)
def test_a_run_that_does_not_begin_is_no_green_file(
    project: Project, words: tuple[str, ...], why: str
) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config()
    files = ("--junit", "out.xml", "--summary", "out.md", "--report", "out.html")
    assert project.command("run", "w.sql", *files).returncode == 0
    done = project.command("run", *words, *files)
    assert done.returncode != 0
    root = ElementTree.parse(project.folder / "out.xml").getroot()
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    assert why in "".join(root.itertext())
    assert "did not begin" in (project.folder / "out.md").read_text()
    if why != "run.workers must be":
        assert not (project.folder / "out.html").exists()


def test_a_config_with_an_error_costs_no_file_of_the_user(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\n")
    project.config("workload: w.sql\nrun: {workers: 0}\n")
    for option in ("--summary", "--junit", "--output"):
        name = {"--summary": "w.sql", "--junit": "w.xml", "--output": "w.jsonl"}[option]
        project.write(name, "SELECT 1;\n")
        assert project.command("run", option, name).returncode == 2
        assert (project.folder / name).read_text() == "SELECT 1;\n"
