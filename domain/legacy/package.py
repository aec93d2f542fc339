"""What was uploaded: a zip with the files, or one of them as it is. Nothing is written to disk."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from domain.files.archives import (
    MIB,
    ByteSource,
    Inflated,
    Memory,
    enclosing_folder,
    open_archive,
    path_of,
    require_honest,
    without_litter,
)
from domain.files.layouts import Layout
from domain.legacy.layouts import LAYOUTS
from domain.roster.source import RosterUnreadable
from domain.validation.codes import Code

_ZIP: Final = b"PK"
_MOST_BYTES: Final = 1024 * MIB
_MOST_ENTRIES: Final = 64
_RATIO: Final = 100
_HEADER_BYTES: Final = 64 * 1024
_NAMES: Final = {layout.file: layout for layout in LAYOUTS}


class Package(NamedTuple):
    """The files that are there, by their names. `unread` are the others."""

    files: Mapping[str, Callable[[], ByteSource]]
    unread: Sequence[str]


@contextmanager
def open_package(content: bytes) -> Iterator[Package]:
    """Raises RosterUnreadable."""
    if not content.startswith(_ZIP):
        layout = _recognise(content)
        yield Package({layout.file: partial(io.BytesIO, content)}, [])
        return
    with Memory(content) as memory, open_archive(memory, "The upload") as archive:
        if len(archive.infolist()) > _MOST_ENTRIES:
            raise RosterUnreadable(
                Code.FILE_TOO_LARGE, f"The zip file holds more than {_MOST_ENTRIES} files."
            )
        require_honest(archive)
        entries = {path_of(entry): entry for entry in archive.infolist() if not entry.is_dir()}
        paths, litter = without_litter(list(entries))
        folder = enclosing_folder(paths)
        found = _sort([path.removeprefix(folder) for path in paths])
        if sum(entries[folder + path].file_size for path in found.values()) > _MOST_BYTES:
            raise RosterUnreadable(
                Code.FILE_TOO_LARGE, f"The files are larger than {_MOST_BYTES // MIB} MiB."
            )
        files = {
            name: partial(
                Inflated,
                archive,
                entries[folder + path],
                name=name,
                uncompressed=_MOST_BYTES,
                ratio=_RATIO,
            )
            for name, path in found.items()
        }
        read = {folder + path for path in found.values()}
        yield Package(files, [*litter, *(path for path in paths if path not in read)])


def _sort(paths: Sequence[str]) -> Mapping[str, str]:
    """The path of each file that is read, whatever its case."""
    found: dict[str, str] = {}
    for path in paths:
        name = path.lower()
        if name not in _NAMES:
            continue
        if name in found:
            raise RosterUnreadable(Code.FILE_DUPLICATE, f"The zip file holds {name} twice.")
        found[name] = path
    if not found:
        raise RosterUnreadable(
            Code.FILE_MISSING, f"The zip file holds none of: {', '.join(_NAMES)}."
        )
    return found


def _recognise(content: bytes) -> Layout:
    """Which file it is, by its header: the one that most of the columns belong to."""
    head = content[:_HEADER_BYTES].decode("utf-8-sig", errors="replace")
    try:
        names = {name.strip().lower() for name in next(csv.reader(io.StringIO(head)), [])}
    except csv.Error:
        names = set()
    fitting = [
        (len(names & {column.name for column in layout.columns}), layout)
        for layout in LAYOUTS
        if names.issuperset(layout.required)
    ]
    most = max((count for count, _ in fitting), default=0)
    best = [layout for count, layout in fitting if count == most]
    if len(best) != 1:
        raise RosterUnreadable(
            Code.FILE_UNKNOWN,
            f"This is neither a zip file nor one of {', '.join(_NAMES)}: "
            "the first line does not have the columns of any, or of several.",
        )
    return best[0]
