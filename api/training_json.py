"""People as the training application is shown them; docs/training-application.md is their page."""

from typing import Any, Final
from uuid import UUID

from api.graphql.change_parts import TYPE_CODES
from api.graphql.node import encode_id
from domain.roster.records import RecordType
from domain.training.application import TrainingGroup, TrainingUser
from domain.training.effective import Effective, Setting
from domain.training.places import Place

FORMAT: Final = 1
"""Part of every tag: raised when the same data is shown otherwise, new default values included."""


def present_user(tenant_id: UUID, user: TrainingUser) -> dict[str, Any]:
    schools = [_id(RecordType.SCHOOL, tenant_id, key) for key in user.school_ids]
    return {
        "id": _id(RecordType.USER, tenant_id, user.id),
        "sourceId": user.source_id,
        "username": user.username,
        "givenName": user.given_name,
        "familyName": user.family_name,
        "roles": user.roles,
        "isEnabled": user.is_enabled,
        "isEligible": user.is_eligible,
        "isArchived": user.is_archived,
        "mergedIntoId": _id(RecordType.USER, tenant_id, user.merged_into_id),
        "schoolIds": schools,
        "groups": [_group(tenant_id, group) for group in user.groups],
        "defaultGroup": _place(RecordType.GROUP, tenant_id, user.places.group),
        "defaultSchool": _place(RecordType.SCHOOL, tenant_id, user.places.school),
        "settings": _settings(user.settings),
    }


def _group(tenant_id: UUID, group: TrainingGroup) -> dict[str, Any]:
    return {
        "id": _id(RecordType.GROUP, tenant_id, group.id),
        "name": group.name,
        "schoolId": _id(RecordType.SCHOOL, tenant_id, group.school_id),
        "roles": group.roles,
        "startsOn": group.starts_on,
        "endsOn": group.ends_on,
        "visibleOn": group.visible_on,
        "ageGroup": group.settings.age_group.value,
        "settings": _settings(group.settings),
    }


def _place(record_type: RecordType, tenant_id: UUID, place: Place) -> dict[str, Any]:
    return {"id": _id(record_type, tenant_id, place.id), "source": place.source}


def _settings(settings: Effective) -> dict[str, Any]:
    return {
        "speedTarget": _setting(settings.speed_target),
        "accuracyTarget": _setting(settings.accuracy_target),
        "keyboardLayout": _setting(settings.keyboard_layout),
        "hasAvatars": _setting(settings.has_avatars),
    }


def _setting(setting: Setting[Any]) -> dict[str, Any]:
    return {"value": setting.value, "level": setting.level}


def _id(record_type: RecordType, tenant_id: UUID, key: UUID | None) -> str | None:
    return None if key is None else encode_id(TYPE_CODES[record_type], tenant_id, key)
