"""The ids that the API gives out: a record's type and tenant are in them."""

import base64
from typing import Final
from uuid import UUID

RUN_CODE: Final = "R"
"""The type's code of sync runs, to which mails lead as well."""


def encode_global_id(code: str, tenant_id: UUID, key: UUID) -> str:
    return base64.urlsafe_b64encode(code.encode() + tenant_id.bytes + key.bytes).decode()
