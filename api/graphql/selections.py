"""People as inputs select them: by a school, a group, a grade."""

from uuid import UUID

from api.graphql.roster import Group, School
from api.graphql.targets import key_of
from domain.training.selection import Selection


def selection_of(
    school_id: str | None, group_id: str | None, grade: str | None, *, tenant_id: UUID
) -> Selection:
    """Students who fit. Raises InvalidInput for what is not of this tenant."""
    school = group = None
    if school_id is not None:
        school = key_of(school_id, School, "filter.schoolId", tenant_id)
    if group_id is not None:
        group = key_of(group_id, Group, "filter.groupId", tenant_id)
    return Selection(school, group, grade)
