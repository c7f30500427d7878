"""Flink and Beam's job server for it, fetched once by Maven into a cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
MAIN_CLASS = "org.apache.beam.runners.flink.FlinkJobServerDriver"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:{version}:copy-dependencies"
_MANIFEST_LINE_BYTES = 70  # the format allows 72, with the line's end


def fetch_jars(beam_version: str, flink_line: str) -> Path:
    """Return a folder with all jars in `lib/` and a `job-server.jar` that names them; fetch what is not there.

    Args:
        beam_version: of the Java runner, as "2.62.0".
        flink_line: "1.19".
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "faceloom"
    folder = cache / f"flink-{flink_line}-beam-{beam_version}"
    server = folder / "job-server.jar"
    if not server.is_file():  # it is written last
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # Strict: a jar whose SHA-1 is not the published one is an error.
        command = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", str(POM)]
        command += [COPY.format(version="3.6.1"), "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
        command += [f"-Dbeam.version={beam_version}", f"-Dflink.line={flink_line}"]
        subprocess.run(command, check=True)
        write_launcher_jar(server, sorted((folder / "lib").glob("*.jar")))
    return folder


def write_launcher_jar(target: Path, jars: list[Path]) -> None:
    """Write a jar that holds nothing but the names of the others, for `--flink_job_server_jar`."""
    paths = " ".join(str(jar.relative_to(target.parent)) for jar in jars)
    fields = ["Manifest-Version: 1.0", f"Main-Class: {MAIN_CLASS}", f"Class-Path: {paths}"]
    text = "".join(_wrapped(field) for field in fields) + "\r\n"
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", text)
    partial.rename(target)


def _wrapped(field: str) -> str:
    """Return a manifest's field in lines of at most 72 bytes; the further ones start with a space."""
    first, rest = field[:_MANIFEST_LINE_BYTES], field[_MANIFEST_LINE_BYTES:]
    step = _MANIFEST_LINE_BYTES - 1
    return "\r\n ".join([first, *(rest[start : start + step] for start in range(0, len(rest), step))]) + "\r\n"
