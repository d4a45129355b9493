"""What `make demo` runs: both programs on the bundled photographs, by nudenet's own detector.

A face stays (ORG, DemoTint) or goes (DemoBlur, DemoPixelate). Nothing is downloaded.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = Path("results", "demo")


def commands(results: Path) -> list[list[str]]:
    """Return the command lines of the demo; their results go to ``results``."""
    places = ["--results-dir", str(results)]
    benchmark = ["benchmark.py", "--evaluation-aspect", "forgetting", "indicators", "ssim", "psnr"]
    return [
        ["eval_unlearning.py", "--indicator", "nudenet", "--concept", "Face", *places],
        [*benchmark, "--report-images", *places],
    ]


def run(arguments: list[str]) -> int:
    """Show a command line, run it in the checkout, and return its exit code."""
    print(f"\n$ python {shlex.join(arguments)}\n", flush=True)
    return subprocess.run([sys.executable, *arguments, "--quiet"], cwd=ROOT, check=False).returncode


def farewell(results: Path, python: str) -> str:
    """Return where the report is and what to type next."""
    return f"""
The report, for a browser: {results / "report.html"}

Next, on your own images, a folder a method (out/ORG: the original model's):
  {python} eval_unlearning.py --indicator nudenet --concept Nudity --images out/*
  {python} benchmark.py --data-root out --reference out/ORG

What there is: {python} benchmark.py --list
All models:    {python} prefetch.py"""


def main(results: Path = RESULTS) -> int:
    """Run the demo; returns the exit code of what failed, else 0."""
    for arguments in commands(results):
        code = run(arguments)
        if code:
            return code
    interpreter = Path(sys.executable)
    inside = interpreter.is_relative_to(ROOT)
    print(farewell(results, str(interpreter.relative_to(ROOT) if inside else "python")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
