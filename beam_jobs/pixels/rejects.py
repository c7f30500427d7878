"""Why one picture cannot be used, in the words of rejects.jsonl."""

from __future__ import annotations

REASONS = {
    "missing": "the source listed it, and it is gone",
    "unreadable": "the file system or the archive could not give its bytes",
    "changed": "its bytes are not those that were listed",
    "empty": "0 bytes",
    "not-a-picture": "the bytes are of no known picture format",
    "truncated": "the file ends before its picture does",
    "damaged": "the decoder or a checksum found an error in it",
    "unsupported": "pixels without a defined black and white, or a colour model that cannot be converted",
    "too-large": "more pixels than data.max_megapixels; it is not decoded",
    "too-small": "its shorter side is below data.min_side",
    "wrong-aspect": "width / height outside data.min_aspect and data.max_aspect, or not 178:218 with a celeba-* crop",
    "no-landmarks": "data.crop=landmarks, and its five points are unknown, or far outside, or span no face",
    "blurry": "less sharp than data.min_sharpness",
    "duplicate": "the same prepared pixels as a picture that is kept",
    "near-duplicate": "it looks like a picture that is kept: at most data.near_bits bits of their hashes differ",
}
TRANSIENT_REASONS = frozenset({"missing", "unreadable", "changed"})  # another try may end otherwise


class Reject(Exception):
    """One picture cannot be used: `reason` is a key of REASONS, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
