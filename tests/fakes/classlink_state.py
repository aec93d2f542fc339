"""What a ClassLink fake remembers: who shares with the partner, and how."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.fakes.district import Folder
from tests.fakes.oneroster_auth import Auth, Credentials, guard_of
from tests.fakes.oneroster_roster import ENDPOINTS
from tests.fakes.oneroster_service import DEMOGRAPHICS, Habits, OneRosterService

BASE: Final = "/ims/oneroster/v1p1"
DIRECT: Final = "/direct"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A district. `application` is escaped already, in a way that nobody would escape it."""

    tenant_id: int
    name: str
    application: str
    bearer: str
    enabled: str = "true"
    status: str = "Active"

    @property
    def is_usable(self) -> bool:
        return self.enabled == "true" and self.status == "Active"


SERVED: Final = Tenant(
    1001, "Hickory Valley", "Hk7%2Fq%43Zt09", "00000000-aaaa-4aaa-8aaa-000000001001"
)
TENANTS: Final = (
    SERVED,
    Tenant(
        1002,
        "Switched Off",
        "Qm2%2Bd%41Rr55",
        "00000000-aaaa-4aaa-8aaa-000000001002",
        enabled="false",
    ),
    Tenant(
        1003,
        "Gone Away",
        "Zz9%2Fo%44Pl31",
        "00000000-aaaa-4aaa-8aaa-000000001003",
        status="Inactive",
    ),
    Tenant(1004, "Just Arrived", "Nw4%2Fe%45Kk88", "00000000-aaaa-4aaa-8aaa-000000001004"),
)


@dataclass(frozen=True, slots=True)
class ClassLinkOptions:
    """`key` and `secret` are the district's, for its server directly."""

    partner_token: str = "fake-classlink-partner"  # noqa: S105 - of a fake
    tenants: tuple[Tenant, ...] = TENANTS
    key: str = "fake-classlink-key"
    secret: str = "fake-classlink-secret"  # noqa: S105 - of a fake
    direct_auth: Auth = Auth.OAUTH1_SHA256
    habits: Habits = field(default_factory=lambda: Habits(has_links=False))
    clock: Callable[[], float] = time.time


class ClassLinkFake:
    """What happens at ClassLink's side is told by calling its methods, at any time."""

    def __init__(self, folder: Path, options: ClassLinkOptions) -> None:
        self.options = options
        self.tenants = list(options.tenants)
        self._folder = Folder(folder)
        self._permissions = 1
        credentials = Credentials(
            auth=options.direct_auth, key=options.key, secret=options.secret, clock=options.clock
        )
        self.guard = guard_of(credentials)
        self.service = OneRosterService(
            self._folder,
            habits=options.habits,
            has_text_booleans=True,
            vendor_headers=self._headers,
        )

    def _headers(self, shown: int) -> Mapping[str, str]:
        return {
            "x-count": str(shown),
            "x-perm-rev": f"{self._permissions}-{self._folder.current().revision}",
            "x-next-page-token": "",
            "x-obfuscated": "",
            "x-modified": "",
            "x-endpoint": "",
            "x-page-generation-time-ms": "1",
        }

    def tenant_at(self, application: str) -> Tenant | None:
        return next((item for item in self.tenants if item.application == application), None)

    def put_tenant(self, tenant: Tenant) -> None:
        """In the place of the one with that id, or as one that has just begun to share."""
        by_id = {item.tenant_id: item for item in self.tenants}
        self.tenants = list({**by_id, tenant.tenant_id: tenant}.values())

    def rotate_bearer(self) -> None:
        """The first district gets another bearer; the one before is refused from now on."""
        self.put_tenant(replace(self.tenants[0], bearer=str(uuid4())))

    def move_roster(self) -> None:
        """The district shares something else from now on: `x-perm-rev` changes."""
        self._permissions += 1

    def collection_of(self, path: str) -> str | None:
        if path == "/applications":
            return "applications"
        if path.startswith("/applications/"):
            return "server" if path.endswith("/server") else None
        _, base, tail = path.partition(BASE)
        name = tail.strip("/").partition("/")[0]
        return name if base and (name in ENDPOINTS or name == DEMOGRAPHICS) else None
