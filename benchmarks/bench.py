"""What every line of the benchmark is measured with: settings, trees, and the programs to run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from data import METHODS, Source, make_tree
from models import ROOT, ModelFiles
from process import Finished, run

PUBLISHED_ASPECTS = ("forgetting", "fid", "lpips", "yolo", "CSDR")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """The command line of ``run.py``; its help says what each is."""

    runs: int
    methods: int
    images_per_method: int
    many: int
    published_images: int
    full: bool
    memory_images: tuple[int, ...]
    memory_edge: int
    scaling_images: tuple[int, ...]
    scaling_methods: tuple[int, ...]
    scaling_images_per_method: int
    batch_sizes: tuple[int, ...]
    device: str


@dataclass(frozen=True)
class Bench:
    """Runs the toolkit and what it is compared with.

    Attributes:
        cache: where images, models and the stores of features are.
        source: of the images.
    """

    settings: Settings
    cache: Path
    source: Source
    models: ModelFiles
    trees: dict[str, Path] = field(default_factory=dict)  # made in this run

    def tree(self, methods: int, images: int, source: Source | None = None) -> Path:
        """Return the root of a tree of so many methods and images in each folder."""
        source = source or self.source
        name = f"{source.name}-{methods}x{images}"
        if name not in self.trees:
            self.trees[name] = make_tree(self.cache, source, METHODS[:methods], images, name)
        return self.trees[name]

    def fresh_tree(self, methods: int, images: int) -> Path:
        """Return such a tree made anew: what was added to the last one is gone."""
        self.trees.clear()
        return self.tree(methods, images)

    @property
    def results(self) -> Path:
        """Where the toolkit's last run wrote its results."""
        return self.cache / "stores" / "results"

    def store(self, name: str = "store") -> Path:
        """Return an empty folder for features."""
        folder = self.cache / "stores" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def ours(
        self,
        root: Path,
        aspects: Iterable[str],
        store: Path | None = None,
        flags: Iterable[str] = (),
    ) -> Finished:
        """Run ``benchmark.py``, with an empty store if none is given."""
        arguments = self.our_arguments(root, aspects, store or self.store())
        return self.python(ROOT / "benchmark.py", *arguments, *flags)

    def our_arguments(self, root: Path, aspects: Iterable[str], store: Path) -> list[str]:
        """Return the arguments of ``benchmark.py``."""
        return [
            *("--evaluation-aspect", *aspects, "--data-root", str(root), "--quiet"),
            *("--cache-dir", str(store), "--results-dir", str(self.store("results"))),
            *("--device", self.settings.device),
            *self.models.flags(),
        ]

    def published(self, root: Path, aspect: str) -> Finished:
        """Run the published procedure of one aspect."""
        return self.python(HERE / "published.py", aspect, *self._where(root))

    def rival(self, library: str, root: Path) -> Finished:
        """Run another library's FID."""
        return self.python(HERE / "rivals.py", library, *self._where(root))

    def python(self, script: Path, *arguments: str | Path, code: int = 0) -> Finished:
        """Run a script with this interpreter."""
        return run([sys.executable, script, *arguments], self.cache / "libraries", code)

    def _where(self, root: Path) -> tuple[str | Path, ...]:
        device = ("--device", self.settings.device)
        return "--data-root", root, "--models", self.models.folder, *device
