"""What an operator may change about the CSV producer."""

from pydantic import Field

from libs.process.kafka_settings import KafkaSettings
from libs.process.settings import LogSettings, ScheduleSettings
from libs.producing.settings import TellingSettings


class CsvSettings(LogSettings, KafkaSettings, ScheduleSettings, TellingSettings):
    """The CSV producer's environment."""

    csv_path: str = Field(
        "data/crypto_market.csv",
        description="A file, a folder (its .csv and .tsv files) or a glob (`data/**/*.csv`); nothing there: the run is skipped",
        min_length=1,
    )
