"""The files that set the environment up agree with each other."""

import re

import yaml

from tests.conftest import ROOT


def names(file):
    lines = (ROOT / file).read_text().splitlines()
    found = (re.match(r"[A-Za-z0-9_.-]+", line) for line in lines if not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in found if name}


def pins():
    return (ROOT / "requirements.txt").read_text().splitlines()


def test_every_direct_dependency_is_pinned():
    assert names("requirements.in") <= names("requirements.txt")


def test_the_pins_are_exact_and_name_no_registry():
    for line in pins():
        assert re.match(r"^[A-Za-z0-9_.-]+==[^\s;]+( ; .+)?$", line), line
        assert "://" not in line


def test_conda_takes_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text())
    assert environment["name"] == "igmu"
    assert "prefix" not in environment
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    (headless,) = (line for line in pins() if line.startswith("opencv-python-headless=="))
    assert pip == ["-r requirements.txt", headless.replace("-headless", "")]
