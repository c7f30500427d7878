from __future__ import annotations

import hashlib

import pytest

from gan_core.data.file_names import FileNames


def mark(key: str) -> str:
    """Return the 8 hex digits that tell two keys apart."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("000001.jpg", "000001.png"),
        ("train/00042", "train/00042.png"),
        ("00000/img00000000.png", "00000/img00000000.png"),
        ("a.b.jpeg", "a.b.png"),
        ("version1.5-final", "version1.5-final.png"),
        ("Zoë.JPG", "Zoë.png"),
    ],
)
def test_ordinary_keys_keep_their_names(key: str, name: str) -> None:
    """The path stays, the extension becomes .png."""
    assert FileNames().of("train", key, False) == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("/etc/passwd", "_/etc/passwd"),
        ("a//b.jpg", "a/_/b"),
        (".hidden.jpg", "hidden"),
        ("-rf.jpg", "_-rf"),
        ("a b\n?.jpg", "a_b__"),
        ("C:\\x.jpg", "C__x"),
        ("con.jpg", "_con"),
        ("COM1/a.jpg", "_COM1/a"),
        ("", "_"),
        ("x" * 300 + ".jpg", "x" * 120),
        ("ö" * 100 + ".jpg", "ö" * 60),
    ],
)
def test_unsafe_keys_are_changed_and_marked(key: str, name: str) -> None:
    """Nothing leaves the folder or means something to a file system; the key's hash keeps such names apart."""
    assert FileNames().of("train", key, False) == f"{name}-{mark(key)}.png"


def test_no_two_keys_share_a_file() -> None:
    """Equal stems, equal but for case, and files where another key needs a folder are kept apart."""
    names = FileNames()
    keys = ["a.jpg", "a.png", "A.bmp", "b.png/c.jpg", "b.jpg", "d.jpg", "d.png/e.jpg"]
    assert [names.of("train", key, False) for key in keys] == [
        "a.png",
        f"a-{mark('a.png')}.png",
        f"A-{mark('A.bmp')}.png",
        f"b.png_/c-{mark('b.png/c.jpg')}.png",
        "b.png",
        "d.png",
        f"d.png_/e-{mark('d.png/e.jpg')}.png",
    ]


def test_a_name_that_looks_like_a_mark_is_no_trap() -> None:
    """Where a key happens to be called like another one with its mark, the mark grows."""
    names = FileNames()
    digest = hashlib.sha256(b"a.png").hexdigest()
    keys = ["a.jpg", f"a-{digest[:8]}.jpg", "a.png"]
    assert [names.of("train", key, False) for key in keys] == [
        "a.png",
        f"a-{digest[:8]}.png",
        f"a-{digest[:16]}.png",
    ]


def test_copies_and_splits_have_names_of_their_own() -> None:
    """A mirrored copy is marked; the same key in another folder is no collision."""
    names = FileNames()
    assert names.of("train", "a.jpg", False) == names.of("test", "a.jpg", False) == "a.png"
    assert names.of("train", "a.jpg", True) == "a-mirrored.png"
