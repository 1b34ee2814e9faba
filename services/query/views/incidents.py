"""Incidents as the API shows them."""

from pydantic import AwareDatetime, Field

from services.query.views.shapes import View


class IncidentView(View):
    """Something that is wrong, or was. The same as in etl.incidents, whose schema says what each field is."""

    key: str
    kind: str
    subject: str
    opened_at: AwareDatetime
    closed_at: AwareDatetime | None = Field(description="Null while it is open")
    words: str
    advice: str
    runbook: str
    again: bool
    told: str | None = Field(description="What Slack was last told of it: `opened` or `over`")


class IncidentsView(View):
    """The newest incident of each thing that can be wrong; the open ones first."""

    open: int = Field(description="How many of them are open")
    incidents: list[IncidentView]
