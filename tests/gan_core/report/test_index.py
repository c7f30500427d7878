import re
from pathlib import Path

import pytest

from gan_core import artifacts
from gan_core.report import write_index, write_report
from tests import datasets, report_runs
from tests.gan_core.report.pages import Page, words


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scored runs, one of them by another protocol; one that was only begun; one that is damaged."""
    root = tmp_path_factory.mktemp("root")
    dataset = report_runs.data_set(root)
    pictures = datasets.smooth_pictures(64, 32, 3)
    first = report_runs.full_run(root, dataset, pictures, pictures, seed=1)
    report_runs.full_run(root, dataset, pictures, pictures, seed=2, values=report_runs.scored_values(shift=-0.002))
    other = report_runs.scored_values("ba9876543210")
    report_runs.full_run(root, dataset, pictures, pictures, seed=3, values=other)
    report_runs.bare_run(root, dataset, seed=4)
    damaged = root / "runs" / "<i>broken"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    write_report(first, dataset)
    return root


def test_runs_that_may_be_compared_share_a_table(data_root: Path) -> None:
    """Equal fingerprints stand in one table; another protocol has its own, and so have runs without scores."""
    path = write_index(data_root)
    assert path == data_root / "runs" / "index.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert (page.tags.count("table"), page.tags.count("h1"), page.tags.count("h2")) == (3, 1, 3)
    tables = re.findall(r"<tbody>.*?</tbody>", text, flags=re.DOTALL)
    assert [table.count("<tr") for table in tables] == [2, 1, 2]
    assert "5 runs, the one worked on last first." in words(text)
    assert "Compare within a table only." in text
    assert 'data-value="0.0105"' in text


def test_reports_are_linked_where_they_are(data_root: Path) -> None:
    """A link is relative and leads to a file; a run without a report has none."""
    page = Page(write_index(data_root).read_text(encoding="utf-8"))
    links = [link for link in page.links if not link.startswith("data:")]
    assert len(links) == 1
    assert (data_root / "runs" / links[0]).is_file()


def test_damaged_runs_are_listed_as_such(data_root: Path) -> None:
    """A damaged run says what is wrong, and its name is text."""
    text = write_index(data_root).read_text(encoding="utf-8")
    assert "&lt;i&gt;broken" in text and "<i>broken" not in text
    assert "damaged config.json is missing or damaged" in words(text)


def test_equal_runs_give_equal_bytes(data_root: Path) -> None:
    """The page holds no date of its own."""
    assert write_index(data_root).read_bytes() == write_index(data_root).read_bytes()
    assert not list((data_root / "runs").glob(".index.html.*"))


def test_without_runs_the_page_says_so(tmp_path: Path) -> None:
    """An empty data root has a page too."""
    assert "There are no runs yet." in words(write_index(tmp_path).read_text(encoding="utf-8"))


def test_scores_by_another_protocol_are_marked_within_a_table(tmp_path: Path) -> None:
    """A measure whose fingerprint differs from that of the table is shown with a mark, and not sorted by."""
    dataset = report_runs.data_set(tmp_path)
    pictures = datasets.smooth_pictures(64, 32, 3)
    for seed, fingerprint in ((1, "aaa"), (2, "aaa"), (3, "bbb")):
        values = {"swd": {"value": 9.0, "fingerprint": "s"}, "kid": {"value": 1.5, "fingerprint": fingerprint}}
        report_runs.full_run(tmp_path, dataset, pictures, pictures, seed=seed, values=values)
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert text.count("another protocol</small>") == 1
    assert text.count('data-value="1.5"') == 2


def test_scores_of_a_damaged_manifest_cost_the_run_its_scores(tmp_path: Path) -> None:
    """A run whose scores cannot be read is listed as damaged, with the reason."""
    run_dir = report_runs.bare_run(tmp_path, report_runs.data_set(tmp_path))
    (run_dir / "scores").mkdir()
    (run_dir / "scores" / artifacts.MANIFEST).write_text("{}")
    assert "is not a faceloom manifest" in words(write_index(tmp_path).read_text(encoding="utf-8"))
