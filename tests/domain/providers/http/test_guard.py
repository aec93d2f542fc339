"""Which addresses may be connected to, and that no name gets around it."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.http.client import Client
from domain.providers.http.guard import PublicNetwork, is_public
from domain.providers.http.wire import open_pool
from domain.roster.source import CredentialsRejected, SourceUnavailable
from domain.validation.codes import Code
from tests.domain.providers.http.wires import ANYBODY, QUICK, client, provider, text

pytestmark = pytest.mark.anyio
PUBLIC = ip_address("93.184.216.34")


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254"),
        *("172.16.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
        *("203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
        *("2002:7f00:1::1", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12::1"),
        *("fe80::1", "fe80::1%1", "fec0::1", "ff02::1"),
    ],
)
def test_what_is_not_public_is_known(text):
    assert is_public(ip_address(text)) is False


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111"),
        *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00:1450:4001::1"),
    ],
)
def test_what_is_public_is_known(text):
    assert is_public(ip_address(text)) is True


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_disguise(address):
    number = int(address)
    disguises = [0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80]
    assert {is_public(IPv6Address(disguise)) for disguise in disguises} == {is_public(address)}


@given(st.ip_addresses(v=6))
def test_only_unicast_addresses_or_carriers_of_public_ones_are_public(address):
    if is_public(address):
        carried = address.ipv4_mapped or IPv4Address(int(address) & 0xFFFF_FFFF)
        assert int(address) >> 125 == 1 or is_public(carried)
        assert not address.is_private or address.ipv4_mapped


class Network(httpcore2.AsyncNetworkBackend):
    """Leads every connection to one server, and remembers where it was to go."""

    def __init__(self, port=0, unreachable=()):
        self.asked = []
        self.port = port
        self.unreachable = unreachable
        self.inner = httpcore2.AnyIOBackend()

    async def connect_tcp(self, host, port, **options):
        self.asked.append((host, port))
        if host in self.unreachable:
            raise httpcore2.ConnectError("no route")
        return await self.inner.connect_tcp("127.0.0.1", self.port, **options)


def resolving(*addresses):
    """A look-up with these addresses the first time, and our own network ever after."""
    answers = [list(map(ip_address, addresses))]

    async def resolve(host, port):
        return answers.pop() if answers else [ip_address("127.0.0.1")]

    return resolve


async def test_the_connection_goes_to_the_very_address_that_was_judged():
    async with provider() as served:
        network = Network(int(served.url.rpartition(":")[2]))
        guarded = PublicNetwork(network, resolving(PUBLIC))
        stream = await guarded.connect_tcp("school.example", 443, timeout=1)
        await stream.aclose()
    assert network.asked == [("93.184.216.34", 443)]


async def test_one_private_address_among_public_ones_refuses_the_name():
    network = Network()
    guarded = PublicNetwork(network, resolving(PUBLIC, "10.0.0.7"))
    with pytest.raises(CredentialsRejected) as caught:
        await guarded.connect_tcp("school.example", 443)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED
    assert caught.value.place == "school.example"
    assert "10.0.0.7" not in str(caught.value)
    assert network.asked == []


async def test_a_name_that_changes_its_mind_is_judged_again_with_every_connection():
    guarded = PublicNetwork(Network(), resolving())
    with pytest.raises(httpcore2.ConnectError):
        await guarded.connect_tcp("school.example", 443)
    with pytest.raises(CredentialsRejected):
        await guarded.connect_tcp("school.example", 443)


async def test_the_next_address_is_tried_when_one_cannot_be_reached():
    async with provider() as served:
        network = Network(int(served.url.rpartition(":")[2]), unreachable={"2606:4700::1111"})
        guarded = PublicNetwork(network, resolving("2606:4700::1111", PUBLIC))
        stream = await guarded.connect_tcp("school.example", 443, timeout=1)
        await stream.aclose()
    assert network.asked == [("2606:4700::1111", 443), ("93.184.216.34", 443)]


async def test_a_look_up_that_takes_too_long_is_a_time_out():
    async def resolve(host, port):
        await asyncio.sleep(60)

    with pytest.raises(httpcore2.ConnectTimeout):
        await PublicNetwork(Network(), resolve).connect_tcp("school.example", 443, timeout=0.01)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f.1", "0"]
)
async def test_no_spelling_of_this_machine_is_asked(host):
    async with Client(allow_private=False, patience=QUICK) as asker:
        with pytest.raises(CredentialsRejected) as caught:
            await asker.get(f"https://{host}:9/users", authorizer=ANYBODY, decode=text)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED
    assert "public Internet" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://school.example/users", "https://"),
        ("ftp://school.example/users", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https:///users", "host"),
        ("https://", "host"),
        ("https://ann:secret@school.example/", "user name"),
        ("https://school.example:0/", "port"),
        ("https://school.example:70000/", "port"),
        ("https://school.example\\@evil.example/", "user name"),
        ("https://school..example/", "host"),
        ("https://schule.ä.example/", "escaped"),
        ("https://school.example/a b", "escaped"),
        ("https://school.example/#users", "escaped"),
        ("https://school.example/\r\nX: y", "escaped"),
        ("school.example/users", "web address"),
        ("", "web address"),
    ],
)
async def test_what_is_no_public_web_address_is_refused(url, words):
    async with Client(allow_private=False, patience=QUICK) as asker:
        with pytest.raises(CredentialsRejected) as caught:
            await asker.get(url, authorizer=ANYBODY, decode=text)
    assert caught.value.code is Code.CONN_ADDRESS_REFUSED
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def certificate_of(name, folder):
    """A server that is this name, and a client that trusts exactly its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def ask_over_tls(served, trusted, host):
    network = Network(int(served.url.rpartition(":")[2]))

    async def resolve(name, port):
        return [PUBLIC]

    pool = open_pool(allow_private=True, network=PublicNetwork(network, resolve), tls=trusted)
    async with client(pool=pool) as asker:
        return await asker.get(f"https://{host}/users", authorizer=ANYBODY, decode=text)


async def test_the_certificate_must_be_the_names_and_not_the_addresses(tmp_path):
    server, trusted = certificate_of("school.example", tmp_path)
    async with provider(tls=server) as served:
        assert await ask_over_tls(served, trusted, "school.example") == "fine"
        with pytest.raises(SourceUnavailable) as caught:
            await ask_over_tls(served, trusted, "other.example")
    assert caught.value.code is Code.CONN_UNREACHABLE
    assert "certificate is not valid for 'other.example'" in str(caught.value)


async def test_an_unknown_certificate_is_refused(tmp_path):
    server, _ = certificate_of("school.example", tmp_path)
    async with provider(tls=server) as served:
        with pytest.raises(SourceUnavailable) as caught:
            await ask_over_tls(served, ssl.create_default_context(), "school.example")
    assert caught.value.code is Code.CONN_UNREACHABLE
    assert "self-signed certificate" in str(caught.value)
