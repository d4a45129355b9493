"""Running a command as a user would, and what it took: wall-clock time and peak memory.

This module and those that use it import no torch: on Linux a child's peak memory is at least its
parent's size when it was started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MB = 1e6
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one ru_maxrss


@dataclass(frozen=True)
class Finished:
    """A process that ended.

    Attributes:
        seconds: wall-clock time, start of the interpreter included.
        peak_mb: resident memory of its largest process, in 10^6 bytes.
        output: what it wrote to stdout.
    """

    seconds: float
    peak_mb: float
    output: str


def run(command: Sequence[str | Path], caches: Path, code: int = 0) -> Finished:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        caches: where libraries keep their settings, so that the user's are not touched.
        code: the exit code that is expected.

    Raises:
        SystemExit: another exit code; the message holds the end of stderr.
    """
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=_environment(caches))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output, errors = (_text(file) for file in (out, err))
    if process.returncode != code:
        raise SystemExit(f"exit code {process.returncode} of {' '.join(command)}\n{errors[-3000:]}")
    return Finished(seconds, usage.ru_maxrss * _RSS_UNIT / _MB, output)


def _environment(caches: Path) -> dict[str, str]:
    folders = ("YOLO_CONFIG_DIR", "MPLCONFIGDIR", "TORCH_HOME", "HF_HOME")
    for name in folders:
        (caches / name).mkdir(parents=True, exist_ok=True)
    moved = {name: str(caches / name) for name in folders}
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **moved, "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "true"}


def _text(file) -> str:
    file.seek(0)
    return file.read().decode(errors="backslashreplace")
