"""What a bad environment or a bad .env file ends in: one line that names the variable and never repeats its value."""

from pathlib import Path

import pytest

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import EXIT_BAD_SETTINGS, ApiToken, PostgresSettings, Settings, read_settings
from libs.process.source_settings import SourceSettings


class TokenSettings(Settings):
    api_token: ApiToken | None = None


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "API_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def refusal(settings: type[Settings], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that reading ends with."""
    with pytest.raises(SystemExit) as ended:
        read_settings(settings)
    assert ended.value.code == EXIT_BAD_SETTINGS
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://kasparro:hunter2/x@127.0.0.1:5432/db",
        "postgresql://kasparro:4242/hunter2@127.0.0.1:5432/db",
        "postgresql://kasparro:42#hunter2@127.0.0.1:5432/db",
        "postgresql://kasparro:42?hunter2@127.0.0.1:5432/db",
        "postgresql://kasparro:hunter2%zz@127.0.0.1:5432/db",
        "postgresql://kasparro:hunter2@127.0.0.1:x/db",
        "postgresql://kasparro:hunter2@127.0.0.1:99999/db",
        "postgresql://kasparro:hunter2@[::1/db",
        "postgresql://kasparro:hunter2@/db",
        "postgresql://kasparro:hunter2@@127.0.0.1/db",
        "postgresql+psycopg2://kasparro:hunter2@127.0.0.1:x/db",
        "postgresql:hunter2",
        "mysql://kasparro:hunter2@127.0.0.1/db",
    ],
)
def test_a_database_url_that_is_none_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    line = refusal(PostgresSettings, capsys)
    assert line.startswith("error: DATABASE_URL: must be postgresql://")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql://u:p@127.0.0.1:5432/db", "postgresql://u:p@127.0.0.1:5432/db"),
        ("postgresql://u:p%2Fx@db.example/db?sslmode=require", "postgresql://u:p%2Fx@db.example/db?sslmode=require"),
        ("postgresql://u:p@[::1]:5432/db", "postgresql://u:p@[::1]:5432/db"),
        ("postgresql://u@one:5432,two:5432/db", "postgresql://u@one:5432,two:5432/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ("postgres://u:p@localhost/db", "postgresql://u:p@localhost/db"),
        ("postgresql+psycopg2://u:p@localhost/db", "postgresql://u:p@localhost/db"),
    ],
)
def test_the_usual_database_urls_are_taken(monkeypatch: pytest.MonkeyPatch, url: str, plain: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert read_settings(PostgresSettings).database_url.get_secret_value() == plain


@pytest.mark.parametrize(
    "servers", ["host:abc", " , ", "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1", "a:1,b", "a:1 b:2", "kafka://a:1", "::1:9092"]
)
def test_bootstrap_servers_that_are_none_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], servers: str
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    assert refusal(KafkaSettings, capsys) == "error: KAFKA_BOOTSTRAP_SERVERS: must be host:port, several joined by commas"


@pytest.mark.parametrize(
    ("servers", "taken"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("one.example:9092, two_b:19092", "one.example:9092,two_b:19092"),
        ("[::1]:9092,", "[::1]:9092"),
    ],
)
def test_the_usual_bootstrap_servers_are_taken(monkeypatch: pytest.MonkeyPatch, servers: str, taken: str) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    assert read_settings(KafkaSettings).kafka_bootstrap_servers == taken


@pytest.mark.parametrize("token", ["  ", " s3cret", "s3cret\t"])
def test_a_token_that_no_header_can_carry_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    monkeypatch.setenv("API_TOKEN", token)
    line = refusal(TokenSettings, capsys)
    assert line.startswith("error: API_TOKEN: must not ")
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"API_TOKEN=ok\nPORT 8222\n", "error: .env: line 2 is not NAME=value"),
        (b"API_TOKEN=ok\n\nPORT\n", "error: .env: line 3 is not NAME=value"),
        (b"API_TOKEN='ok\nPORT=1\n", "error: .env: line 1 is not NAME=value"),
        (b"# caf\xe9\nAPI_TOKEN=ok\n", "error: .env: is not UTF-8"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: bytes, said: str
) -> None:
    (tmp_path / ".env").write_bytes(written)
    assert refusal(TokenSettings, capsys) == said


def test_an_env_file_as_people_write_it_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a note\n\nexport API_TOKEN='two words' # of it\nOTHER=\n")
    token = read_settings(TokenSettings).api_token
    assert token is not None
    assert token.get_secret_value() == "two words"


def test_optional_sources_run_where_they_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for named, runs in (("", False), ("binance", True), (" binance, ", True)):
        monkeypatch.setenv("EXTRA_SOURCES", named)
        settings = read_settings(SourceSettings)
        assert settings.sources[:3] == ("coingecko", "coinpaprika", "csv")
        assert ("binance" in settings.sources) is runs
    monkeypatch.setenv("EXTRA_SOURCES", "binance,acme,csv")
    line = refusal(SourceSettings, capsys)
    assert "EXTRA_SOURCES: acme, csv: no optional source; there are: binance" in line
