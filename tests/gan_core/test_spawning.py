from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import multiprocessing, signal, sys
print("imported", __name__, flush=True)
import gan_core.spawning

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with gan_core.spawning.lean_start():
        process = spawn.Process(target=print, args=("working",))
        blocked = spawn.Process(target=eval, args=(
            "print(__import__('signal').pthread_sigmask(0, []) == {2}, flush=True)",))
        process.start()
        process.join()
        blocked.start()
        blocked.join()
    assert process.exitcode == blocked.exitcode == 0
    print(sys.modules["__main__"].__name__, len(signal.pthread_sigmask(0, [])), flush=True)
"""


def test_processes_do_not_run_the_program_again(tmp_path: Path) -> None:
    """A process imports its function's module only, has SIGINT blocked, and the parent is afterwards as before."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["imported __main__", "working", "True", "__main__ 0"]
    assert done.stderr == ""
