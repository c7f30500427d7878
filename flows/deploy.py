"""`faceloom deploy`: a deployment in a work pool of the team's server."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from flows.least_rights import check_texts
from flows.terminal import Terminal
from gan_core.errors import ConfigError, StageFailed


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is deployed, where, and when it runs; fields as the command's options."""

    flow: str
    preset: str
    name: str
    source: str
    settings: tuple[str, ...]
    data_root: str
    cron: str
    timezone: str
    every_seconds: float
    pool: str
    kind: str
    image: str


def deploy(own: Terminal, wanted: Wanted, *, dry_run: bool) -> None:
    """Make the pool where there is none, and the deployment anew.

    Raises:
        ConfigError: no server is named, a parameter holds a secret, or the pool is of another type.
        StageFailed: the server does not answer.
    """
    parameters: dict[str, Any] = {
        "preset": wanted.preset,
        "source": wanted.source,
        "settings": list(wanted.settings),
        "data_root": wanted.data_root,
    }
    check_texts(wanted.preset, wanted.source, wanted.data_root, *wanted.settings)
    url = os.environ.get("PREFECT_API_URL", "")
    if not url and not dry_run:
        raise ConfigError(
            "PREFECT_API_URL names no server; a team's has an address like http://server:4200/api (docs/deploy.md); "
            "for this machine alone: faceloom serve"
        )
    import httpx
    from prefect.exceptions import PrefectException

    from flows.deployments import Schedule, deployment, ensure_pool

    every = timedelta(seconds=wanted.every_seconds) if wanted.every_seconds else None
    schedule = Schedule(wanted.cron, wanted.timezone, every)
    more: dict[str, Any] = {"job_variables": {"image": wanted.image}} if wanted.image else {}
    made = deployment(wanted.flow, wanted.name, parameters, schedule, work_pool_name=wanted.pool, **more)
    document = {**asdict(wanted), "parameters": parameters, "server": url}
    if dry_run:
        when = wanted.cron or (f"every {wanted.every_seconds:g} s" if every else "on demand")
        own.emit(document, f"would deploy {made.full_name} to pool {wanted.pool} ({wanted.kind}), {when}")
        return
    try:
        is_new = ensure_pool(wanted.pool, wanted.kind)
        made.apply()
    except (httpx.HTTPError, PrefectException) as error:
        raise StageFailed(f"the Prefect server at {url} refused or did not answer: {error}") from error
    lines = [f"work pool {wanted.pool} ({wanted.kind})"] if is_new else []
    lines += [f"deployed  {made.full_name}", f"worker    prefect worker start --pool {wanted.pool}"]
    own.emit(document, "\n".join(lines))
