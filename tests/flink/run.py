"""`make flink-test`: the same job here, on Flink's embedded cluster, and on a cluster of which a part is killed.

Needs Java 17 and Maven. Takes a few minutes, and is not part of `make test`.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.flink.cluster import Cluster, running_cluster, wait_for
from tests.flink.jars import fetch_jars

FACELOOM = Path(sys.executable).with_name("faceloom")
# Many small shards that take their time, so that there is a middle to kill something in.
OPTIONS = {"data.resolution": "128", "data.storage": "png", "data.shard_mib": "0.5", "data.normalize": "mean-deviation"}


@dataclass(frozen=True)
class Trial:
    """What all runs of the job share."""

    source: Path
    pictures: int
    folder: Path
    jars: Path
    flink_line: str

    def command(self, name: str, beam_args: Sequence[str] = ()) -> list[str]:
        """Return the command line of a run with the data root `name`."""
        sets = {**OPTIONS, "data.limit": str(self.pictures)}
        command = [str(FACELOOM), "prepare", "celeba64", "--source", str(self.source)]
        command += ["--data-root", str(self.folder / name)]
        command += [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        return [*command, "--", *beam_args] if beam_args else command

    def flink(self, name: str, *options: str) -> list[str]:
        """Return the command line of a run on Flink."""
        server = ["--flink_job_server_jar", str(self.jars / "job-server.jar"), "--flink_version", self.flink_line]
        return self.command(name, ["--runner=FlinkRunner", *server, "--parallelism=2", *options])

    def digests(self, name: str) -> dict[str, str]:
        """Return path -> SHA-256 of every file of the data sets below a data root."""
        root = self.folder / name / "datasets"
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def receipts(self, name: str) -> int:
        """Return how many shards of an unfinished data set are done."""
        return len(list((self.folder / name / "datasets").glob(".*/.work/receipts/*.json")))


def embedded(trial: Trial) -> str:
    """The cluster within the job server, workers in the launcher."""
    check_run(trial.flink("embedded", "--flink_master=[local]"))
    return "embedded cluster"


def standalone(trial: Trial, cluster: Cluster) -> str:
    """Workers that the task managers start: no option says how."""
    check_run(trial.flink("standalone", f"--flink_master={cluster.address}"))
    return "standalone cluster, two task managers"


def killed(trial: Trial, cluster: Cluster) -> str:
    """A task manager is killed when a few shards are done; Flink starts the job again on the other one."""
    with subprocess.Popen(trial.flink("killed", f"--flink_master={cluster.address}"), text=True) as job:
        wait_for("the first shards", lambda: trial.receipts("killed") >= 3 or job.poll() is not None, 0.02)
        before = trial.receipts("killed")
        cluster.kill_a_busy_task_manager()
        if job.wait() != 0:
            raise RuntimeError(f"the job ended with status {job.returncode}")
    failures = cluster.failures()
    if not 0 < before < len(trial.digests("killed")) or failures < 1:
        raise RuntimeError(f"nothing was interrupted: {before} shards were done, Flink saw {failures} failures")
    return f"one of two task managers killed after {before} shards"


def repeated(trial: Trial, cluster: Cluster) -> str:
    """The job is cancelled in Flink's own interface; the same command goes on, on the task manager that is left."""
    command = trial.flink("repeated", f"--flink_master={cluster.address}")
    with subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL) as job:
        wait_for("the first shards", lambda: trial.receipts("repeated") >= 3 or job.poll() is not None, 0.02)
        cluster.cancel()
        status = job.wait()
    before = trial.receipts("repeated")
    if status == 0 or not before:
        raise RuntimeError(f"nothing was interrupted: {before} shards were done, the job ended with status {status}")
    check_run(command)
    return f"job cancelled after {before} shards, the same command again on one task manager"


def check_run(command: Sequence[str]) -> None:
    """Run a command. Raises RuntimeError when it fails."""
    if status := subprocess.run(command, check=False).returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ended with status {status}")


def attempt(trial: Trial, name: str, step: Callable[[], str], wanted: dict[str, str]) -> bool:
    """Run one step, compare its bytes with those of the local run, say so; return whether all is well."""
    start = time.monotonic()
    try:
        what = step()
        found = trial.digests(name)
        different = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
        verdict = f"differs in {', '.join(different[:5])}" if different else f"{len(found)} files, the same bytes"
    except (RuntimeError, OSError) as error:
        what, different, verdict = name, ["-"], f"FAILED: {error}"
    say(f"{'not ok' if different else 'ok'}  {what}: {verdict} ({time.monotonic() - start:.0f} s)")
    return not different


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run everything; return 0 when all bytes are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="CelebA's folder; left out, portraits are drawn")
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--beam-java", default="2.62.0", help="version of Beam's runner for Flink")
    parser.add_argument("--flink", default="1.19", help="the Flink that this runner is for")
    given = parser.parse_args()
    jars = fetch_jars(given.beam_java, given.flink)
    with tempfile.TemporaryDirectory(prefix="faceloom-flink-") as name:
        folder = Path(name)
        source = given.source or drawn(folder, given.pictures)
        trial = Trial(source.absolute(), given.pictures, folder, jars, given.flink)
        check_run(trial.command("local"))
        wanted = trial.digests("local")
        say(f"local run: {len(wanted)} files; Beam {given.beam_java} on Flink {given.flink}")
        passed = [attempt(trial, "embedded", lambda: embedded(trial), wanted)]
        with running_cluster(jars, folder / "cluster") as cluster:
            steps = {"standalone": standalone, "killed": killed, "repeated": repeated}
            passed += [attempt(trial, step, lambda do=do: do(trial, cluster), wanted) for step, do in steps.items()]
    say(f"{passed.count(True)} passed, {passed.count(False)} failed")
    return 0 if all(passed) else 1


def drawn(folder: Path, pictures: int) -> Path:
    """Draw portraits in CelebA's layout; return their folder."""
    from beam_jobs.sources.synthetic import write_portraits

    return write_portraits(folder / "portraits", pictures, seed=1)


if __name__ == "__main__":
    sys.exit(main())
