"""An incident in Slack's words: `text` for notifications, `blocks` for the channel. Pure.

What a provider said may stand in it, so it is escaped: nobody outside can ping a channel through us.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from libs.alerting.judging import Say
from libs.contracts.incidents import Incident

LONGEST_SECTION: Final = 2_900
"""Slack takes 3,000 characters."""
NOTIFIED: Final = 200

Message = dict[str, Any]


def message_of(incident: Incident, say: Say) -> Message:
    """Return the message that says so."""
    headline = _headline(incident, say)
    facts = f"`{incident.key}` · {_times(incident)}{' · it came back' if incident.again else ''}"
    blocks = [_section(headline)]
    if say is not Say.OVER:
        blocks += [_section(f"{escaped(incident.advice)}\n{_runbook(incident.runbook)}")]
    return {"text": _cut(headline, NOTIFIED), "blocks": [*blocks, {"type": "context", "elements": [_text(facts)]}]}


def test_message(host: str) -> Message:
    """Return a message that says only that messages arrive."""
    words = f":white_check_mark: Kasparro's alerts arrive here. Sent by `kasparro alerts test` on {escaped(host)}."
    return {"text": words, "blocks": [_section(words)]}


def escaped(text: str) -> str:
    """Take from a text what Slack would read as a link, a mention or a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _headline(incident: Incident, say: Say) -> str:
    words = escaped(incident.words)
    match say:
        case Say.OPENED:
            return f":red_circle: {words}"
        case Say.OVER:
            return f":large_green_circle: Over after {_lasted(incident)}: {words}"
        case Say.WAS:
            return f":large_yellow_circle: It lasted {_lasted(incident)} and is over: {words}"


def _times(incident: Incident) -> str:
    until = f" to {_shown(incident.closed_at)}" if incident.closed_at else ""
    return f"since {_shown(incident.opened_at)}{until}" if not until else f"{_shown(incident.opened_at)}{until}"


def _shown(moment: datetime) -> str:
    """Slack shows it in the reader's own time zone."""
    fallback = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"


def _lasted(incident: Incident) -> str:
    lasted = (incident.closed_at or incident.opened_at) - incident.opened_at
    seconds = round(lasted.total_seconds())
    if lasted < timedelta(minutes=2):
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if lasted < timedelta(hours=2) else f"{minutes // 60} h {minutes % 60} min"


def _runbook(page: str) -> str:
    return f"<{escaped(page)}|What to do>" if page.startswith(("https://", "http://")) else f"What to do: `{escaped(page)}`"


def _section(words: str) -> Message:
    return {"type": "section", "text": _text(words)}


def _text(words: str) -> Message:
    return {"type": "mrkdwn", "text": _cut(words, LONGEST_SECTION)}


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
