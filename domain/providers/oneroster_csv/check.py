"""Whether a package can be read, step by step and in plain sentences, without reading all of it."""

from collections.abc import Iterator
from typing import Final

from domain.providers.oneroster_csv.layouts import (
    COLLECTIONS,
    ROLES_LAYOUT,
    Layout,
    collections_of,
)
from domain.providers.oneroster_csv.manifest import Manifest, read_manifest
from domain.providers.oneroster_csv.package import Package
from domain.providers.oneroster_csv.table import open_table
from domain.roster.records import RecordType
from domain.roster.source import CheckStep, Completeness, Eligibility, SourceError
from domain.validation.codes import RULES

_KIB: Final = 1024


def failed_step(name: str, error: SourceError) -> CheckStep:
    return CheckStep(name, is_ok=False, message=str(error), advice=RULES[error.code].remedy)


def check_package(package: Package, eligibility: Eligibility | None = None) -> Iterator[CheckStep]:
    """The steps behind opening the package; the one that fails is the last."""
    yield _opened(package)
    step = "manifest"
    try:
        manifest = read_manifest(package)
        yield CheckStep(step, is_ok=True, message=_manifest_sentence(manifest))
        for layout in _layouts_of(manifest, eligibility):
            step = layout.file
            yield CheckStep(step, is_ok=True, message=_header_sentence(package, manifest, layout))
        step = "content"
        yield CheckStep(step, is_ok=True, message=_content_sentence(package, manifest))
    except SourceError as error:
        yield failed_step(step, error)


def _opened(package: Package) -> CheckStep:
    message = f"The package was opened; {_count(len(package.sizes), 'file')} of it can be read."
    if package.unknown:
        message += f" Not part of OneRoster: {', '.join(package.unknown)}."
    return CheckStep("package", is_ok=True, message=message)


def _manifest_sentence(manifest: Manifest) -> str:
    if not manifest.modes:
        return f"OneRoster {manifest.version}; the manifest says that there are no updates."
    words = {Completeness.FULL: "bulk", Completeness.DELTA: "delta"}
    files = ", ".join(f"{name} ({words[mode]})" for name, mode in manifest.modes.items())
    return f"OneRoster {manifest.version}: {files}."


def _layouts_of(manifest: Manifest, eligibility: Eligibility | None = None) -> list[Layout]:
    layouts = [*collections_of(manifest.version, eligibility).values(), ROLES_LAYOUT]
    return [layout for layout in layouts if layout.file in manifest.modes]


def _header_sentence(package: Package, manifest: Manifest, layout: Layout) -> str:
    is_delta = manifest.modes[layout.file] is Completeness.DELTA
    with open_table(package, layout, is_delta=is_delta) as table:
        unread = [problem.field for problem in table.problems if problem.expected is None]
        misspelt = [
            f"{problem.field} was read as {problem.expected}"
            for problem in table.problems
            if problem.expected
        ]
    sentences = ["All required columns are there."]
    if misspelt:
        sentences.append(f"Misspelt: {', '.join(misspelt)}.")
    if unread:
        sentences.append(f"Not part of OneRoster, and not read: {', '.join(map(str, unread))}.")
    return " ".join(sentences)


def _content_sentence(package: Package, manifest: Manifest) -> str:
    """Schools are counted; to count the rest would take as long as to read it."""
    orgs = COLLECTIONS[RecordType.SCHOOL]
    parts = []
    if orgs.file in manifest.modes:
        parts.append(f"{_count(_count_schools(package, orgs), 'school')} in {orgs.file}")
    parts.extend(
        f"{layout.file} has {_size(package.sizes[layout.file])}"
        for layout in _layouts_of(manifest)
        if layout is not orgs
    )
    return f"{'; '.join(parts)}." if parts else "There is nothing to read."


def _count_schools(package: Package, layout: Layout) -> int:
    with open_table(package, layout) as table:
        type_at = table.columns["type"]
        return sum(
            len(row) > type_at and row[type_at].strip().lower() == "school" for row in table.rows
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(size: int) -> str:
    return f"{size} bytes" if size < 10 * _KIB else f"{size // _KIB} KiB"
