"""Each migration walks up, down and up again, alone and against others."""

import asyncio
import threading
import traceback
from pathlib import Path

import asyncpg
import psycopg
import pytest

from libs.postgres.errors import DatabaseUnreachableError
from libs.postgres.migrations import ADVISORY_LOCK, Direction, MigrationError, Step, migrate, new_migration, roll_back, status
from libs.postgres.pool import open_pool
from libs.postgres.schema import missing_in, missing_migrations, required_migrations, required_version, wait_until_migrated
from libs.process.clock import SystemClock

SHAPE = """
    SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public'
        AND table_name !~ 'yoyo'
    UNION ALL SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ 'yoyo'
    UNION ALL SELECT sequence_name, '', '', '' FROM information_schema.sequences WHERE sequence_schema = 'public'
    UNION ALL SELECT relname, option, '', '' FROM pg_class, unnest(reloptions) AS option
        WHERE relnamespace = 'public'::regnamespace AND relname !~ 'yoyo'
    ORDER BY 1, 2, 3"""


def shape(database_url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(SHAPE).fetchall()


def test_each_migration_walks_up_down_and_up_again(empty_database_url: str) -> None:
    for migration_id in required_migrations():
        before = shape(empty_database_url)
        migrate(empty_database_url, to=migration_id)
        after = shape(empty_database_url)
        assert after != before
        assert roll_back(empty_database_url) == [Step(Direction.ROLLBACK, migration_id)]
        assert shape(empty_database_url) == before
        migrate(empty_database_url, to=migration_id)
        assert shape(empty_database_url) == after
    assert all(each.applied for each in status(empty_database_url))
    assert migrate(empty_database_url) == []


def test_the_order_of_the_files_is_the_order_of_the_chain(empty_database_url: str) -> None:
    assert [each.migration_id for each in status(empty_database_url)] == required_migrations()


def test_down_to_nothing_leaves_nothing(database_url: str) -> None:
    migrate(database_url, to="0")
    assert shape(database_url) == []


def test_a_dry_run_changes_nothing(empty_database_url: str) -> None:
    assert [step.migration_id for step in migrate(empty_database_url, dry_run=True)] == required_migrations()
    assert shape(empty_database_url) == []


def test_a_look_waits_for_nobody_and_writes_nothing(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        assert not any(each.applied for each in status(empty_database_url))
        assert len(migrate(empty_database_url, dry_run=True)) == len(required_migrations())
        assert roll_back(empty_database_url, dry_run=True) == []
        assert other.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.parametrize("address", ["postgresql://u:hunter2@[::1/db", "postgresql://u:hunter2%zz@127.0.0.1:1/db"])
def test_an_address_that_cannot_be_read_is_never_repeated(address: str) -> None:
    with pytest.raises(MigrationError) as refused:
        status(address)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value, chain=True))


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2"])
async def test_a_database_that_is_away_is_told_by_its_place_and_without_its_password(servers: str) -> None:
    with pytest.raises(DatabaseUnreachableError) as away:
        await missing_in(f"postgresql://u:hunter2@{servers}/db", application="test")
    assert str(away.value) == f"Postgres at {servers} cannot be used: Connection refused"


def test_an_unknown_target_names_the_known_ones(empty_database_url: str) -> None:
    with pytest.raises(MigrationError, match=required_version()):
        migrate(empty_database_url, to="9999")


def test_two_at_a_time_take_turns_and_the_second_says_so(empty_database_url: str) -> None:
    said: list[str] = []
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        second = threading.Thread(target=migrate, args=[empty_database_url], kwargs={"waiting": said.append})
        second.start()
        while not said:
            assert second.is_alive()
        assert shape(empty_database_url) == []
    second.join(timeout=20)
    assert len(said) == 1
    assert all(each.applied for each in status(empty_database_url))


def test_a_lock_that_a_killed_process_left_stops_nobody(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4194304)")
    assert migrate(database_url) == []


def test_a_broken_migration_keeps_nothing_and_names_itself(empty_database_url: str, tmp_path: Path) -> None:
    up, _ = new_migration("Break halfway", tmp_path)
    up.write_text("-- depends:\nCREATE TABLE half (id int);\nSELECT 1 / 0;\n")
    with pytest.raises(MigrationError, match=r"0001\.break-halfway"):
        migrate(empty_database_url, folder=tmp_path)
    assert shape(empty_database_url) == []
    assert [each.applied for each in status(empty_database_url, tmp_path)] == [False]


def test_a_new_migration_stands_behind_the_last(tmp_path: Path, empty_database_url: str) -> None:
    first, _ = new_migration("one", tmp_path)
    second, rollback = new_migration("Add price index!", tmp_path)
    assert (first.name, second.name) == ("0001.one.sql", "0002.add-price-index.sql")
    assert rollback.name == "0002.add-price-index.rollback.sql"
    assert [step.migration_id for step in migrate(empty_database_url, folder=tmp_path)] == ["0001.one", "0002.add-price-index"]


async def test_a_service_sees_what_is_missing_and_waits_for_it(empty_database_url: str) -> None:
    async with open_pool(empty_database_url, application="test", connections=2, statement_seconds=5) as pool:
        async with pool.acquire() as connection:
            assert await missing_migrations(connection) == required_migrations()
        waiting = asyncio.create_task(wait_until_migrated(pool, SystemClock()))
        await asyncio.to_thread(migrate, empty_database_url)
        await asyncio.wait_for(waiting, 10)
        async with pool.acquire() as connection:
            assert await missing_migrations(connection) == []


async def test_each_test_has_a_database_of_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM assets") == 0
    finally:
        await connection.close()
