"""Ways of signing in: what is on, who may say so, and that nobody locks themselves out."""

import asyncio
from uuid import UUID

import pytest

from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.people.callers import COMMAND_LINE, Caller, CallerRole
from domain.people.models import SignInMethodName, UsernameComparison
from domain.signing_in.methods import (
    PERSONAL_TENANT,
    Method,
    MethodSetting,
    enabled_methods,
    forget_identity,
    methods_of,
    set_methods,
)
from tests.api.graphql.seed import add_integration
from tests.domain.signing_in.district import KEYS, District, google

pytestmark = pytest.mark.anyio

CLEVER = SignInMethodName.CLEVER
CLASSLINK = SignInMethodName.CLASSLINK
GOOGLE = SignInMethodName.GOOGLE
MICROSOFT = SignInMethodName.MICROSOFT
PASSWORD = SignInMethodName.PASSWORD
TID = KEYS[MICROSOFT]


def admin_of(district: District) -> Caller:
    return Caller(
        actor="account ada",
        name="Ada",
        tenant_id=district.tenant_id,
        roles=frozenset({CallerRole.SUPER_ADMIN}),
    )


def on_google(*keys: str, compares: str = "ADDRESS") -> MethodSetting:
    return MethodSetting(GOOGLE, is_enabled=True, keys=keys, compares=UsernameComparison(compares))


async def read(district: District) -> dict[SignInMethodName, Method]:
    async with district.api.read(district.tenant_id) as session:
        return {method.name: method for method in await methods_of(session, district.tenant_id)}


async def enabled(district: District) -> list[SignInMethodName]:
    async with district.api.read(district.tenant_id) as session:
        return [method.name for method in await enabled_methods(session, district.tenant_id)]


async def change(
    district: District, *settings: MethodSetting, caller: Caller | None = None
) -> None:
    async with district.api.transaction(district.tenant_id) as session:
        await set_methods(
            session,
            tenant_id=district.tenant_id,
            settings=settings,
            caller=caller or admin_of(district),
        )


async def test_without_a_word_the_password_and_the_rosters_provider_are_on(
    alpha: District,
) -> None:
    assert await enabled(alpha) == [PASSWORD]
    for provider, settings, expected in (
        ("CLASSLINK", {"tenant_id": "4711"}, Method(CLASSLINK, True, ("4711",), None, True)),
        ("CLEVER", {"district_id": "5f1d"}, Method(CLEVER, True, ("5f1d",), None, True)),
        ("CLEVER", {}, Method(CLEVER, True, (), None, True)),
    ):
        await alpha.see.execute("DELETE FROM integrations")
        await add_integration(alpha.see, alpha.tenant_id, provider=provider, settings=settings)
        assert await enabled(alpha) == [expected.name, PASSWORD]
        assert (await read(alpha))[expected.name] == expected
    await alpha.see.execute("DELETE FROM integrations")
    await add_integration(alpha.see, alpha.tenant_id)
    assert await enabled(alpha) == [PASSWORD]


async def test_what_is_said_counts_more_and_what_is_not_named_stays(alpha: District) -> None:
    await change(alpha, on_google(" Alpha.Example", "alpha.example", "b.alpha.example"))
    await change(alpha, MethodSetting(PASSWORD, is_enabled=False))
    assert await enabled(alpha) == [GOOGLE]
    google = (await read(alpha))[GOOGLE]
    assert google.keys == ("alpha.example", "b.alpha.example")
    assert google.compares is UsernameComparison.ADDRESS
    await change(alpha, MethodSetting(GOOGLE, True, None, UsernameComparison.LOCAL_PART))
    google = (await read(alpha))[GOOGLE]
    assert google.keys == ("alpha.example", "b.alpha.example")
    assert google.compares is UsernameComparison.LOCAL_PART


async def test_what_was_set_is_in_the_audit_log_as_it_is_now(alpha: District) -> None:
    await change(alpha, on_google("alpha.example"))
    await change(alpha, MethodSetting(GOOGLE, is_enabled=False), MethodSetting(PASSWORD, True))
    keys = {"keys": ["alpha.example"]}
    assert await alpha.acts() == [
        (
            "account ada",
            "signInMethodsSet",
            None,
            {"GOOGLE": {"is_enabled": True, "compares": "ADDRESS", **keys}},
        ),
        (
            "account ada",
            "signInMethodsSet",
            None,
            {
                "GOOGLE": {"is_enabled": False, "compares": None, **keys},
                "PASSWORD": {"is_enabled": True, "compares": None, "keys": []},
            },
        ),
    ]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "gmail.com",
        "GMAIL.com",
        "googlemail.com",
        "alpha",
        "*.alpha.example",
        "alpha.example/x",
        "-a.example",
        "a..example",
        "10.0.0.1",
        f"{'a' * 64}.example",
        f"{'a.' * 120}example",
    ],
)
async def test_a_domain_of_google_is_one_of_the_districts_own(alpha: District, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await change(alpha, on_google(key))
    assert refused.value.field == "methods"
    assert await enabled(alpha) == [PASSWORD]


@pytest.mark.parametrize("key", ["", "common", "alpha.example", PERSONAL_TENANT.upper(), TID[:-1]])
async def test_a_tenant_of_microsofts_is_an_id_and_not_everybodys(
    alpha: District, key: str
) -> None:
    with pytest.raises(InvalidInput):
        await change(alpha, MethodSetting(MICROSOFT, True, [key], UsernameComparison.ADDRESS))


async def test_a_tenant_of_microsofts_is_stored_as_it_is_compared(alpha: District) -> None:
    settings = MethodSetting(
        MICROSOFT, True, [f"{{{TID.upper()}}}", TID], UsernameComparison.ADDRESS
    )
    await change(alpha, settings)
    assert (await read(alpha))[MICROSOFT].keys == (TID,)


@pytest.mark.parametrize("name", [CLEVER, CLASSLINK])
async def test_a_district_at_clever_or_classlink_is_for_operators_to_say(
    alpha: District, name: SignInMethodName
) -> None:
    with pytest.raises(InvalidInput, match="by an operator alone"):
        await change(alpha, MethodSetting(name, True, ["somebody else's"]))
    await change(alpha, MethodSetting(name, True, ["5f1d"]), caller=COMMAND_LINE)
    # Switching it and saying what is so already takes no operator.
    for keys in (None, ["5f1d"]):
        await change(alpha, MethodSetting(name, is_enabled=False, keys=keys))
        assert (await read(alpha))[name].keys == ("5f1d",)
    with pytest.raises(InvalidInput, match="by an operator alone"):
        await change(alpha, MethodSetting(name, is_enabled=True, keys=[]))


async def test_districts_may_share_a_domain(alpha: District, beta: District) -> None:
    for district in (alpha, beta):
        await change(district, on_google("shared.example"))
        assert await enabled(district) == [GOOGLE, PASSWORD]


async def test_the_last_way_in_is_not_switched_off_by_the_tenant(alpha: District) -> None:
    off = MethodSetting(PASSWORD, is_enabled=False)
    with pytest.raises(Conflict, match="leave one on") as refused:
        await change(alpha, off)
    assert refused.value.field == "methods"
    assert await enabled(alpha) == [PASSWORD]
    assert await alpha.acts() == []
    await change(alpha, off, on_google("alpha.example"))
    assert await enabled(alpha) == [GOOGLE]
    await change(alpha, MethodSetting(GOOGLE, is_enabled=False), caller=COMMAND_LINE)
    assert await enabled(alpha) == []


async def test_clever_stays_on_where_administrators_have_to_use_it(alpha: District) -> None:
    settings = {"district_id": "5f1d"}
    await add_integration(alpha.see, alpha.tenant_id, provider="CLEVER", settings=settings)
    off = MethodSetting(CLEVER, is_enabled=False)
    with pytest.raises(Conflict, match="stays on"):
        await change(alpha, off)
    await change(alpha, off, caller=COMMAND_LINE)
    assert await enabled(alpha) == [PASSWORD]
    await alpha.see.execute("UPDATE integrations SET status = 'DISCONNECTED'")
    await change(alpha, off)


async def test_two_who_set_a_method_first_do_not_collide(alpha: District) -> None:
    settings = [on_google(f"{name}.example") for name in "abcd"]
    await asyncio.gather(*(change(alpha, setting) for setting in settings))
    assert (await read(alpha))[GOOGLE].keys[0][1:] == ".example"
    assert len(await alpha.acts()) == 4


async def forget(district: District, user_id: UUID, name: SignInMethodName) -> None:
    async with district.api.transaction(district.tenant_id) as session:
        await forget_identity(
            session,
            tenant_id=district.tenant_id,
            user_id=user_id,
            method=name,
            caller=admin_of(district),
        )


async def test_when_an_account_is_forgotten_the_next_one_is_bound(alpha: District) -> None:
    mia = await alpha.person(username="mia@alpha.example")
    await alpha.switch_on("GOOGLE")
    assert await alpha.refusal(google()) is None
    assert await alpha.refusal(google(subject="g2")) == "OTHER_SUBJECT"
    await forget(alpha, mia, GOOGLE)
    assert (await alpha.acts())[-1] == (
        "account ada",
        "identityForget",
        str(mia),
        {"method": "GOOGLE"},
    )
    assert await alpha.refusal(google(subject="g2")) is None
    assert await alpha.pins() == [(mia, "GOOGLE", "g2")]
    assert await alpha.refusal(google()) == "OTHER_SUBJECT"


@pytest.mark.parametrize(
    ("name", "error"), [(GOOGLE, NotFound), (CLEVER, Conflict), (PASSWORD, Conflict)]
)
async def test_what_is_bound_to_nothing_cannot_be_forgotten(
    alpha: District, beta: District, name: SignInMethodName, error: type[DomainError]
) -> None:
    mia = await beta.person(username="mia@alpha.example")
    await beta.switch_on("GOOGLE")
    assert await beta.refusal(google()) is None
    with pytest.raises(error):
        await forget(alpha, mia, name)
    assert await beta.pins() == [(mia, "GOOGLE", "g1")]
    assert await alpha.acts() == []
