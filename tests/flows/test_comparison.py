from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows import terminal
from flows.cli import cli
from flows.comparison import Comparison, Row, compare
from flows.comparison_text import measured
from flows.scored_runs import published_on, read_scores
from gan_core import artifacts
from gan_core.config import load_config
from gan_core.errors import ArtifactError, ConfigError
from gan_core.protocol import fingerprint

PROTOCOL = {"dataset_digest": "a" * 64, "split": "train", "real_count": 2048, "generated_count": 2048, "version": 1}


def score(value: float | None, error: float | None = 1.0, better: str = "lower", **facts: Any) -> dict[str, Any]:
    """Return what a manifest of scores says of one measure; `protocol` is what differs from the usual one."""
    protocol = {**PROTOCOL, **facts.pop("protocol", {})}
    return {
        "title": facts.pop("title", "FID"),
        "value": value,
        "error": error,
        "floor": 2.0,
        "floor_error": None,
        "unit": "",
        "better": better,
        "protocol": protocol,
        "fingerprint": fingerprint(protocol),
        **facts,
    }


def run(folder: Path, values: Mapping[str, Any] | None, overrides: tuple[str, ...] = (), requested: int = 2048) -> Path:
    """Make a run's folder with a config and, unless `values` is None, scores."""
    folder.mkdir(parents=True)
    config = load_config("smoke", [f"eval.score_count={requested}", *overrides])
    saved = {"config": config.to_json(), "dataset": {"digest": "a" * 64, "path": "gone"}}
    artifacts.write_json(folder / "config.json", saved)
    if values is not None:
        with artifacts.publishing(folder / "scores") as draft:
            fields = {"values": values, "protocol": {"requested_count": requested, "images_seen": 640}}
            artifacts.write_manifest(draft, "scores", "0" * 64, fields)
    return folder


def compared(tmp_path: Path, *runs: Mapping[str, Any], **options: Any) -> Comparison:
    """Compare runs a, b, c, ... that have these scores."""
    names = "abcdefgh"[: len(runs)]
    paths = [run(tmp_path / name, values) for name, values in zip(names, runs, strict=True)]
    return compare([read_scores(path, tmp_path) for path in paths], **options)


def verdicts(row: Row) -> list[str]:
    """Return the verdict of each run, with a star for the best."""
    return [f"{cell.verdict or cell.why_none}{'*' if cell.is_best else ''}" for cell in row.cells]


def faceloom(*args: str | Path) -> int:
    """Run a command line in this process and return its exit code."""
    return terminal.run(cli, [str(arg) for arg in args])


@pytest.mark.parametrize(
    ("better", "a", "b", "expected"),
    [
        ("lower", 20.0, 17.0, ["", "better*"]),
        ("lower", 20.0, 23.0, ["*", "worse"]),
        ("lower", 20.0, 17.3, ["", "within noise"]),
        ("higher", 20.0, 23.0, ["", "better*"]),
        ("higher", 20.0, 17.0, ["*", "worse"]),
        ("near floor", -3.0, 3.0, ["", "better*"]),
        ("near floor", 3.0, 9.0, ["*", "worse"]),
        ("near floor", 7.0, -3.0, ["", "within noise"]),
    ],
)
def test_a_verdict_needs_more_than_noise_in_the_measures_direction(
    better: str, a: float, b: float, expected: list[str], tmp_path: Path
) -> None:
    """With errors of 1, a difference has to be above 1.96 sqrt(2) = 2.77; near the floor of 2, distances count."""
    found = compared(tmp_path, {"m": score(a, better=better)}, {"m": score(b, better=better)})
    assert verdicts(found.rows[0]) == expected


def test_the_error_of_the_floor_counts_twice_between_the_two(tmp_path: Path) -> None:
    """Values on both sides of the floor depend on where it is; on one side it cancels."""
    far = {"better": "near floor", "floor_error": 2.0}
    across = compared(tmp_path / "x", {"m": score(8.0, **far)}, {"m": score(1.0, **far)})  # 6 away, and 1
    beside = compared(tmp_path / "y", {"m": score(8.0, **far)}, {"m": score(3.0, **far)})
    assert across.rows[0].cells[1].p_value == pytest.approx(0.238593, abs=1e-6)  # 5 / sqrt(2 + 16)
    assert beside.rows[0].cells[1].p_value == pytest.approx(0.000407, abs=1e-6)  # 5 / sqrt(2)


def test_many_tests_need_a_larger_difference(tmp_path: Path) -> None:
    """What is significant alone is noise among three measures (Holm), and a large difference remains one."""
    a = {"m": score(20.0), "n": score(20.0), "o": score(20.0)}
    b = {"m": score(17.0), "n": score(20.0), "o": score(10.0)}
    found = compared(tmp_path, a, b)
    assert [verdicts(row)[1] for row in found.rows] == ["within noise", "within noise", "better*"]
    assert found.rows[0].cells[1].p_value == pytest.approx(2 * 0.0338948, abs=1e-6)


def test_the_best_of_many_must_beat_all(tmp_path: Path) -> None:
    """Two runs that are better than the first, but not told apart, are both better, and neither is the best."""
    tie = compared(tmp_path / "x", {"m": score(20.0)}, {"m": score(10.0)}, {"m": score(11.0)})
    assert verdicts(tie.rows[0]) == ["", "better", "better"]
    clear = compared(tmp_path / "y", {"m": score(20.0)}, {"m": score(5.0)}, {"m": score(11.0)})
    assert verdicts(clear.rows[0]) == ["", "better*", "better"]
    close = compared(tmp_path / "z", {"m": score(20.0)}, {"m": score(10.0)}, {"m": score(13.2)})  # p = 0.0237, times 3
    assert verdicts(close.rows[0]) == ["", "better", "better"]


def test_without_an_error_there_is_no_verdict(tmp_path: Path) -> None:
    """A missing error or value is named; the other measures have their verdicts, uncorrected for it."""
    a = {"m": score(20.0, None), "n": score(None), "o": score(20.0)}
    b = {"m": score(1.0), "n": score(1.0), "o": score(17.0)}
    found = compared(tmp_path, a, b)
    assert [verdicts(row) for row in found.rows] == [["", "no standard error"], ["", "no value"], ["", "better*"]]


def test_unlike_counts_are_refused_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; each difference once, with its measures, and the evaluation that makes the run like the first."""
    run(tmp_path / "runs" / "a", {"fid": score(20.0), "kid": score(20.0)})
    other = {"protocol": {"real_count": 512, "generated_count": 512}}
    run(tmp_path / "runs" / "b", {"fid": score(17.0, **other), "kid": score(17.0, **other)}, requested=512)
    assert faceloom("runs", "compare", "a", "b", "--data-root", tmp_path) == 2
    assert tuple(capsys.readouterr()) == (
        "",
        "faceloom: error: unlike protocols, measured against a: fid, kid: b: real_count: 2,048 against 512, "
        "generated_count: 2,048 against 512. To compare, evaluate b again with: faceloom evaluate smoke --data-root "
        f"{tmp_path} --set eval.score_count=2048. To see them side by side without a verdict: --show-unlike\n",
    )


def test_other_data_cannot_be_evaluated_away(tmp_path: Path) -> None:
    """Where the data sets differ, no evaluation is proposed."""
    with pytest.raises(ConfigError, match=r"train both on one data set \(b has another than a: dataset_digest\)"):
        compared(tmp_path, {"m": score(1.0)}, {"m": score(1.0, protocol={"dataset_digest": "b" * 64})})


def test_another_version_wants_both_again(tmp_path: Path) -> None:
    """Where the configs are alike and the protocols are not, both are to be evaluated again."""
    with pytest.raises(
        ConfigError, match=r"m: b: version: 1 against 2\. To compare, evaluate both again, .*: faceloom"
    ):
        compared(tmp_path, {"m": score(1.0)}, {"m": score(1.0, protocol={"version": 2})})


def test_unlike_scores_can_be_shown_without_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--show-unlike names the differences and judges nothing, like measures included."""
    run(tmp_path / "a", {"fid": score(20.0), "swd": score(9.0, 0.1, title="SWD")})
    run(tmp_path / "b", {"fid": score(9.0, protocol={"split": "test"}), "swd": score(1.0, 0.1, title="SWD")})
    assert faceloom("runs", "compare", tmp_path / "a", tmp_path / "b", "--show-unlike") == 0
    assert capsys.readouterr().out.splitlines() == [
        "measure       direction       a (baseline)  b            floor",
        "FID (unlike)  less is better  20.0 ± 1.0    9.0 ± 1.0    2",
        "SWD           less is better  9.00 ± 0.10   1.00 ± 0.10  2",
        "",
        "± is one standard error over the sampling of generated pictures, not over training seeds.",
        "Nothing is judged, for protocols differ:",
        "  fid: b: split: train against test",
    ]
    assert faceloom("runs", "compare", tmp_path / "a", tmp_path / "b", "--measure", "swd") == 0
    assert "1.00 ± 0.10  better, best" in capsys.readouterr().out


def test_the_table_says_how_it_was_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Values with errors, floors, verdicts, the test, and the measures that only some runs have."""
    run(tmp_path / "a", {"fid": score(20.0, 0.31), "kid": score(1.0, None, title="KID"), "swd": score(1.0)})
    run(tmp_path / "b", {"fid": score(17.5, 0.3), "kid": score(1.5, None, title="KID")})
    assert faceloom("runs", "compare", tmp_path / "a", tmp_path / "b") == 0
    assert capsys.readouterr().out.splitlines() == [
        "measure  direction       a (baseline)  b                                   floor",
        "FID      less is better  20.00 ± 0.31  17.50 ± 0.30  better, best          2",
        "KID      less is better  1             1.5  no verdict: no standard error  2",
        "",
        "± is one standard error over the sampling of generated pictures, not over training seeds.",
        "Verdicts are against a: difference over its standard error, two-sided, 95%, Holm's correction over 1 test.",
        "Where a standard error is missing, noise cannot be told from a difference.",
        "Only a has swd.",
    ]


def test_json_has_the_same_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json is one document; published results are in a list of their own, with their protocol."""
    a = run(tmp_path / "a", {"fid": score(20.0)}, ("data.kind=celeba", "data.resolution=64"))
    b = run(tmp_path / "b", {"fid": score(10.0)})
    assert faceloom("runs", "compare", a, b, "--json", "--published") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"][0] == {"name": "a", "path": str(a), "images_seen": 640}
    assert (found["baseline"], found["judged"], found["level"], found["only_some"]) == ("a", True, 0.05, {})
    measure = found["measures"][0]
    assert (measure["measure"], measure["best"], measure["fingerprint"]) == ("fid", "b", fingerprint(PROTOCOL))
    assert measure["runs"][0]["verdict"] is None
    p_value = measure["runs"][1].pop("p_value")
    assert p_value == pytest.approx(1.5375e-12, rel=1e-3)
    assert measure["runs"][1] == {
        "name": "b", "value": 10.0, "error": 1.0, "floor": 2.0, "floor_error": None, "verdict": "better",
        "why_none": None,
    }  # fmt: skip
    assert {one["dataset"] for one in found["published"]} == {"celeba"}
    assert "50,000 generated" in found["published"][0]["protocol"]


def test_published_results_stand_below_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each citation has its protocol, what is not known of it, and its source; none is a column."""
    a, b = (run(tmp_path / name, {"fid": score(9.0)}, ("data.kind=cifar10",)) for name in "ab")
    assert faceloom("runs", "compare", a, b, "--published") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["measure", "direction", "a", "(baseline)", "b", "floor"]
    start = lines.index("published, by other protocols: not to be compared with the figures above")
    assert lines[start + 1] == "  FID 22.29 ± 0.06: WGAN-GP (ResNet), CIFAR-10 32x32"
    assert lines[start + 2].startswith("    protocol   split train; 50,000 real; 50,000 generated; Inception")
    assert lines[start + 3].startswith("    not known  what the plus-minus is over")
    assert published_on([read_scores(run(tmp_path / "c", {"fid": score(9.0)}), tmp_path)]) == []


MISTAKES: list[tuple[dict[str, Any] | None, list[str], str]] = [
    (None, ["a", "b"], "b has no scores; make them with: faceloom evaluate smoke --data-root /"),
    ({"fid": {"value": 1.0}}, ["a", "b"], "fid was scored by an earlier version; evaluate again with: faceloom "),
    ({"fid": score(1.0)}, ["a"], "takes two runs or more"),
    ({"fid": score(1.0)}, ["a", "a"], "is named twice"),
    ({"fid": score(1.0)}, ["a", "b", "--measure", "fdi"], r"'fdi' \(did you mean 'fid'\?\); in all of them: fid"),
    ({"fid": score(1.0)}, ["a", "b", "--measure", "swd"], "b lacks it: not every run has the measure 'swd'"),
    ({"kid": score(1.0)}, ["a", "b"], "no measure in common: a has fid, swd; b has kid"),
    ({"fid": score(1.0)}, ["a", "x"], "no run begins with 'x'; known: a, b"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "args", "message"), MISTAKES, ids=[message[:20] for _, _, message in MISTAKES])
def test_a_mistake_names_the_fix(
    values: Mapping[str, Any] | None,
    args: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be compared ends with exit code 2 and one line that says what to do."""
    run(tmp_path / "runs" / "a", {"fid": score(1.0), "swd": score(1.0)})
    run(tmp_path / "runs" / "b", values)
    assert faceloom("runs", "compare", *args, "--data-root", tmp_path) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    with pytest.raises(ConfigError, match=message):
        raise ConfigError(err)


def test_a_fingerprint_that_is_not_its_protocols_is_damage(tmp_path: Path) -> None:
    """An edited protocol is noticed."""
    path = run(tmp_path / "a", {"fid": score(1.0, fingerprint="0" * 12)})
    with pytest.raises(ArtifactError, match="the fingerprint of fid is not that of its protocol; evaluate again with"):
        read_scores(path, tmp_path)


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    """A run whose config.json cannot be read, or is of another version, is no bug."""
    path = run(tmp_path / "a", {"fid": score(1.0)})
    artifacts.write_json(path / "config.json", {"config": {"preset": 3, "eval": {"unheard": 1}}})
    with pytest.raises(ArtifactError, match=r"config\.json is not one of this version"):
        read_scores(path, tmp_path)
    (path / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"config\.json is missing or damaged"):
        read_scores(path, tmp_path)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (21.7, 0.314, "21.70 ± 0.31"),
        (0.0033, 0.00012, "0.00330 ± 0.00012"),
        (1234.5, 12.0, "1,234 ± 12"),
        (1234.5, 345.0, "1,234 ± 345"),
        (3.14159, None, "3.142"),
        (3.14159, 0.0, "3.142"),
        (None, 1.0, "-"),
    ],
)
def test_figures_are_as_exact_as_their_error(value: float | None, error: float | None, text: str) -> None:
    """The error has two digits, and the value the same decimals."""
    assert measured(value, error) == text


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names the test and shows how to choose a measure."""
    assert faceloom("runs", "compare", "--help") == 0
    text = capsys.readouterr().out
    assert "Holm's" in text
    assert "faceloom runs compare celeba64 r3gan64 --measure fid --measure kid" in text
