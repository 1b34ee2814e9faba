"""`kasparro alerts test`: whether the message arrives, and never the URL in what it says."""

import asyncio
import os
import sys
from pathlib import Path

from tests.integration.query.played_slack import fail, limit, playing_slack

ROOT = Path(__file__).parents[3]


async def alerts_test(webhook_url: str) -> tuple[int | None, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.cli", "alerts", "test"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SLACK_WEBHOOK_URL": webhook_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(child.communicate(), 60)
    return child.returncode, said.decode()


async def test_a_message_that_arrives_is_said_to_have() -> None:
    async with playing_slack() as slack:
        code, said = await alerts_test(slack.url)
        assert (code, said.strip()) == (0, "The webhook took the message")
        assert "kasparro alerts test" in slack.arrived[0]


async def test_a_message_that_does_not_says_why_and_not_where() -> None:
    async with playing_slack() as slack:
        for misbehave, words in ((fail, "it answered 500: oops"), (limit, "it answered 429: rate_limited")):
            slack.misbehave = misbehave
            code, said = await alerts_test(slack.url)
            assert (code, said.strip().removeprefix("error: ")) == (3, f"The message did not arrive: {words}")
        away = slack.url
    code, said = await alerts_test(away)
    assert code == 3
    assert "s3cr3t" not in said


async def test_a_url_that_is_none_is_one_line_without_it() -> None:
    code, said = await alerts_test("hooks.slack.com/services/s3cr3t")
    assert (code, said.strip()) == (2, "error: SLACK_WEBHOOK_URL: must be https://host/path")
    code, said = await alerts_test("")
    assert code == 2
    assert "SLACK_WEBHOOK_URL is not set" in said
