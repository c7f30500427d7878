"""A standalone Flink cluster on this machine: one job manager and task managers, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
WAIT_SECONDS = 120.0

# Flink's start scripts, which are not in its jars, compute the sizes from one number; here they are said. Two slots
# each, so that one task manager can finish a job of parallelism 2 alone; spread, so that both have work before.
CONFIG = """\
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc_port}
rest.address: localhost
rest.bind-address: localhost
rest.port: {rest_port}
taskmanager.host: localhost
taskmanager.numberOfTaskSlots: 2
taskmanager.load-balance.mode: SLOTS
taskmanager.cpu.cores: 2.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 1 s
heartbeat.interval: 2000
heartbeat.timeout: 10000
classloader.resolve-order: parent-first
"""

# What Flink's own config.yaml opens for Java 17.
EXPORTS = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "jdk.compiler/com.sun.tools.javac.api",
    "java.security.jgss/sun.security.krb5",
)
OPENS = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent")
OPENS_DEEP = ("util.concurrent.atomic", "util.concurrent.locks")


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        address: host:port, what `--flink_master` takes.
        task_managers: their processes.
    """

    address: str
    task_managers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET") -> Any:
        """Return the answer of Flink's REST interface."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # localhost is behind no proxy
        request = urllib.request.Request(f"http://{self.address}{path}", method=method)
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)

    def kill_a_busy_task_manager(self) -> int:
        """Kill -9 a task manager that has started a Python worker; return its process id."""

        def busy() -> subprocess.Popen[bytes] | None:
            return next((one for one in self.task_managers if one.poll() is None and _children(one.pid)), None)

        victim = wait_for("a task manager with a worker", busy)
        victim.kill()
        victim.wait()
        return victim.pid

    def failures(self) -> int:
        """Return how often the latest job failed and was started again."""
        return len(self.ask(f"/jobs/{self.latest_job()}/exceptions")["exceptionHistory"]["entries"])

    def latest_job(self) -> str:
        """Return the id of the job that was submitted last."""
        return str(max(self.ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])["jid"])

    def cancel(self) -> None:
        """End the latest job."""
        self.ask(f"/jobs/{self.latest_job()}?mode=cancel", "PATCH")


@contextlib.contextmanager
def running_cluster(jars: Path, folder: Path, task_managers: int = 2) -> Iterator[Cluster]:
    """Start a cluster and end it with the block.

    Args:
        jars: folder of `fetch_jars`.
        folder: empty; gets configuration, logs and temporary files.
        task_managers: how many.
    """
    rpc_port, rest_port = free_port(), free_port()
    for name in ("conf", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "conf" / "config.yaml").write_text(CONFIG.format(rpc_port=rpc_port, rest_port=rest_port))
    cluster = Cluster(f"localhost:{rest_port}")
    with contextlib.ExitStack() as processes:

        def start(main_class: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
            log = processes.enter_context((folder / f"{name}.log").open("wb"))
            command = [*java(jars, folder), main_class, "--configDir", str(folder / "conf"), *arguments]
            process = processes.enter_context(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            processes.callback(process.kill)
            return process

        start(JOB_MANAGER, "jobmanager", "--executionMode", "cluster")
        wait_for("Flink's job manager", lambda: bool(cluster.ask("/overview")))
        cluster.task_managers += [start(TASK_MANAGER, f"taskmanager-{n}") for n in range(task_managers)]
        wait_for("all task managers", lambda: len(cluster.ask("/taskmanagers")["taskmanagers"]) == task_managers)
        yield cluster


def java(jars: Path, folder: Path) -> list[str]:
    """Return the start of a command line that runs a class of Flink."""
    exports = [f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS]
    opens = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in (*OPENS, *OPENS_DEEP)]
    opens.append("--add-opens=java.base/sun.nio.ch=ALL-UNNAMED")
    memory = ["-Xmx512m", "-XX:MaxMetaspaceSize=256m", f"-Djava.io.tmpdir={folder / 'tmp'}"]
    return ["java", *memory, *exports, *opens, "-classpath", f"{jars / 'lib'}/*"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, found: Callable[[], T | None], every_seconds: float = 0.1) -> T:
    """Return the first true answer of `found`; a refused connection is a no. Raises TimeoutError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if answer := found():
                return answer
        time.sleep(every_seconds)
    raise TimeoutError(f"{what} did not come within {WAIT_SECONDS:g} s")


def _children(pid: int) -> list[str]:
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return listed.stdout.split()
