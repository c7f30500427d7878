"""The one tree of errors that faceloom raises on purpose, each with its exit code.

Every message is one line that names the value, what would be right, and the fix. A traceback means a bug in faceloom.
"""

from __future__ import annotations


class FaceloomError(Exception):
    """Base of all errors with a message for the user. `exit_code` is what the command line ends with."""

    exit_code = 1


class ConfigError(FaceloomError):
    """A mistake in what was asked for: unknown name, wrong type, value out of range, missing path."""

    exit_code = 2


class DataError(FaceloomError):
    """The pictures cannot be used: none found, a broken archive, or too large a share of rejects."""

    exit_code = 3


class Diverged(FaceloomError):
    """Training left the finite numbers and could not be brought back."""

    exit_code = 4


class ArtifactError(FaceloomError):
    """Something that faceloom published earlier is missing, damaged, or in use by another process."""

    exit_code = 5


class StageFailed(FaceloomError):
    """A stage's child process was killed or failed in a way that it could not explain itself."""

    exit_code = 6


class Interrupted(FaceloomError):
    """Ctrl-C or SIGTERM arrived; the state is saved and the same command continues."""

    exit_code = 130
