import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from features.networks import Networks, _glibc
from utils.errors import UserError


class Loads:
    """An extractor that tells when it is loaded, and waits until it may be."""

    def __init__(self, name, *, slow_to_load=False, log=None, error=None):
        self.name, self.slow_to_load, self.error = name, slow_to_load, error
        self.log = [] if log is None else log
        self.may = threading.Event()
        self.gone = False

    def load(self):
        assert self.may.wait(10)
        self.log.append(self.name)
        if self.error:
            raise self.error

    def unload(self):
        self.gone = True


def test_networks_are_loaded_once_and_the_slow_ones_last():
    log = []
    several = [Loads("slow", slow_to_load=True, log=log), Loads("quick", log=log)]
    networks = Networks(several)
    for extractor in several:
        extractor.may.set()
    networks.start(["slow", "quick"])
    networks.start(["slow", "quick"])
    while not networks.first_loaded(["slow"]):
        networks.wait(["slow"])
    networks.close()
    assert log == ["quick", "slow"]


def test_one_that_is_there_runs_while_another_is_loaded():
    # Else a run would wait for the slowest import before its first forward pass.
    quick, slow = Loads("quick"), Loads("slow", slow_to_load=True)
    networks = Networks([quick, slow])
    quick.may.set()
    networks.start(["quick", "slow"])
    networks.wait(["quick", "slow"])
    assert networks.first_loaded(["slow", "quick"]) == "quick"
    slow.may.set()
    networks.wait(["slow"])
    assert networks.first_loaded(["slow"]) == "slow"
    networks.close()


def test_what_was_loaded_first_runs_first():
    # Else a run that may use one core until the rest is loaded begins with its longest batch.
    several = [Loads("first"), Loads("second")]
    networks = Networks(several)
    for extractor in several:
        extractor.may.set()
        networks.start([extractor.name])
    networks.wait(["second"])
    assert networks.first_loaded(["second", "first"]) == "first"
    networks.close()


def test_what_was_loaded_is_let_go_of_at_the_end():
    # Else scoring a million images needs the networks' memory beside the features'.
    used, unused = Loads("used"), Loads("unused")
    networks = Networks([used, unused])
    used.may.set()
    networks.start(["used"])
    networks.close()
    assert (used.gone, unused.gone) == (True, False)


def test_an_error_of_loading_comes_when_the_network_is_asked_for():
    broken = Loads("broken", error=UserError("not a model"))
    broken.may.set()
    networks = Networks([broken])
    networks.start(["broken"])
    networks.wait(["broken"])
    with pytest.raises(UserError, match="not a model"):
        networks.first_loaded(["broken"])
    networks.close()


def test_a_core_is_left_to_the_loading_thread_and_given_back():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    loads = Loads("one")
    networks = Networks([loads])
    networks.start(["one"])
    with networks.beside_loading():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    loads.may.set()
    networks.wait(["one"])
    with networks.beside_loading():
        assert torch.get_num_threads() == 2
    networks.close()
    torch.set_num_threads(before)


def test_a_pass_without_torch_does_not_wait_for_its_import(monkeypatch):
    # Else images are neither decoded nor measured for the seconds that importing torch takes.
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # as it is meanwhile: half there
    loads = Loads("one")
    networks = Networks([loads])
    networks.start(["one"])
    with networks.beside_loading():
        pass
    loads.may.set()
    networks.close()


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir() or _glibc() is None,
    reason="a Linux with large pages, and glibc",
)
def test_the_heap_has_large_pages_and_blocks_are_not_aligned_to_them():
    # Without them the first seconds go into page faults; aligned, the heap of a long run grows.
    program = """
import os
from features.networks import Networks

Networks([]).close()
assert "THP_MEM_ALLOC_ENABLE" not in os.environ
print(open("/proc/self/smaps").read())
"""
    command = [sys.executable, "-c", program]
    env = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}  # a user's own
    maps = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    heaps = maps.split("[heap]")[1:]
    flags = [re.search("VmFlags:(.*)", heap)[1].split() for heap in heaps]
    assert any("hg" in several for several in flags)
