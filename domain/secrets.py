"""Sealing of the providers' credentials: AES-256-GCM, bound to the row that holds them.

A sealed value is one version byte, the length and the id of the key, a nonce and the ciphertext.
The context (tenant, table, row) is authenticated with it, so that a sealed value that is moved to
another row or tenant does not open.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = 1
_NONCE_BYTES = 12
_KEY_BYTES = 32


class SecretUnreadable(Exception):
    """A sealed value cannot be opened: its key is gone, or it was moved or changed."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys by their id. The primary one seals; all of them open."""

    primary: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "id:base64,id:base64". Raises ValueError, without showing a key."""
        keys: dict[str, bytes] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            key_id, _, encoded = pair.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not key_id or len(key) != _KEY_BYTES:
                raise ValueError("A secret key is written as id:key with 32 bytes in base64.")
            keys[key_id] = key
        if not keys:
            raise ValueError("At least one secret key is needed.")
        return cls(primary=next(iter(keys)), keys=keys)

    def seal(self, plain: bytes, *, context: str) -> bytes:
        key_id = self.primary.encode()
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.primary]).encrypt(nonce, plain, context.encode())
        return bytes([_VERSION, len(key_id)]) + key_id + nonce + sealed

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises SecretUnreadable."""
        if len(sealed) < 2 or sealed[0] != _VERSION:  # noqa: PLR2004 - version and length bytes
            raise SecretUnreadable("The sealed value is not in a known form.")
        end = 2 + sealed[1]
        key = self.keys.get(sealing_key(sealed))
        if key is None:
            raise SecretUnreadable("The key that sealed the value is not in HOMEROW_SECRET_KEYS.")
        nonce, ciphertext = sealed[end : end + _NONCE_BYTES], sealed[end + _NONCE_BYTES :]
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, context.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable("The sealed value was changed or belongs elsewhere.") from error


def totp_context(tenant_id: UUID, account_id: UUID) -> str:
    """What the sealed second factor of an account is bound to."""
    return f"accounts:{tenant_id}:{account_id}"


def signing_key_context(kid: str) -> str:
    """What a sealed signing key is bound to."""
    return f"signing_keys:{kid}"


def sealing_key(sealed: bytes) -> str:
    """The id of the key that sealed the value, or what stands there where nothing was sealed."""
    return sealed[2 : 2 + sealed[1]].decode(errors="replace") if len(sealed) > 1 else ""
