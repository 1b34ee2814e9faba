"""Incidents open once, close once, and are told alternately, whatever is seen and however often telling fails."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.alerting.findings import Finding, Kind
from libs.alerting.judging import AGAIN, OLD_NEWS, QUIET_SECONDS, Judged, Say, having_said, judge, later, say_next
from libs.contracts.incidents import Incident

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
PAGE = "https://wiki.example/kasparro"


def finding(*, bad: bool | None, opens: float = 0, closes: float = 0, subject: str = "csv") -> Finding:
    return Finding(Kind.SOURCE_FAILING, subject, bad, "it is wrong", "mend it", opens, closes)


@dataclass
class Watching:
    """A leader's memory, and its clock."""

    book: dict[str, Incident] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def see(self, *findings: Finding, after: float = 0.0) -> Judged:
        self.seconds += after
        judged = judge(self.book, findings, self.since, now=self.now, monotonic=self.seconds, page=PAGE)
        self.book |= {incident.key: incident for incident in judged.changed}
        self.since = dict(judged.since)
        return judged

    def say(self) -> list[Say]:
        """Tell everything that is due, in order."""
        said: list[Say] = []
        for key in self.book:
            while say := say_next(self.book[key], self.now):
                said.append(say)
                self.book[key] = having_said(self.book[key], self.book[key], say)
        return said


def test_an_incident_is_opened_once_and_closed_once() -> None:
    watching = Watching()
    (opened,) = watching.see(finding(bad=True)).changed
    assert (opened.key, opened.opened_at, opened.closed_at, opened.told) == ("source-failing/csv", NOON, None, None)
    assert opened.runbook == f"{PAGE}#source-failing"
    assert watching.see(finding(bad=True), after=5).changed == ()
    (closed,) = watching.see(finding(bad=False), after=5).changed
    assert closed.closed_at == NOON + timedelta(seconds=10)
    assert watching.see(finding(bad=False), after=5).changed == ()


def test_it_must_last_to_count_and_begins_when_it_was_first_seen() -> None:
    watching = Watching()
    assert watching.see(finding(bad=True, opens=60)).changed == ()
    assert watching.see(finding(bad=True, opens=60), after=59).changed == ()
    (opened,) = watching.see(finding(bad=True, opens=60), after=2).changed
    assert opened.opened_at == NOON


def test_what_was_well_or_unknown_meanwhile_begins_anew() -> None:
    for between in (False, None):
        watching = Watching()
        watching.see(finding(bad=True, opens=60))
        watching.see(finding(bad=between, opens=60), after=50)
        assert watching.see(finding(bad=True, opens=60), after=50).changed == ()


def test_what_cannot_be_told_closes_nothing() -> None:
    watching = Watching()
    watching.see(finding(bad=True))
    assert watching.see(finding(bad=None), after=10_000).changed == ()
    assert watching.see(after=10_000).changed == ()


def test_what_comes_back_within_an_hour_is_over_only_after_a_quiet_time() -> None:
    watching = Watching()
    for bad in (True, False):
        watching.see(finding(bad=bad), after=5)
        watching.say()
    (back,) = watching.see(finding(bad=True), after=AGAIN.total_seconds() - 1).changed
    assert back.again
    assert watching.see(finding(bad=False), after=5).changed == ()
    assert watching.see(finding(bad=False), after=QUIET_SECONDS - 6).changed == ()
    (over,) = watching.see(finding(bad=False), after=6).changed
    assert over.closed_at is not None


def test_after_an_hour_it_is_another_incident() -> None:
    watching = Watching()
    for bad in (True, False):
        watching.see(finding(bad=bad), after=5)
        watching.say()
    (other,) = watching.see(finding(bad=True), after=AGAIN.total_seconds() + 1).changed
    assert not other.again


def test_opened_and_over_before_anybody_was_told_is_one_message() -> None:
    watching = Watching()
    watching.see(finding(bad=True))
    watching.see(finding(bad=False), after=300)
    assert watching.say() == [Say.WAS]
    assert watching.say() == []


def test_what_was_over_a_day_ago_is_old_news_unless_its_beginning_was_told() -> None:
    watching = Watching()
    watching.see(finding(bad=True))
    watching.see(finding(bad=False), after=300)
    (incident,) = watching.book.values()
    assert say_next(incident, watching.now + OLD_NEWS) is None
    assert say_next(incident.model_copy(update={"told": "opened"}), watching.now + 9 * OLD_NEWS) is Say.OVER


def test_what_comes_back_before_its_end_was_told_goes_on() -> None:
    watching = Watching()
    watching.see(finding(bad=True))
    watching.say()
    watching.see(finding(bad=False), after=5)
    (back,) = watching.see(finding(bad=True), after=5).changed
    assert (back.opened_at, back.closed_at) == (NOON, None)
    assert watching.say() == []


def test_what_comes_back_while_its_end_is_being_told_is_told_again() -> None:
    watching = Watching()
    watching.see(finding(bad=True))
    watching.say()
    watching.see(finding(bad=False), after=5)
    said = watching.book["source-failing/csv"]
    watching.see(finding(bad=True), after=5)
    watching.book[said.key] = having_said(watching.book[said.key], said, Say.OVER)
    assert watching.say() == [Say.OPENED]


def test_of_two_tellings_the_one_that_is_further_on_counts() -> None:
    watching = Watching()
    (opened,) = watching.see(finding(bad=True)).changed
    told = opened.model_copy(update={"told": "opened"})
    closed = told.model_copy(update={"closed_at": NOON + timedelta(hours=1)})
    newer = opened.model_copy(update={"opened_at": NOON + timedelta(hours=2)})
    ascending = [opened, told, closed, newer]
    for lower, higher in pairwise(ascending):
        assert later(lower, higher) == later(higher, lower) == higher


seen_values = st.sampled_from([True, False, None])
telling_values = st.sampled_from(["nothing", "told", "told late"])
looks = st.tuples(st.sampled_from([0.0, 1.0, 5.0, 30.0, 61.0, 600.0, 3_700.0]), seen_values, seen_values, telling_values)
flapping = st.tuples(st.sampled_from([1.0, 30.0]), st.booleans(), st.booleans(), st.sampled_from(["told", "told late"]))
"""Seconds since the look before, what is seen of one thing and of another, what becomes of what is to be said."""


@given(st.lists(looks, max_size=60) | st.lists(flapping, min_size=40, max_size=80))
@settings(max_examples=150)
def test_for_whatever_is_seen_messages_alternate_and_flapping_is_bounded(
    seen: list[tuple[float, bool | None, bool | None, str]],
) -> None:
    watching = Watching()
    messages: defaultdict[str, list[tuple[float, Say]]] = defaultdict(list)
    under_way: dict[str, tuple[Incident, Say]] = {}
    for after, one, other, telling in seen:
        watching.see(finding(bad=one), finding(bad=other, opens=60, closes=10, subject="other"), after=after)
        for key, (incident, say) in under_way.items():
            watching.book[key] = having_said(watching.book[key], incident, say)
        under_way = {}
        for key, incident in watching.book.items():
            due = say_next(incident, watching.now)
            if due is None or telling == "nothing":
                continue
            messages[key].append((watching.seconds, due))
            if telling == "told":
                watching.book[key] = having_said(incident, incident, due)
            else:
                under_way[key] = incident, due
    for told in messages.values():
        is_open = False
        for _, say in told:
            assert is_open is (say is Say.OVER), told
            is_open = say is Say.OPENED
        begun = [moment for moment, say in told if say is not Say.OVER]
        for moment in begun:
            within = sum(moment <= other < moment + 3_600 for other in begun)
            assert within <= 1 + 3_600 / QUIET_SECONDS, told
