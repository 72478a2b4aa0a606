"""A process that calls `/healthz` every 20 ms and records the latency."""

from socket import create_connection, socket
from threading import Thread
from time import monotonic, sleep

from msgspec import Struct

from nova.bench.attack.subprocesses import ordered, say

GIVEN_UP_S = 15.0
"""An answer that is not there by then counts as if it had taken this long; so does any but 200."""
PACE_S = 0.02
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Order(Struct, frozen=True):
    """Where to ask, and for how long."""

    host: str
    port: int
    seconds: float


class Seen(Struct, frozen=True):
    """Seconds that each answer took, over fresh connections and over one that is kept."""

    fresh: list[float]
    kept: list[float]
    failures: list[str]


class Prober:
    """Asks every 20 ms. Latency counts from when a question was due, unless the prober was late."""

    def __init__(self, order: Order, *, keeps: bool) -> None:
        self._order = order
        self._keeps = keeps
        self._socket: socket | None = None
        self.took: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        start = ended = monotonic()
        number = 0
        while (due := start + number * PACE_S) < start + self._order.seconds:
            number += 1
            if monotonic() > start + self._order.seconds + GIVEN_UP_S:
                self.took.append(GIVEN_UP_S)  # it would not be answered, either
                continue
            sleep(max(0.0, due - monotonic()))
            begun = due if ended > due else monotonic()
            good = self._ask()
            ended = monotonic()
            self.took.append(ended - begun if good else max(GIVEN_UP_S, ended - begun))
        self._hang_up()

    def _ask(self) -> bool:
        try:
            if self._socket is None:
                where = (self._order.host, self._order.port)
                self._socket = create_connection(where, timeout=GIVEN_UP_S)
            self._socket.sendall(REQUEST)
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                if not (some := self._socket.recv(4096)):
                    raise ConnectionError(f"closed after {answer[:40]!r}")
                answer += some
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(answer[:40].decode())
        except OSError as wrong:
            self.failures.append(repr(wrong))
            self._hang_up()
            return False
        if not self._keeps:
            self._hang_up()
        return True

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def probe(order: Order) -> Seen:
    """Ask over both kinds of connection at once."""
    fresh, kept = Prober(order, keeps=False), Prober(order, keeps=True)
    threads = [Thread(target=each.run) for each in (fresh, kept)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Seen(fresh.took, kept.took, (fresh.failures + kept.failures)[:5])


if __name__ == "__main__":
    say(probe(ordered(Order)))
