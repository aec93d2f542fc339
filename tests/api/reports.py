"""A preflight's report as it is stored, with another number everywhere."""

from typing import Any

REPORT: dict[str, Any] = {
    "schools": {"expected": 2, "shared": 2, "shared_and_expected": 1, "shared_not_expected": 1,
                "expected_not_shared": 1, "left_out": 0},
    "classes": {"expected": None, "shared": 7, "shared_and_expected": None,
                "shared_not_expected": None, "expected_not_shared": None, "left_out": 3,
                "without_teacher": 1, "empty": 2},
    "users": {"policy": "MATCH_KEYS", "created": 4, "ambiguous": 1, "by_origin": {
        "LEGACY": {"matched": 5, "revived": 0, "archived": 6, "unmatched": 0, "kept": 0}}},
    "licences": {"limit": 9, "used": 8, "needed": 10, "short_by": 1, "expected": None,
                 "order": "CREATED"},
    "usernames": {"same": 1, "would_change": 2, "taken": 3, "case_clashes": 4, "legacy_same": 5,
                  "legacy_different": 6},
    "local_data": [{"outcome": "COMES_BACK", "record_type": "USER", "count": 3}],
    "would_hold": [{"code": "LICENCE_LIMIT", "record_type": "USER", "count": 1, "of": 9}],
    "held": {"USER": 1},
}  # fmt: skip
