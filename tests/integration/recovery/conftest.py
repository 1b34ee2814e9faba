"""The normalizer's own harness, and a story to replay."""

from tests.integration.normalizer.conftest import connection, pool, publisher, topics

__all__ = ["connection", "pool", "publisher", "topics"]
