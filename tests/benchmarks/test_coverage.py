import subprocess
import sys

from tests.conftest import ROOT


def test_a_table_of_simulations_is_printed_and_can_be_made_again():
    command = [
        sys.executable,
        ROOT / "benchmarks" / "coverage.py",
        "--quick",
        "--only",
        "effective",
    ]
    one, two = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in "ab")
    about, _, *table = one.stdout.rstrip().split("\n")
    assert about.startswith("**effective**")
    assert {line.count("|") for line in table} == {7}
    assert one.stdout == two.stdout
