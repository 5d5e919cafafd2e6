"""What the words of a node mean, and which are refused."""

import ipaddress
from pathlib import Path

import pytest

from bundle.tat.node.settings import (
    Destination,
    NodeSettings,
    node_folder,
    read_address,
    read_ae_titles,
    read_destination,
    read_limits,
    read_networks,
    read_tls,
)
from bundle.tat.refusal import RefusedInputError

TO = Destination("127.0.0.1", 104, "PACS")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:4242:ARCHIVE", Destination("127.0.0.1", 4242, "ARCHIVE")),
        ("pacs.local:104:MY PACS", Destination("pacs.local", 104, "MY PACS")),
        ("[::1]:104:A:B", Destination("::1", 104, "A:B")),
        ("röntgen.example:104:A", Destination("röntgen.example", 104, "A")),
    ],
)
def test_a_receiver_is_named(text, meant):
    assert read_destination(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "send_to is None: name the receiver as HOST:PORT:AE"),
        ("127.0.0.1:4242", "send_to is '127.0.0.1:4242'"),
        ("a..b:104:X", "the host of send_to is 'a..b': pass a name such as pacs.example, an IPv4 address, or IPv6"),
        (f"{'a' * 64}:104:X", "the host of send_to is 'aaa"),
        ("[fe80]:104:X", "the host of send_to is '[fe80]'"),
        ("127.0.0.1:0:X", "the port of send_to is '0': pass a whole number from 1 to 65535"),
        ("127.0.0.1:70000:X", "the port of send_to is '70000'"),
        ("127.0.0.1:104:ARCHIVE-OF-THE-HOUSE", "pass 1 to 16 characters"),
        ("127.0.0.1:104:A\\B", "no backslash"),
        ("127.0.0.1:104: ", "pass 1 to 16 characters"),
    ],
)
def test_a_receiver_is_refused(text, message):
    with pytest.raises(RefusedInputError) as refused:
        read_destination(text)
    assert message in str(refused.value)


def test_callers_are_named():
    assert read_ae_titles("CT1, PACS") == ("CT1", "PACS")
    assert read_ae_titles(None) == ()
    assert [str(one) for one in read_networks("192.0.2.7,2001:db8::/32")] == ["192.0.2.7/32", "2001:db8::/32"]
    with pytest.raises(RefusedInputError, match=r"allow_address names '192.0.2.7/24': .* has host bits set"):
        read_networks("192.0.2.7/24")


@pytest.mark.parametrize(
    ("caller", "is_allowed"),
    [("192.0.2.7", True), ("192.0.3.7", False), ("::ffff:192.0.2.7", True), ("fe80::1%eth0", False)],
)
def test_addresses_are_held_to_the_networks(caller, is_allowed):
    settings = NodeSettings(Path(), TO, allow_address=(ipaddress.ip_network("192.0.2.0/24"),))
    assert settings.is_allowed_address(caller) is is_allowed


@pytest.mark.parametrize("more", [{}, {"allow_ae": ("CT1",)}, {"allow_address": read_networks("192.0.2.0/24")}])
@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - refused
def test_a_network_may_not_send_without_being_named(bind, more):
    with pytest.raises(RefusedInputError, match="name the callers with --allow_ae and --allow_address"):
        NodeSettings(Path(), TO, bind=bind, **more)


def test_loopback_is_the_default_and_names_are_not_looked_up():
    assert NodeSettings(Path(), TO).bind == read_address("localhost") == "127.0.0.1"
    with pytest.raises(RefusedInputError, match="bind is 'scanner': pass an IP address"):
        read_address("scanner")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"max_associations": 0}, "max_associations is 0: pass a whole number from 1 to 100"),
        ({"max_pdu": 1000}, "max_pdu is 1000: pass a whole number from 4096"),
        ({"max_instance": "much"}, "max_instance is 'much': pass a number"),
        ({"keep": -1}, "keep is -1: pass a number from 0"),
        ({"min_free": True}, "min_free is True: pass a number"),
    ],
)
def test_limits_are_refused(words, message):
    with pytest.raises(RefusedInputError, match=message):
        read_limits(**words)


def test_limits_are_in_millions_of_bytes_and_days():
    limits = read_limits(max_instance=1, max_series="2", min_free=0.5, keep=0.5)
    assert (limits.max_instance, limits.max_series, limits.min_free) == (1_000_000, 2_000_000, 500_000)
    assert limits.keep_seconds == 43200


def test_tls_takes_three_files(tmp_path):
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text("")
    paths = [str(tmp_path / name) for name in ("cert", "key", "ca")]
    assert read_tls(None, None, None) is None
    assert [str(path) for path in read_tls(*paths)] == paths
    with pytest.raises(RefusedInputError, match="tls_ca is missing: pass --tls_ca FILE"):
        read_tls(*paths[:2], None)
    with pytest.raises(RefusedInputError, match=r"tls_key .*gone does not exist"):
        read_tls(paths[0], str(tmp_path / "gone"), paths[2])


def test_the_folder_is_that_of_the_service_or_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert node_folder(None) == tmp_path / "tat-node"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert node_folder(None) == tmp_path / ".local" / "state" / "tat-node"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/tat-node:/var/lib/other")
    assert node_folder(None) == Path("/var/lib/tat-node")
    assert node_folder("here") == Path.cwd() / "here"
