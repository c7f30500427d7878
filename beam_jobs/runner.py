"""Which Beam runner executes the job, how the user's own Beam options reach it, and its silence on stderr."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Sequence

from beam_jobs.pool import cores
from beam_jobs.quiet_beam import beam  # first, so that the imports below are quiet
from gan_core.errors import ConfigError

# isort: split
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import create_runner

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


def make_pipeline(args: Sequence[str]) -> beam.Pipeline:
    """Return a pipeline on the runner that the user named, else on FnApiRunner in this process.

    Raises:
        ConfigError: the runner does not accept the options.
    """
    options = check_beam_args(args)
    runner = None if options.view_as(StandardOptions).runner else _local_runner(options)
    try:
        return beam.Pipeline(runner=runner, options=options)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"Beam does not take {shlex.join(args)}: {' '.join(str(error).split())}") from None


def processes_asked(args: Sequence[str]) -> int | None:
    """Return how many local processes the user's Beam options ask for; None where they leave it to us.

    They are those of `beam_jobs.pool`, whatever `--direct_running_mode` would make of the number; 0 is one a core, and
    a runner that is named brings workers of its own.
    """
    options = check_beam_args(args)
    if options.view_as(StandardOptions).runner:
        return 1
    if not any(arg.partition("=")[0] in _WORKER_CHOICES for arg in args):
        return None
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode == "in_memory" and not any(arg.startswith(_WORKER_CHOICES[0]) for arg in args):
        return 1
    return int(direct.direct_num_workers) or cores()


def _local_runner(options: PipelineOptions) -> FnApiRunner:
    direct = options.view_as(DirectOptions)
    direct.direct_running_mode, direct.direct_num_workers = "in_memory", 1
    return FnApiRunner()


def _is_local(runner: str | None) -> bool:
    return not runner or runner.lower().removesuffix("runner").rpartition(".")[2] in {
        "direct",
        "fnapi",
        "bundlebaseddirect",
    }
