"""One Prefect server for the commands of a data root, which ends itself once nobody uses it.

    <Prefect's home>/shared-server/<digest of the settings of Prefect>/
        server.json    its address, log and process
        starting       locked by who starts a server
        users          locked, shared, by every command that uses it
        alive          locked by the server

No lock outlives its process. The server tries to lock `users` for itself; when nobody held it for as long as the
server lingers, or when the folder is gone, it keeps that lock, gives up `alive` and ends. A command locks `users`
before it looks at `alive`, so it finds either a server that stays, or none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.server_process import run_server, server_environment

_LOOK_EVERY_SECONDS = 0.5
_ENDS_IN_SECONDS = 10.0
# Not settings of a server: where clients find it.
_OF_CLIENTS = frozenset({"PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"})


@dataclass(frozen=True)
class Shared:
    """A server that other commands may use as well."""

    url: str
    log: Path
    folder: Path

    def alive(self) -> bool:
        """Say whether its process lives."""
        descriptor = _locked(self.folder / "alive", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False


@contextlib.contextmanager
def shared_server(home: Path, port: int, log: Path, linger_seconds: float) -> Iterator[Shared]:
    """Yield the server of a Prefect home, started where there is none; it may still be starting.

    Args:
        home: where Prefect keeps its database.
        port: a free port, in [1, 65535], for a server that has to be started.
        log: where its output goes then.
        linger_seconds: how long it stays then after its last user.
    """
    folder = home.absolute() / "shared-server" / _digest(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as users, _holding(folder / "starting", fcntl.LOCK_EX):
        users.enter_context(_holding(folder / "users", fcntl.LOCK_SH))
        server = _running(folder) or _start(folder, port, log, linger_seconds)
        mine = users.pop_all()
    with mine:
        yield server


def _running(folder: Path) -> Shared | None:
    try:
        facts = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    server = Shared(facts["url"], Path(facts["log"]), folder)
    return server if server.alive() else None


def _start(folder: Path, port: int, log: Path, linger_seconds: float) -> Shared:
    """Start a process that is nobody's child for long; it inherits the lock `alive`, so there is no moment without."""
    server = Shared(f"http://127.0.0.1:{port}/api", log, folder)
    with _holding(folder / "alive", fcntl.LOCK_EX) as alive, log.open("ab") as output:
        os.set_inheritable(alive, True)
        # Not subprocess.Popen, which expects to see the end of what it starts.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "flows.shared_server", str(folder), str(port), str(linger_seconds), str(alive)],
            {**os.environ, **server_environment(os.environ, full=False)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, output.fileno(), to) for to in (1, 2)),
            ],
            setsid=True,
        )
        facts = {"url": server.url, "log": str(log), "pid": pid}
        (folder / "server.json").write_text(json.dumps(facts), encoding="utf-8")
    return server


def _end_when_idle(folder: Path, linger_seconds: float, alive: int) -> None:
    """End this process once nobody used it for so long."""
    used = time.monotonic()
    while folder.is_dir():
        time.sleep(_LOOK_EVERY_SECONDS)
        users = _locked(folder / "users", fcntl.LOCK_EX | fcntl.LOCK_NB) if folder.is_dir() else None
        if users is None:
            used = time.monotonic()
        elif time.monotonic() - used < linger_seconds:
            os.close(users)
        else:
            break
    os.close(alive)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ENDS_IN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _digest(environment: Mapping[str, str]) -> str:
    """Return a digest of what a server would be told: other settings, another server."""
    names = sorted(name for name in environment if name.startswith("PREFECT_") and name not in _OF_CLIENTS)
    text = json.dumps([sys.executable, *([name, environment[name]] for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextlib.contextmanager
def _holding(path: Path, how: int) -> Iterator[int]:
    descriptor = _locked(path, how)
    assert descriptor is not None, "this waits"
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(path: Path, how: int) -> int | None:
    """Return an open file with that lock, or None where it does not wait and another has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def main() -> None:
    """Be the server: FOLDER PORT LINGER_SECONDS DESCRIPTOR."""
    folder, port, linger, alive = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    threading.Thread(target=_end_when_idle, args=(folder, linger, alive), daemon=True, name="idle-watch").start()
    run_server("127.0.0.1", port, full=False)


if __name__ == "__main__":
    main()
