"""What lies where: concepts, methods, references and pairs, found on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from inputs.config import BenchmarkConfig, Concept, Method
from inputs.grouping import Grouping
from inputs.images import (
    Pairing,
    first_of_each,
    is_companion,
    is_read,
    natural_key,
    pair,
    scan,
)
from inputs.prompts import parse_name, prompt_key
from utils.errors import UserError, did_you_mean
from utils.files import check_folder
from utils.name_to_id import match, normalise
from utils.text import printable

Prompts = Mapping[tuple[int, int], str]  # (i, j) of a file name -> prompt
ORIGINAL = "ORG"  # the folder of the original model
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


@dataclass(frozen=True)
class MethodFolder:
    """The images of one method for one concept; files that give no image are among them.

    Attributes:
        grouping: says which images are samples of one prompt, where their names do not.
    """

    method: Method
    folder: Path
    images: list[Path]
    grouping: Grouping | None = None

    @property
    def is_broken(self) -> bool:
        """Whether the folder is a link that leads nowhere."""
        return self.folder.is_symlink() and not self.folder.exists()

    def name(self, image: Path) -> str:
        """The path of an image below the folder: what pairs and prompts go by."""
        path = image.relative_to(self.folder).as_posix()
        return self.grouping.name(path) if self.grouping else path


@dataclass(frozen=True)
class Task:
    """One concept in one scope, with the methods to score.

    Attributes:
        concept: from the configuration.
        scope: ``forgot`` (prompts of the concept) or ``unrelated``.
        methods: the original model first.
        reference: what methods are compared with; None where there is none.
        notes: what a reader must know, such as a reference that stands in for another.
        passed_over: what lies beside the methods and may have been meant as one, but is none.
    """

    concept: Concept
    scope: str
    methods: list[MethodFolder]
    reference: MethodFolder | None
    notes: tuple[str, ...] = ()
    passed_over: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """For messages: the concept, and the scope where it is not the usual one."""
        return self.concept.name if self.scope == "forgot" else f"{self.concept.name} (unrelated)"

    @property
    def not_scored(self) -> list[str]:
        """A line for each of ``passed_over``."""
        return [
            f"not scored: {printable(f'{self.name}: {path}')}: {_why_no_method(path)}"
            for path in self.passed_over
        ]

    @property
    def folders(self) -> list[MethodFolder]:
        """The methods' folders, and the reference's where it is none of them."""
        own = {method.folder for method in self.methods}
        apart = self.reference is not None and self.reference.folder not in own
        return self.methods + ([self.reference] if apart else [])

    def has_prompt(self, name: str, prompts: Prompts) -> bool:
        """Whether the image of that name has a prompt: (i, j), in the folder of i's category."""
        found = parse_name(PurePosixPath(name).stem)
        if found is None or found[:2] not in prompts:
            return False
        if self.scope == "forgot":
            return True
        return self.concept.categories.get(name.partition("/")[0]) == found.i

    def texts(self, prompts: Prompts) -> dict[str, str]:
        """The prompt of each image that has one, by what its samples share (``prompt_key``)."""
        found = {}
        for folder in self.methods:
            for name in map(folder.name, folder.images):
                if self.has_prompt(name, prompts):
                    of = parse_name(PurePosixPath(name).stem)
                    found[prompt_key(name)] = prompts[of.i, of.j]
        return found

    def pairing(self, method: MethodFolder) -> Pairing:
        """Pair a method's images with the reference's."""
        return self._pairings[method.folder]

    @cached_property
    def _pairings(self) -> dict[Path, Pairing]:
        reference = self.reference
        if reference is None:
            return {folder.folder: Pairing([], [], [], []) for folder in self.folders}
        return {
            folder.folder: pair(reference.folder, reference.images, folder.folder, folder.images)
            for folder in self.folders
        }


def find_tasks(
    config: BenchmarkConfig,
    root: Path,
    *,
    concepts: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    unrelated: bool = False,
    with_original: bool = False,
) -> list[Task]:
    """Find the concepts of ``config`` under ``root``, in the published layout.

    Args:
        concepts: names to score; those whose folder is there when None.
        methods: folder or proper names; every folder when None.
        unrelated: score ``unrelated/`` instead of ``forgot/``.
        with_original: the original model too, where it is there and ``methods`` does not name it.

    Raises:
        UserError: a name that is not there, or nothing to score.
    """
    check_folder(root, "--data-root")
    _check_not_inside(config, root)
    named = [concept_name(config, name) for name in concepts or config.concepts]
    chosen = dict.fromkeys(named)
    tasks = []
    for concept in (config.concepts[name] for name in chosen):
        below = concept.unrelated if unrelated else concept.forgot
        if below is None or not (root / below).is_dir():
            if below is not None and (root / below).is_symlink():
                raise UserError(f"{root / below}: broken link (concept {concept.name})")
            if concepts:
                where = root / below if below else f"{concept.name} in {config.path}: no unrelated"
                raise UserError(f"{where}: no such folder (concept {concept.name})")
            continue
        tasks.append(_task(config, root, concept, methods, unrelated, with_original))
    if not tasks:
        known = ", ".join(sorted({Path(c.forgot).parts[0] for c in config.concepts.values()}))
        raise UserError(
            f"{root}: no folder of a known concept ({known}); name the layout in a YAML file "
            "(--config), or score plain method folders with --reference DIR"
        )
    return tasks


def unknown_concepts(config: BenchmarkConfig, root: Path) -> list[str]:
    """Say which folders of ``root`` look like a concept (they hold ``forgot/``) and are none."""
    known = {part for c in config.concepts.values() for part in Path(c.forgot).parts[:1]}
    found = sorted(path.name for path in method_entries(root) if (path / "forgot").is_dir())
    return [
        f"not scored: {printable(name)}: no concept of that name{did_you_mean(name, known)}"
        for name in found
        if not any(_is_same(root / name, root / folder) for folder in known)
    ]


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are one folder's, as on a file system that does not tell case apart."""
    return one == other or (other.exists() and not one.is_symlink() and one.samefile(other))


def _check_not_inside(config: BenchmarkConfig, root: Path) -> None:
    """Refuse a folder of a concept as the root of all of them."""
    places = [concept.forgot for concept in config.concepts.values()]
    for folder in [root, *list(root.resolve().parents)[:3]]:
        if any((folder / place).is_dir() for place in places):
            if folder != root:
                raise UserError(f"{root} is inside a concept; give --data-root {folder}")
            return


def plain_task(
    config: BenchmarkConfig,
    root: Path,
    reference: Path,
    *,
    concept: str | None = None,
    methods: Sequence[str] | None = None,
) -> Task:
    """Take ``root/<METHOD>/*.png`` and a reference folder, without a configuration.

    The reference is also scored, as the original model, where no folder of ``root`` is called so.

    Args:
        concept: a concept of the configuration, for its checkers and prompts; without one only
            aspects that need neither can be scored.
    """
    check_folder(root, "--data-root")
    about = (
        config.concepts[concept_name(config, concept)]
        if concept
        else Concept(root.resolve().name, "object", ".")
    )
    found = [
        folder
        for folder in _method_folders(config, root, methods)
        if _own_path(folder.folder) != _own_path(reference)
    ]
    if not found:
        raise UserError(f"{root}: no method folder to compare with {reference}")
    original = _reference(reference)
    if ORIGINAL not in {folder.method.folder for folder in found}:
        found.insert(0, replace(original, method=Method(ORIGINAL, "Original model")))
    passed_over = () if methods else _passed_over(root)
    passed_over = tuple(path for path in passed_over if _own_path(path) != _own_path(reference))
    return Task(about, "forgot", found, original, passed_over=passed_over)


def folders_task(
    config: BenchmarkConfig,
    folders: Sequence[Path],
    concept: Concept,
    *,
    reference: Path | None = None,
    recursive: bool = False,
) -> Task:
    """Take folders wherever they are, each of one method, named after itself.

    Folders of one name are told apart by what is above them. The same folder twice is one.

    Raises:
        UserError: a folder is missing or empty.
    """
    distinct = list({os.path.realpath(folder): folder for folder in reversed(folders)}.values())
    distinct.reverse()
    listed = {method.folder: method for method in config.methods}
    found = [
        MethodFolder(
            listed.get(name, Method(name, name)), folder, scan(folder, recursive=recursive)
        )
        for name, folder in zip(_names(distinct), distinct, strict=True)
    ]
    return Task(concept, "forgot", found, None if reference is None else _reference(reference))


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart."""
    parts = [Path(os.path.realpath(folder)).parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            break
    return names


def _own_path(folder: Path) -> str:
    """Where a folder or link itself lies: a method that is a link to the reference is scored."""
    absolute = os.path.abspath(folder)
    return os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))


def limited(task: Task, n: int) -> Task:
    """Return the task with the first ``n`` images of each folder, and a note that says so."""
    task = _changed(task, lambda folder: replace(folder, images=first_of_each(folder.images, n)))
    return replace(task, notes=(*task.notes, partial_note(n)))


def grouped(task: Task, grouping: Grouping) -> Task:
    """Return the task with images that know their prompts; those of two categories share none.

    Raises:
        UserError: the grouping says nothing of an image.
    """
    if task.scope == "unrelated":
        grouping = grouping.within_folders()
    task = _changed(task, lambda folder: replace(folder, grouping=grouping))
    for folder in task.folders:
        try:
            for image in folder.images:
                folder.name(image)
        except UserError as error:
            raise UserError(f"{error} in {folder.folder}") from None
    return task


def _changed(task: Task, change: Callable[[MethodFolder], MethodFolder]) -> Task:
    reference = None if task.reference is None else change(task.reference)
    return replace(task, methods=[change(folder) for folder in task.methods], reference=reference)


def partial_note(n: int) -> str:
    """What the scores of a trial run say of themselves."""
    return f"partial: the first {n} images of each folder"


def concept_name(config: BenchmarkConfig, name: str) -> str:
    """Return the configuration's name of a concept, given by that or by its folder's.

    Raises:
        UserError: there is none.
    """
    also = {Path(concept.forgot).parts[0]: key for key, concept in config.concepts.items()}
    known = {**also, **{key: key for key in config.concepts}}
    found = match(name, known)
    if found is None:
        hint = did_you_mean(name, known)
        unrelated = [
            concept.name for concept in config.concepts.values() if match(name, concept.categories)
        ]
        if unrelated:
            hint = f": a category of the unrelated images of {', '.join(unrelated)} (--object)"
        raise UserError(
            f"no concept {name}{hint}; {config.path.name} has {', '.join(config.concepts)}"
        )
    return known[found]


def _task(
    config: BenchmarkConfig,
    root: Path,
    concept: Concept,
    methods: Sequence[str] | None,
    unrelated: bool,
    with_original: bool,
) -> Task:
    below = concept.unrelated if unrelated else concept.forgot
    folders = _method_folders(config, root / below, methods, with_original=with_original)
    if unrelated:
        wanted = [root / below / ORIGINAL]
    else:
        wanted = [root / concept.remove_word / ORIGINAL] if concept.remove_word else []
        if concept.reference_fallback:
            wanted.append((root / concept.forgot).parent / concept.reference_fallback)
    reference = next((folder for folder in wanted if folder.is_dir()), None)
    notes: tuple[str, ...] = ()
    lost = "is a broken link" if wanted and wanted[0].is_symlink() else "is not there"
    if reference is None:
        notes = (f"no reference: {f'{wanted[0]} {lost}' if wanted else 'none is named'}",)
    elif reference != wanted[0]:
        notes = (f"reference is {reference}, as {wanted[0]} {lost}",)
    if not unrelated and not methods and folders[0].method.folder != ORIGINAL:
        notes += (
            f"no {ORIGINAL} in {root / below}: what the original model shows is not known, so no "
            "method can be compared with it",
        )
    found = None if reference is None else _reference(reference)
    return Task(
        concept,
        "unrelated" if unrelated else "forgot",
        folders,
        found,
        notes,
        () if methods else _passed_over(root / below),
    )


def _method_folders(
    config: BenchmarkConfig,
    root: Path,
    methods: Sequence[str] | None,
    *,
    with_original: bool = False,
) -> list[MethodFolder]:
    """The method folders below ``root``: the original first, then as configured, then by name."""
    listed = {method.folder: method for method in config.methods}
    first = dict.fromkeys([ORIGINAL, *listed])  # the original keeps its place where it is listed
    order = {folder: position for position, folder in enumerate(first)}
    there = sorted(
        (path.name for path in method_entries(root) if not path.name.startswith(".")),
        key=lambda name: (order.get(name, len(order)), natural_key(name)),
    )
    if methods:
        titles = {listed[name].name: name for name in there if name in listed}
        known = {**titles, **{name: name for name in there}}
        chosen = {known[_one_of(name, known, root)] for name in methods}
        chosen |= {ORIGINAL} if with_original else set()
        there = [name for name in there if name in chosen]
    if not there:
        raise UserError(f"{root}: no method folders in it")
    return [_folder(listed.get(name, Method(name, name)), root / name) for name in there]


def _passed_over(root: Path) -> tuple[Path, ...]:
    """What may have been meant as a method: hidden folders of images, links to files, archives."""
    return tuple(
        path for path in sorted(root.iterdir()) if _is_hidden_method(path) or _is_packed(path)
    )


def _why_no_method(path: Path) -> str:
    if path.is_dir():
        return "a hidden folder that holds images; rename it if it is a method"
    what = "a link to a file" if path.is_symlink() else "an archive"
    return f"{what}, not a folder of images"


def _is_hidden_method(path: Path) -> bool:
    if not (path.name.startswith(".") and path.is_dir()):
        return False
    try:
        return any(map(is_read, scan(path, recursive=True, may_be_empty=True)))
    except UserError:  # cannot be listed: nobody knows
        return True


def _is_packed(path: Path) -> bool:
    """Whether it is a link to a file, or an archive that is not unpacked beside it."""
    if not path.is_file() or is_companion(path):
        return False
    archive = path.suffix.lower() in _ARCHIVES and not (
        path.with_suffix("").is_dir() or path.with_suffix("").with_suffix("").is_dir()
    )
    return path.is_symlink() or archive


def method_entries(root: Path) -> list[Path]:
    """The folders in ``root``, and the links that lead nowhere: each was meant to be a method.

    Raises:
        UserError: it cannot be listed.
    """
    try:
        return [p for p in root.iterdir() if p.is_dir() or (p.is_symlink() and not p.exists())]
    except OSError as error:
        raise UserError(f"{root}: cannot be listed ({error.strerror})") from error


def _one_of(name: str, known: Mapping[str, str], root: Path) -> str:
    found = match(name, known)
    if found is None:
        hint = did_you_mean(name, known)
        there = ", ".join(dict.fromkeys(known.values()))
        raise UserError(f"{root}: no method {name}{hint}; there are {there}")
    alike = {known[other] for other in known if normalise(other) == normalise(name)}
    if found != name and len(alike) > 1:
        raise UserError(f"{root}: {name} could be {' or '.join(sorted(alike))}; spell it exactly")
    return found


def _folder(method: Method, folder: Path) -> MethodFolder:
    found = MethodFolder(method, folder, [])
    if found.is_broken:
        return found
    return replace(found, images=scan(folder, recursive=True, may_be_empty=True))


def _reference(folder: Path) -> MethodFolder:
    return MethodFolder(Method(ORIGINAL, "reference"), folder, scan(folder, recursive=True))
