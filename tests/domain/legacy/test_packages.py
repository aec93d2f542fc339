"""Uploads that cannot be read at all: refused in words, with nothing done."""

import io
import zipfile

import pytest

from domain.errors import InvalidInput
from domain.files import tables
from tests.domain.legacy.files import SMALL, Desk, zipped

pytestmark = pytest.mark.anyio


def bomb() -> bytes:
    """A file that claims to be small and is not."""
    content = bytearray(zipped({"schools.csv": "id,name\n" + "s1,North\n" * 1_000_000}))
    name = content.rindex(b"schools.csv")
    content[name - 22 : name - 18] = (100).to_bytes(4, "little")
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(zipped({"schools.csv": "id,name\n"}))
    name = content.rindex(b"schools.csv")
    content[name - 38] |= 1
    return bytes(content)


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("schools.csv", "SCHOOLS.csv"):
            archive.writestr(name, "id,name\n")
    return buffer.getvalue()


UNREADABLE = {
    "cut off": (zipped(SMALL)[:-40], "is not a zip file, or it was cut off"),
    "bomb": (bomb(), "unpacks to far more"),
    "encrypted": (encrypted(), "is encrypted"),
    "twice": (twice(), "holds schools.csv twice"),
    "nested": (zipped({"schools.csv": "id,name\n", "more.zip": b"PK"}), "is an archive"),
    "nothing": (zipped({"roster.csv": "id\n"}), "holds none of: schools.csv, groups.csv"),
    "many": (zipped({f"{n}.csv": "x" for n in range(65)}), "more than 64 files"),
    "unknown": (b"one,two\n1,2\n", "neither a zip file nor one of"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "neither a zip file nor one of"),
    "missing": (zipped({"schools.csv": "id\ns1\n"}), "line 1: the columns name are missing"),
    "doubled": (zipped({"schools.csv": "id,name,ID\n"}), "the column id is there twice"),
    "latin": (zipped({"schools.csv": "id,name\ns1,Éc\n".encode("latin-1")}), "not UTF-8"),
    "open": (zipped({"schools.csv": 'id,name\ns1,"No\n'}), "line 2: a quotation mark"),
    "long": (zipped({"schools.csv": f"id,name\ns1,{'x' * 70_000}\n"}), "longer than 65536"),
    "nul": (zipped({"schools.csv": "id,name\ns1,\0\n"}), "NUL character"),
    "wide": (zipped({"schools.csv": "id,name" + "," * 200 + "\n"}), "200 are the most"),
    "empty": (zipped({"schools.csv": ""}), "the columns id, name are missing"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_cannot_be_read_is_refused_with_a_reason(desk: Desk, kind: str) -> None:
    content, words = UNREADABLE[kind]
    with pytest.raises(InvalidInput, match=words) as refused:
        await desk.ask(await desk.upload(content), apply=True, skip=True)
    assert refused.value.field == "uploadId"
    assert await desk.rows("SELECT count(*) FROM schools") == [(0,)]


async def test_there_is_a_limit_of_rows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 20_000)
    content = "id,name\n" + "".join(f"s{n},School\n" for n in range(20_001))
    with pytest.raises(InvalidInput, match="line 20002: there are more than 20000 rows"):
        await desk.look({"schools.csv": content})


@pytest.mark.parametrize("name", SMALL)
async def test_every_file_is_known_by_its_header_alone(desk: Desk, name: str) -> None:
    report = await desk.ask(await desk.upload(SMALL[name].encode()))
    assert [file["name"] for file in report["files"]] == [name]
