"""The engine against what theory says of queues that it can solve."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulation.engine import Process, Queue, Servers, Simulation

SERVICE = 0.001


class Line:
    """Customers who come at random to servers that need as long for each, and how many of them are there now and then."""

    def __init__(self, *, load: float, seed: int, servers: int = 1, seconds: float = 60.0) -> None:
        self.simulation = Simulation()
        self.servers = Servers(self.simulation, servers)
        self.chance = random.Random(seed)
        self.rate = load * servers / SERVICE
        self.there, self.looks, self.times = 0, [0], [0.0]
        self.simulation.start(self._come())
        self.simulation.start(self._look())
        self.simulation.run(seconds)

    def _come(self) -> Process:
        while True:
            yield self.simulation.sleep(self.chance.expovariate(self.rate))
            self.simulation.start(self._customer())

    def _customer(self) -> Process:
        came = self.simulation.now
        self.there += 1
        yield from self.servers.work(SERVICE)
        self.there -= 1
        self.times.append(self.simulation.now - came)

    def _look(self) -> Process:
        while True:
            yield self.simulation.sleep(0.0137)
            self.looks.append(self.there)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_waiting_is_what_pollaczek_and_khinchine_say(load: float) -> None:
    line = Line(load=load, seed=7)
    expected = SERVICE * (1 + load / (2 * (1 - load)))
    assert sum(line.times) / len(line.times) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("servers", [1, 4])
def test_littles_law_holds(servers: int) -> None:
    line = Line(load=0.7, seed=11, servers=servers, seconds=40)
    per_second = len(line.times) / 40
    assert sum(line.looks) / len(line.looks) == pytest.approx(per_second * sum(line.times) / len(line.times), rel=0.05)


@given(st.floats(0.1, 3.0), st.integers(0, 1_000), st.integers(1, 5))
def test_servers_work_no_more_than_there_is_time_and_no_less_than_asked(load: float, seed: int, servers: int) -> None:
    line = Line(load=load, seed=seed, servers=servers, seconds=0.5)
    assert line.servers.busy <= 0.5 * servers + 1e-9
    assert line.servers.busy >= SERVICE * (len(line.times) - 1) - 1e-9


@given(st.lists(st.floats(0.0001, 0.02), min_size=1, max_size=12), st.integers(1, 3))
def test_a_bounded_queue_keeps_order_and_its_bound(pauses: list[float], most: int) -> None:
    simulation, taken, brought = Simulation(), list[int](), 0
    queue: Queue[int] = Queue(simulation, most)

    def bring() -> Process:
        nonlocal brought
        for number in range(len(pauses)):
            yield from queue.put(number)
            brought += 1
            assert brought - len(taken) <= most + 1  # one may be in the taker's hand

    def take() -> Process:
        for pause in pauses:
            taken.append((yield from queue.take()))
            yield simulation.sleep(pause)

    simulation.start(bring())
    simulation.start(take())
    simulation.run(10)
    assert taken == list(range(len(pauses)))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(3, 8))
def test_what_gathers_is_taken_together_in_order_and_no_more_than_fits(sizes: list[int], most: int) -> None:
    simulation, taken = Simulation(), list[list[int]]()
    queue: Queue[int] = Queue(simulation, most, size=lambda size: size)

    def bring() -> Process:
        for size in sizes:
            yield from queue.put(size)

    def take() -> Process:
        while True:
            taken.append((yield from queue.take_all()))
            yield simulation.sleep(0.01)

    simulation.start(bring())
    simulation.start(take())
    simulation.run(10)
    assert [size for together in taken for size in together] == sizes
    assert all(sum(together) <= most or len(together) == 1 for together in taken)
    assert all(sum(one) + two[0] > most for one, two in pairwise(taken[1:])), "it left what would have fitted"


def test_turns_let_a_short_job_pass_a_long_one() -> None:
    simulation, ends = Simulation(), dict[str, float]()
    servers = Servers(simulation, 1)

    def job(name: str, seconds: float) -> Process:
        yield from servers.work(seconds)
        ends[name] = simulation.now

    simulation.start(job("long", 1.0))
    simulation.start(job("short", 0.001))
    simulation.run(10)
    assert ends == pytest.approx({"short": 0.006, "long": 1.001})
