"""Reports over HTTP: they, the page over all runs, and nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows import serve
from flows.reports_server import ADDRESS, find, report_address, reports_server
from gan_core.errors import ConfigError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a report, and much that is none of a browser's business."""
    texts = {
        "runs/index.html": "all runs",
        "runs/a-1/report/index.html": "<p>é</p>",
        "runs/a-1/report/manifest.json": "{}",
        "runs/a-1/report/deep/x.bin": "x",
        "runs/a-1/report/.draft/index.html": "half",
        "runs/a-1/config.json": "secret",
        "runs/a-1/checkpoints/1/state.npz": "secret",
        "runs/report/index.html": "no run's",
        "registry/smoke/blessed.json": "secret",
        ".prefect/prefect.db": "secret",
    }
    for name, text in texts.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("secret")
    return tmp_path / "root"


@pytest.fixture
def address(root: Path) -> Iterator[str]:
    """Where the reports of the data root are served."""
    with reports_server(root, "127.0.0.1", 0) as address:
        yield address


def asked(address: str, target: str, verb: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Send a request as it stands, which browsers and urllib would tidy up."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.putrequest(verb, target, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    try:
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_reports_and_the_page_over_all_runs_are_given(address: str) -> None:
    """With what they are, and with the relative links between them as they lie on disk."""
    status, headers, body = asked(address, "/a-1/report/index.html?from=ui")
    assert (status, headers["Content-Type"], body.decode()) == (200, "text/html; charset=utf-8", "<p>é</p>")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert [asked(address, target)[2] for target in ("/", "/index.html")] == [b"all runs"] * 2
    assert asked(address, "/a-1/report/manifest.json")[1]["Content-Type"] == "application/json"
    assert asked(address, "/a-1/report/deep/x.bin")[2] == b"x"


def test_head_sends_no_body_and_nothing_can_be_written(address: str) -> None:
    """GET and HEAD are all that there is."""
    status, headers, body = asked(address, "/index.html", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "8", b"")
    assert [asked(address, "/index.html", verb)[0] for verb in ("POST", "PUT", "DELETE")] == [501] * 3


@pytest.mark.parametrize(
    "target",
    [
        "/a-1/config.json",
        "/a-1/checkpoints/1/state.npz",
        "/a-1/report",
        "/a-1/report/",
        "/a-1",
        "/report/index.html",
        "/a-1/report/deep",
        "/a-1/report/.draft/index.html",
        "/a-1/report/../config.json",
        "/a-1/report/../../../.prefect/prefect.db",
        "/a-1/report/%2e%2e/config.json",
        "/a-1/report/%2e%2e%2f%2e%2e%2f%2e%2e%2fregistry%2fsmoke%2fblessed.json",
        "/../registry/smoke/blessed.json",
        "/..%5c..%5cregistry",
        "//etc/passwd",
        "/%2fetc/report/passwd",
        "/a-1/report/index.html%00.txt",
        "/a-1/report/%ff",
        "/a-1/report/" + "x" * 5000,
        "http://other/a-1/config.json",
        "index.html/report",
    ],
)
def test_nothing_else_is_given(address: str, target: str) -> None:
    """Neither other files of a run or of the data root, nor what lies above, however it is written."""
    status, _, body = asked(address, target)
    assert status == 404
    assert b"secret" not in body


def test_links_lead_nowhere(root: Path, address: str) -> None:
    """A file, a report, a run or the index that is a link is not given, wherever it leads."""
    outside, report = root.parent / "outside", root / "runs/a-1/report"
    (report / "link.txt").symlink_to(outside / "secret.txt")
    (report / "folder").symlink_to(outside)
    (report / "inside.html").symlink_to(report / "index.html")
    (root / "runs/b-2").mkdir()
    (root / "runs/b-2/report").symlink_to(outside)
    (root / "runs/c-3").symlink_to(root / "runs/a-1")
    (root / "runs/index.html").unlink()
    (root / "runs/index.html").symlink_to(outside / "secret.txt")
    targets = (
        "/a-1/report/link.txt",
        "/a-1/report/folder/secret.txt",
        "/a-1/report/inside.html",
        "/b-2/report/secret.txt",
        "/c-3/report/index.html",
        "/index.html",
    )
    assert [asked(address, target)[0] for target in targets] == [404] * 6
    assert asked(address, "/a-1/report/index.html")[0] == 200


def test_the_folder_of_runs_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """It is the owner's own, on another disk for example."""
    (tmp_path / "runs").symlink_to(root / "runs")
    assert find(tmp_path / "runs", "/a-1/report/index.html") == root.resolve() / "runs/a-1/report/index.html"
    assert find(tmp_path / "nothing", "/") is None


def test_a_port_that_is_taken_is_named(root: Path) -> None:
    """The message has the option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught, reports_server(root, "127.0.0.1", port):
            pass
    assert str(caught.value) == (
        f"--reports-port {port} of 127.0.0.1 cannot be used (Address already in use); "
        "name a free one with --reports-port"
    )


def test_where_everybody_may_look_links_have_the_machines_name(root: Path) -> None:
    """No browser can open http://0.0.0.0."""
    with reports_server(root, "0.0.0.0", 0) as address:
        assert urlsplit(address).hostname == socket.gethostname().lower()


def test_a_second_serve_does_without_reports(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its user named a port: then it says that this one is taken."""
    monkeypatch.delenv(ADDRESS, raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with reports_server(root, "127.0.0.1", 0) as first:
        port = urlsplit(first).port
        monkeypatch.setattr(serve, "REPORTS_PORT", port)
        with serve._reports(root, wanted(None)) as found:
            assert (found, ADDRESS in os.environ) == ("", False)
        with pytest.raises(ConfigError, match=f"--reports-port {port} of"), serve._reports(root, wanted(port)):
            pass


def wanted(reports_port: int | None) -> serve.Wanted:
    """Return what `faceloom serve --every 60s` wants."""
    when = {"cron": "", "timezone": "UTC", "every_seconds": 60.0, "poll_seconds": 0.0}
    return serve.Wanted(flow="retrain", settings=(), **when, host="127.0.0.1", port=4200, reports_port=reports_port)


@pytest.mark.parametrize(
    ("reports", "api", "address"),
    [
        ("https://gans.example/runs", "", "https://gans.example/runs"),
        ("", "http://prefect.example:4200/api", ""),
        ("", "http://localhost:4200/api", "http://127.0.0.1:"),
        ("", "", "http://127.0.0.1:"),
    ],
)
def test_serve_gives_reports_where_the_ui_is_here(
    reports: str, api: str, address: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are told by the environment; reports that the user serves, or a UI elsewhere, leave it as it is."""
    monkeypatch.setenv(ADDRESS, reports)
    monkeypatch.setenv("PREFECT_API_URL", api)
    with serve._reports(root, wanted(0)) as found:
        assert found.startswith(address) if address else found == ""
        assert os.environ.get(ADDRESS, "") == found


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("", ""),
        ("/srv/reports", ""),
        ("javascript:alert(1)", ""),
        ("https://gans.example/runs/", "https://gans.example/runs/a%20b-1/report/index.html"),
    ],
)
def test_links_begin_with_the_users_address(base: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, or where it is none, there is no link."""
    monkeypatch.setenv(ADDRESS, base)
    assert report_address("a b-1", "index.html") == address
