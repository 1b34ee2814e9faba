"""A normalizer on a test's topics, as a process: what it is told comes as JSON in its only argument."""

import json
import sys
from datetime import timedelta

from libs.kafka.connection import KafkaConnection
from libs.process.clock import SystemClock
from libs.process.shutdown import run_until_stopped
from libs.telemetry.logging import configure_logging
from services.normalizer.wiring import Limits, Topics, run_normalizer

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    configure_logging("INFO", "normalizer")
    run_until_stopped(
        run_normalizer(
            KafkaConnection(told["bootstrap_servers"], "test-worker"),
            told["database_url"],
            SystemClock(),
            topics=Topics(**told["topics"]),
            limits=Limits(chunk_records=200, retry_ceiling=timedelta(seconds=0.5)),
        )
    )
