"""The peers' own code, taken out of their files as it stands: networks, losses, optimizers, steps.

Nothing of it is kept here. What is left out of a file is what gets data, shows pictures, and loops; the driver does
that. Standard library alone, because the Python that has PyTorch need not have anything else of ours.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence, Set
from pathlib import Path
from types import CodeType

_KERAS_NAMES = {"latent_dim", "discriminator", "generator", "GAN", "gan"}
_TUTORIAL_NAMES = {
    "cross_entropy",
    "discriminator_loss",
    "generator_loss",
    "generator_optimizer",
    "discriminator_optimizer",
    "noise_dim",
    "train_step",
}
_MODULES = ("tensorflow", "numpy", "os")


def torch_example(path: Path) -> tuple[CodeType, CodeType]:
    """Return what `dcgan/main.py` of pytorch/examples does before its loops, and the step inside of them.

    The step begins where the loop over `dataloader` does and ends with the last `optimizerG.step()`; it reads `data`, a
    sequence whose first item is the batch. Raises SystemExit for a file without such loops.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for index, epochs in enumerate(tree.body):
        for batches in epochs.body if isinstance(epochs, ast.For) else ():
            if isinstance(batches, ast.For) and "dataloader" in ast.unparse(batches.iter):
                ends = [at for at, line in enumerate(batches.body) if ast.unparse(line) == "optimizerG.step()"]
                if ends:
                    return _compiled(tree.body[:index], path), _compiled(batches.body[: ends[-1] + 1], path)
    raise SystemExit(f"{path} has no loop over `dataloader` with `optimizerG.step()`; is it dcgan/main.py?")


def keras_example(path: Path, given: Set[str] = frozenset()) -> CodeType:
    """Return the definitions of Keras' "DCGAN to generate face images", without those of the names that are `given`."""
    wanted = _KERAS_NAMES - given
    return _compiled(_chosen(ast.parse(path.read_text(encoding="utf-8")).body, wanted, path), path)


def tutorial(path: Path) -> CodeType:
    """Return losses, optimizers and the step of TensorFlow's DCGAN tutorial, a notebook.

    They read `generator`, `discriminator` and `BATCH_SIZE`, which are not among them: the tutorial's are for 28x28.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = [line for source in sources for line in source.splitlines() if not line.startswith(("!", "%"))]
    return _compiled(_chosen(ast.parse("\n".join(lines)).body, _TUTORIAL_NAMES, path), path)


def _chosen(body: Sequence[ast.stmt], names: Set[str], path: Path) -> list[ast.stmt]:
    """Return imports, definitions of the names, and `gan.compile(...)`, in the file's order."""
    chosen = [line for line in body if _imports(line) or names & _defined(line) or _compiles(line)]
    missing = set(names).difference(*(_defined(line) for line in chosen))
    if missing:
        raise SystemExit(f"{path} does not define {', '.join(sorted(missing))}: it is not the example that is meant")
    return chosen


def _imports(line: ast.stmt) -> bool:
    if isinstance(line, ast.ImportFrom):
        return str(line.module).partition(".")[0] in _MODULES
    return isinstance(line, ast.Import) and all(name.name.partition(".")[0] in _MODULES for name in line.names)


def _compiles(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and ast.unparse(line).startswith("gan.compile(")


def _defined(line: ast.stmt) -> set[str]:
    if isinstance(line, ast.FunctionDef | ast.ClassDef):
        return {line.name}
    targets = line.targets if isinstance(line, ast.Assign) else ()
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _compiled(body: list[ast.stmt], path: Path) -> CodeType:
    return compile(ast.Module(body, type_ignores=[]), str(path), "exec")
