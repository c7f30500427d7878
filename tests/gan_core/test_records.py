from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gan_core.errors import ArtifactError
from gan_core.records import decode_example, encode_example, read_records, write_record

FEATURES: dict[str, Any] = {"c": [0.5], "b": [1, -1], "a": b"\x01\x02"}

# tag and length of Features, then one map entry a line: name, kind of list, packed values.
GOLDEN_EXAMPLE = bytes.fromhex(
    "0a32"
    "0a0b 0a0161 1206 0a04 0a02 0102"
    "0a14 0a0162 120f 1a0d 0a0b 01 ffffffffffffffffff01"
    "0a0d 0a0163 1208 1206 0a04 0000003f"
)

# uint64 length, its masked CRC-32C, the data, its masked CRC-32C.
GOLDEN_RECORD = bytes.fromhex("0300000000000000 b099490e 616263 6e57f121")


def record(data: bytes) -> bytes:
    """Return the bytes of one TFRecord."""
    stream = io.BytesIO()
    write_record(stream, data)
    return stream.getvalue()


def write_records(path: Path, *records: bytes) -> Path:
    """Write a TFRecord file."""
    path.write_bytes(b"".join(record(data) for data in records))
    return path


def refusal(action: Any, *arguments: Any) -> str:
    """Return the message of the ArtifactError that the call raises."""
    with pytest.raises(ArtifactError) as caught:
        action(*arguments)
    return str(caught.value)


def random_features(seed: int) -> dict[str, Any]:
    """Return features of every kind and of many sizes, floats exactly representable in float32."""
    rng = np.random.default_rng(seed)
    low, high = -(2**63), 2**63 - 1
    return {
        f"bytes/{seed}": rng.bytes(int(rng.integers(0, 400))),
        "ints": [
            low,
            high,
            -1,
            0,
            *rng.integers(low, high, int(rng.integers(0, 40)), np.int64, endpoint=True).tolist(),
        ],
        "small ints": rng.integers(-130, 130, int(rng.integers(1, 40))).tolist(),
        "floats": rng.standard_normal(int(rng.integers(1, 40))).astype(np.float32).astype(float).tolist(),
        "größe": [int(rng.integers(0, 2**31))],
    }


def test_encoded_example_has_these_bytes() -> None:
    """The wire format, byte by byte, in the order of the names."""
    assert encode_example(FEATURES) == GOLDEN_EXAMPLE


def test_written_record_has_these_bytes() -> None:
    """The framing, byte by byte."""
    assert record(b"abc") == GOLDEN_RECORD


def test_tensorflow_reads_the_same_example() -> None:
    """tf.train.Example parses the bytes to the same features."""
    expected = tf.train.Example(
        features=tf.train.Features(
            feature={
                "a": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"\x01\x02"])),
                "b": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, -1])),
                "c": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
        )
    )
    assert tf.train.Example.FromString(GOLDEN_EXAMPLE) == expected
    assert decode_example(expected.SerializeToString()) == FEATURES


@pytest.mark.parametrize("seed", range(20))
def test_examples_round_trip_here_and_through_tensorflow(seed: int) -> None:
    """What is encoded is decoded, whether TensorFlow wrote the bytes again in between or not."""
    features = random_features(seed)
    data = encode_example(features)
    assert decode_example(data) == features
    assert decode_example(tf.train.Example.FromString(data).SerializeToString()) == features


def test_equal_mappings_give_equal_bytes() -> None:
    """The order in which features were put into the mapping does not show."""
    assert encode_example(dict(reversed(FEATURES.items()))) == encode_example(FEATURES)


@pytest.mark.parametrize(
    "features",
    [
        {},
        {"": b""},
        {"a": b""},
        {"a": []},
        {"a": [0]},
        {"a": [-(2**63), 2**63 - 1]},
        {"a": [127, 128, 16383, 16384]},
        {"a": [math.inf, -0.0]},
        {"a": bytes(range(256))},
    ],
)
def test_edges_round_trip(features: dict[str, Any]) -> None:
    """Empty values, the ends of int64 and of every varint length survive, and mean the same to TensorFlow."""
    data = encode_example(features)
    assert decode_example(data) == features
    assert len(tf.train.Example.FromString(data).features.feature) == len(features)


def test_numpy_integers_are_integers() -> None:
    """A shape or an attribute may come as NumPy's integers."""
    assert encode_example({"a": [np.int64(-3), np.uint8(4)]}) == encode_example({"a": [-3, 4]})


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1, 2.5], TypeError, "'float' object cannot be interpreted as an integer"),
        ([np.float32(0.5)], TypeError, "'numpy.float32' object cannot be interpreted as an integer"),
        ([2**63], ValueError, "9223372036854775808 does not fit into an int64"),
        ([-(2**63) - 1], ValueError, "-9223372036854775809 does not fit into an int64"),
    ],
)
def test_numbers_that_would_be_cut_are_refused(value: Any, error: type[Exception], message: str) -> None:
    """No number is rounded or wrapped on its way into an int64_list."""
    with pytest.raises(error) as caught:
        encode_example({"a": value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08\x01", "not a tf.train.Example: wire type 0 where a length-delimited field was expected"),
        (b"\x0a\x05\x0a", "not a tf.train.Example: a field is longer than its message"),
        (b"\xff" * 11, "not a tf.train.Example: a varint is longer than 64 bits"),
        (b"\x8a", "not a tf.train.Example: index out of bounds on dimension 1"),
    ],
)
def test_other_bytes_are_refused(data: bytes, message: str) -> None:
    """Bytes that are no Example are refused with the reason."""
    assert refusal(decode_example, data) == message


def test_flipped_examples_never_raise_anything_else() -> None:
    """Whichever byte is hit, decoding returns features or raises ArtifactError."""
    data = encode_example(random_features(0))
    outcomes = set()
    for position in range(len(data)):
        try:
            decode_example(data[:position] + bytes([data[position] ^ 0x80]) + data[position + 1 :])
            outcomes.add("read")
        except ArtifactError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_cut_examples_are_refused() -> None:
    """Wherever the bytes end, decoding raises ArtifactError."""
    data = encode_example(random_features(0))
    for length in range(1, len(data)):
        with pytest.raises(ArtifactError):
            decode_example(data[:length])


def test_records_come_back_with_the_place_of_their_data(tmp_path: Path) -> None:
    """Reading yields every record in order, each with the offset where its data starts."""
    path = write_records(tmp_path / "a.tfrecord", b"abc", b"", bytes(300))
    assert list(read_records(path)) == [(12, b"abc"), (31, b""), (47, bytes(300))]
    assert path.stat().st_size == 47 + 300 + 4


def test_empty_file_has_no_records(tmp_path: Path) -> None:
    """A shard without pictures is a file without bytes."""
    assert list(read_records(write_records(tmp_path / "a.tfrecord"))) == []


def test_tensorflow_reads_and_writes_the_same_file(tmp_path: Path) -> None:
    """tf.data reads what is written here, and TensorFlow's own writer makes the same bytes."""
    records = [encode_example(random_features(seed)) for seed in range(5)]
    path = write_records(tmp_path / "ours.tfrecord", *records)
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == records
    with tf.io.TFRecordWriter(str(tmp_path / "theirs.tfrecord")) as writer:
        for data in records:
            writer.write(data)
    assert (tmp_path / "theirs.tfrecord").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_every_flipped_byte_is_found_and_placed(tmp_path: Path, flip: int) -> None:
    """A change of any byte names the file, the kind of damage and the byte where that part starts."""
    path = write_records(tmp_path / "a.tfrecord", b"abc", b"defgh")
    data = path.read_bytes()
    messages = []
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :])
        messages.append(refusal(list, read_records(path)))
    assert messages == [
        *[f"{path}: damaged record length at byte 0"] * 12,
        *[f"{path}: damaged record data at byte 12"] * (3 + 4),
        *[f"{path}: damaged record length at byte 19"] * 12,
        *[f"{path}: damaged record data at byte 31"] * (5 + 4),
    ]


def test_every_cut_is_found_and_placed(tmp_path: Path) -> None:
    """A file that ends inside a record is refused; the records before the cut come first."""
    path = write_records(tmp_path / "a.tfrecord", b"abc", b"defgh")
    data = path.read_bytes()
    for length in range(20, len(data)):
        path.write_bytes(data[:length])
        reader = read_records(path)
        assert next(reader) == (12, b"abc")
        part = "length at byte 19" if length < 31 else "data at byte 31"
        assert refusal(next, reader) == f"{path}: damaged record {part}"
