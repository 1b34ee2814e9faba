"""What Slack is sent: short, complete, and nobody outside can speak through it."""

import json
from datetime import UTC, datetime, timedelta

from libs.alerting.judging import Say
from libs.alerting.slack import LONGEST_SECTION, message_of
from libs.contracts.incidents import Incident

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def incident(**changes: object) -> Incident:
    fields: dict[str, object] = {
        "key": "source-failing/csv",
        "kind": "source-failing",
        "subject": "csv",
        "opened_at": NOON,
        "words": "The last 3 runs of csv failed",
        "advice": "Look at the file",
        "runbook": "https://wiki.example/kasparro#source-failing",
    }
    return Incident.model_validate(fields | changes)


def test_an_incident_says_what_is_wrong_what_to_do_and_since_when() -> None:
    message = message_of(incident(), Say.OPENED)
    assert message["text"] == ":red_circle: The last 3 runs of csv failed"
    said = json.dumps(message["blocks"])
    assert "Look at the file" in said
    assert "<https://wiki.example/kasparro#source-failing|What to do>" in said
    assert f"<!date^{int(NOON.timestamp())}^" in said
    assert "2026-11-29 12:00:00 UTC" in said


def test_its_end_says_how_long_it_lasted_and_of_what() -> None:
    for lasted, words in ((90, "90 s"), (600, "10 min"), (3 * 3_600 + 120, "3 h 2 min")):
        over = incident(closed_at=NOON + timedelta(seconds=lasted), told="opened")
        assert f"Over after {words}: The last 3 runs" in message_of(over, Say.OVER)["text"]
        assert f"lasted {words} and is over" in message_of(over, Say.WAS)["text"]


def test_what_a_provider_said_pings_nobody_and_is_no_link() -> None:
    said = json.dumps(message_of(incident(words="<!channel> <https://evil.example|pay> & more"), Say.OPENED))
    assert "<!channel>" not in said
    assert "<https://evil" not in said
    assert "&lt;!channel&gt;" in said


def test_a_page_that_is_no_address_is_no_link() -> None:
    assert "What to do: `docs/operations.md#x`" in json.dumps(message_of(incident(runbook="docs/operations.md#x"), Say.OPENED))


def test_no_section_is_longer_than_slack_takes() -> None:
    message = message_of(incident(words="&" * 1_000, advice="<" * 1_000), Say.OPENED)
    assert all(len(block["text"]["text"]) <= LONGEST_SECTION for block in message["blocks"] if "text" in block)
