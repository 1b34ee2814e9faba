from typing import Any

import pytest
from pydantic_settings import BaseSettings

from libs.process.settings import EXIT_BAD_SETTINGS, read_settings
from services.producers.binance.settings import BinanceSettings
from services.producers.coingecko.settings import CoinGeckoSettings
from services.producers.coinpaprika.settings import CoinPaprikaSettings
from services.producers.csv.settings import CsvSettings

KEYS = ("CGEKO_KEY", "COINGECKO_API_KEY", "COINGECKO_PLAN", "COINGECKO_BASE_URL", "COINPAPRIKA_API_KEY", "COINPAPRIKA_BASE_URL")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("no-env-file"))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")


@pytest.mark.parametrize(
    ("environment", "host", "header", "per_minute", "per_month"),
    [
        ({}, "https://api.coingecko.com/api/v3", None, 5, None),
        ({"CGEKO_KEY": "secret"}, "https://api.coingecko.com/api/v3", "x-cg-demo-api-key", 30, 10_000),
        ({"COINGECKO_API_KEY": "secret"}, "https://api.coingecko.com/api/v3", "x-cg-demo-api-key", 30, 10_000),
        (
            {"CGEKO_KEY": "secret", "COINGECKO_PLAN": "pro"},
            "https://pro-api.coingecko.com/api/v3",
            "x-cg-pro-api-key",
            250,
            None,
        ),
        ({"CGEKO_KEY": "secret", "COINGECKO_PLAN": "keyless"}, "https://api.coingecko.com/api/v3", None, 5, None),
        ({"CGEKO_KEY": "", "COINGECKO_BASE_URL": "http://127.0.0.1:8090/api/v3"}, "http://127.0.0.1:8090/api/v3", None, 5, None),
    ],
)
def test_coingeckos_plan_decides_host_header_and_budget(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    host: str,
    header: str | None,
    per_minute: int,
    per_month: int | None,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = read_settings(CoinGeckoSettings)
    assert settings.base_url == host
    assert list(settings.key_headers) == ([header] if header else [])
    assert (settings.budget.per_minute, settings.budget.per_month) == (per_minute, per_month)


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (CoinGeckoSettings, "COINGECKO_PLAN", "pro"),
        (CoinGeckoSettings, "COINGECKO_PLAN", "enterprise"),
        (CoinGeckoSettings, "COINGECKO_TOP_N", "0"),
        (CoinGeckoSettings, "COINGECKO_BASE_URL", "api.coingecko.com"),
        (CoinPaprikaSettings, "ETL_INTERVAL_SECONDS", "soon"),
        (CsvSettings, "ETL_ENABLED", "perhaps"),
        (BinanceSettings, "BINANCE_QUOTE_ASSET", "TRY"),
        (BinanceSettings, "BINANCE_BASE_URL", "api.binance.com"),
    ],
)
def test_a_bad_value_ends_the_process_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: type[BaseSettings], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read_settings(settings)
    assert ended.value.code == EXIT_BAD_SETTINGS
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line


def test_coinpaprikas_key_decides_host_header_and_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    free = read_settings(CoinPaprikaSettings)
    assert (free.base_url, free.key_headers, free.budget.per_month) == ("https://api.coinpaprika.com/v1", {}, 20_000)
    monkeypatch.setenv("COINPAPRIKA_API_KEY", "secret")
    paid = read_settings(CoinPaprikaSettings)
    assert (paid.base_url, list(paid.key_headers)) == ("https://api-pro.coinpaprika.com/v1", ["Authorization"])


def test_binances_requests_are_its_weight_divided_by_what_one_weighs() -> None:
    settings = read_settings(BinanceSettings)
    assert (settings.budget.per_minute, settings.budget.per_month) == (75, None)
    assert settings.binance_base_url == "https://data-api.binance.vision/api/v3"


@pytest.mark.parametrize("settings", [CoinGeckoSettings, CoinPaprikaSettings, CsvSettings, BinanceSettings])
def test_every_setting_is_described_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("CGEKO_KEY", "hush-hush")
    monkeypatch.setenv("COINPAPRIKA_API_KEY", "hush-hush")
    assert all(field.description for field in settings.model_fields.values())
    assert "hush-hush" not in repr(read_settings(settings))


def test_the_schedule_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_ENABLED", "false")
    assert read_settings(CsvSettings).schedule is None
