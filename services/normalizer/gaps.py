"""The gap ledger: what the normalizer itself has lost is published to etl.gaps, and the topic is projected into a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from libs.contracts.gaps import GAP, Gap, OffsetsLost, gap_id_of
from libs.kafka.records import Record as Outgoing
from libs.postgres.writing.gaps import insert_new
from libs.streaming.agents import Chunks
from services.normalizer.outlets import Outlets
from services.normalizer.projecting import Projection

log = structlog.get_logger(__name__)

PROJECTION: Final[Projection[Gap]] = Projection("gaps", GAP, insert_new)

WHAT_TO_DO: Final = (
    "What is lost can be had only from its source: run it again (kasparro run). Keep the normalizer running, or let the topic "
    "keep more, so that it is read before retention removes it. GET /stats/gaps lists what is missing."
)


async def project_gaps(chunks: Chunks, outlets: Outlets) -> None:
    """Work through etl.gaps for ever."""
    await PROJECTION.apply(chunks, outlets)


@dataclass(frozen=True, slots=True)
class GapTeller:
    """Publishes the offsets that a group found gone: see `libs.streaming.fetching.OnGap`."""

    outlets: Outlets
    topic: str
    group: str
    sources: Mapping[str, str]
    """Raw topic -> its source."""

    async def tell(self, topic: str, partition: int, wanted: int, earliest_kept: int) -> None:
        """Return once Kafka has it; found again after a crash, it is the same gap."""
        gap = OffsetsLost(
            gap_id=gap_id_of("offsets_lost", self.group, topic, partition, wanted, earliest_kept),
            source=self.sources.get(topic, ""),
            found_at=self.outlets.clock.utc(),
            group=self.group,
            topic=topic,
            partition=partition,
            from_offset=wanted,
            to_offset=earliest_kept,
        )
        log.error(
            "offsets_lost",
            topic=topic,
            partition=partition,
            wanted=wanted,
            earliest_kept=earliest_kept,
            cause="retention removed them unread" if wanted < earliest_kept else "the topic was made anew, or cut",
            hint=WHAT_TO_DO,
        )
        await self.outlets.publish([Outgoing(self.topic, gap.source.encode(), gap.model_dump_json().encode())])
