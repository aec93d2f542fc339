"""How far a caller sees within a tenant: all of it, or some schools, some groups and oneself.

The database holds to it: see the policies of migration 0008. What a transaction is told here is
asked there for every row, whatever the statement forgot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Reach:
    """`school_ids` are schools with all that is in them, `group_ids` groups with their people.

    The person sees `user_id`, that is themselves, and the schools and groups they are in, in any
    case. `administered_ids` are those of the schools that they are an admin of: they see their
    errors, and change what may be changed. In `group_ids` they may do so as well. `actor` is who
    the person is in what they asked for: errands and exports.
    """

    user_id: UUID
    actor: str
    school_ids: frozenset[UUID] = frozenset()
    group_ids: frozenset[UUID] = frozenset()
    administered_ids: frozenset[UUID] = frozenset()

    def settings(self) -> dict[str, str]:
        """What the policies read."""
        return {
            "homerow.reach": "SOME",
            "homerow.reach_user": str(self.user_id),
            "homerow.reach_actor": self.actor,
            "homerow.reach_schools": _array(self.school_ids),
            "homerow.reach_groups": _array(self.group_ids),
            "homerow.reach_administered": _array(self.administered_ids),
        }

    def stored(self) -> dict[str, Any]:
        """As JSON, for what is done later in the person's name."""
        return {
            "user_id": str(self.user_id),
            "actor": self.actor,
            "school_ids": sorted(map(str, self.school_ids)),
            "group_ids": sorted(map(str, self.group_ids)),
            "administered_ids": sorted(map(str, self.administered_ids)),
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """None: everything."""
        if stored is None:
            return None
        return cls(
            user_id=UUID(stored["user_id"]),
            actor=stored["actor"],
            school_ids=frozenset(map(UUID, stored["school_ids"])),
            group_ids=frozenset(map(UUID, stored["group_ids"])),
            administered_ids=frozenset(map(UUID, stored["administered_ids"])),
        )


def _array(ids: frozenset[UUID]) -> str:
    return "{" + ",".join(sorted(map(str, ids))) + "}"
