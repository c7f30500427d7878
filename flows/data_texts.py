"""What `faceloom data` says to people; the same facts as its JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gan_core.data.comparison import Comparison, Found
from gan_core.data.export import Export
from gan_core.data.verification import Verification

_WIDTH, _INDENT = 110, 15
_SHARDS_SHOWN = 6


def inspected(document: Mapping[str, Any]) -> str:
    """Return the text of `inspect`: one block of lines with a word in front of each."""
    side, protocol = document["resolution"], document["protocol"]
    form = f"{side}x{side}x{document['channels']}, stored as {protocol.get('storage', 'unknown')}"
    lines = [document["path"], _line("name", f"{document['name']}, digest {document['digest']}")]
    lines.append(_line("pictures", f"{form}, {size(document['bytes'])} in all"))
    for split, facts in document["splits"].items():
        lines += _split(split, facts)
    lines.append(_line("statistics", _statistics(document["statistics"])))
    lines.append(_line("normalized", _normalization(document["normalization"], protocol.get("normalize", "?"))))
    lines.append(_line("protocol", _pairs({name: value for name, value in protocol.items() if name != "storage"})))
    lines += _rejects(document["rejects"])
    lines += _contents(document.get("contents"))
    lines.append(_line("licences", _counted(document["licences"]) or "none named"))
    lines += _source(document["source"])
    lines.append(_line("versions", _pairs(document["created_by"])))
    lines += [line for number, record in enumerate(document.get("records", ())) for line in _record(number, record)]
    if "images" in document:
        lines.append(_line("sheet", document["images"]))
    return "\n".join(lines)


def verified(found: Verification, where: str) -> str:
    """Return the text of `verify` for one data set: the problems, and the sum."""
    checked = f"{found.files:,} files ({size(found.size_bytes)}), {found.records:,} records"
    if found.good:
        return f"good: {where}: {checked} are what the manifest says"
    lines = [f"damaged: {where}: {_many(len(found.problems), 'problem')}"]
    lines += [f"  {problem}" for problem in found.problems]
    lines.append(f"  {found.records:,} of {found.records_listed:,} records are good; prepare the data set again")
    return "\n".join(lines)


def compared(found: Comparison, a: str, b: str) -> str:
    """Return the text of `compare`: what differs, one line each, and the verdict."""
    lines = [_line("A", a), _line("B", b)]
    lines += [_line(name, f"{first} | {second}", 28) for name, (first, second) in found.fields.items()]
    if found.same_records:
        lines.append(f"the same {_many(found.records[0], 'record')}, contents {found.contents[0]}")
        lines.append("identical" if found.identical else "the records are identical, the manifests differ")
        return "\n".join(lines)
    lines.append(_line("records", f"{found.records[0]:,} | {found.records[1]:,}"))
    ways = {
        "only in A": found.only_a,
        "only in B": found.only_b,
        "other split": found.other_split,
        "other pixels": found.other_pixels,
        "other facts": found.other_facts,
    }
    for name, one in ways.items():
        if one.count:
            lines.append(_line(name, _found(one)))
        if one.count and one is found.other_pixels:
            lines.append(_line("", _gap(found)))
    lines.append(_line("contents", f"{found.contents[0]} | {found.contents[1]}"))
    return "\n".join([*lines, "different"])


def exported(written: Export, where: str) -> str:
    """Return the text of `export`."""
    labels = "with labels" if written.labelled else "without labels"
    return f"{where}: {_many(written.pictures, 'picture')} {labels}, {size(written.size_bytes)}"


def checked(files: Sequence[Mapping[str, str]]) -> str:
    """Return the text of `verify --source`: a line for each file."""
    width = max((len(file["name"]) for file in files), default=0)
    lines = [f"{file['state']:<9}{file['name']:<{width}}  {file['detail']}".rstrip() for file in files]
    return "\n".join(lines) or "no files whose checksums their owner gives"


def size(count_bytes: float) -> str:
    """Return 1500 -> "1.5 kB", in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count_bytes < 1000:
            return f"{count_bytes:.0f} bytes" if unit == "bytes" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1000
    return f"{count_bytes:.1f} TB"


def _line(name: str, text: str, indent: int = _INDENT) -> str:
    words = textwrap.wrap(text, _WIDTH - indent, break_long_words=False, break_on_hyphens=False) or [""]
    gap = " " * indent
    return "\n".join(f"{f'  {name} '.ljust(indent) if row == 0 else gap}{line}" for row, line in enumerate(words))


def _split(name: str, facts: Mapping[str, Any]) -> Iterator[str]:
    shards = facts["shards"]
    yield _line(name, f"{_many(facts['records'], 'record')} in {_many(len(shards), 'shard')}, {size(facts['bytes'])}")
    for shard in shards[:_SHARDS_SHOWN]:
        yield _line("", f"{shard['name']}  {_many(shard['records'], 'record')}, {size(shard['bytes'])}")
    if len(shards) > _SHARDS_SHOWN:
        yield _line("", f"and {_many(len(shards) - _SHARDS_SHOWN, 'shard')} more; --json lists all")


def _statistics(statistics: Mapping[str, Any]) -> str:
    mean, deviation = (" ".join(f"{value:.2f}" for value in statistics.get(name, ())) for name in ("mean", "deviation"))
    return f"mean {mean}, deviation {deviation}, of {_many(statistics.get('count', 0), 'training picture')}"


def _normalization(normalization: Mapping[str, Any], name: str) -> str:
    scale, offset = (
        " ".join(f"{value:.6g}" for value in _numbers(normalization.get(one, ()))) for one in ("scale", "offset")
    )
    return f"{name}: pixel * ({scale}) + ({offset})"


def _numbers(value: Any) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)  # one for all channels, in the first format


def _rejects(rejects: Mapping[str, Any]) -> Iterator[str]:
    total = sum(facts["count"] for facts in rejects.values())
    yield _line("rejects", f"{total:,}" if total else "none")
    for reason, facts in rejects.items():
        examples = "; ".join(f"{one['key']}: {one['detail']}" for one in facts["examples"])
        yield _line("", f"{reason} {facts['count']:,}: {examples}")


def _contents(contents: Mapping[str, Any] | None) -> Iterator[str]:
    if contents is None:
        return
    unknown = {"unknown": contents["unlabelled"]} if contents["unlabelled"] else {}
    labels = {name: sum(splits.values()) for name, splits in contents["labels"].items()}
    yield _line("classes", _counted(labels | unknown) if labels else "none")
    shares = {
        name: f"{facts['ones']:.1%}" if facts["known"] else "unknown" for name, facts in contents["attributes"].items()
    }
    yield _line("attributes", _pairs(shares) if shares else "none")
    yield _line("known of", f"{contents['identities']:,} identities, {contents['landmarks']:,} pictures' landmarks")
    if contents["mirrored"]:
        yield _line("mirrored", f"{contents['mirrored']:,} copies")


def _source(source: Mapping[str, Any]) -> Iterator[str]:
    counts = _counted(source.get("counts", {}))
    yield _line("source", f"{source.get('kind')} '{source.get('name')}': {counts}; fingerprint {source['fingerprint']}")
    yield from (_line("", note) for note in source.get("notes", ()))


def _record(number: int, record: Mapping[str, Any]) -> Iterator[str]:
    yield f"  record {number}: {record['key']}"
    yield _line("", _pairs({name: value for name, value in record.items() if name != "key"}))


def _found(found: Found) -> str:
    more = f" and {found.count - len(found.examples):,} more" if found.count > len(found.examples) else ""
    return f"{found.count:,}: {', '.join(found.examples)}{more}"


def _gap(found: Comparison) -> str:
    if found.mean_difference is None:
        return "their sizes differ"
    return f"at most {found.max_difference} of 255 apart, {found.mean_difference:.3g} on average in these"


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
