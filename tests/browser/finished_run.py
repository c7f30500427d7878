"""`python -m tests.browser.finished_run ROOT`: a retraining that finished, on the server of PREFECT_API_URL.

The flow and its tasks are the real ones; their stages point at a run that lies in ROOT. Prints the flow run's id.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows import gate_stages, retrain, stages
from flows.parameters import ASKED
from flows.server import drain
from flows.stages import Order
from flows.triggers import Trigger
from gan_core.config import load_config
from tests.browser import pointing_stages

if __name__ == "__main__":
    stages.STAGES.update({name: pointing_stages.STAGES[name] for name in pointing_stages.NAMES})
    gate_stages.GATE_STAGES.update({name: pointing_stages.STAGES[name] for name in pointing_stages.GATE_NAMES})
    retrain.look_for = lambda order, force=False: Trigger(True, "512 new pictures", order)
    ASKED.set(Order(config=load_config("smoke"), data_root=Path(sys.argv[1])))
    state = retrain.retrain("smoke", return_state=True)
    drain()
    sys.stdout.write(f"{state.state_details.flow_run_id}\n")
    sys.exit(0 if state.is_completed() else 1)
