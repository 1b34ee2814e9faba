"""Who may POST: a token opens everything, this machine needs none, and a page that rebinds its name is not this machine."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.query.access import ACCESS, Access, authorize
from services.query.problems import ForbiddenError, UnauthorizedError


def ask(access: Access, **headers: str) -> None:
    app = web.Application()
    app[ACCESS] = access
    authorize(make_mocked_request("POST", "/etl/run/csv", headers={k.replace("_", "-"): v for k, v in headers.items()}, app=app))


HERE = Access(None, open_to_all=False, listens_here=True)
OPEN = Access(None, open_to_all=True)
TOKEN = Access("s3cret", open_to_all=False, listens_here=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "[::1]", "127.8.0.1"]
)
def test_this_machine_posts_without_a_token(host: str) -> None:
    ask(HERE, Host=host)
    ask(HERE, Host=host, Sec_Fetch_Site="same-origin")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", ""]
)
def test_a_name_that_is_not_this_machine_s_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(ForbiddenError, match="API_TOKEN"):
        ask(HERE, Host=host, Sec_Fetch_Site="same-origin")


def test_no_name_at_all_is_refused_without_a_token() -> None:
    with pytest.raises(ForbiddenError):
        ask(HERE)


def test_any_name_will_do_when_the_api_is_open_or_a_token_is_shown() -> None:
    ask(OPEN, Host="kasparro.example")
    ask(TOKEN, Host="kasparro.example", Authorization="Bearer s3cret")


@pytest.mark.parametrize("shown", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"])
def test_the_scheme_may_be_written_in_any_case(shown: str) -> None:
    ask(TOKEN, Host="x", Authorization=shown)


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Bearer S3CRET", "Basic s3cret", "s3cret", "Bearer s3cret x", "Bearer s3cre\u00fc"]
)
def test_anything_else_is_not_the_token(shown: str) -> None:
    with pytest.raises(UnauthorizedError):
        ask(TOKEN, Host="127.0.0.1", Authorization=shown)
