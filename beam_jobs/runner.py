"""Which Beam runner executes the job, how the user's own Beam options reach it, and its silence on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
from collections.abc import Sequence

from beam_jobs.local_workers import worker_processes
from beam_jobs.quiet_beam import beam  # first, so that the imports below are quiet
from gan_core.errors import ConfigError

# isort: split
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import create_runner

# Below this many pictures, two worker processes start for longer than they save. Measured in docs/data.md.
MIN_PICTURES_FOR_PROCESSES = 8000
_WORKER_CHOICES = ("--direct_num_workers", "--direct_running_mode")


def check_beam_args(args: Sequence[str]) -> PipelineOptions:
    """Return the options that follow `--` on the command line.

    Raises:
        ConfigError: Beam knows no such option, or the value does not fit.
    """
    stray = next((arg for arg in args[:1] if not arg.startswith("--")), None)
    if stray is not None:
        raise ConfigError(f"Beam options look like --name=value, got '{stray}'")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = PipelineOptions(list(args))
            runner = options.view_as(StandardOptions).runner
            if runner:
                create_runner(runner)  # importing a runner's module registers its options
            known, retained = options.get_all_options(), options.get_all_options(retain_unknown_options=True)
    except SystemExit:  # argparse has printed usage and reason
        reason = complaint.getvalue().strip().rpartition("error: ")[2]
        raise ConfigError(f"Beam does not take {shlex.join(args)}: {reason}") from None
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"Beam does not take {shlex.join(args)}: {' '.join(str(error).split())}") from None
    unknown = sorted(set(retained) - set(known))
    if unknown and _is_local(runner):
        raise ConfigError(
            f"Beam knows no option {', '.join('--' + name for name in unknown)}; local ones are "
            "--direct_num_workers=N and --direct_running_mode=in_memory|multi_threading|multi_processing"
        )
    return options


def make_pipeline(options: PipelineOptions, args: Sequence[str], pictures: int) -> beam.Pipeline:
    """Return a pipeline on the runner that the user named, else on FnApiRunner with as many processes as pay.

    Raises:
        ConfigError: the runner does not accept the options.
    """
    runner = None if options.view_as(StandardOptions).runner else _local_runner(options, args, pictures)
    try:
        return beam.Pipeline(runner=runner, options=options)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"Beam does not take {shlex.join(args)}: {' '.join(str(error).split())}") from None


def _local_runner(options: PipelineOptions, args: Sequence[str], pictures: int) -> FnApiRunner:
    direct = options.view_as(DirectOptions)
    if not any(arg.partition("=")[0] in _WORKER_CHOICES for arg in args):
        cores = len(os.sched_getaffinity(0))
        if cores > 1 and pictures >= MIN_PICTURES_FOR_PROCESSES:
            direct.direct_running_mode, direct.direct_num_workers = "multi_processing", cores
    if direct.direct_running_mode != "multi_processing":
        return FnApiRunner()
    direct.direct_running_mode = "in_memory"  # the runner's own environment for `multi_processing` is not wanted
    return FnApiRunner(default_environment=worker_processes())


def _is_local(runner: str | None) -> bool:
    return not runner or runner.lower().removesuffix("runner").rpartition(".")[2] in {
        "direct",
        "fnapi",
        "bundlebaseddirect",
    }
