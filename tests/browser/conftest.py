"""Pages in headless Chromium. `make browser-test` brings Playwright; elsewhere these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gan_core.report import write_index, write_report
from tests import datasets, report_runs

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path: CHROMIUM, or `chromium` on the PATH."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("there is no Chromium: install it, or name it with CHROMIUM=/path/to/chromium")
    return found


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with everything that a page can show, one of them with its report, and one that was only begun."""
    root = tmp_path_factory.mktemp("root")
    dataset = report_runs.data_set(root)
    pictures, real = datasets.smooth_pictures(64, 32, 3), datasets.smooth_pictures(64, 32, 3, seed=5)
    first = report_runs.full_run(root, dataset, pictures, real, seed=1)
    report_runs.bless(root, first, 12_000)
    report_runs.full_run(root, dataset, pictures, real, seed=2, values=report_runs.scored_values(shift=-0.002))
    write_report(first, dataset)
    write_report(report_runs.bare_run(root, dataset, seed=4), dataset)
    write_index(root)
    return root


@pytest.fixture(scope="session")
def full(data_root: Path) -> Path:
    """The report of the run that has everything."""
    return next(path for path in data_root.glob("runs/*/report/index.html") if (path.parents[1] / "scores").exists())


@pytest.fixture(scope="session")
def bare(data_root: Path) -> Path:
    """The report of the run that was only begun."""
    return next(
        path for path in data_root.glob("runs/*/report/index.html") if not (path.parents[1] / "scores").exists()
    )


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One browser for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser-test")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file as a page; at the end, nothing may have been logged, thrown or asked of a network."""
    trouble: list[str] = []
    with ExitStack() as contexts:

        def opened(path: Path, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: trouble.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
            page.on("request", lambda request: _note(request.url, trouble))
            page.goto(path.as_uri())
            return page

        yield opened
    assert trouble == []


def _note(url: str, trouble: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        trouble.append(f"request: {url}")
