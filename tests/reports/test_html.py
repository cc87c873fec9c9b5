"""The HTML report: what it says, and that it works in a real browser without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from project_folder import Project
from selenium.webdriver.support.wait import WebDriverWait

from pilotcli.analysis.arms import ArmRank, Ranking
from pilotcli.analysis.comparison import Comparison, Learning
from pilotcli.common.records import Query, QueryResult
from pilotcli.reports.html import HtmlReport, read_report, write_html
from pilotcli.reports.html.answer import answer
from pilotcli.reports.html.data import RunPart
from pilotcli.storage.journal import Journal, RunStatistics

pytestmark = pytest.mark.slow

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture
def page(paired_home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_html(path, read_report(paired_home, "1", None))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, which logs what its console says."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no Chromium with its driver (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        *("--headless=new", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
        *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    ):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which does not work for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def look(browser: Any, page: Path, width: int = 1200, *, dark: bool = False) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())


def test_the_worst_is_said_first(page: Path) -> None:
    text = page.read_text("utf-8")
    places = [
        text.index(words)
        for words in (
            "1 query other rows than the baseline: query-7",
            "1 query failed, and not in the baseline: query-4",
            "queries slower by far: query-5",
            "The whole workload is",
        )
    ]
    assert places == sorted(places)


def test_a_page_needs_nothing_besides_itself(page: Path) -> None:
    text = page.read_text("utf-8")
    names = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
    found = set(re.findall(r"""https?://[^"'\s<]+""", text))
    assert found <= set(names)
    assert "onerror=&quot;" in text and "<img" not in text
    assert text.count("<svg") == 8, "six charts, and the two wide ones for a phone"
    names = re.findall(r' id="([^"]*)"', text)
    assert len(names) == len(set(names)), "charts take no part of one another"


@pytest.mark.parametrize("compared", [True, False])
def test_pushes_are_shown(paired_home: Path, tmp_path: Path, compared: bool) -> None:
    report = read_report(paired_home, "1", None)
    if not compared:
        report = replace(report, baseline=None, comparison=None)
    write_html(tmp_path / "report.html", report)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("pushed setting: work_mem = 8MB\n") == 1
    assert (
        "pushed cardinality: 1,234 rows for SELECT COUNT(*) FROM users u WHERE u.id &lt; 5\n"
        in page
    )
    assert "not applied: &lt;b&gt;SELECT" in page and "5: the planner removed u</pre>" in page
    assert "logged predicted_s: 6.00 ms, measured 12.0 ms: 2x too low\n" in page
    assert "logged arm: hash (2x), nl (1x)\n" in page


def test_the_top_says_when_where_and_with_what(paired_home: Path, tmp_path: Path) -> None:
    report = read_report(paired_home, "1", None)
    assert report.baseline is not None
    machine = {"cpu": "Fast & Co", "cpus": 2, "system": "Debian", "memory_bytes": 4_000_000_000}
    provenance = {
        "command": ["pilot", "run", "w.sql", "--name", "a <b>"],
        "overrides": ["run.repeat=3"],
        "git": {"commit": "abc123", "changed": True},
        "versions": {"pilot": "9.8", "python": "3.12.1", "numpy": "2.0"},
        "machine": machine,
        "server": {"build": "PostgreSQL 18.1 on x86", "settings": {"work_mem": "64MB"}},
    }
    config = json.dumps({"run": {"repeat": 3}, "collect": None})
    record = replace(
        report.run.record, provenance=provenance, config_text=config, tags=("t1", "t2")
    )
    write_html(tmp_path / "a.html", replace(report, run=replace(report.run, record=record)))
    page = (tmp_path / "a.html").read_text("utf-8")
    first = page.partition("</summary>")[0]
    for words in (
        "pilot 9.8",
        "Python 3.12.1",
        "PostgreSQL 18",
        "Fast &amp; Co, 2 CPUs",
        "pilot.yaml",
    ):
        assert words in first, words
    for words in (
        "<dd>pilot 9.8, python 3.12.1, numpy 2.0</dd>",
        "<dd>Fast &amp; Co, 2 CPUs, Debian, 4.00 GB of memory</dd>",
        "<dd>pilot run w.sql --name &#x27;a &lt;b&gt;&#x27;</dd>",
        "<dd>abc123, with changes that are not committed</dd>",
        "<dd>run.repeat=3</dd>",
        "<dd>t1, t2</dd>",
        "<dd>PostgreSQL 18.1 on x86</dd>",
        "work_mem = 64MB",
        "run:\n  repeat: 3\ncollect: null",
        "<dt>baseline&#x27;s run</dt>",
    ):
        assert words in page.replace("baseline's", "baseline&#x27;s"), words
    assert "<dt>baseline's date" not in page, "arms of a pair began together"


def test_a_query_says_why_it_is_slower_and_how_steady_it_is(page: Path) -> None:
    slower = re.search(r'<tbody id="q3".*?</tbody>\s*</table></div>', page.read_text("utf-8"), re.S)
    assert slower is not None
    assert (
        "<h4>Why it is slower</h4><ul><li>join of u&lt;b&gt;: Nested Loop → Hash Join" in slower[0]
    )
    assert slower[0].count('data-value="">3</td>') == 2, "the executions in both runs"


def test_rounds_in_which_an_arm_learned_do_not_count(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        for number, rounds in ((1, (1, 2, 3, 4)), (2, (1, 3, 4))):
            run = journal.start_run(
                kind="run", workload="w", config_path=None, config_text="{}", database="x",
                options={"learn": 2},
            )  # fmt: skip
            for round in rounds:
                result = QueryResult(1, "q", "ok", 1e9 + round, 10.0**-round, 1, round=round)
                run.add_result(Query(1, "q", "SELECT 1"), result)
            if number == 2:
                run.set_pair(1, "baseline")
            run.close()
        journal._connection.execute(
            "UPDATE runs SET paired_with = 2, arm = 'driver' WHERE run_id = 1"
        )
    report = read_report(tmp_path, "1", None)
    assert report.baseline is not None
    for part in (report.run, report.baseline):
        assert [result.round for result in part.by_query[1]] == [3, 4]
        assert (part.repeats[1].executions, part.repeats[1].most_s) == (2, 1e-3)


def test_the_arms_and_what_they_learned_from_are_shown(paired_home: Path, tmp_path: Path) -> None:
    report = read_report(paired_home, "1", None)
    comparison = report.comparison
    assert comparison is not None and report.ranking is None, "there are two arms alone"
    seen = replace(comparison, learning=Learning(60, 3, 0, 0, True, True, 12.0, 0.5))
    arms = (
        ArmRank(4, "b<o>", 1.5, comparison.total, 1, 2, ("q-1", "q<2>")),
        ArmRank(2, "native", 2.0, None, 3, 3, ()),
    )
    ranked = Ranking("native", arms, 8, 6)
    write_html(tmp_path / "a.html", replace(report, comparison=seen, ranking=ranked))
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "from 60 queries in 3 rounds; none of the 8 compared here is like them" in page
    for words in (
        "<h2>All arms</h2>",
        ">1 to 2</td>",
        ">reference</td>",
        "<li>b&lt;o&gt; wins q-1, q&lt;2&gt;</li>",
        "No arm wins 6 queries beyond the noise.",
    ):
        assert words in page, words


def test_rows_are_filtered_and_found(browser: Any, paired_home: Path, tmp_path: Path) -> None:
    report = read_report(paired_home, "1", None)
    assert report.comparison is not None
    queries = [
        replace(one, verdict="unclear") if one.seq in (1, 6) else one
        for one in report.comparison.queries
    ]
    report = replace(report, comparison=replace(report.comparison, queries=queries))
    write_html(tmp_path / "report.html", report)
    look(browser, tmp_path / "report.html")

    def shown() -> set[str]:
        rows = browser.find_elements("css selector", "table.sortable > tbody")
        return {row.get_attribute("id") for row in rows if row.is_displayed()}

    everything = {f"q{seq}" for seq in range(1, 9)}
    assert shown() == everything - {"q1", "q6"}
    assert browser.find_element("css selector", ".filter output").text == "6 of 8 queries"
    unfold = browser.find_element("css selector", ".unfold")
    assert unfold.text == "Show 2 unclear queries"
    search = browser.find_element("css selector", ".filter input")
    search.send_keys("SELECT 'query-6")
    assert shown() == set()
    search.clear()
    search.send_keys("QUERY-6 6")
    assert shown() == {"q6"}, "a search finds unclear rows, too"
    search.clear()
    search.send_keys("work_mem")
    assert shown() == {"q3"}, "and what was pushed"
    search.clear()
    search.send_keys(" ")
    assert shown() == everything - {"q1", "q6"}

    def choose(words: str) -> None:
        for option in browser.find_elements("css selector", ".filter option"):
            if option.text.startswith(f"{words} ("):
                option.click()

    for words, found in (
        ("only hurt", {"q3", "q4", "q5", "q7"}),
        ("only helped", {"q2", "q8"}),
        ("only steered", {"q3"}),
        ("failed", {"q4"}),
        ("other rows", {"q7"}),
        ("unclear", {"q1", "q6"}),
    ):
        choose(words)
        assert shown() == found, words
    browser.execute_script("location.hash = '#q8'")
    WebDriverWait(browser, 10).until(lambda _: shown() == everything)
    choose("all but unclear")
    assert shown() == everything - {"q1", "q6"}
    unfold.send_keys("\ue007")  # Enter
    assert shown() == everything
    assert not unfold.is_displayed()
    assert browser.get_log("browser") == []


def test_a_plan_is_copied_as_explain_gives_it(browser: Any, page: Path) -> None:
    look(browser, page)
    browser.execute_script(
        "document.querySelector('#q3 details').open = true;"
        "navigator.clipboard.writeText = (text) => { window.copied = text; };"
    )
    first, second = browser.find_elements("css selector", "#q3 button.copy")
    assert (first.text, second.text) == (
        "Copy the baseline's plan as JSON",
        "Copy this run's plan as JSON",
    )
    second.send_keys("\ue007")  # Enter
    WebDriverWait(browser, 10).until(lambda _: second.text == "Copied")
    (copied,) = json.loads(browser.execute_script("return window.copied"))
    assert copied["Plan"]["Node Type"] == "Hash Join"
    assert copied["Plan"]["Plans"][0]["Alias"] == "u<b>"


def test_a_run_with_repeats_has_their_figures(paired_home: Path, tmp_path: Path) -> None:
    report = replace(read_report(paired_home, "1", None), baseline=None, comparison=None)
    write_html(tmp_path / "report.html", report)
    page = (tmp_path / "report.html").read_text("utf-8")
    for name in ("worst", "mean", "median", "deviation", "least", "times"):
        assert f'scope="col">{name}</th>' in page
    row = page[page.index('<tbody id="q8"') :].partition("</tr>")[0]
    figures = report.run.repeats[8]
    assert figures.executions == 3 and figures.deviation_s
    for value in (figures.mean_s, figures.median_s, figures.deviation_s, figures.least_s):
        assert f'data-value="{value!r}"' in row


def test_it_loads_without_an_error_and_without_a_request(browser: Any, page: Path) -> None:
    browser.get_log("performance")  # of other tests
    look(browser, page)
    assert browser.get_log("browser") == []
    requests = [
        one["message"]
        for one in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in one["message"]
    ]
    assert len([one for one in requests if page.as_uri() not in one]) == 0
    assert browser.title.startswith("pilot: run 1")


def test_sorting_and_opening_work(browser: Any, page: Path) -> None:
    look(browser, page)

    def column(number: int) -> list[str]:
        told: list[str] = browser.execute_script(
            "return [...document.querySelectorAll('table.sortable > tbody')]"
            ".map(one => one.rows[0].cells[arguments[0]].textContent)",
            number,
        )
        return told

    def press(number: int) -> None:
        browser.find_elements("css selector", "table.sortable th button")[number].click()

    press(0)
    assert column(0) == [str(seq) for seq in range(1, 9)]
    press(0)
    assert column(0) == [str(seq) for seq in range(8, 0, -1)]
    press(3)
    speedups = [float(one.rstrip("x")) for one in column(3) if one.endswith("x")]
    assert speedups == sorted(speedups)
    assert column(3)[-1] == "–", "what is not known stands last"  # noqa: RUF001
    detail = browser.find_element("css selector", "table.sortable details")
    assert not detail.find_element("tag name", "pre").is_displayed()
    detail.find_element("tag name", "summary").click()
    assert detail.find_element("tag name", "pre").is_displayed()
    assert "Nested Loop" in detail.text and "Hash Join" in detail.text
    assert browser.get_log("browser") == []


def test_bars_and_dots_say_which_query_they_are_and_lead_to_it(browser: Any, page: Path) -> None:
    look(browser, page)
    rows = browser.find_elements("css selector", "table.sortable > tbody")
    by_name = {f"#{one.get_attribute('id')}": one for one in rows}
    assert len(by_name) == len(rows)
    for chart in (".chart.wide", ".pair .chart"):
        links = browser.find_elements("css selector", f"{chart} svg a")
        assert len(links) >= 5
        for link in links:
            title = link.find_element("tag name", "title").get_attribute("textContent")
            row = by_name[link.get_dom_attribute("href")].get_attribute("textContent")
            label, _, told = title.partition(": ")
            assert label in row and told.partition(",")[0] in row
    target = links[-1]
    detail = by_name[target.get_dom_attribute("href")].find_element("tag name", "details")
    assert detail.get_attribute("open") is None
    browser.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", target
    )
    WebDriverWait(browser, 10).until(lambda _: detail.get_attribute("open") is not None)
    assert detail.find_element("tag name", "pre").is_displayed()
    assert browser.get_log("browser") == []


def test_it_is_readable_on_a_phone_and_in_the_dark(browser: Any, page: Path) -> None:
    look(browser, page, 360)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 360
    cut_off = browser.execute_script(
        "return [...document.querySelectorAll('.scroll, .chart')]"
        ".filter(one => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert cut_off == 0, "no table and no chart has to be pushed aside"
    shown = [one.is_displayed() for one in browser.find_elements("css selector", ".narrow svg")]
    assert shown == [True, True]
    colours = []
    for dark in (False, True):
        look(browser, page, dark=dark)
        colours.append(
            browser.execute_script(
                "const style = getComputedStyle(document.body); const text = getComputedStyle("
                "document.querySelector('svg text')); return [style.backgroundColor, style.color,"
                " text.fill]"
            )
        )
    light, dark_ones = colours
    assert light[0] == "rgb(255, 255, 255)"
    assert all(one != other for one, other in zip(light, dark_ones, strict=True))


def test_a_run_without_a_baseline_has_a_page_too(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT no;\n")
    project.config()
    done = project.command("run", "w.sql", "--report", "one.html", "--plans")
    assert done.returncode == 1, done.stderr
    text = (project.folder / "one.html").read_text("utf-8")
    assert "<h1>Run 1</h1>" in text
    assert "1 query failed" in text
    assert "Result" in text


def test_a_paired_run_writes_its_report(project: Project) -> None:
    project.write("w.sql", "SELECT 1;\nSELECT 2;\n")
    project.config()
    done = project.command("run", "w.sql", "--against", "native", "--report", "both.html")
    assert done.returncode == 0, done.stderr
    assert "Run 1 against run 2" in (project.folder / "both.html").read_text("utf-8")
    again = project.command("runs", "report", "1", "-o", "again.html")
    assert again.stdout == "wrote again.html\n"
    refused = project.command("runs", "report", "2", "-o", "again.html")
    assert refused.returncode == 2
    assert "is the baseline of run 1" in refused.stderr


def test_what_a_workload_says_stays_text(browser: Any, page: Path) -> None:
    look(browser, page)
    assert "broken" not in browser.title
    label = browser.execute_script(
        "return [...document.querySelectorAll('td.label')].map(one => one.textContent)"
        ".find(one => one.includes('onerror'))"
    )
    assert label == "</script><img src=x onerror=\"document.title='broken'\">'\u2028`|*_\ufffd[31m"
    scripts = "return document.querySelectorAll('script:not([type=\"application/json\"])').length"
    assert browser.execute_script(scripts) == 1


def test_it_can_be_read_without_a_script(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        look(browser, page)
        assert browser.find_elements("css selector", "th button") == []
        needs_script = browser.find_elements("css selector", "form.filter, .unfold, .copy")
        assert len(needs_script) > 2
        assert not any(one.is_displayed() for one in needs_script)
        rows = browser.find_elements("css selector", "table.sortable > tbody")
        assert len(rows) == 8
        assert browser.find_element("css selector", ".chart.wide svg").is_displayed()
        browser.find_element("css selector", "table.sortable summary").click()
        assert browser.find_element("css selector", "table.sortable pre").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_paper_is_light(browser: Any, page: Path) -> None:
    look(browser, page, dark=True)
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [scheme]})
    ink = browser.execute_script("return getComputedStyle(document.body).color")
    assert ink == "rgb(28, 32, 36)"


def test_what_may_be_noise_is_named_before_the_averages(comparison: Comparison) -> None:
    doubtful = [
        replace(one, verdict="unclear", speedup=0.25) if one.seq == 6 else one
        for one in comparison.queries
    ]
    run = RunPart(
        comparison.run_a, [], {}, [], [], {}, RunStatistics(0, {}, 0.0, None, None, None, None)
    )
    told = "".join(answer(HtmlReport(run, run, replace(comparison, queries=doubtful))))
    noise = told.index("may be noise: query-6 (4.0x)")
    assert told.index("slower by far: query-5") < noise < told.index("The whole workload is")


def test_the_top_says_whether_the_driver_had_seen_the_queries(
    comparison: Comparison, paired_home: Path
) -> None:
    report = read_report(paired_home, "1", None)
    assert "Judged" not in "".join(answer(report))
    record = replace(comparison.run_a, workload="test.sql, learned on <train>.sql")
    learned = replace(
        comparison, run_a=record, learning=Learning(59, 3, 0, 0, True, True, 12.0, 0.5)
    )
    first, *others = (part for part in answer(replace(report, comparison=learned)) if part)
    assert "<b>Judged on queries that the driver never saw.</b> It learned from 59 queries" in first
    assert "test.sql, learned on &lt;train&gt;.sql" in first
    assert any("The whole workload is" in part for part in others)


def deep_plan(nodes: int) -> str:
    told: dict[str, Any] = {"Node Type": "Seq Scan", "Filter": f"x = ANY ({'1,' * 2000})"}
    for _ in range(nodes):
        told = {"Node Type": "Nested Loop", "Plan Rows": 1, "Join Filter": "a < b", "Plans": [told]}
    return json.dumps({"Plan": told})


def test_plans_are_to_be_copied_for_what_differs_before_what_is_unclear(
    paired_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for them is small here; faster queries come last on the page."""
    report = read_report(paired_home, "1", None)
    assert report.comparison is not None
    assert report.baseline is not None
    plan = {"Plan": {"Node Type": "Seq Scan", "Relation Name": "x" * 500}}
    texts = {query.a.seq: plan for query in report.comparison.queries}
    queries = [
        replace(query, verdict="unclear") if query.verdict == "same" else query
        for query in report.comparison.queries
    ]
    unclear = {query.seq for query in queries if query.verdict == "unclear"}
    report = replace(
        report,
        comparison=replace(report.comparison, queries=queries),
        run=replace(report.run, plan_texts=texts),
        baseline=replace(report.baseline, plan_texts=texts),
    )
    others = texts.keys() - unclear
    assert unclear
    monkeypatch.setattr("pilotcli.reports.html.queries.JSON_ROOM", 1_600 * len(others))
    write_html(tmp_path / "small.html", report)
    page = (tmp_path / "small.html").read_text("utf-8")
    rows = page.split('<tbody id="q')[1:]
    with_plans = {int(row.partition('"')[0]) for row in rows if 'class="copy"' in row}
    assert others <= with_plans < texts.keys()
    assert "cannot be copied as JSON, to keep this page small" in page


@pytest.mark.parametrize("against", [None, "2"])
def test_a_large_run_makes_a_page_of_a_bounded_size(tmp_path: Path, against: str | None) -> None:
    # More queries than the thousand that a page shows, whose SQL alone takes 10 MB there.
    with Journal.open(tmp_path / "home") as journal:
        for _ in range(1 if against is None else 2):
            run = journal.start_run(
                kind="run",
                workload="w.sql",
                config_path=None,
                config_text="{}",
                database="x",
                options={},
            )
            for seq in range(1, 1501):
                sql = f"SELECT {seq} /* {'語<' * 1500} */"
                for round in (1, 2):
                    run.add_result(
                        Query(seq, f"q{seq}", sql, "w.sql", seq, "SELECT"),
                        QueryResult(
                            seq, f"q{seq}", "ok", 1e9 + seq, (seq % 97 + 1) / 1e3, 1, round=round
                        ),
                    )
            for seq in range(1, 301):
                run.add_plan(seq, 0, deep_plan(100))
            run.finish("finished", 0, {})
            run.close()
    page = tmp_path / "large.html"
    write_html(page, read_report(tmp_path / "home", "1", against))
    assert page.stat().st_size < 5_000_000
    text = page.read_text("utf-8")
    assert "500 more queries not shown." in text
    left_out = re.search(r"SQL and plans of (\d+) queries are left out", text)
    assert left_out is not None
    assert text.count("<details>") == 1000 - int(left_out[1]) > 50
