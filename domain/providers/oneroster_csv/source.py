"""OneRoster CSV as a source of records: a zip file or a folder, from its beginning to its end."""

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from datetime import date
from pathlib import Path
from typing import Final

from domain.providers.oneroster.drafts import Rules
from domain.providers.oneroster_csv.archive import open_zip
from domain.providers.oneroster_csv.check import check_package, failed_step
from domain.providers.oneroster_csv.manifest import read_manifest
from domain.providers.oneroster_csv.package import (
    DEFAULT_LIMITS,
    Limits,
    Package,
    open_folder,
    path_is_folder,
)
from domain.providers.oneroster_csv.pages import Reading, all_pages
from domain.providers.oneroster_csv.picking import picked_pages
from domain.providers.vocabulary import DEFAULT_ROLE_MAP, fold_role_map
from domain.roster.records import Role
from domain.roster.source import Checkpoint, CheckStep, Eligibility, Page, Picks, SourceError

PAGE_SIZE: Final = 5_000


class OneRosterCsvSource:
    """A RosterSource. `today` decides which roles of OneRoster 1.2 hold."""

    def __init__(  # noqa: PLR0913 - where it lies, and what the tenant decided
        self,
        path: Path,
        *,
        today: date,
        role_map: Mapping[str, Role | None] = DEFAULT_ROLE_MAP,
        with_student_email: bool = False,
        eligibility: Eligibility | None = None,
        page_size: int = PAGE_SIZE,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._path = path
        self._today = today
        self._role_map = fold_role_map(role_map)
        self._with_student_email = with_student_email
        self._eligibility = eligibility
        self._page_size = page_size
        self._limits = limits

    async def check(self) -> Sequence[CheckStep]:
        try:
            with self._open() as package:
                return list(check_package(package, self._eligibility))
        except SourceError as error:
            return [failed_step("package", error)]

    async def fingerprint(self) -> str:
        """Of names, sizes and times: a package that is written anew is read anew."""
        with self._open() as package:
            stamps = sorted((path.name, *stamp) for path, stamp in package.stamps.items())
        return hashlib.sha256(repr(stamps).encode()).hexdigest()

    async def pages(self, after: Checkpoint | None = None) -> AsyncGenerator[Page, None]:
        with self._open() as package:
            async with aclosing(all_pages(self._reading(package), after)) as pages:
                async for page in pages:
                    yield page

    async def pick(self, picks: Picks) -> AsyncGenerator[Page, None]:
        with self._open() as package:
            async with aclosing(picked_pages(self._reading(package), picks)) as pages:
                async for page in pages:
                    yield page

    def _reading(self, package: Package) -> Reading:
        return Reading(
            package=package,
            manifest=read_manifest(package),
            rules=Rules(
                self._role_map,
                self._with_student_email,
                self._today,
                org_types={},
                eligibility=self._eligibility,
            ),
            page_size=self._page_size,
        )

    def _open(self) -> AbstractContextManager[Package]:
        if path_is_folder(self._path):
            return open_folder(self._path, self._limits)
        return open_zip(self._path, self._limits)
