"""Where a collection ends, with servers that clamp, lie and go in circles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.oneroster_rest.paging import Sight, Walk, has_next_link, total_of
from domain.roster.source import RosterMoved, RosterUnreadable
from domain.validation.codes import Code


def _walk(size: int = 10) -> Walk:
    return Walk("users", size)


def _sight(count: int, mark: str = "", total: int | None = None, **told: bool | None) -> Sight:
    """A page of rows that no other page has, unless their marks are the same."""
    ids = {f"{mark}{number}" for number in range(count)}
    return Sight(count, ids, mark, total, **told)


def _seen(first: int, last: int, total: int | None = None) -> Sight:
    """A page of the rows of these numbers."""
    ids = set(range(first, last + 1))
    return Sight(len(ids), ids, str(first), total)


def _taken(*sights: Sight, size: int = 10) -> Walk:
    walk = _walk(size)
    for sight in sights:
        assert not walk.is_over
        walk.take(sight)
    return walk


@pytest.mark.parametrize(
    ("sights", "is_over", "expected"),
    [
        # A short page is no end, and a total of the page's own length says nothing.
        ([_sight(3, "a")], False, None),
        ([_sight(3, "a", 3)], False, None),
        ([_sight(3, "a", 3), _sight(0, "", 3)], True, 3),
        ([_sight(0, "", 0)], True, None),
        # A total ends it together with a short page, however the server clamps.
        ([_sight(10, "a", 13), _sight(3, "b", 13)], True, 13),
        ([_sight(5, "a", 15), _sight(5, "b", 15), _sight(5, "c", 15)], False, 15),
        ([_sight(5, "a", 13), _sight(5, "b", 13), _sight(3, "c", 13)], True, 13),
        ([_sight(10, "a", 20), _sight(10, "b", 20)], False, 20),
        # Links end it if the total does not speak against them.
        ([_sight(3, "a", 3, has_next=False)], True, None),
        ([_sight(3, "a", None, has_next=False)], True, None),
        ([_sight(3, "a", 9, has_next=False)], False, 9),
        ([_sight(10, "a", 20), _sight(10, "b", 20, has_next=False)], True, 20),
        ([_sight(3, "a", 3, has_next=True)], False, None),
        # Nothing came though there was more: told by `expected`.
        ([_sight(10, "a", 90), _sight(0, "", 0)], True, 90),
        ([_sight(0, "", 90)], True, 90),
        # A total that is too low ends nothing.
        ([_sight(10, "a", 12), _sight(5, "b", 12)], False, 12),
    ],
)
def test_a_collection_ends_where_the_evidence_says_so(sights, is_over, expected):
    walk = _taken(*sights)
    assert (walk.is_over, walk.expected) == (is_over, expected)


def test_totals_that_are_each_page_s_own_length_end_nothing_and_expect_nothing():
    walk = _taken(_sight(10, "a", 10), _sight(10, "b", 10), _sight(4, "c", 4), _sight(0, "", 0))
    assert (walk.is_over, walk.offset, walk.expected) == (True, 24, None)


def test_a_total_that_has_changed_at_the_end_means_that_the_roster_moved():
    walk = _taken(_sight(10, "a", 13))
    with pytest.raises(RosterMoved) as caught:
        walk.take(_sight(4, "b", 14))
    assert caught.value.code is Code.CONN_MOVED


@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_pages_that_go_in_a_circle_are_noticed(length, before):
    numbers = range(3 * (before + length) + 1)
    at = [number if number < before else before + (number - before) % length for number in numbers]
    with pytest.raises(RosterUnreadable) as caught:
        _taken(*(_sight(10, f"page {number}") for number in at))
    assert caught.value.code is Code.CONN_PAGINATION_BROKEN


def test_rows_that_came_on_the_page_before_are_not_counted_again():
    """A server that begins each page one row early would else be asked for too little."""
    walk = _taken(_seen(0, 9, 22), _seen(9, 18, 22))
    assert walk.offset == 19
    walk.take(_seen(18, 21, 22))
    assert (walk.offset, walk.is_over, walk.expected) == (22, True, 22)


def test_a_last_page_that_has_only_known_rows_is_the_end_and_the_total_judges():
    walk = _taken(_seen(0, 9, 13), _seen(9, 11, 13), _seen(11, 11, 13))
    assert (walk.is_over, walk.offset, walk.expected) == (True, 12, 13)


def test_a_server_that_always_gives_everything_is_read_once():
    assert _taken(_seen(0, 3, 4), _seen(0, 3, 4)).is_over
    with pytest.raises(RosterUnreadable):
        _taken(_seen(0, 3), _seen(0, 3))
    with pytest.raises(RosterUnreadable):
        # As many as were asked for: there may be more that it never gives.
        _taken(_seen(0, 9, 10), _seen(0, 9, 10))


def test_ten_times_the_total_is_too_much():
    walk = _taken(*(_sight(10, f"page {number}", 11) for number in range(11)))
    with pytest.raises(RosterUnreadable) as caught:
        walk.take(_sight(10, "page 12", 11))
    assert caught.value.code is Code.CONN_PAGINATION_BROKEN


def test_a_checkpoint_is_the_walk():
    walk = _taken(_sight(10, "a", 13))
    walk.has_field = True
    checkpoint = walk.checkpoint()
    assert {type(value) for value in checkpoint.values()} == {int, str}
    assert Walk.at(checkpoint) == walk


TOTALS = {
    "true": lambda total, page: total,
    "none": lambda total, page: None,
    "of the page": lambda total, page: page,
    "too low": lambda total, page: total // 2,
}
LINKS = {"true": lambda is_more: is_more, "none": lambda is_more: None}


@given(
    total=st.integers(0, 40),
    size=st.integers(1, 12),
    clamp=st.integers(1, 12),
    totals=st.sampled_from(sorted(TOTALS)),
    links=st.sampled_from(sorted(LINKS)),
)
def test_every_row_is_read_however_the_server_clamps_and_lies(total, size, clamp, totals, links):
    walk = _walk(size)
    requests = 0
    while not walk.is_over:
        requests += 1
        page = range(walk.offset, min(total, walk.offset + min(size, clamp)))
        is_more = walk.offset + len(page) < total
        walk.take(
            _sight(
                len(page),
                f"{page.start} ",
                TOTALS[totals](total, len(page)),
                has_next=LINKS[links](is_more),
            )
        )
    assert walk.offset == total
    assert requests <= -(-total // min(size, clamp)) + 1


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("12", 12),
        (" 0 ", 0),
        ("", None),
        ("many", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 13, None),
    ],
)
def test_a_total_is_a_number_or_nothing(text, total):
    assert total_of({"x-total-count": text}) == total


@pytest.mark.parametrize(
    ("link", "has_next"),
    [
        ('<https://inner/users?offset=2>; rel="next", <https://inner/users>; rel="first"', True),
        ("<https://inner/users>; rel=first, <https://inner/users?offset=2>; rel=last", False),
        ('<https://inner/users>; rel="prev last"', False),
        ('<https://inner/style.css>; rel="preload"', None),
        ("", None),
    ],
)
def test_links_say_at_most_that_there_is_a_next_page(link, has_next):
    assert has_next_link({"link": link}) is has_next
