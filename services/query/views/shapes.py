"""What all answers are made of. These models are the public shape of the API; the tests hold every answer against them."""

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

Number = Annotated[Decimal, WithJsonSchema({"type": "number", "description": "Exact: read it as a decimal, not as a double"})]
"""Written as a JSON number with every digit."""

__all__ = ["AttributionView", "AwareDatetime", "ListingView", "Number", "ProblemView", "View"]


class View(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True)


class AttributionView(View):
    """What a provider's terms ask to be shown near its data."""

    source: str
    text: str
    url: str


class ListingView(View):
    """A provider's entry."""

    source: str
    source_id: str


class InvalidParameterView(View):
    """One parameter that is wrong."""

    parameter: str
    reason: str


class ProblemView(View):
    """An error (RFC 9457)."""

    type: str = Field(description="urn:kasparro:problem:<code>")
    title: str
    status: int
    code: str = Field(description="Stable; what a program should look at")
    detail: str = Field(description="For a person")
    request_id: str = Field(description="The same as in the X-Request-Id header and in the service's log")
    parameter: str | None = Field(None, description="The parameter that is wrong")
    errors: list[InvalidParameterView] | None = Field(None, description="All parameters that are wrong")
