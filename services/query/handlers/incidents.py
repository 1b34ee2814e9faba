"""GET /stats/incidents: what is wrong now, and what was last."""

from aiohttp import web

from services.query.endpoints import NoParameters
from services.query.keys import INCIDENTS
from services.query.rendering import Answer


async def list_incidents(request: web.Request, _asked: NoParameters) -> Answer:
    """Return the newest incident of each key, from memory: as last known while Kafka is away."""
    incidents = request.app[INCIDENTS].newest()
    return Answer({"open": sum(one.closed_at is None for one in incidents), "incidents": [one.model_dump() for one in incidents]})
