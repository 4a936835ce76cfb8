"""A bad wire: a TCP proxy on 127.0.0.1 in front of a server's port, which does to each connection what a plan says.

    with Wire(port, Scripted([Fault("cut", "down", 900), Fault("lose_reply", at=2_000)])) as wire:
        ...  # connect to wire.port; the third connection and all later ones pass

A plan is given the number of a connection, counted from 0 since the plan was set, and nothing else: the same plan does
the same again, and so does `Scripted([deed.faults for deed in wire.log])`. Positions count the bytes a sender sent,
however TCP cut them; under TLS these are records, handshake included.
"""

import asyncio
import contextlib
import functools
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Concatenate, Literal, ParamSpec, Self, get_args

Way = Literal["up", "down"]  # from the client to the server, and back
Kind = Literal["delay", "stall", "cut", "truncate", "flip", "repeat", "lose_reply"]
Plan = Callable[[int], Sequence["Fault"]]
P = ParamSpec("P")
WAYS: tuple[Way, ...] = get_args(Way)
HOST = "127.0.0.1"
CHUNK, LONGEST_DELAY_S, PATIENCE_S = 65_536, 5.0, 30.0


@dataclass(frozen=True)
class Fault:
    """Happens to a connection once `at` bytes have come one `way`; of several on one way, the lowest `at` first.

    delay: this way pauses for `seconds`.
    stall: this way carries nothing until `Wire.release`, or for `seconds`; the connection stays open.
    cut: both sides end, by FIN or by RST; RST may overtake bytes, at 0 even `wrap_socket` (Python 3.11 then leaks).
    truncate: who receives sees a clean end, who sends notices nothing; the other way goes on.
    flip: one `bit` (0 to 7) of byte `at`, counted from 0, arrives changed.
    repeat: the `size` bytes from `at` on arrive twice.
    lose_reply: nothing comes down any more (`way` is "up"); once the server has sent `size` bytes since, or has ended,
        the client's connection is reset and the server's ends undisturbed. Under TLS let `at` lie inside the request,
        and `size` exceed the session tickets: a TLS 1.3 server sends them before it has read the request.
    """

    kind: Kind
    way: Way = "up"
    at: int = 0
    size: int = 1
    bit: int = 0
    seconds: float | None = None
    reset: bool = True

    def __post_init__(self) -> None:
        late = self.kind == "delay" and not 0 < (self.seconds or 0) <= LONGEST_DELAY_S
        if late or self.at < 0 or self.size < 1 or (self.kind, self.way) == ("lose_reply", "down"):
            raise ValueError(f"there is no such fault: {self}")


@dataclass(frozen=True)
class Scripted:
    """Connection n meets the nth item: a fault, several, or none; those beyond the list meet `rest`."""

    faults: Sequence[Fault | Sequence[Fault]] = ()
    rest: Sequence[Fault] = ()

    def __call__(self, number: int) -> Sequence[Fault]:
        """What this connection meets."""
        met = self.faults[number] if number < len(self.faults) else self.rest
        return (met,) if isinstance(met, Fault) else met


calm = Scripted  # `calm()` lets everything pass


@dataclass(frozen=True)
class Seeded:
    """A connection meets at most one fault each way, at 0 < byte < `span`, drawn from the seed and its number alone."""

    seed: int
    rates: Mapping[Kind, float]  # the chance of each on one way (lose_reply: on the way up), together at most 1
    span: int = 2_000

    def __post_init__(self) -> None:
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("rates are chances, together at most 1")

    def __call__(self, number: int) -> Sequence[Fault]:
        """What this connection meets."""
        rng, found, kinds = random.Random(f"{self.seed} {number}"), [], sorted(self.rates)
        weights = [*(self.rates[kind] for kind in kinds), max(0, 1 - sum(self.rates.values()))]
        for way in WAYS:
            (kind,) = rng.choices([*kinds, None], weights)
            at, size, bit = rng.randrange(1, self.span), rng.randint(1, 64), rng.randrange(8)
            seconds, reset = rng.uniform(0.001, 0.05), rng.random() < 0.5
            if kind and (kind, way) != ("lose_reply", "down"):
                found.append(Fault(kind, way, at, size, bit, seconds, reset))
        return tuple(found)


@dataclass
class Deed:
    """What a connection was to meet, what of it `struck` (its byte was reached), and how many bytes each side sent."""

    number: int
    faults: tuple[Fault, ...]
    struck: set[Fault] = field(default_factory=set)
    came: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0), compare=False)
    lost: int | None = field(default=None, init=False, repr=False, compare=False)  # so much of a lost reply is to come


async def _drain(end: socket.socket) -> None:
    """Whoever is at this end has said all, and nobody heard it."""
    with contextlib.suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(end, CHUNK):
            pass


def _say_all(end: socket.socket) -> None:
    """Whoever is at this end reads an end; it may still speak."""
    with contextlib.suppress(OSError):  # it has gone
        end.shutdown(socket.SHUT_WR)


def _close(end: socket.socket, *, reset: bool) -> None:
    with end, contextlib.suppress(OSError):  # it has gone
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _in_its_thread(act: Callable[Concatenate["Wire", P], None]) -> Callable[Concatenate["Wire", P], None]:
    """The wire's thread has numbered the connections made so far, then acted; those it cancelled have ended."""

    async def done(wire: "Wire", /, *args: P.args, **kwargs: P.kwargs) -> None:
        wire._accept()
        act(wire, *args, **kwargs)
        await asyncio.gather(*(link for link in wire._links if link.cancelling()), return_exceptions=True)

    def do(wire: "Wire", /, *args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run_coroutine_threadsafe(done(wire, *args, **kwargs), wire._loop).result(PATIENCE_S)

    return functools.update_wrapper(do, act)


class Wire:
    """A port on 127.0.0.1 in front of another, for one test thread. `log` tells of each connection, in their order."""

    def __init__(self, target: int, plan: Plan | None = None) -> None:
        self.target, self.log = target, list[Deed]()
        self._plan, self._first = plan or calm(), 0  # the number of the first connection under this plan
        self._links, self._failed = set[asyncio.Task[None]](), list[BaseException]()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, told: self._failed.append(told.get("exception") or OSError(told)))
        self._released = asyncio.Event()
        self._place = socket.socket()  # keeps the port ours while nobody listens on it
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((HOST, 0))
        self.port: int = self._place.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=f"wire to {self.target}")
        self._thread.start()
        self.heal()
        return self

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        self.partition()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._place.close()
        if self._failed and fault is None:
            raise self._failed[0]

    @property
    def plan(self) -> Plan:
        """What new connections meet."""
        return self._plan

    @plan.setter
    @_in_its_thread
    def plan(self, plan: Plan) -> None:
        """The next connection is number 0 of this plan; earlier ones keep what they have."""
        self._plan, self._first = plan, len(self.log)

    @_in_its_thread
    def partition(self) -> None:
        """Every open connection has been reset at both ends; new ones are refused until `heal`."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for link in self._links:
            link.cancel()

    @_in_its_thread
    def heal(self) -> None:
        """New connections are accepted, on the same port as ever."""
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.settimeout(0)
            self._loop.add_reader(self._listener, self._accept)

    @_in_its_thread
    def release(self) -> None:
        """What stalls goes on, and what it held back arrives; later stalls hold again."""
        self._released.set()
        self._released = asyncio.Event()

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            self.log.append(deed := Deed(number := len(self.log), tuple(self._plan(number - self._first))))
            ends = [client, socket.socket()]
            for end in ends:
                end.settimeout(0)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._link(deed, ends))
            self._links.add(task)
            task.add_done_callback(functools.partial(self._ended, ends))

    def _ended(self, ends: list[socket.socket], task: asyncio.Task[None]) -> None:
        self._links.discard(task)
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        for end in ends:
            _close(end, reset=fault is not None)
        if fault is not None and not isinstance(fault, OSError | asyncio.CancelledError):
            self._failed.append(fault)

    async def _link(self, deed: Deed, ends: list[socket.socket]) -> None:
        """Both sides have said all and the other has heard it; an OSError means that both are to be reset."""
        await self._loop.sock_connect(ends[1], (HOST, self.target))
        directed = zip(WAYS, (ends, ends[::-1]), strict=True)
        pumps = [asyncio.ensure_future(self._pump(deed, way, *pair)) for way, pair in directed]
        try:  # not by gather, which forgets that it was cancelled when a pump fails at that moment
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in pumps:
                pump.cancel()
            ended = await asyncio.gather(*pumps, return_exceptions=True)
        for fault in ended:
            if isinstance(fault, Exception) and not isinstance(fault, EOFError):
                raise fault
        if deed.lost is not None:
            _close(ends.pop(0), reset=True)
        for end in ends:
            _say_all(end)
        await asyncio.gather(*map(_drain, ends))

    async def _pump(self, deed: Deed, way: Way, source: socket.socket, sink: socket.socket) -> None:
        """All that came one way, and its end, has gone on, but for what faults changed."""

        async def send(data: bytes | bytearray) -> None:
            if way == "up" or deed.lost is None:
                await self._loop.sock_sendall(sink, data)
            elif (left := deed.lost - len(data)) > 0 and data:
                deed.lost = left
            else:
                raise EOFError

        async def carry(count: int, mask: int = 0, kept: bytearray | None = None) -> bool:
            """So many bytes have gone on, and are kept; False if the sender ended before."""
            while count > 0:
                await asyncio.sleep(0)  # other connections get their turn
                data = await self._loop.sock_recv(source, min(count, CHUNK))
                deed.came[way] += len(data)
                await send(bytes(byte ^ mask for byte in data) if mask else data)
                if not data:
                    return False
                count -= len(data)
                if kept is not None:
                    kept += data
            return True

        for fault in sorted((fault for fault in deed.faults if fault.way == way), key=lambda fault: fault.at):
            if not await carry(fault.at - deed.came[way]):
                break
            deed.struck.add(fault)
            match fault.kind:
                case "delay":
                    await asyncio.sleep(fault.seconds or 0)
                case "stall":
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(fault.seconds):
                            await self._released.wait()
                case "cut":
                    raise ConnectionResetError if fault.reset else EOFError
                case "truncate":
                    _say_all(sink)
                    return await _drain(source)
                case "flip":
                    await carry(1, mask=1 << fault.bit)
                case "repeat":
                    await carry(fault.size, kept=(kept := bytearray()))
                    await send(kept)
                case "lose_reply":
                    deed.lost = fault.size
        await carry(1 << 62)
        return _say_all(sink)
