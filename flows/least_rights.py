"""What parameters of a flow run may name: places below the data root, and what the machine's owner allowed besides.

Credentials are no parameters at all: Prefect keeps parameters in its database and shows them. They belong into the
environment of the worker, or into a Prefect block that the work pool's job template turns into that.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from gan_core.config import RunConfig
from gan_core.errors import ConfigError
from gan_core.paths import is_address, path_of

ALLOWED = "FACELOOM_ALLOWED_PATHS"
_LOGIN = re.compile(r"://[^/\s]*@")
_SECRET = re.compile(r"(password|passwd|secret|token|api_?key|access_?key)[^=]*=", re.IGNORECASE)
_BETWEEN = re.compile(rf"{re.escape(os.pathsep)}(?!//)")


def check_texts(*texts: str) -> None:
    """Raise ConfigError for a text with what looks like credentials; it is not repeated."""
    for text in texts:
        if _LOGIN.search(text) or _SECRET.search(text.partition("?")[2]) or _SECRET.match(text):
            raise ConfigError(
                "a parameter holds what looks like a password or key; parameters are kept and shown by Prefect: "
                "take it out, change it, and give it to the worker's environment"
            )


def permitted(name: str, text: str, data_root: Path) -> Path:
    """Return the place that a parameter names.

    Links are followed before it is looked at. FACELOOM_ALLOWED_PATHS has folders, and addresses such as
    s3://bucket/faces, between colons.

    Args:
        name: of the parameter, for the message.
        text: the path or address.
        data_root: what lies in it may be named.

    Raises:
        ConfigError: it lies elsewhere.
    """
    allowed = [str(data_root), *(part for part in _BETWEEN.split(os.environ.get(ALLOWED, "")) if part)]
    if not any(_lies_in(text, folder) for folder in allowed):
        raise ConfigError(
            f"{name}: {text} lies neither in the data root {data_root} nor below a folder of {ALLOWED}; set that "
            "variable where the flow runs, for example to the folder of your pictures"
        )
    return path_of(text)


def places_of(config: RunConfig) -> dict[str, tuple[str, ...]]:
    """Return every path and address that a config names, by the option that names it."""
    return {
        "data.path": (config.data.path,),
        "data.mirrors": config.data.mirrors,
        "train.transfer": (config.train.transfer,),
        "eval.weights": (config.eval.weights,),
        "eval.extractor": (config.eval.extractor,) if re.search(r"[/\\.]", config.eval.extractor) else (),
    }


def permitted_config(config: RunConfig, data_root: Path) -> None:
    """Check every place that a config names. Raises ConfigError for the first that lies elsewhere."""
    for name, texts in places_of(config).items():
        for text in filter(None, texts):
            permitted(name, text, data_root)


def _lies_in(text: str, folder: str) -> bool:
    if is_address(text) or is_address(folder):
        return ".." not in text.split("/") and f"{text.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    return Path(text).expanduser().resolve().is_relative_to(Path(folder).expanduser().resolve())
