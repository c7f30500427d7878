from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gan_core.downloads.download import Patience, download
from gan_core.downloads.releases import RemoteFile
from gan_core.errors import ArtifactError, DataError
from tests.http_server import Answer, Site, serving

CONTENT = bytes(index * index % 251 for index in range(200_000))
FILE = RemoteFile("numbers.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
OTHER = CONTENT[::-1]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has, it is not asked for 127.0.0.1."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that has the file."""
    with serving({FILE.name: CONTENT}) as served:
        yield served


@pytest.fixture
def second() -> Iterator[Site]:
    """Another server that has the file."""
    with serving({FILE.name: CONTENT}) as served:
        yield served


class Waits(list[float]):
    """The delays between rounds, not waited for."""

    def patience(self, **options: float) -> Patience:
        """Return patience that writes its delays here, without jitter."""
        values = {"rounds": 3, "timeout_s": 0.3, **options}
        return Patience(sleep=self.append, jitter=lambda: 0.0, **values)  # type: ignore[arg-type]


@pytest.fixture
def waits() -> Waits:
    """An empty list of delays."""
    return Waits()


def get(folder: Path, waits: Waits, *sites: Site, **options: float) -> bytes:
    """Download the file, and return its bytes; nothing else may be left in the folder."""
    path = download(
        FILE, [f"{site.url}/{FILE.name}" for site in sites], folder, lambda _: None, waits.patience(**options)
    )
    assert [entry.name for entry in folder.iterdir()] == [FILE.name]
    return path.read_bytes()


def ranges(site: Site) -> list[str]:
    """Return the Range headers of the requests."""
    return [wanted for _, wanted, _ in site.requests]


def test_download_checks_and_names_the_file(tmp_path: Path, site: Site, waits: Waits) -> None:
    """An honest server is asked once, and the whole file has its name and nothing beside it."""
    assert get(tmp_path, waits, site) == CONTENT
    assert site.requests == [(f"/{FILE.name}", "", "")]
    assert waits == []


def test_complete_file_is_not_asked_for_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A file with the right SHA-256 needs no server; one with another SHA-256 is replaced."""
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert get(tmp_path, waits, site) == CONTENT
    assert site.requests == []
    (tmp_path / FILE.name).write_bytes(OTHER)
    assert get(tmp_path, waits, site) == CONTENT
    assert len(site.requests) == 1


def test_cut_connection_goes_on_where_it_ended(tmp_path: Path, site: Site, waits: Waits) -> None:
    """After 70,000 bytes the rest is asked for, under the condition that the file is the same."""
    site.script = [Answer(cut_after=70_000)]
    assert get(tmp_path, waits, site) == CONTENT
    assert site.requests == [(f"/{FILE.name}", "", ""), (f"/{FILE.name}", "bytes=70000-", '"1"')]
    assert waits == [1.0]


def test_next_command_goes_on_where_the_last_one_ended(tmp_path: Path, site: Site, waits: Waits) -> None:
    """What came stays in the folder, with its version, for another process."""
    site.script = [Answer(cut_after=150_000)]
    with pytest.raises(ArtifactError, match=r"numbers\.bin cannot be downloaded: \S+/numbers\.bin: stopped after"):
        get(tmp_path, waits, site, rounds=1)
    assert (tmp_path / "numbers.bin.part").read_bytes() == CONTENT[:150_000]
    assert json.loads((tmp_path / "numbers.bin.part.json").read_text())["version"] == '"1"'
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=150000-"]


def test_next_mirror_goes_on_where_the_first_one_broke_off(
    tmp_path: Path, site: Site, second: Site, waits: Waits
) -> None:
    """The second mirror gives the rest at once, unconditionally: versions of two servers cannot be compared."""
    site.script = [Answer(cut_after=70_000)]
    assert get(tmp_path, waits, site, second) == CONTENT
    assert second.requests == [(f"/{FILE.name}", "bytes=70000-", "")]
    assert waits == []


def test_file_that_changed_between_attempts_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A server with a new version of its file gives it whole, and no byte of the old one stays."""
    site.script = [Answer(body=OTHER, cut_after=70_000, etag='"0"')]
    assert get(tmp_path, waits, site) == CONTENT
    assert site.requests[1] == (f"/{FILE.name}", "bytes=70000-", '"0"')
    assert len(site.requests) == 2


def test_file_that_changed_without_a_version_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """Two halves that do not fit together are both thrown away, and the same mirror is asked for all of it."""
    site.script = [Answer(body=OTHER, cut_after=70_000, etag=""), Answer(etag="")]
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=70000-", ""]


def test_server_that_ignores_the_range_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """An answer of 200 is the whole file, and replaces the part."""
    site.script = [Answer(cut_after=70_000), Answer(ignore_range=True)]
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=70000-"]


def test_range_from_another_byte_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A part that continues at a byte that was not asked for is not believed."""
    site.script = [Answer(cut_after=70_000), Answer(range_from=7)]
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=70000-", ""]


def test_refused_range_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """416 throws the part away, and the next attempt asks for everything."""
    site.script = [Answer(cut_after=70_000), Answer(status=416)]
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=70000-", ""]


def test_part_that_is_too_long_starts_again(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A part that is longer than the file is of no use."""
    (tmp_path / "numbers.bin.part").write_bytes(CONTENT + b"x")
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == [""]


def test_complete_part_is_checked_before_anything_is_asked(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A crash between the last byte and the rename costs no second download; wrong bytes cost one."""
    (tmp_path / "numbers.bin.part").write_bytes(CONTENT)
    assert get(tmp_path, waits, site) == CONTENT
    assert site.requests == []
    (tmp_path / FILE.name).unlink()
    (tmp_path / "numbers.bin.part").write_bytes(OTHER)
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == [""]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(Answer(stall_after=0), r"broke off after 0 of 200000 bytes \(TimeoutError\)", id="stalls-at-0"),
        pytest.param(
            Answer(stall_after=90_000), r"broke off after 90000 of 200000 bytes \(TimeoutError\)", id="stalls"
        ),
        pytest.param(Answer(drip_s=0.01), r"stalled: \d+ bytes in 0 s", id="drips"),
        pytest.param(Answer(cut_after=0), "stopped after 0 of 200000 bytes", id="cuts-at-0"),
        pytest.param(Answer(cut_after=5, announce=-1), "stopped after 5 of 200000 bytes", id="ends-unannounced"),
        pytest.param(Answer(status=500), "answers 500 Internal Server Error", id="500"),
        pytest.param(Answer(status=503), "answers 503 Service Unavailable", id="503"),
        pytest.param(Answer(status=429), "answers 429 Too Many Requests", id="429"),
    ],
)
def test_passing_problems_are_tried_again(
    tmp_path: Path, site: Site, waits: Waits, answer: Answer, problem: str
) -> None:
    """What may be better next time is tried again after a delay; in the end the message says what it was."""
    site.script = [answer]
    assert get(tmp_path, waits, site, min_bytes_per_s=1000.0) == CONTENT
    assert (len(site.requests), waits) == (2, [1.0])
    (tmp_path / FILE.name).unlink()
    site.script = [answer]
    with pytest.raises(ArtifactError, match=problem):
        get(tmp_path, waits, site, rounds=1, min_bytes_per_s=1000.0)
    assert not (tmp_path / FILE.name).exists()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(Answer(status=404), "answers 404 Not Found", id="404"),
        pytest.param(Answer(status=403), "answers 403 Forbidden", id="403"),
        pytest.param(Answer(status=204), "answers 204 No Content", id="204"),
        pytest.param(
            Answer(announce=150_000), "announces 150000 bytes where 200000 are missing", id="announces-too-little"
        ),
        pytest.param(
            Answer(announce=250_000), "announces 250000 bytes where 200000 are missing", id="announces-too-much"
        ),
        pytest.param(
            Answer(body=OTHER),
            f"gives other bytes: their SHA-256 is {hashlib.sha256(OTHER).hexdigest()[:12]}",
            id="lies",
        ),
        pytest.param(
            Answer(status=302, headers={"Location": "file:///etc/hostname"}),
            "answers 302 Found",
            id="redirects-to-file",
        ),
        pytest.param(
            Answer(status=302, headers={"Location": "ftp://127.0.0.1/numbers.bin"}),
            "redirects to what is no plain http or https address",
            id="redirects-to-ftp",
        ),
        pytest.param(
            Answer(status=302, headers={"Location": "http://user:secret@127.0.0.1/numbers.bin"}),
            "redirects to what is no plain http or https address",
            id="redirects-with-password",
        ),
    ],
)
def test_mirror_without_the_file_is_asked_once(
    tmp_path: Path, site: Site, second: Site, waits: Waits, answer: Answer, problem: str
) -> None:
    """What will not get better is not tried again: the next mirror is asked, and without one the job ends."""
    site.script = [answer]
    assert get(tmp_path, waits, site, second) == CONTENT
    assert (len(site.requests), ranges(second), waits) == (1, [""], [])
    (tmp_path / FILE.name).unlink()
    site.script = [answer]
    with pytest.raises(DataError) as caught:
        get(tmp_path, waits, site)
    assert f"{site.url}/numbers.bin: {problem}" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert waits == []


def test_more_bytes_than_the_file_has_are_not_read(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A server without Content-Length that does not end is left when the file is complete."""
    site.script = [Answer(body=CONTENT + OTHER, announce=-1)]
    assert get(tmp_path, waits, site) == CONTENT


def test_open_connection_behind_the_last_byte_is_not_waited_for(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A server that does not close the connection after the last byte costs no time-out."""
    site.script = [Answer(stall_after=len(CONTENT))]
    assert get(tmp_path, waits, site) == CONTENT
    assert waits == []


def test_redirect_is_followed_with_the_range(tmp_path: Path, site: Site, second: Site, waits: Waits) -> None:
    """Another http address may have the file, or the rest of it."""
    moved = Answer(status=302, headers={"Location": f"{second.url}/{FILE.name}"})
    (tmp_path / "numbers.bin.part").write_bytes(CONTENT[:70_000])
    site.script = [moved]
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(second) == ["bytes=70000-"]


def test_delays_double_up_to_a_bound_and_are_jittered(tmp_path: Path, site: Site, waits: Waits) -> None:
    """1, 2, 4, 5, 5 seconds with a bound of 5; full jitter halves them."""
    options = {"rounds": 6, "longest_delay_s": 5.0}
    site.script = [Answer(status=500)] * 6
    with pytest.raises(ArtifactError, match="answers 500"):
        get(tmp_path, waits, site, **options)
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert len(site.requests) == 6
    waits.clear()
    site.script = [Answer(status=500)] * 6
    patience = replace(waits.patience(**options), jitter=lambda: 1.0)
    with pytest.raises(ArtifactError, match="answers 500"):
        download(FILE, [f"{site.url}/{FILE.name}"], tmp_path, lambda _: None, patience)
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0]


def test_retry_after_is_kept_within_the_bound(tmp_path: Path, site: Site, waits: Waits) -> None:
    """A server may ask for a longer delay than planned, but not for an hour."""
    site.script = [
        Answer(status=503, headers={"Retry-After": "7"}),
        Answer(status=503, headers={"Retry-After": "3600"}),
    ]
    assert get(tmp_path, waits, site) == CONTENT
    assert waits == [7.0, 60.0]


def test_progress_restores_patience(tmp_path: Path, waits: Waits) -> None:
    """A connection that breaks after every mebibyte gets through, however few rounds are allowed."""
    content = bytes(5 << 20)
    file = RemoteFile("zeros.bin", len(content), hashlib.sha256(content).hexdigest())
    with serving({file.name: content}) as site:
        site.script = [Answer(cut_after=1 << 20)] * 4
        path = download(file, [f"{site.url}/{file.name}"], tmp_path, lambda _: None, waits.patience(rounds=2))
    assert path.read_bytes() == content
    assert waits == [1.0] * 4


def test_all_mirrors_are_named_when_none_helps(tmp_path: Path, site: Site, second: Site, waits: Waits) -> None:
    """The message has one line, every mirror with its problem, and what to do."""
    site.script, second.script = [Answer(status=404)], [Answer(status=500)] * 3
    with pytest.raises(ArtifactError) as caught:
        get(tmp_path, waits, site, second)
    assert str(caught.value) == (
        f"numbers.bin cannot be downloaded: {site.url}/numbers.bin: answers 404 Not Found; "
        f"{second.url}/numbers.bin: answers 500 Internal Server Error; "
        "name other addresses with data.mirrors, or the folder of your own files with --source"
    )
    assert (len(site.requests), len(second.requests)) == (1, 3)


def test_server_that_is_not_there(tmp_path: Path, waits: Waits) -> None:
    """A refused connection is tried again, and named in the end."""
    with serving({}) as gone:
        pass
    with pytest.raises(ArtifactError, match=r"cannot be reached \(Connection refused\)"):
        get(tmp_path, waits, gone)
    assert waits == [1.0, 2.0]


def test_full_disk_is_an_error_that_keeps_the_part(
    tmp_path: Path, site: Site, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while it is written ends the job, says so, and the next one goes on there."""
    real = os.fsync

    def full(handle: int) -> None:
        real(handle)
        raise OSError(errno.ENOSPC, "No space left on device")

    site.script = [Answer(cut_after=70_000)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ArtifactError, match=r"the disk is full: .*numbers\.bin\.part cannot grow; free some"):
            get(tmp_path, waits, site)
    assert get(tmp_path, waits, site) == CONTENT
    assert ranges(site) == ["", "bytes=70000-"]


def test_disk_that_is_too_small_is_found_out_first(
    tmp_path: Path, site: Site, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is not asked for."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 199_999}))
    with pytest.raises(ArtifactError, match="has 199999 bytes free and 200000 are missing"):
        get(tmp_path, waits, site)
    assert site.requests == []


def test_first_digits_of_a_checksum_and_no_size_are_enough(tmp_path: Path, site: Site, waits: Waits) -> None:
    """Where no more is known, the server tells the size, a broken transfer goes on, and the digits are compared."""
    file = replace(FILE, size_bytes=None, sha256=FILE.sha256[:8])
    site.script = [Answer(cut_after=70_000)]
    path = download(file, [f"{site.url}/{FILE.name}"], tmp_path, lambda _: None, waits.patience())
    assert path.read_bytes() == CONTENT
    assert ranges(site) == ["", "bytes=70000-"]
    wrong = replace(file, name="other.bin", sha256="00000000")
    with pytest.raises(DataError, match="gives other bytes"):
        download(wrong, [f"{site.url}/{FILE.name}"], tmp_path, lambda _: None, waits.patience())


@pytest.mark.parametrize("announce", [-1, 0, 5 << 30])
def test_unknown_size_must_be_announced_and_bounded(tmp_path: Path, site: Site, waits: Waits, announce: int) -> None:
    """A file of unknown size from a server that does not tell it, or tells of too many bytes, is not begun."""
    site.script = [Answer(announce=announce)]
    with pytest.raises(DataError, match="does not say that its file has 1 to 2147483648 bytes; use"):
        download(
            replace(FILE, size_bytes=None),
            [f"{site.url}/{FILE.name}"],
            tmp_path,
            lambda _: None,
            waits.patience(),
            advice="use another",
        )
    assert list(tmp_path.iterdir()) == []
