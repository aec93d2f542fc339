"""What a document may ask for, and what it costs to say no."""

import time

import pytest
from graphql import get_introspection_query

from api.graphql.documents import KEPT_CHARACTERS, KEPT_DOCUMENTS, Documents
from api.graphql.errors import Refused

VIEWER = "{ viewer { name } }"
GROUPS = (
    '{ tenant(slug: "x") { groups(first: %d) { nodes { memberships(first: %d) {'
    " nodes { id user { id } } } } } } }"
)


def bomb(fragments: int) -> str:
    """Each fragment spreads the next one twice."""
    parts = [f"fragment F{n} on Viewer {{ ...F{n + 1} ...F{n + 1} }}" for n in range(fragments)]
    last = f"fragment F{fragments} on Viewer {{ name }}"
    return " ".join(["{ viewer { ...F0 } }", *parts, last])


def refusal(source: str) -> str:
    with pytest.raises(Refused) as caught:
        Documents().prepare(source)
    assert caught.value.status == 400
    return "; ".join(error.message for error in caught.value.errors)


@pytest.mark.parametrize("fragments", [18, 30, 60])
def test_a_bomb_of_fragments_is_refused_at_once(fragments: int) -> None:
    source = bomb(fragments)
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert refusal(source) == "An operation has at most 2000 fields."
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05


def test_a_bomb_of_aliases_is_refused() -> None:
    source = bomb(18).replace("{ name }", "{ a: name }")
    assert "An operation has at most 30 aliases." in refusal(source)


def test_unknown_and_cyclic_fragments_are_told_by_validation() -> None:
    assert refusal("{ viewer { ...nope } }") == "Unknown fragment 'nope'."
    cyclic = "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }"
    assert "Cannot spread fragment 'A' within itself via 'B'." in refusal(cyclic)


@pytest.mark.parametrize("depth", [13, 100, 900])
def test_a_deep_document_is_refused(depth: int) -> None:
    source = "{ a " * depth + "}" * depth
    assert refusal(source)


def test_a_document_may_have_twelve_levels() -> None:
    inner = "group { school { id } }"
    for _ in range(2):
        inner = "user { memberships { nodes { " + inner + " } } }"
    source = (
        '{ tenant(slug: "x") { groups { nodes { memberships { nodes { ' + inner + " } } } } } }"
    )
    assert refusal(source) == "An operation has at most 12 levels."
    Documents().prepare(source.replace("group { school { id } }", "id"))


def test_a_deep_value_and_a_deep_fragment_chain_are_refused() -> None:
    assert refusal("{ tenants(filter: " + "[" * 450 + "]" * 450 + ") { totalCount } }")
    chain = " ".join(f"fragment F{n} on Tenant {{ a {{ ...F{n + 1} }} }}" for n in range(150))
    assert "levels" in refusal("{ a { ...F0 } } " + chain + " fragment F150 on Tenant { id }")


def test_aliases_are_counted_where_they_take_effect() -> None:
    aliases = " ".join(f"a{n}: name" for n in range(31))
    assert refusal(f"{{ viewer {{ {aliases} }} }}") == "An operation has at most 30 aliases."
    eight = " ".join(f"a{n}: name" for n in range(8))
    spreads = " ".join(["...F"] * 4)
    source = f"{{ viewer {{ {spreads} }} }} fragment F on Viewer {{ {eight} }}"
    assert refusal(source) == "An operation has at most 30 aliases."
    Documents().prepare(source.replace(spreads, "...F ...F ...F"))


def test_root_fields_and_mutations_are_counted() -> None:
    many = "{ " + " ".join(["viewer { name }"] * 21) + " }"
    assert refusal(many) == "An operation has at most 20 root fields."
    start = 'syncRunStart(input: {tenantId: "x"}) { joined }'
    mutations = "mutation { " + " ".join(f"m{n}: {start}" for n in range(11)) + " }"
    assert refusal(mutations) == "An operation has at most 10 root fields."


def test_directives_are_counted() -> None:
    included = " ".join(["name @include(if: true)"] * 51)
    assert refusal(f"{{ viewer {{ {included} }} }}") == "An operation has at most 50 directives."


def test_tokens_and_length_are_limited() -> None:
    assert "tokens" in refusal("{ viewer { " + "name " * 2000 + "} }")
    assert "32768 code points" in refusal("{ viewer { name } } #" + "x" * 32 * 1024)


def test_overlapping_fields_are_checked_in_reasonable_time() -> None:
    fields = " ".join(["viewer { name tenant { slug } }"] * 19)
    spreads = " ".join(f"...F{n}" for n in range(40))
    fragments = " ".join(f"fragment F{n} on Viewer {{ tenant {{ slug name }} }}" for n in range(40))
    began = time.process_time()
    Documents().prepare(f"{{ {fields} viewer {{ {spreads} }} }} {fragments}")
    assert time.process_time() - began < 2


def test_introspection_is_within_the_limits() -> None:
    Documents().prepare(get_introspection_query())


def test_circular_introspection_is_refused() -> None:
    inner = "name"
    for _ in range(4):
        inner = "name fields { type { " + inner + " } }"
    assert refusal("{ __schema { types { " + inner + " } } }")


def test_pages_within_pages_are_multiplied() -> None:
    documents = Documents()
    documents.prepare(GROUPS % (99, 100)).check_cost(None, {})
    documents.prepare(GROUPS % (100, 50)).check_cost(None, {})
    with pytest.raises(Refused, match="20101 objects"):
        documents.prepare(GROUPS % (100, 100)).check_cost(None, {})


def test_a_page_size_in_a_variable_is_multiplied_when_it_is_known() -> None:
    documents = Documents()
    source = (
        'query ($n: Int = 100, $m: Int) { tenant(slug: "x") { groups(first: $n) { nodes {'
        " memberships(first: $m) { nodes { user { id } } } } } } }"
    )
    document = documents.prepare(source)
    assert document.check_cost(None, {"n": 10, "m": 100}) == 1 + 10 * (1 + 100 * 2)
    assert document.check_cost(None, {"m": 50}) == 1 + 100 * (1 + 50 * 2)
    assert document.check_cost(None, {}) == 1 + 100 * (1 + 50 * 2)
    with pytest.raises(Refused, match="20101 objects"):
        document.check_cost(None, {"m": 100})
    with pytest.raises(Refused):
        document.check_cost(None, {"m": 10**12})


def test_a_size_below_nothing_does_not_pay_for_other_fields() -> None:
    source = (
        'query ($n: Int) { a: tenant(slug: "x") { groups(first: $n) { nodes { id } } }'
        ' b: tenant(slug: "x") { groups(first: -9) { nodes { id } }'
        " more: groups(first: 100) { nodes { id } } } }"
    )
    assert Documents().prepare(source).check_cost(None, {"n": -(10**9)}) == 1 + 1 + 100


def test_an_operation_that_is_not_there_costs_nothing() -> None:
    document = Documents().prepare("query A { viewer { name } } query B { viewer { name } }")
    assert document.check_cost("A", {}) == 1
    assert document.check_cost("C", {}) == 0


def test_the_fragments_of_a_page_cost_as_often_as_they_are_spread() -> None:
    spreads = "a: groups { ...G } b: groups { ...G } c: groups { ...G }"
    source = (
        f'{{ tenant(slug: "x") {{ {spreads} }} }} fragment G on GroupConnection {{ nodes {{'
        " memberships(first: 100) { nodes { user { id } } } } }"
    )
    with pytest.raises(Refused, match="objects"):
        Documents().prepare(source).check_cost(None, {})


def test_a_document_is_kept_and_the_oldest_are_forgotten() -> None:
    documents = Documents()
    first = documents.prepare(VIEWER)
    assert documents.prepare(VIEWER) is first
    for number in range(KEPT_DOCUMENTS):
        documents.prepare(f"{{ viewer {{ name }} }} #{number}")
    assert documents.prepare(VIEWER) is not first


def test_kept_documents_are_bounded_by_their_length_together() -> None:
    documents = Documents()
    first = documents.prepare(VIEWER)
    for number in range(KEPT_CHARACTERS // 30_000 + 1):
        documents.prepare(f"{{ viewer {{ name }} }} # {number} {'x' * 30_000}")
    assert documents.prepare(VIEWER) is not first


def test_what_is_refused_is_not_kept() -> None:
    documents = Documents()
    first = documents.prepare(VIEWER)
    for number in range(KEPT_DOCUMENTS + 1):
        with pytest.raises(Refused):
            documents.prepare(f"{{ nothing{number} }}")
    assert documents.prepare(VIEWER) is first
