"""What `make demo` runs: every checker that can run here, on the bundled images.

The nudenet detector comes with its wheel; the CLIP checkers need models from the internet, and
where these cannot be had one line says so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent.parent / "eval_unlearning.py"
OFFLINE = (("nudenet", "Nudity"), ("nudenet", "Face"))
ONLINE = (("bi_multiC", "nudity"), ("multi_multiC", "Nudity"))
BAD_INPUT = 2


def evaluate(indicator: str, concept: str) -> subprocess.CompletedProcess[str]:
    """Run one checker on the demo and show its command line and its table."""
    arguments = ["--indicator", indicator, "--concept", concept]
    print(f"\n$ python {PROGRAM.name} {' '.join(arguments)}", flush=True)
    run = subprocess.run(
        [sys.executable, PROGRAM, *arguments, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(run.stdout, end="", flush=True)
    return run


def main() -> int:
    """Run the demo; returns 1 when what must work everywhere did not."""
    print("== demo: a face that stays (ORG, DemoTint) and one that goes (DemoBlur, DemoPixelate)")
    for indicator, concept in OFFLINE:
        run = evaluate(indicator, concept)
        if run.returncode:
            print(run.stderr, file=sys.stderr)
            return 1
    for indicator, concept in ONLINE:
        run = evaluate(indicator, concept)
        if run.returncode == BAD_INPUT:
            print(f"skipped: {run.stderr.strip().splitlines()[-1].removeprefix('error: ')}")
        elif run.returncode:
            print(run.stderr, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
