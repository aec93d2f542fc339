"""Cursors: where a page ends, signed and bound to the list that they were made for."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.graphql.errors import ApiError, bad_input
from domain.secrets import KeyRing

_MAC_BYTES = 12
_MAX_LENGTH = 2000

Key = str | UUID | datetime
"""One value of a row's place in an order."""


def invalid_cursor() -> ApiError:
    return bad_input(
        "The cursor does not belong to this list with this filter and order.",
        reason="INVALID_CURSOR",
    )


def scope_of(*parts: object) -> bytes:
    """What a cursor is bound to: the list, its tenant or owner, the filter and the order."""
    return hashlib.sha256(orjson.dumps(parts, default=str)).digest()


@dataclass(frozen=True, slots=True)
class CursorSigner:
    key: bytes

    @classmethod
    def of(cls, keys: KeyRing) -> Self:
        """Cursors end when the primary key is changed, as pages of yesterday may."""
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"homerow cursors")
        return cls(derive.derive(keys.keys[keys.primary]))

    def encode(self, scope: bytes, place: Sequence[Key]) -> str:
        payload = orjson.dumps(place, default=str)  # asyncpg has a UUID of its own
        return base64.urlsafe_b64encode(self._mac(scope, payload) + payload).decode()

    def decode(self, scope: bytes, cursor: str, types: Sequence[type[Key]]) -> tuple[Key, ...]:
        """The place, in the types of its order. Raises the caller's error."""
        try:
            raw = base64.b64decode(cursor[:_MAX_LENGTH], altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_cursor() from error
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(scope, payload)):
            raise invalid_cursor()
        values = orjson.loads(payload)
        return tuple(_read(value, type_) for value, type_ in zip(values, types, strict=True))

    def _mac(self, scope: bytes, payload: bytes) -> bytes:
        return hmac.digest(self.key, scope + payload, "sha256")[:_MAC_BYTES]


def _read(value: str, type_: type[Key]) -> Key:
    if type_ is datetime:
        return datetime.fromisoformat(value)
    return UUID(value) if type_ is UUID else value
