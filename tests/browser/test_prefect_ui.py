"""Prefect's UI in headless Chromium: `faceloom serve`, a retraining that finished, and what people see of it."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.reports_server import ADDRESS
from tests.browser.pointing_stages import DECISION

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
# Prefect's own: icons that it does not have, and a question of its second UI that its server refuses.
NOT_OURS = re.compile(r"\.svg$|/favicon\.ico$|/api/task_runs/filter$")

Show = Callable[[str], Any]

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Served:
    """Addresses of `faceloom serve` without a slash at their ends, its deployment, and a flow run that finished."""

    prefect: str
    reports: str
    deployment: str
    run: str


@pytest.fixture(scope="module")
def served(browser: Any, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`faceloom serve` as people start it, on ports of its own, and a flow whose stages point at a run of before."""
    port, reports_port = random.sample(range(20_000, 32_768), 2)
    prefect, reports = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{reports_port}"
    names = [name for name in os.environ if name.startswith(("PREFECT_", "FACELOOM_"))]
    environment = {name: text for name, text in os.environ.items() if name not in names} | {"PYTHONPATH": str(ROOT)}
    ports = ["--port", str(port), "--reports-port", str(reports_port)]
    root = ["--data-root", str(data_root)]
    command = [sys.executable, "-m", "flows.cli", "serve", "smoke", "--cron", "0 0 1 1 *", *ports, *root]
    with (tmp_path_factory.mktemp("serve") / "log").open("w") as log:
        serving = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deployment = waited_for(serving, lambda: asked(f"{prefect}/api/deployments/filter")[0]["id"])
            told = {"PREFECT_API_URL": f"{prefect}/api", ADDRESS: reports}
            script = [sys.executable, "-m", "tests.browser.finished_run", str(data_root)]
            done = subprocess.run(script, env=environment | told, check=True, stdout=subprocess.PIPE, text=True)
            yield Served(prefect, reports, deployment, done.stdout.split()[-1])
        finally:
            serving.terminate()
            serving.wait(PATIENCE_SECONDS)


def asked(address: str) -> list[dict[str, Any]]:
    """Return what Prefect's API says to an empty filter."""
    request = urllib.request.Request(address, b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


def waited_for(serving: subprocess.Popen[bytes], look: Callable[[], str]) -> str:
    """Return what a look finds, once a server answers and knows of a deployment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return look()
        except (OSError, IndexError):
            assert serving.poll() is None and time.monotonic() < deadline, "faceloom serve is not there"
            time.sleep(0.2)


@pytest.fixture(params=["", "/v2"], ids=["v1", "v2"])
def show(request: pytest.FixtureRequest, browser: Any, served: Served) -> Iterator[Show]:
    """Open a page of either UI; at the end nothing of ours may have logged an error, and no page have thrown one."""
    trouble: list[str] = []

    def note(message: Any) -> None:
        address = message.location.get("url", "")
        is_here = address.startswith((served.prefect, served.reports))
        if message.type == "error" and is_here and not NOT_OURS.search(address):
            trouble.append(f"{message.text} {address}")

    with ExitStack() as contexts:

        def shown(path: str) -> Any:
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.goto(f"{served.prefect}{request.param}{path}")
            return page

        yield shown
    assert trouble == []


def cells(page: Any, expected: list[list[str]]) -> list[list[str]]:
    """Return the upper left part of a page's table, as large as what is expected, once it is that or 30 s later."""
    rows = (
        "() => [...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    deadline = time.monotonic() + 30
    while True:
        found = [row[: len(expected[0])] for row in page.evaluate(rows)[: len(expected)]]
        if found == expected or time.monotonic() > deadline:
            return found
        page.wait_for_timeout(50)


def artifact(served: Served, key: str) -> str:
    """Return the path of an artifact's page."""
    (found,) = [one for one in asked(f"{served.prefect}/api/artifacts/filter") if one["key"] == key]
    return f"/artifacts/artifact/{found['id']}"


def test_the_samples_show(show: Show, served: Served) -> None:
    """The grid is a picture that the browser has drawn, from the server's database alone."""
    image = show(artifact(served, "faceloom-samples")).locator("img[src^='data:image/webp']")
    image.wait_for(state="visible")
    assert image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [270, 270]


def test_the_scores_are_a_table(show: Show, served: Served) -> None:
    """A row a measure: value, error, floor and what is better."""
    page = show(artifact(served, "faceloom-scores"))
    first = [
        ["kernel_distance", "0.0125", "0.0015", "0", "0.0005"],
        ["frechet_distance", "38.25", "0.75", "6.5", "0.25"],
    ]
    assert cells(page, first) == first


def test_the_decision_has_its_reasons(show: Show, served: Served) -> None:
    """The verdict is the heading, and each check a row."""
    page = show(artifact(served, "faceloom-decision"))
    page.get_by_role("heading", name="smoke v3: promoted").wait_for(state="visible")
    page.get_by_text(str(DECISION["summary"])).first.wait_for(state="visible")
    rows = [[reason["check"], "passed", reason["text"]] for reason in DECISION["reasons"]]
    assert cells(page, rows) == rows


def test_the_progress_bar_is_full(show: Show, served: Served) -> None:
    """A stage that ended is at 100 %."""
    page = show(artifact(served, "faceloom-progress-train"))
    page.get_by_text("Progress: 100%").wait_for(state="visible")
    page.get_by_text("train: images").wait_for(state="visible")


def test_the_report_opens(show: Show, served: Served) -> None:
    """The link leads over HTTP to the report itself, whose link leads to the page over all runs."""
    page = show(artifact(served, "faceloom-report"))
    link = page.get_by_role("link", name=re.compile("^report of smoke-"))
    link.wait_for(state="visible")
    address = link.get_attribute("href")
    assert re.fullmatch(rf"{served.reports}/smoke-[0-9a-f]{{12}}/report/index\.html", address)
    page.goto(address)
    page.locator(".key-numbers").wait_for(state="visible")
    page.goto(f"{served.reports}/")
    page.locator("tbody a").first.click()
    page.wait_for_selector("text=faceloom run report")


def test_the_run_says_what_it_is(show: Show, served: Served) -> None:
    """Its name has the reason, its tasks the preset, and its log the progress."""
    page = show(f"/runs/flow-run/{served.run}")
    page.get_by_text("retrain smoke: 512 new pictures").first.wait_for(state="visible")
    page.get_by_text("train: 1000 of 1000 images").first.wait_for(state="visible")
    page.get_by_text("512 new pictures", exact=True).first.wait_for(state="visible")
    assert page.title().startswith("Flow Run: retrain smoke: 512 new pictures")


def test_the_form_has_the_parameters(show: Show, served: Served) -> None:
    """Each with what it means; the preset is filled in."""
    page = show(f"/deployments/deployment/{served.deployment}/run")
    for name, meaning in (
        ("preset", "What to make, one of"),
        ("source", "Folder or archive of your pictures"),
        ("settings", "Changes to the preset"),
        ("data_root", "Where raw/, datasets/, runs/ and registry/ lie"),
        ("force", "Train in any case, also where nothing is new."),
    ):
        page.get_by_text(re.compile(rf"^{name}( \(Optional\))?$")).first.wait_for(state="visible")
        page.get_by_text(meaning).first.wait_for(state="visible")
    values = page.locator("textarea, input").evaluate_all("all => all.map(one => one.value)")
    assert "smoke" in values
