"""The generated districts that are synced, kept for the next time."""

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

from api.generator.package import expected_path, generate
from tests.benchmarks.places import RESULTS, ROOT

SEED = 1
CHANGE = 0.016
"""Of the students; then about one record in a hundred changes."""


class Nights(NamedTuple):
    """Two packages of one district: each is a night of changes to the other."""

    first: Path
    second: Path


def nights_of(students: int) -> Nights:
    """Generated unless they are here already, made by the same generator."""
    second = _folder() / f"{students}-second-{CHANGE}"
    return Nights(first_night_of(students), _package(second, students, change=CHANGE))


def first_night_of(students: int) -> Path:
    return _package(_folder() / f"{students}-first", students, change=0.0)


def _folder() -> Path:
    folder = RESULTS / "districts" / _version()
    _forget_other_versions(folder)
    return folder


def _package(folder: Path, students: int, *, change: float) -> Path:
    # The expected counts are written last: without them the package is half a one.
    if not expected_path(folder).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        generate(folder, students=students, seed=SEED, change=change)
    return folder


def _version() -> str:
    sources = sorted((ROOT / "api" / "generator").glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _forget_other_versions(folder: Path) -> None:
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other)
