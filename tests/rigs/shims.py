"""Small libraries that stand between a process and the kernel (LD_PRELOAD), compiled when needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

GPIO, CLOCK = "gpio_shim", "clock_shim"


def build_shim(name: str, folder: Path) -> Path | None:
    """Compile one; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    target = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return target
