"""What most would write: FastAPI, SQLAlchemy 2 async, pydantic models, uvicorn with uvloop and httptools, one process.

Tuned: a pool as large as Kasparro's, no access log. It answers with the values of an asset, a page with its exact total.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=8)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables."""


class Values:
    """What assets and quotes have in common."""

    asset_uid: Mapped[str]
    symbol: Mapped[str]
    name: Mapped[str]
    market_cap_rank: Mapped[int | None]
    price_usd: Mapped[Decimal | None]
    market_cap_usd: Mapped[Decimal | None]
    volume_24h_usd: Mapped[Decimal | None]
    percent_change_1h: Mapped[Decimal | None]
    percent_change_24h: Mapped[Decimal | None]
    percent_change_7d: Mapped[Decimal | None]
    circulating_supply: Mapped[Decimal | None]
    total_supply: Mapped[Decimal | None]
    max_supply: Mapped[Decimal | None]
    source_updated_at: Mapped[datetime]
    fetched_at: Mapped[datetime]
    tick_id: Mapped[UUID]


class AssetRow(Values, Base):
    """The canonical assets."""

    __tablename__ = "assets"
    asset_uid: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    source: Mapped[str]
    source_id: Mapped[str]
    anchor_source: Mapped[str]
    anchor_source_id: Mapped[str]
    agreeing: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    listings_total: Mapped[int]
    price_spread_percent: Mapped[Decimal | None]
    updated_at: Mapped[datetime]


class QuoteRow(Values, Base):
    """The newest quote of each listing."""

    __tablename__ = "quotes"
    source: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[str] = mapped_column(primary_key=True)


class Quote(BaseModel):
    """What is told of a listing."""

    model_config = ConfigDict(from_attributes=True)

    asset_uid: str
    symbol: str
    name: str
    source: str
    source_id: str
    market_cap_rank: int | None
    price_usd: float | None
    market_cap_usd: float | None
    volume_24h_usd: float | None
    percent_change_1h: float | None
    percent_change_24h: float | None
    percent_change_7d: float | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    source_updated_at: datetime
    fetched_at: datetime
    tick_id: UUID


class Asset(Quote):
    """What is told of an asset."""

    version: int
    anchor_source: str
    anchor_source_id: str
    agreeing: list[dict[str, str]]
    listings_total: int
    price_spread_percent: float | None
    updated_at: datetime


class Page(BaseModel):
    """Some assets, and how many there are."""

    data: list[Asset]
    total: int
    limit: int
    offset: int


class Detail(Asset):
    """An asset with its listings."""

    listings: list[Quote]


app = FastAPI()


@app.get("/data")
async def page(limit: Annotated[int, Query(ge=1, le=200)] = 50, offset: Annotated[int, Query(ge=0)] = 0) -> Page:
    """Return a page, best rank first."""
    order = (AssetRow.market_cap_rank.asc().nulls_last(), AssetRow.asset_uid)
    async with sessions() as session:
        rows: Sequence[AssetRow] = (await session.scalars(select(AssetRow).order_by(*order).limit(limit).offset(offset))).all()
        total = await session.scalar(select(func.count()).select_from(AssetRow))
    return Page(data=[Asset.model_validate(row) for row in rows], total=total or 0, limit=limit, offset=offset)


@app.get("/data/{asset_uid}")
async def detail(asset_uid: str) -> Detail:
    """Return one asset."""
    async with sessions() as session:
        row = await session.get(AssetRow, asset_uid)
        if row is None:
            raise HTTPException(404)
        quotes = (await session.scalars(select(QuoteRow).where(QuoteRow.asset_uid == asset_uid))).all()
    listings = [Quote.model_validate(quote) for quote in quotes]
    return Detail(**Asset.model_validate(row).model_dump(), listings=listings)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
