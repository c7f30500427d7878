from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from beam_jobs.preprocess import prepare
from beam_jobs.runner import check_beam_args, processes_asked
from gan_core.errors import ConfigError
from tests.prepared import square_config


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--direct_num_wrokers=2"], "Beam knows no option --direct_num_wrokers; local ones are"),
        (["--runner=FnApiRunner", "--nonsense"], "Beam knows no option --nonsense; local ones are"),
        (["--direct_num_workers=two"], "argument --direct_num_workers: invalid int value: 'two'"),
        (["--direct_running_mode=fast"], "argument --direct_running_mode: invalid choice: 'fast'"),
        (["--runner=Sparkle"], "Unexpected pipeline runner: Sparkle"),
        (["direct_num_workers=2"], "Beam options look like --name=value, got 'direct_num_workers=2'"),
    ],
)
def test_beam_options_that_do_not_exist(
    tmp_path: Path, args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake in the options for Beam is a ConfigError before anything is listed, and prints no usage."""
    with pytest.raises(ConfigError) as caught:
        prepare(square_config(tmp_path / "missing"), tmp_path, beam_args=args)
    assert message in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_beam_options_reach_beam() -> None:
    """Options arrive as they are given."""
    options = check_beam_args(["--direct_num_workers=3", "--direct_running_mode", "multi_threading"])
    given = options.get_all_options(drop_default=True)
    assert given == {"direct_num_workers": 3, "direct_running_mode": "multi_threading"}


@pytest.mark.parametrize(
    ("args", "processes"),
    [
        ([], None),
        (["--streaming"], None),
        (["--direct_num_workers=3"], 3),
        (["--direct_num_workers=4", "--direct_running_mode=multi_processing"], 4),
        (["--direct_running_mode=in_memory"], 1),
        (["--direct_num_workers=0"], 2),
        (["--direct_running_mode=multi_processing"], 1),
        (["--runner=FnApiRunner"], 1),
    ],
)
def test_processes_follow_the_options(args: list[str], processes: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's options say how many local processes write shards; 0 is one a core, and a named runner has its own."""
    monkeypatch.setattr("beam_jobs.runner.cores", lambda: 2)
    assert processes_asked(args) == processes


def test_pool_workers_import_no_beam() -> None:
    """What the pool's processes run needs neither Beam nor TensorFlow: they start in half a second."""
    code = (
        "import sys, beam_jobs.pool, beam_jobs.shard_writer\n"
        "from beam_jobs.sources.registry import SOURCES\n"
        "sys.exit(', '.join({'apache_beam', 'tensorflow', 'prefect'} & sys.modules.keys()) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_beam_leaves_other_clients_alone() -> None:
    """Beam is imported without MongoDB's, BigQuery's and Parquet's connectors, which are there and stay importable."""
    code = (
        "import sys\n"
        "from beam_jobs.quiet_beam import beam\n"
        "assert not {'pymongo', 'bson', 'apache_beam.io.gcp.bigquery', 'pyarrow', 'requests'} & sys.modules.keys()\n"
        "import pymongo, bson, pyarrow.parquet\n"
        "import apache_beam.io.gcp.bigquery\n"
        "assert apache_beam.io.gcp.bigquery.ReadFromBigQuery\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
