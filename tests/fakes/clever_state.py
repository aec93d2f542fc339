"""What a Clever fake remembers: its tokens, its counted requests, its district."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.fakes.clever_objects import district_id
from tests.fakes.clever_roster import CleverRoster
from tests.fakes.district import Folder, clever_id
from tests.fakes.misbehaving import Incidents
from tests.fakes.misbehaviour import Kind

SECURE_SYNC: Final = frozenset(
    {
        "read:district_admins",
        "read:districts",
        "read:resources",
        "read:school_admins",
        "read:schools",
        "read:sections",
        "read:student_contacts",
        "read:students",
        "read:teachers",
        "read:user_id",
    }
)
SIGN_IN_ONLY: Final = frozenset(
    {
        "read:district_admins_basic",
        "read:school_admins_basic",
        "read:students_basic",
        "read:teachers_basic",
        "read:user_id",
    }
)


@dataclass(frozen=True, slots=True)
class CleverOptions:
    """`rate_limit` requests in `rate_window` seconds from a token's first."""

    client_id: str = "fake-clever-client"
    client_secret: str = "fake-clever-secret"  # noqa: S105 - of a fake
    scopes: frozenset[str] = SECURE_SYNC
    rate_limit: int = 1200
    rate_window: float = 60.0
    clock: Callable[[], float] = time.time


class RateHeaders(NamedTuple):
    is_over: bool
    named: Mapping[str, str]


class Rate:
    """A fixed window for each token. The next one begins with the first request after it."""

    def __init__(self, options: CleverOptions) -> None:
        self._options = options
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, token: str) -> RateHeaders:
        now = self._options.clock()
        ends_at, taken = self._windows.get(token, (0.0, 0))
        if now >= ends_at:
            ends_at, taken = now + self._options.rate_window, 0
        self._windows[token] = (ends_at, taken + 1)
        limit = self._options.rate_limit
        named = {
            "X-Ratelimit-Bucket": "bearer",
            "X-Ratelimit-Limit": str(limit),
            "X-Ratelimit-Remaining": str(max(0, limit - taken - 1)),
            "X-Ratelimit-Reset": str(int(ends_at)),
        }
        return RateHeaders(taken >= limit, named)


class CleverFake:
    """What happens at Clever's side is told by calling its methods, at any time."""

    def __init__(self, folder: Path, options: CleverOptions) -> None:
        self.options = options
        self.rate = Rate(options)
        self.is_connected = True
        self._folder = Folder(folder)
        self._rotations = 0
        self._moves = 0
        self._rosters: dict[tuple[str, str], CleverRoster] = {}

    @property
    def incidents(self) -> Incidents:
        return {Kind.TOKEN_REVOKED: self.rotate_token, Kind.ROSTER_MOVED: self.move_roster}

    @property
    def district_id(self) -> str:
        return district_id(self._folder.current())

    @property
    def token(self) -> str:
        text = f"{self.district_id} {self._rotations}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def rotate_token(self) -> None:
        """The district gets another token; the one before is refused from now on."""
        self._rotations += 1

    def disconnect(self) -> None:
        """The district shares nothing any more: its token is refused, and not listed."""
        self.is_connected = False

    def move_roster(self) -> None:
        """Clever syncs the district: `last_sync` is later than it was."""
        self._moves += 1

    @property
    def has_secure_sync(self) -> bool:
        return {"read:sections", "read:students"} <= self.options.scopes

    def accepts(self, token: str) -> bool:
        return self.is_connected and token == self.token

    def tokens(self) -> list[dict[str, Any]]:
        """Other districts share with us too: none of theirs is the one that is served."""
        other = clever_id("district", "another")
        tokens = [self._listed_token(other, "another")]
        if self.is_connected:
            tokens.append(self._listed_token(self.district_id, self.token))
        return tokens

    def _listed_token(self, owner: str, token: str) -> dict[str, Any]:
        return {
            "id": clever_id("token", token),
            "created": f"2026-07-{1 + self._rotations % 28:02d}T08:00:00.000Z",
            "owner": {"type": "district", "id": owner},
            "access_token": token,
            "scopes": sorted(self.options.scopes),
        }

    def roster(self, version: str) -> CleverRoster:
        district = self._folder.current()
        key = (version, district.revision)
        if key not in self._rosters:
            # Another night: nobody asks for the one before again.
            self._rosters = {
                made: roster for made, roster in self._rosters.items() if made[1] == key[1]
            }
            self._rosters[key] = CleverRoster(district, version, moves=lambda: self._moves)
        return self._rosters[key]
