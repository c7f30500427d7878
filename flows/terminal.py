"""The manners of the command line: one line an error, one JSON document, exit codes, help with examples."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flows.output import write_crash
from gan_core.errors import ConfigError, FaceloomError, Interrupted
from gan_core.options import suggestion
from gan_core.paths import local_root, path_of

if TYPE_CHECKING:
    from flows.console import Display

F = TypeVar("F", bound=Callable[..., Any])

BEAM_COMMANDS = ("run", "retrain", "prepare")
EXIT_CODES = """\b
Exit codes:
  0    done, or nothing was left to do
  1    a bug in faceloom (the message names the saved traceback)
  2    a mistake in what was asked for: name, value, path
  3    the pictures cannot be used
  4    the training diverged
  5    something published earlier is missing, damaged, or in use
  6    a stage was killed, hung, or failed without explanation
  130  interrupted; the same command continues"""


@dataclass
class Terminal:
    """What the global switches say. One for each invocation, shared by the group and its command."""

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    data_root: Path = Path("data")
    beam_args: tuple[str, ...] = ()

    @contextlib.contextmanager
    def display(self) -> Iterator[Display]:
        """Yield where progress is shown: on a copy of stderr, for stages turn descriptor 2 away."""
        from flows.console import make_display

        with os.fdopen(os.dup(2), "w", buffering=1) as stream:
            display = make_display(self.quiet, stream)
            try:
                yield display
            finally:
                display.close()

    def emit(self, document: Any, text: str) -> None:
        """Print the command's result on stdout: the JSON document, or the text."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))
        elif text:
            click.echo(text)


class Group(click.Group):
    """Names the known commands, and the near one, when a command is unknown."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click.Group."""
        name = args[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            known = self.list_commands(context)
            raise ConfigError(f"unknown command '{name}'{suggestion(name, known)}; known: {', '.join(known)}")
        return super().resolve_command(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the commands in the order in which they are defined: the order of use."""
        return list(self.commands)


def data_root_option(help: str) -> Callable[[F], F]:
    """Return what adds --data-root, with what it means to the command."""
    return click.option(
        "--data-root",
        metavar="DIR",
        type=path_of,
        default="data",
        envvar="FACELOOM_DATA_ROOT",
        show_envvar=True,
        show_default=True,
        help=help,
    )


def shared_options(command: F) -> F:
    """Add --json, --quiet and --verbose, which every command has, and pass the Terminal first."""

    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, quiet: bool, verbose: bool, **kwargs: Any) -> Any:
        context = click.get_current_context()
        terminal = context.ensure_object(Terminal)
        if terminal.beam_args and context.parent and context.info_name not in BEAM_COMMANDS:
            raise ConfigError(
                f"faceloom {context.info_name} takes nothing after --, got '{terminal.beam_args[0]}'; "
                f"only {', '.join(BEAM_COMMANDS)} hand it to Beam"
            )
        terminal.as_json |= as_json
        terminal.quiet |= quiet
        terminal.verbose |= verbose
        return command(terminal, *args, **kwargs)

    for decorate in (
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Leave the libraries' own output on stderr; show tracebacks.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, also for an error."),
    ):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[return-value]  # functools.wraps keeps the name, not the type


def run(group: click.Group, args: Sequence[str]) -> int:
    """Run the command line `args`, return the exit code. Every FaceloomError becomes one line on stderr."""
    own, separator, after = _split(args)
    terminal = Terminal(beam_args=after)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if separator and not after:
            raise ConfigError("nothing follows --; it takes Beam's options, for example -- --direct_num_workers=4")
        # Not `group.main`: it prints an empty line at Ctrl-C.
        with group.make_context("faceloom", list(own), obj=terminal) as context:
            result = group.invoke(context)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _fail(terminal, own, ConfigError(_usage(error)))
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            terminal,
            own,
            Interrupted("interrupted; what is finished is kept, and the same command continues"),
        )
    except FaceloomError as error:
        return _fail(terminal, own, error)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us is gone: `faceloom runs | head -1` is no error
        return 0
    except Exception as error:
        if terminal.verbose:
            raise
        path = write_crash(local_root(terminal.data_root), error)
        where = f"the traceback is in {path}" if path else "run it again with -v for the traceback"
        return _fail(terminal, own, FaceloomError(f"a bug: {type(error).__name__}: {error}; {where}"))
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _split(args: Sequence[str]) -> tuple[list[str], bool, tuple[str, ...]]:
    """Cut at the first `--`: what follows it is Beam's, and must not be taken for a preset."""
    words = list(args)
    if "--" not in words:
        return words, False, ()
    cut = words.index("--")
    return words[:cut], True, tuple(words[cut + 1 :])


def _fail(terminal: Terminal, own: Sequence[str], error: FaceloomError) -> int:
    message = " ".join(str(error).split())
    if terminal.as_json or "--json" in own:
        document = {"type": type(error).__name__, "message": message, "exit_code": error.exit_code}
        click.echo(json.dumps({"error": document}, indent=2, ensure_ascii=False))
    click.echo(f"faceloom: error: {message}", err=True)
    return error.exit_code


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption):
        message = f"no such option '{error.option_name}'{suggestion(error.option_name, error.possibilities or ())}"
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "faceloom"
    return f"{message[:1].lower()}{message[1:]}; see {path} --help"
