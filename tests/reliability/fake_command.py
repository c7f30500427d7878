"""The flow `pipeline` on fake stages, in a process of its own: `python -m tests.reliability.fake_command DATA_ROOT`."""

from __future__ import annotations

import sys
from pathlib import Path

from flows import settings, stages
from flows.stages import Order
from gan_core.config import load_config
from tests.flows.fake_stages import FAKES


def main() -> None:
    """Run the flow as the command line does."""
    root = Path(sys.argv[1])
    settings.set_up_prefect(root)
    stages.STAGES.update(FAKES)
    from flows.parameters import ASKED
    from flows.pipeline import pipeline
    from flows.server import drain

    ASKED.set(Order(config=load_config("smoke"), data_root=root))
    try:
        pipeline("smoke")
    finally:
        drain()


if __name__ == "__main__":
    main()
