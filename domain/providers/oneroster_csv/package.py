"""A OneRoster package, a zip or a folder: which files it holds, and their bytes. Never unpacks."""

import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from domain.files.archives import MIB, ByteSource
from domain.providers.oneroster_csv.layouts import READ_FILES, UNREAD_FILES
from domain.roster.source import RosterUnreadable
from domain.validation.codes import Code

GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a package may cost us. Sizes in bytes."""

    compressed: int = 2 * GIB
    uncompressed: int = 8 * GIB
    line: int = MIB
    columns: int = 200
    entries: int = 64
    ratio: int = 100


DEFAULT_LIMITS: Final = Limits()


class Stamp(NamedTuple):
    """What differs as soon as a file on disk is written or replaced."""

    size: int
    changed_at_nanoseconds: int
    inode: int


class Listing(NamedTuple):
    """Which of a package's names are read, by the right spelling; the rest is `unknown`."""

    names: Mapping[str, str]
    unknown: Sequence[str]


@dataclass(frozen=True, slots=True)
class Package:
    """`sizes` are those of the files that are read, by the name that OneRoster gives them."""

    sizes: Mapping[str, int]
    unknown: Sequence[str]
    stamps: Mapping[Path, Stamp]
    limits: Limits
    open: Callable[[str], ByteSource]

    def require_unchanged(self) -> None:
        """A file that is written while it is read is two halves of two rosters."""
        for path, stamp in self.stamps.items():
            if stamp_of(path) != stamp:
                raise RosterUnreadable(
                    Code.FILE_CHANGED,
                    f"{path.name} changed while it was being read.",
                    place=path.name,
                )


def stamp_of(path: Path) -> Stamp | None:
    """None for a file that is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def sort_names(names: Sequence[str]) -> Listing:
    """Tell the files that are read from the rest; only by its case is a name forgiven."""
    known: dict[str, str] = {}
    unknown = []
    for name in names:
        folded = name.lower()
        if folded in READ_FILES:
            if READ_FILES[folded] in known:
                raise RosterUnreadable(
                    Code.FILE_DUPLICATE,
                    f"The package holds {READ_FILES[folded]} twice.",
                    place=READ_FILES[folded],
                )
            known[READ_FILES[folded]] = name
        elif folded not in UNREAD_FILES:
            unknown.append(name)
    return Listing(known, unknown)


def require_entries(count: int, limits: Limits) -> None:
    if count > limits.entries:
        raise RosterUnreadable(
            Code.FILE_TOO_LARGE,
            f"The package holds {count} files; {limits.entries} are the most that is read.",
        )


def require_sizes(sizes: Mapping[str, int], limits: Limits) -> None:
    total = sum(sizes.values())
    if total > limits.uncompressed:
        raise RosterUnreadable(
            Code.FILE_TOO_LARGE,
            f"The files of the package are {total} bytes; the limit is {limits.uncompressed}.",
        )


def path_is_folder(path: Path) -> bool:
    """Whether the package is a folder rather than a file; says so where it is neither."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise RosterUnreadable(
            Code.FILE_MISSING, f"There is nothing to read at {path}: {error.strerror}."
        ) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise RosterUnreadable(Code.FILE_BAD_ZIP, f"{path} is neither a folder nor a zip file.")
    return stat.S_ISDIR(mode)


@contextmanager
def open_folder(path: Path, limits: Limits) -> Iterator[Package]:
    """The files that lie directly in a folder.

    Links are not followed: whoever may write into the folder could read other tenants' files.
    """
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise RosterUnreadable(
            Code.FILE_MISSING, f"The folder {path} cannot be read: {error.strerror}."
        ) from error
    require_entries(len(entries), limits)
    plain = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    others = [
        entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
        for entry in entries
        if not entry.is_file(follow_symlinks=False)
    ]
    listing = sort_names(plain)
    paths = {name: path / spelling for name, spelling in listing.names.items()}
    stamps = {place: stamp for place in paths.values() if (stamp := stamp_of(place))}
    sizes = {name: stamps[place].size for name, place in paths.items() if place in stamps}
    require_sizes(sizes, limits)
    yield Package(
        sizes, [*listing.unknown, *others], stamps, limits, lambda name: _open_file(paths[name])
    )


def _open_file(path: Path) -> ByteSource:
    try:
        return io.FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))
    except OSError as error:
        raise RosterUnreadable(
            Code.FILE_MISSING, f"{path.name} cannot be opened: {error.strerror}.", place=path.name
        ) from error
