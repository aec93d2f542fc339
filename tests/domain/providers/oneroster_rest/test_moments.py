"""The times of change that servers write."""

from datetime import date

import pytest

from domain.providers.oneroster_rest.moments import delta_from, latest

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2026-11-01T10:00:00.000Z", "2026-11-02T00:00:00.000Z"], "2026-11-02T00:00:00.000Z"),
        (["2026-11-01T10:00:00Z", "2026-11-01T10:00:00.500Z"], "2026-11-01T10:00:00.500Z"),
        (["2026-11-01T10:00:00"], "2026-11-01T10:00:00.000Z"),
        (["2026-11-01T10:00:00+02:00", "2026-11-01T09:00:00Z"], "2026-11-01T09:00:00.000Z"),
        (["2026-11-01", "2026-10-31T23:00:00Z"], "2026-11-01T00:00:00.000Z"),
        (["nonsense", "", None, 17, "2026-11-01T10:00:00Z"], "2026-11-01T10:00:00.000Z"),
        (["9999-12-31T23:59:59Z", "2026-11-01T10:00:00Z"], "2026-11-01T10:00:00.000Z"),
        (["9999-12-31T23:59:59-23:00"], None),
        ([None, ""], None),
        ([], None),
    ],
)
def test_the_latest_time_is_told_in_utc_with_milliseconds(texts, found):
    assert latest(texts, today=TODAY) == found


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("2026-11-01T00:02:00.000Z", "2026-10-31T23:57:00.000Z"),
        ("2026-11-01T00:02:00", "2026-10-31T23:57:00.000Z"),
        ("yesterday", None),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_a_delta_begins_five_minutes_before(text, begin):
    assert delta_from(text) == begin
