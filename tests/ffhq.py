"""Pictures in FFHQ's layout, and a metadata file of the form of ffhq-dataset-v2.json."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.pictures import encode, scene

NUMBERS = (0, 1, 999, 1000, 59_999, 60_000, 69_999)

LICENCES = ("Attribution License", "Attribution-NonCommercial License", "Public Domain Mark")
"""Picture number n is under LICENCES[n % 3]."""


def ffhq_files(folder: str = "images32x32", numbers: tuple[int, ...] = NUMBERS) -> dict[str, bytes]:
    """Return name -> PNG of the official layout, such as images32x32/59000/59999.png."""
    return {
        f"{folder}/{number // 1000 * 1000:05d}/{number:05d}.png": encode(scene(32, 32, seed=number % 7))
        for number in numbers
    }


def record(number: int, picture: bytes = b"") -> dict[str, Any]:
    """Return one record, with the fields of the official ones that are read and some that are not.

    Of the 68 landmarks, point i is (10 i + n % 5, 500 + i) in pixels of 1024x1024.
    """
    digest = hashlib.md5(picture).hexdigest()
    return {
        "category": "training" if number < 60_000 else "validation",
        "metadata": {
            "photo_url": f"https://www.flickr.com/photos/{number}",
            "photo_title": 'A "quoted" title, {braces} and Ünicode',
            "author": f"Author {number} Ä",
            "country": "",
            "license": LICENCES[number % 3],
            "license_url": "https://creativecommons.org/",
        },
        "image": {
            "file_path": f"images1024x1024/{number // 1000 * 1000:05d}/{number:05d}.png",
            "file_size": len(picture),
            "file_md5": digest,
            "pixel_size": [1024, 1024],
            "face_landmarks": [[10.0 * index + number % 5, 500.0 + index] for index in range(68)],
        },
        "thumbnail": {"file_size": len(picture), "file_md5": digest, "pixel_size": [128, 128]},
        "in_the_wild": {"face_rect": [667, 410, 1438, 1181], "face_landmarks": [[1.0, 2.0]] * 68},
    }


def metadata(numbers: tuple[int, ...] = NUMBERS, pictures: dict[int, bytes] | None = None) -> bytes:
    """Return a metadata file with a record for each number."""
    records = {str(number): record(number, (pictures or {}).get(number, b"")) for number in numbers}
    return json.dumps(records, ensure_ascii=False).encode()
