"""Zip files of others: looked at with distrust, inflated as they are read."""

import copy
import io
import stat
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import IO, Final, NoReturn, Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from typing_extensions import override

from domain.roster.source import RosterUnreadable
from domain.validation.codes import Code

MIB: Final = 1 << 20


class ByteSource(Protocol):
    """The bytes of one file, from its beginning."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


_BROKEN = (
    BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    OverflowError,
)
_ENCRYPTED = 0x1
_NESTED = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz")
_HEADER_LENGTH = 30
_LITTER = "__MACOSX"


class Disk(io.FileIO):
    """zipfile takes the whole directory of a zip into memory: a huge one is refused before."""

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(_bounded(size)) or b""


class Memory(io.BytesIO):
    """A zip file that is no file, with the same guard."""

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(_bounded(size))


def _bounded(size: int | None) -> int:
    if size is not None and size > MIB:
        raise RosterUnreadable(
            Code.FILE_TOO_LARGE, "The zip file's directory is larger than any package's."
        )
    return -1 if size is None else size


class Inflated:
    """The bytes of an entry, counted as they come: nothing that the zip claims is believed."""

    def __init__(
        self, archive: ZipFile, entry: ZipInfo, *, name: str, uncompressed: int, ratio: int
    ) -> None:
        # zipfile stops at the size that is claimed; with a larger one it goes to the real end
        # and compares the checksum of everything.
        unbelieved = copy.copy(entry)
        unbelieved.file_size = uncompressed + 1
        self._name = name
        self._claimed = entry.file_size
        self._most = ratio * entry.compress_size + MIB
        self._count = 0
        try:
            self._stream = archive.open(unbelieved)
        except (*_BROKEN, RuntimeError) as error:
            self._refuse(error)

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._stream.read(size)
        except _BROKEN as error:
            self._refuse(error)
        self._count += len(chunk)
        if self._count > min(self._claimed, self._most):
            raise RosterUnreadable(
                Code.FILE_BOMB,
                f"{self._name} unpacks to far more than the zip file says or can hold.",
                place=self._name,
            )
        if not chunk and size and self._count != self._claimed:
            self._refuse(None)
        return chunk

    def close(self) -> None:
        self._stream.close()

    def _refuse(self, error: BaseException | None) -> NoReturn:
        raise RosterUnreadable(
            Code.FILE_BAD_ZIP,
            f"{self._name} cannot be unpacked: the zip file is damaged or was cut off.",
            place=self._name,
        ) from error


def open_archive(file: IO[bytes], name: str) -> ZipFile:
    try:
        return ZipFile(file)
    except _BROKEN as error:
        raise RosterUnreadable(
            Code.FILE_BAD_ZIP, f"{name} is not a zip file, or it was cut off."
        ) from error


def path_of(entry: ZipInfo) -> str:
    """Some Windows tools write backslashes."""
    return entry.filename.replace("\\", "/")


def require_honest(archive: ZipFile) -> None:
    """Refuse what an export never has and an attack does."""
    for entry in archive.infolist():
        if entry.flag_bits & _ENCRYPTED:
            _refuse_entry(entry, "is encrypted")
        if stat.S_ISLNK(entry.external_attr >> 16):
            _refuse_entry(entry, "is a link")
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            _refuse_entry(entry, "is compressed in a way that few programs can read")
        if entry.filename.lower().endswith(_NESTED):
            _refuse_entry(entry, "is an archive in the archive")
    # The same compressed bytes under many names are how small files become huge ones.
    by_offset = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    for entry, following in pairwise(by_offset):
        least = _HEADER_LENGTH + len(entry.filename) + entry.compress_size
        if entry.header_offset + least > following.header_offset:
            raise RosterUnreadable(
                Code.FILE_BOMB, "Entries of the zip file overlap.", place=following.filename
            )


def _refuse_entry(entry: ZipInfo, why: str) -> NoReturn:
    raise RosterUnreadable(
        Code.FILE_BAD_ZIP, f"{entry.filename} in the zip file {why}.", place=entry.filename
    )


def without_litter(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The paths, and apart from them what macOS adds to every zip."""
    kept, litter = [], []
    for path in paths:
        if path.startswith(f"{_LITTER}/"):
            litter.append(f"{_LITTER}/")
        elif path.rpartition("/")[2].startswith((".DS_Store", "._")):
            litter.append(path)
        else:
            kept.append(path)
    return kept, list(dict.fromkeys(litter))


def enclosing_folder(paths: Sequence[str]) -> str:
    """The one folder that everything lies in, with its slash, or nothing."""
    folders = {path.partition("/")[0] for path in paths if "/" in path}
    if len(folders) == 1 and all("/" in path for path in paths):
        return f"{folders.pop()}/"
    return ""
