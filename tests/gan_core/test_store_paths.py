from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

from gan_core.errors import ArtifactError, ConfigError
from gan_core.object_store import objects as stores
from gan_core.object_store.errors import StoreMissing, StoreRefused, StoreTrouble, StoreUnreachable, store_errors
from gan_core.object_store.libraries import file_system
from gan_core.object_store.paths import S3Path
from gan_core.paths import is_remote, local_root, path_of
from tests.memory_store import MemoryPath, Refusing, bucket

__all__ = ["bucket"]

ROOT = Path(__file__).parents[2]
SECRET = "wJalrXUtnFEMI"


def test_an_address_is_a_path() -> None:
    """Parts, parents and names are those of pathlib; text, equality and pickle keep the scheme."""
    path = path_of("s3://bucket/faces/a b.png")
    assert (str(path), path.name, path.suffix, str(path.parent)) == (
        *("s3://bucket/faces/a b.png", "a b.png", ".png"),
        "s3://bucket/faces",
    )
    assert str(path.with_name("c.png")) == str(path.parent / "c.png") == "s3://bucket/faces/c.png"
    assert path.relative_to(path.parent).as_posix() == "a b.png"
    assert path.absolute() is path
    assert ForkingPickler.loads(ForkingPickler.dumps(path)) == path  # workers get it
    assert path == S3Path("/bucket/faces/a b.png") != path_of("gs://bucket/faces/a b.png")
    assert len({path, path_of("gs://bucket/faces/a b.png"), path_of(str(path))}) == 2
    assert [is_remote(one) for one in (path, path_of("faces"))] == [True, False]


def test_an_address_is_no_file_of_this_machine() -> None:
    """Code that opens it as one fails at once, instead of looking into a folder called s3:."""
    with pytest.raises(TypeError, match="s3://bucket/x is no file of this machine"):
        open(path_of("s3://bucket/x"))  # noqa: SIM115, PTH123


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"s3://AKID:{SECRET}@bucket/x", "an address must not hold credentials, and that with s3:// does"),
        (f"gs://{SECRET}@bucket", "an address must not hold credentials, and that with gs:// does"),
        (f"https://user:{SECRET}@host/x", "https:// cannot be read; addresses start with one of s3://, gs://"),
        (f"{SECRET}@s3://bucket", "this address cannot be read; addresses start with one of s3://, gs://"),
        ("s3:///x", "an address looks like s3://bucket/folder, and this one names no bucket"),
        ("s3://", "an address looks like s3://bucket/folder, and this one names no bucket"),
    ],
)
def test_an_address_that_is_none(text: str, message: str) -> None:
    """It is refused in one line, and what it may hold is not repeated."""
    with pytest.raises(ConfigError) as caught:
        path_of(text)
    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)


def test_files_of_this_machine_stay_beside_a_remote_data_root() -> None:
    """What needs a folder here gets ./data, and a local data root is what it is."""
    assert [local_root(path_of(text)) for text in ("s3://bucket/gans", "elsewhere")] == [
        Path("data"),
        Path("elsewhere"),
    ]


def test_reading_and_writing(bucket: Path) -> None:
    """An object is written as a whole, and read by bytes, text, lines and ranges."""
    path = bucket / "a/b.txt"
    path.write_text("one\ntwo ä\n")
    assert path.read_bytes() == b"one\ntwo \xc3\xa4\n"
    assert path.read_text() == "one\ntwo ä\n"
    with path.open(encoding="utf-8") as lines:
        assert list(lines) == ["one\n", "two ä\n"]
    with path.open("rb") as stream:
        stream.seek(4)
        assert (stream.read(3), stream.tell()) == (b"two", 7)
    with pytest.raises(ValueError, match="written as a whole"):
        path.open("wb")
    assert path.stat().st_size == 11


def test_a_new_object_has_another_number(bucket: Path) -> None:
    """The same name with other bytes of the same length is told apart."""
    path = bucket / "a"
    path.write_bytes(b"1")
    before = path.stat()
    path.write_bytes(b"2")
    assert path.stat().st_ino != before.st_ino


def test_folders_are_what_lies_below(bucket: Path) -> None:
    """There is a folder where an object lies below; none can be made, and a missing one is empty."""
    for name in ("in/a.txt", "in/b.json", "in/deep/c.txt"):
        (bucket / name).write_bytes(b"x")
    folder = bucket / "in"
    assert (folder.is_dir(), folder.is_file(), folder.exists()) == (True, False, True)
    assert ((folder / "a.txt").is_dir(), (folder / "a.txt").is_file()) == (False, True)
    assert [path.name for path in folder.iterdir()] == ["a.txt", "b.json", "deep"]
    assert list(bucket.glob("in/*.txt")) == [folder / "a.txt"]
    nothing = bucket / "none"
    nothing.mkdir(parents=True)
    assert (nothing.exists(), list(nothing.iterdir()), list(nothing.glob("*"))) == (False, [], [])


def test_missing_objects(bucket: Path) -> None:
    """They are FileNotFoundErrors with one line, also for the user."""
    path = bucket / "none"
    for ask in (path.stat, path.read_bytes, path.unlink):
        with pytest.raises(FileNotFoundError) as caught:
            ask()
        assert isinstance(caught.value, ArtifactError)
        assert str(caught.value) == "memory://bucket/none: there is no such object or bucket"
    path.unlink(missing_ok=True)


def test_many_objects_at_once(bucket: Path) -> None:
    """Listed by names below a folder; read, copied and deleted together."""
    for name in ("in/a", "in/deep/b", "inside/c"):
        (bucket / name).write_bytes(name.encode())
    assert {name: facts.st_size for name, facts in stores.listing(bucket / "in").items()} == {"a": 4, "deep/b": 9}
    stores.copy(bucket / "in/a", bucket / "in/z")
    wanted = [bucket / "in/a", bucket / "in/none", bucket / "in/z"]
    assert stores.read_all(wanted) == {wanted[0]: b"in/a", wanted[2]: b"in/a"}
    assert stores.read_all(wanted[:1]) == {wanted[0]: b"in/a"}
    assert stores.read_all([wanted[1]]) == stores.read_all([]) == {}
    stores.remove_tree(bucket / "in")
    stores.remove_tree(bucket / "none")
    assert list(stores.listing(bucket)) == ["inside/c"]


class NoCredentialsError(Exception):
    """As botocore calls it."""


class EndpointConnectionError(Exception):
    """As botocore calls it."""


class HttpError(Exception):
    """As gcsfs calls it."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


for _kind in (NoCredentialsError, EndpointConnectionError, HttpError):
    _kind.__module__ = "botocore.exceptions"


def of_s3fs(kind: type[OSError], code: str) -> OSError:
    """Return an OSError as s3fs makes it of botocore's."""
    cause: Any = Exception(SECRET)
    cause.response = {"Error": {"Code": code, "Message": SECRET}}
    error = kind(f"text of the server with {SECRET}")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (FileNotFoundError(SECRET), StoreMissing, "there is no such object or bucket"),
        (of_s3fs(FileNotFoundError, "NoSuchBucket"), StoreMissing, "there is no such bucket"),
        (HttpError(SECRET, 404), StoreMissing, "there is no such object or bucket"),
        (of_s3fs(PermissionError, "AccessDenied"), StoreRefused, "the store refuses it (AccessDenied); check KEYS"),
        (of_s3fs(OSError, "InvalidAccessKeyId"), StoreRefused, "the store refuses it (InvalidAccessKeyId); check KEYS"),
        (HttpError(SECRET, 401), StoreRefused, "the store refuses it (401); check KEYS"),
        (NoCredentialsError(SECRET), StoreRefused, "there are no usable credentials (NoCredentialsError); set KEYS"),
        (
            EndpointConnectionError(f"http://user:{SECRET}@host"),
            *(StoreUnreachable, "the store cannot be reached (EndpointConnectionError); try again later"),
        ),
        (TimeoutError(), StoreUnreachable, "the store cannot be reached (TimeoutError); try again later"),
        (of_s3fs(OSError, "PreconditionFailed"), StoreTrouble, "it was replaced while it was read"),
        (of_s3fs(OSError, "SlowDown"), StoreTrouble, "the store failed (SlowDown); try again later"),
        (of_s3fs(OSError, f"<{SECRET}>"), StoreTrouble, "the store failed (OSError); try again later"),
    ],
)
def test_failures_are_told_in_words_of_ours(error: Exception, kind: type[StoreTrouble], text: str) -> None:
    """Every failure becomes an OSError of one line. What servers say may hold secrets, and does not get through."""
    with pytest.raises(StoreTrouble) as caught, store_errors("s3://bucket/x", "KEYS"):
        raise error
    assert (type(caught.value), caught.value.strerror) == (kind, text)
    assert str(caught.value) == f"s3://bucket/x: {text}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_bugs_are_no_troubles_of_a_store() -> None:
    """What no store has raised gets through as it is."""
    with pytest.raises(KeyError), store_errors("s3://bucket/x", "KEYS"):
        raise KeyError("x")


def test_a_store_that_refuses_is_not_an_empty_one(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether something is there is not answered with no when nobody can say."""
    monkeypatch.setattr(MemoryPath, "files", Refusing(PermissionError(SECRET)))
    for ask in (bucket.exists, bucket.is_file, bucket.is_dir, lambda: list(bucket.iterdir())):
        with pytest.raises(StoreRefused):
            ask()


def test_a_bucket_that_is_not_there(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option is named; a folder that is not there yet is fine."""
    stores.check_bucket(bucket / "new", "--data-root")
    with pytest.raises(ConfigError) as caught:
        stores.check_bucket(path_of("memory://other/new"), "--data-root")
    assert str(caught.value) == (
        "--data-root 'memory://other/new': there is no bucket 'memory://other'; create it, or name another"
    )
    monkeypatch.setattr(MemoryPath, "files", Refusing(PermissionError(SECRET)))
    with pytest.raises(
        ConfigError, match=r"'memory://bucket/new': the store refuses it \(no permission\); check nothing"
    ):
        stores.check_bucket(bucket / "new", "--data-root")


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    file_system.cache_clear()
    with pytest.raises(ConfigError) as caught:
        path_of("s3://bucket/x").exists()
    assert str(caught.value) == "s3:// needs the extra: pip install 'faceloom[s3]'"


def test_local_paths_pay_nothing() -> None:
    """Neither the command line nor a worker imports a library of object stores before an address is used."""
    code = (
        "import sys; from flows.cli import cli; from flows import terminal; import beam_jobs.shard_writer\n"
        "terminal.run(cli, ['prepare', 'celeba64', '--source', 'none']); terminal.run(cli, ['data', 'fetch', 'none'])\n"
        "print([name for name in ('fsspec', 's3fs', 'gcsfs', 'aiohttp') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stderr.splitlines()) == 2
