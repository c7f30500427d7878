from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gan_core import artifacts
from gan_core.artifacts import (
    MANIFEST,
    Manifest,
    find,
    locked,
    publishing,
    read_manifest,
    verify,
    write_manifest,
)
from gan_core.errors import ArtifactError, ConfigError

DIGEST = "d" * 64
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def publish(final: Path, digest: str = DIGEST, **fields: Any) -> Manifest:
    """Publish a folder with abc.txt and deep/empty.bin."""
    with publishing(final) as draft:
        (draft / "abc.txt").write_text("abc")
        (draft / "deep").mkdir()
        (draft / "deep" / "empty.bin").touch()
        write_manifest(draft, "samples", digest, fields)
    return read_manifest(final, "samples")


def refusal(action: Any, *arguments: Any) -> str:
    """Return the message of the ArtifactError that the call raises."""
    with pytest.raises(ArtifactError) as caught:
        action(*arguments)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    """Return the names in a folder, lock files left out: they stay, and hold nothing."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_canonical_json_is_one_text_for_one_value() -> None:
    """Key order and spacing do not reach the digest; letters outside ASCII stay readable."""
    assert artifacts.canonical_json({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'
    assert artifacts.digest_of({"b": 1, "a": 2}) == artifacts.digest_of({"a": 2, "b": 1})
    assert artifacts.digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_canonical_json_refuses_nan() -> None:
    """NaN is no JSON, and would make two equal configs differ."""
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        artifacts.canonical_json({"a": float("nan")})


def test_manifest_lists_every_file_with_size_and_sha256(tmp_path: Path) -> None:
    """The manifest of a published folder names every file below it, and carries the stage's fields."""
    manifest = publish(tmp_path / "set", count=2)
    assert manifest == Manifest(
        path=tmp_path / "set",
        kind="samples",
        digest=DIGEST,
        fields={"count": 2},
        files={
            "abc.txt": {"bytes": 3, "sha256": SHA256_OF_ABC},
            "deep/empty.bin": {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
        },
    )
    assert json.loads((tmp_path / "set" / MANIFEST).read_text())["format_version"] == 1


def test_manifest_leaves_out_itself_and_hidden_files_only(tmp_path: Path) -> None:
    """Hidden books are not part of an artifact; a file that is called manifest.json further down is."""
    for name in (".work/owner", "deep/.hidden", f"deep/{MANIFEST}", MANIFEST):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("abc")
    write_manifest(tmp_path, "samples", DIGEST, {})
    assert list(read_manifest(tmp_path, "samples").files) == [f"deep/{MANIFEST}"]


def test_manifest_file_returns_listed_paths_only(tmp_path: Path) -> None:
    """A reader gets the path of a listed file, and a message with the list for any other."""
    manifest = publish(tmp_path / "set")
    assert manifest.file("abc.txt") == tmp_path / "set" / "abc.txt"
    assert refusal(manifest.file, "abd.txt") == (
        f"{tmp_path}/set/manifest.json lists no file 'abd.txt'; it has abc.txt, deep/empty.bin"
    )


def test_nothing_is_visible_before_the_block_ends(tmp_path: Path) -> None:
    """Until the block ends, there is no `final`; afterwards there is no draft."""
    final = tmp_path / "runs" / "set"
    with publishing(final) as draft:
        assert draft == tmp_path / "runs" / ".set.partial"
        write_manifest(draft, "samples", DIGEST, {})
        assert not final.exists()
        assert find(final, "samples") is None
    assert names(final.parent) == ["set"]
    assert find(final, "samples", DIGEST) is not None


def test_exception_leaves_nothing(tmp_path: Path) -> None:
    """A block that fails leaves neither a result nor a draft."""
    with pytest.raises(ZeroDivisionError), publishing(tmp_path / "set") as draft:
        (draft / "half.txt").write_text("abc")
        write_manifest(draft, "samples", DIGEST, {})
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_exception_keeps_what_was_published_before(tmp_path: Path) -> None:
    """A failed second try does not cost the first result."""
    first = publish(tmp_path / "set")
    with pytest.raises(ZeroDivisionError), publishing(tmp_path / "set"):
        raise ZeroDivisionError
    assert find(tmp_path / "set", "samples", DIGEST) == first


def test_resume_keeps_the_draft_and_goes_on_in_it(tmp_path: Path) -> None:
    """With `resume`, an interrupted block finds its files again, and they are published with the rest."""
    final = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt), publishing(final, resume=True) as draft:
        (draft / "first.txt").write_text("abc")
        raise KeyboardInterrupt
    assert names(tmp_path) == [".set.partial"]
    with publishing(final, resume=True) as draft:
        assert (draft / "first.txt").read_text() == "abc"
        (draft / "second.txt").write_text("abc")
        write_manifest(draft, "samples", DIGEST, {})
    assert list(read_manifest(final, "samples").files) == ["first.txt", "second.txt"]


def test_without_resume_an_old_draft_is_thrown_away(tmp_path: Path) -> None:
    """What a killed process left does not slip into another one's result."""
    (tmp_path / ".set.partial").mkdir()
    (tmp_path / ".set.partial" / "stale.txt").write_text("stale")
    assert "stale.txt" not in publish(tmp_path / "set").files
    assert names(tmp_path / "set") == ["abc.txt", "deep", MANIFEST]


def test_publishing_replaces_what_stood_there(tmp_path: Path) -> None:
    """A second publication takes the place of the first as a whole."""
    publish(tmp_path / "set")
    with publishing(tmp_path / "set") as draft:
        (draft / "new.txt").write_text("abc")
        write_manifest(draft, "samples", "e" * 64, {})
    assert names(tmp_path / "set") == [MANIFEST, "new.txt"]
    assert find(tmp_path / "set", "samples", "e" * 64) is not None


def test_publishing_without_a_manifest_is_refused(tmp_path: Path) -> None:
    """A block that forgets the manifest is an error, and `final` stays empty."""

    def forget() -> None:
        with publishing(tmp_path / "set") as draft:
            (draft / "abc.txt").write_text("abc")

    assert refusal(forget) == f"{tmp_path}/.set.partial was to be published without manifest.json"
    assert not (tmp_path / "set").exists()


def test_publishing_may_be_left_when_another_process_was_first(tmp_path: Path) -> None:
    """A block that finds the work done and writes nothing leaves the publication as it is."""
    first = publish(tmp_path / "set")
    with publishing(tmp_path / "set"):
        assert find(tmp_path / "set", "samples", DIGEST) == first
    assert find(tmp_path / "set", "samples", DIGEST) == first
    assert names(tmp_path) == ["set"]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_verify_finds_a_flipped_byte(tmp_path: Path, position: int) -> None:
    """One changed bit anywhere in a file is found, though the size is right."""
    manifest = publish(tmp_path / "set")
    data = bytearray(b"abc")
    data[position] ^= 1
    manifest.file("abc.txt").write_bytes(data)
    assert refusal(verify, manifest) == (
        f"{tmp_path}/set/abc.txt is damaged: its SHA-256 is not the manifest's; delete it and run again"
    )
    assert find(tmp_path / "set", "samples", DIGEST) is None


def test_verify_finds_another_size(tmp_path: Path) -> None:
    """A file that grew or was cut is found."""
    manifest = publish(tmp_path / "set")
    (tmp_path / "set" / "deep" / "empty.bin").write_bytes(b"x")
    assert refusal(verify, manifest) == (
        f"{tmp_path}/set/deep/empty.bin is damaged: its SHA-256 is not the manifest's; delete it and run again"
    )


def test_verify_finds_a_removed_file(tmp_path: Path) -> None:
    """A file that the manifest lists and nobody finds is named."""
    manifest = publish(tmp_path / "set")
    manifest.file("abc.txt").unlink()
    assert refusal(verify, manifest) == f"{tmp_path}/set/abc.txt is missing; delete {tmp_path}/set and run again"
    assert find(tmp_path / "set", "samples", DIGEST) is None


def test_find_asks_for_kind_and_digest(tmp_path: Path) -> None:
    """Something else at the same place is not the artifact that was asked for."""
    manifest = publish(tmp_path / "set")
    assert find(tmp_path / "set", "samples") == manifest
    assert find(tmp_path / "set", "samples", DIGEST) == manifest
    assert find(tmp_path / "set", "samples", "e" * 64) is None
    assert find(tmp_path / "set", "dataset", DIGEST) is None
    assert find(tmp_path / "elsewhere", "samples") is None


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    """A folder without a manifest does not exist."""
    assert refusal(read_manifest, tmp_path, "dataset") == f"there is no dataset at {tmp_path}: manifest.json is missing"


def test_manifest_of_another_kind_or_format_is_refused(tmp_path: Path) -> None:
    """The message says what was found and what was expected."""
    publish(tmp_path / "set")
    path = tmp_path / "set" / MANIFEST
    assert refusal(read_manifest, tmp_path / "set", "scores") == (
        f"{path} describes a samples of format 1, expected a scores of format 1"
    )
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    assert refusal(read_manifest, tmp_path / "set", "samples") == (
        f"{path} describes a samples of format 2, expected a samples of format 1"
    )


def test_unreadable_manifest_is_refused(tmp_path: Path) -> None:
    """Broken JSON is named with its place and the way out."""
    (tmp_path / MANIFEST).write_text("{")
    assert refusal(read_manifest, tmp_path, "samples") == (
        f"{tmp_path}/manifest.json cannot be read (Expecting property name enclosed in double quotes: "
        f"line 1 column 2 (char 1)); delete {tmp_path} and run again"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "{}",
        '{"kind": "samples", "format_version": 1, "digest": "d"}',
        '{"kind": "samples", "format_version": 1, "digest": "d", "files": 3}',
        '{"kind": "samples", "format_version": 1, "digest": "d", "files": {"a": {"cytes": 3, "sha256": ""}}}',
        '{"kind": "samples", "format_version": 1, "digest": "", "files": {"a": {"bytes": "", "sha256": ""}}}',
        '{"kind": "samples", "format_version": 1, "digest": "d", "files": {"a": null}}',
    ],
)
def test_json_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    """JSON of another shape is no manifest, and `find` treats it like any damage."""
    (tmp_path / MANIFEST).write_text(text)
    assert refusal(read_manifest, tmp_path, "samples") == (
        f"{tmp_path}/manifest.json is not a faceloom manifest; delete {tmp_path} and run again"
    )
    assert find(tmp_path, "samples") is None


def test_find_survives_every_damaged_manifest(tmp_path: Path) -> None:
    """Whichever byte of a manifest is hit, `find` answers: with None or with what was published."""
    intact = publish(tmp_path / "set")
    path = tmp_path / "set" / MANIFEST
    data = path.read_bytes()
    answers = set()
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        found = find(tmp_path / "set", "samples", DIGEST)
        answers.add(found and (found.files == intact.files and intact.fields.items() <= found.fields.items()))
    assert answers <= {None, True}


def test_a_fact_that_changed_is_damage(tmp_path: Path) -> None:
    """The manifest has its own SHA-256: another value in it is refused; one without, of an older version, is not."""
    publish(tmp_path / "set")
    path = tmp_path / "set" / MANIFEST
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"seed": 1}))
    assert refusal(read_manifest, tmp_path / "set", "samples") == (
        f"{path} is damaged: its SHA-256 is not the one in it; delete {tmp_path / 'set'} and run again"
    )
    del document["manifest_sha256"]
    path.write_text(json.dumps(document))
    assert read_manifest(tmp_path / "set", "samples").digest == DIGEST


def test_who_published_is_known(tmp_path: Path) -> None:
    """What another process made is not this one's work."""
    assert not artifacts.was_published_here(tmp_path / "mine")
    publish(tmp_path / "mine")
    assert artifacts.was_published_here(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "its")
    assert not artifacts.was_published_here(tmp_path / "its")


def test_write_json_replaces_the_whole_text(tmp_path: Path) -> None:
    """A reader sees the old text or the new one, and no temporary file stays."""
    path = tmp_path / "status.json"
    path.write_text("old and much longer than what follows")
    artifacts.write_json(path, {"name": "é", "count": 1})
    assert path.read_text(encoding="utf-8") == '{\n  "name": "é",\n  "count": 1\n}\n'
    assert names(tmp_path) == ["status.json"]


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, the old bytes stay and the temporary file goes."""
    path = tmp_path / "status.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        artifacts.replace_file(path, b"new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["status.json"]


def test_discard_removes_a_folder_and_takes_none_for_done(tmp_path: Path) -> None:
    """Discarding is complete, and twice is once."""
    publish(tmp_path / "set")
    artifacts.discard(tmp_path / "set")
    artifacts.discard(tmp_path / "set")
    assert names(tmp_path) == []


def test_discard_takes_the_manifest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it deletes leaves a folder without a manifest: one that does not exist."""
    publish(tmp_path / "set")

    def die(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts.shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        artifacts.discard(tmp_path / "set")
    assert names(tmp_path / "set") == ["abc.txt", "deep"]


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    """A place that cannot become a folder is a mistake in what was asked for, named with the way out."""
    (tmp_path / "data").write_text("")
    for folder, reason in (
        (tmp_path / "data", "File exists"),
        (tmp_path / "data" / "runs", "Not a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            artifacts.make_folder(folder)
        assert str(caught.value) == f"cannot create the folder {folder}: {reason}; choose another --data-root"
    with pytest.raises(ConfigError), publishing(tmp_path / "data" / "set"):
        pass


def test_folder_without_write_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing folder that cannot be written to is named; root may write anywhere, hence the stand-in."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError) as caught:
        artifacts.make_folder(tmp_path)
    assert str(caught.value) == f"the folder {tmp_path} is not writable; choose another --data-root"


def test_lock_that_is_held_is_refused_without_waiting(tmp_path: Path) -> None:
    """`wait=False` says at once that somebody else is at work; the lock is free again when its block ends."""
    lock = tmp_path / ".training.lock"
    with locked(lock):
        assert refusal(locked(lock, wait=False).__enter__) == (
            f"{tmp_path} is in use by another faceloom process; wait for it or stop it"
        )
    with locked(lock, wait=False):
        pass


CHILD = """
import sys
from pathlib import Path
from gan_core.artifacts import find, locked, publishing
final = Path(sys.argv[1])
print("started", flush=True)
"""


def start_child(final: Path, body: str) -> subprocess.Popen[str]:
    """Start a process that runs CHILD and `body`; return once it has said that it started."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD + body, str(final)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    return child


def test_second_process_waits_and_finds_the_work_done(tmp_path: Path) -> None:
    """Two processes that publish one place: the second enters when the first is done, and sees its result."""
    final = tmp_path / "set"
    with publishing(final) as draft:
        child = start_child(final, "with publishing(final):\n    print(find(final, 'samples').fields['count'])\n")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.3)
        write_manifest(draft, "samples", DIGEST, {"count": 5})
    output, _ = child.communicate(timeout=60)
    assert (child.returncode, output) == (0, "5\n")


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A killed process leaves no lock behind."""
    body = "with locked(final):\n    print('locked', flush=True)\n    sys.stdin.read()\n"
    with start_child(tmp_path / ".lock", body) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        assert refusal(locked(tmp_path / ".lock", wait=False).__enter__).startswith(str(tmp_path))
        child.kill()
        child.wait()
        with locked(tmp_path / ".lock", wait=False):
            pass
