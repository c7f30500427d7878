from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.names import key_hash
from beam_jobs.sources.registry import SOURCES, fetch, look
from gan_core.artifacts import digest_of
from gan_core.config import DataConfig
from gan_core.errors import ConfigError
from gan_core.progress import Progress
from tests.archives import folder_config, listed, write_files


def test_limit_takes_the_smallest_hashes(tmp_path: Path) -> None:
    """`data.limit` is a fixed sample by the hash of the keys, and grows by adding pictures."""
    write_files(tmp_path, *(f"{index}.png" for index in range(20)))
    config = folder_config(tmp_path)
    everything = [ref.key for ref in listed(config, tmp_path)]
    five = [ref.key for ref in listed(replace(config, limit=5), tmp_path)]
    assert five == sorted(sorted(everything, key=key_hash)[:5])
    assert set(five) < {ref.key for ref in listed(replace(config, limit=8), tmp_path)}
    assert len(listed(replace(config, limit=100), tmp_path)) == 20


def test_fingerprint_changes_with_the_pictures(tmp_path: Path) -> None:
    """Name, bytes, time and number of the pictures are in the fingerprint; other files are not."""
    write_files(tmp_path, "a.png", "b.png")
    config = folder_config(tmp_path)
    seen = [look(config, tmp_path).summary.fingerprint]
    write_files(tmp_path, "notes.txt")
    assert look(config, tmp_path).summary.fingerprint == seen[0]
    write_files(tmp_path, "c.png")
    seen.append(look(config, tmp_path).summary.fingerprint)
    (tmp_path / "c.png").rename(tmp_path / "d.png")
    seen.append(look(config, tmp_path).summary.fingerprint)
    os.utime(tmp_path / "d.png", ns=(1, 1))
    seen.append(look(config, tmp_path).summary.fingerprint)
    assert len(set(seen)) == 4


def test_empty_path_names_both_ways_out() -> None:
    """Without a path there is nothing to look at."""
    with pytest.raises(ConfigError) as caught:
        look(DataConfig(), Path("data"))
    assert str(caught.value) == (
        "data.path is empty and data.kind=auto reads pictures of yours; "
        "give --source PATH, or data.kind=synthetic to let faceloom draw them"
    )


def test_synthetic_is_planned_without_drawing(tmp_path: Path) -> None:
    """Fingerprint and counts are known before; drawing gives just those, once, and reports progress."""
    import PIL

    from beam_jobs.sources.synthetic import PORTRAITS_VERSION

    config = DataConfig(kind="synthetic", synthetic_count=16, synthetic_seed=3, limit=10)
    planned = look(config, tmp_path).summary
    assert list(tmp_path.iterdir()) == []
    assert planned.fingerprint == digest_of(
        {"portraits": PORTRAITS_VERSION, "seed": 3, "count": 16, "pillow": PIL.__version__}
    )
    assert Path(planned.location) == tmp_path / "raw" / f"synthetic-{planned.fingerprint[:12]}"
    reported: list[Progress] = []
    assert fetch(look(config, tmp_path), config, reported.append).summary == planned
    assert reported[-1] == Progress("ingest", 16, 16, unit="portraits")
    reported.clear()
    assert fetch(look(config, tmp_path), config, reported.append).summary == planned
    assert reported == []
    assert sum(planned.counts.values()) == 10
    refs = listed(config, tmp_path)
    assert len(refs) == 10
    assert {len(ref.attributes) for ref in refs} == {40}


def test_synthetic_pictures_that_were_damaged_are_drawn_again(tmp_path: Path) -> None:
    """The drawn pictures are verified before they are used."""
    config = DataConfig(kind="synthetic", synthetic_count=16)
    picture = Path(fetch(look(config, tmp_path), config).summary.location) / "img_align_celeba/000003.jpg"
    before = picture.read_bytes()
    picture.write_bytes(b"scribble")
    fetch(look(config, tmp_path), config)
    assert picture.read_bytes() == before


def test_sources_import_neither_beam_nor_tensorflow() -> None:
    """The command line checks sources before it pays for Beam."""
    code = "import sys, beam_jobs.sources.registry; print({'apache_beam', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_says_what_it_is(kind: str) -> None:
    """A source is listed under its own name."""
    assert SOURCES[kind].kind == kind
