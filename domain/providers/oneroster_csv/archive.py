"""A package that is a zip file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.files.archives import (
    ByteSource,
    Disk,
    Inflated,
    enclosing_folder,
    open_archive,
    path_of,
    require_honest,
    without_litter,
)
from domain.providers.oneroster_csv.package import (
    Limits,
    Package,
    require_entries,
    require_sizes,
    sort_names,
    stamp_of,
)
from domain.roster.source import RosterUnreadable
from domain.validation.codes import Code


@contextmanager
def open_zip(path: Path, limits: Limits) -> Iterator[Package]:
    stamp = stamp_of(path)
    if stamp is None:
        raise RosterUnreadable(Code.FILE_MISSING, f"There is no file {path}.")
    if stamp.size > limits.compressed:
        raise RosterUnreadable(
            Code.FILE_TOO_LARGE,
            f"{path.name} is {stamp.size} bytes; the limit is {limits.compressed}.",
        )
    with _open_disk(path) as disk, open_archive(disk, path.name) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        require_entries(len(archive.infolist()), limits)
        require_honest(archive)
        by_path = {path_of(entry): entry for entry in entries}
        paths, litter = without_litter([path_of(entry) for entry in entries])
        folder = enclosing_folder(paths)
        listing = sort_names([name.removeprefix(folder) for name in paths])
        found = {name: by_path[folder + spelling] for name, spelling in listing.names.items()}
        sizes = {name: entry.file_size for name, entry in found.items()}
        require_sizes(sizes, limits)
        unknown = [*([folder] if folder else []), *litter, *listing.unknown]

        def open_entry(name: str) -> ByteSource:
            return Inflated(
                archive,
                found[name],
                name=name,
                uncompressed=limits.uncompressed,
                ratio=limits.ratio,
            )

        yield Package(sizes, unknown, {path: stamp}, limits, open_entry)


def _open_disk(path: Path) -> Disk:
    try:
        return Disk(path)
    except OSError as error:
        raise RosterUnreadable(
            Code.FILE_MISSING, f"{path} cannot be opened: {error.strerror}."
        ) from error
