"""Which process works on a flow run, in words that outlive it: so that its death is known at once where it lived.

Linux only: elsewhere, and for processes of other machines and containers, what is left are heart-beats.
"""

from __future__ import annotations

import os
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

_LABEL, _RUN_COUNT = "faceloom.process", "faceloom.run_count"
_PROC = Path("/proc")


def sign(client: SyncPrefectClient, run: FlowRun) -> None:
    """Note at a flow run that this process works on it.

    Raises:
        httpx.HTTPError: the server is away.
    """
    if identity := identity_of(os.getpid()):
        client.update_flow_run_labels(run.id, {_LABEL: identity, _RUN_COUNT: run.run_count})


def is_signed(run: FlowRun) -> bool:
    """Whether a process of faceloom works, or worked, on a flow run."""
    return _LABEL in run.labels


def is_gone(run: FlowRun) -> bool:
    """Whether the process of a running flow run is known to have ended: it was one of this machine, and is not there.

    The note of an earlier try says nothing about this one, and a /proc that hides other users' processes
    (hidepid, ProtectProc=) nothing of those that it hides.
    """
    identity = str(run.labels.get(_LABEL, ""))
    if not identity or run.labels.get(_RUN_COUNT) != run.run_count:
        return False
    place, pid = identity.rsplit("/", 2)[0], int(identity.split("/")[-2])
    if place != _place() or identity_of(pid) == identity:
        return False
    return (_PROC / str(pid)).exists() or not _lives(pid)


def identity_of(pid: int) -> str:
    """Return boot, process namespace, number and start of a living process; empty for none, and where nothing says it.

    A number alone is used again, and each container counts its own.
    """
    try:
        state, *facts = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" or not _place() else f"{_place()}/{pid}/{facts[18]}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat(_PROC / 'self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return ""
