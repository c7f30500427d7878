"""The automation of docs/ui.md, for real: a full server, the two snippets as they stand, and a listener."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.server import own_server
from tests.flows.test_children import until

PAGE = (Path(__file__).parents[2] / "docs" / "ui.md").read_text(encoding="utf-8")
HOOK = "https://chat.example/hooks/promotions"
EVENTS = """
from pathlib import Path
from flows import announcements
from flows.stages import Order, StageResult
from gan_core.config import load_config

order = Order(config=load_config("smoke"), data_root=Path("data"))
for version, promote, said in ((1, False, "not promoted: worse"), (2, True, 'promoted: "better" by 3')):
    decision = {"promote": promote, "summary": said, "reasons": []}
    summary = {"model": "smoke", "version": version, "decision": decision}
    path = f"registry/smoke/{version:04}"
    result = StageResult(stage="promote", outcome="done", path=path, run_dir="data/runs/smoke-1", summary=summary)
    announcements.model_decided(order, result)
"""


def snippet(language: str) -> str:
    """Return the page's only piece of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """The address of a listener, and the bodies that were posted to it."""
    bodies: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Note the body."""
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()


@pytest.mark.timeout(300)
def test_a_promotion_calls_the_webhook(
    heard: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call for the version that was promoted, with valid JSON around its quotes; none for the rejected one."""
    address, bodies = heard
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    with own_server(tmp_path, full=True) as server:
        server.until_ready()
        environment = {**os.environ, "PREFECT_API_URL": server.url, "PYTHONPATH": str(Path(__file__).parents[2])}

        def said(*words: str) -> str:
            command = [sys.executable, *words]
            return subprocess.run(
                command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        block = said("-c", snippet("python").replace(HOOK, address)).strip()
        (tmp_path / "promoted.yaml").write_text(snippet("yaml").replace("BLOCK-ID", block))
        said("-m", "prefect", "automation", "create", "--from-file", "promoted.yaml")
        said("-c", EVENTS)
        until(lambda: bool(bodies))
    assert [json.loads(body) for body in bodies] == [
        {"text": 'smoke v2: promoted: "better" by 3', "path": "registry/smoke/0002"}
    ]
