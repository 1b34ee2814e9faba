"""Which ports can be had."""

import socket

import pytest

from libs.devstack.ports import free_port, is_free, url_of

ADDRESSES = ["127.0.0.1", "localhost", "0.0.0.0", *(["::1", "::"] if socket.has_ipv6 else [])]


@pytest.mark.parametrize("host", ADDRESSES)
def test_a_port_is_free_until_somebody_listens_there(host: str) -> None:
    port = free_port()
    assert is_free(port, host)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as taken:
        taken.bind(address)
        taken.listen()
        assert not is_free(port, host)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_not_called_taken(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        is_free(free_port(), host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_an_address_to_listen_on_has_one_to_be_found_at(host: str, url: str) -> None:
    assert url_of(host, 8000) == url
