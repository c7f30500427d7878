"""What the test asks the Prefect server, over HTTP: an eye of its own, which shares no code with the flows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

OPEN = ("RUNNING", "PENDING")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Api:
    """The server at `address`, such as http://127.0.0.1:4200, with its login, such as user:password."""

    def __init__(self, address: str, login: str) -> None:
        user, _, password = login.partition(":")
        # The machine's proxy, if it has one, does not lead to 127.0.0.1.
        self._client = httpx.Client(base_url=address, auth=(user, password), timeout=60, trust_env=False)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the answer to a GET, or to a POST of `body`. Raises httpx.HTTPError."""
        answer = self._client.get(f"/api{path}") if body is None else self._client.post(f"/api{path}", json=body)
        return answer.raise_for_status().json()

    def is_ready(self) -> bool:
        """Return whether the server answers; refused connections raise httpx.HTTPError."""
        return self.ask("/health") is True

    def shows_pages(self) -> bool:
        """Return whether the UI is there."""
        page = self._client.get("/", follow_redirects=True)
        return page.status_code == httpx.codes.OK and "<html" in page.text

    def status_without_login(self) -> int:
        """Return what somebody without the login is answered."""
        address = self._client.base_url.join("/api/flow_runs/count")
        return httpx.post(address, json={}, trust_env=False).status_code

    def begin(self, deployment: str, parameters: Mapping[str, Any]) -> str:
        """Start a run of a deployment such as retrain/smoke now; return its id."""
        found = self.ask(f"/deployments/name/{deployment}")
        return str(self.ask(f"/deployments/{found['id']}/create_flow_run", {"parameters": dict(parameters)})["id"])

    def state(self, run: str) -> str:
        """Return the type of a flow run's state, such as RUNNING."""
        return str(self.ask(f"/flow_runs/{run}")["state_type"])

    def states(self, run: str) -> list[tuple[str, str]]:
        """Return the name and the message of every state that a flow run had, the oldest first."""
        found = self.ask(f"/flow_run_states/?flow_run_id={run}")
        found.sort(key=lambda state: datetime.fromisoformat(state["timestamp"]))
        return [(state["name"], state["message"] or "") for state in found]

    def times(self, run: str) -> tuple[datetime, datetime]:
        """Return when a flow run that has ended began and ended."""
        found = self.ask(f"/flow_runs/{run}")
        return datetime.fromisoformat(found["start_time"]), datetime.fromisoformat(found["end_time"])

    def artifacts(self, run: str) -> set[str]:
        """Return the keys of the artifacts that a flow run left for the UI."""
        found = self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}, "limit": 200})
        return {artifact["key"] for artifact in found}

    def open_runs(self, kind: str = "flow_runs") -> list[str]:
        """Return the names of flow runs, or `task_runs`, that are Running or Pending."""
        asked = {kind: {"state": {"type": {"any_": list(OPEN)}}}, "limit": 200}
        return [found["name"] for found in self.ask(f"/{kind}/filter", asked)]

    def gpu_slots(self) -> tuple[int, int]:
        """Return how many slots of the GPU are held, and how many there are."""
        found = self.ask("/v2/concurrency_limits/gpu")
        return int(found["active_slots"]), int(found["limit"])
