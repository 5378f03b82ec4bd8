"""A Redis as the log uses it: the real script, over a model of the commands in it.

It executes what it is sent in the order of each connection, keeps a journal as an append-only file
does, and may be paused, or restarted empty or without the end of its journal: another run then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lupa.lua51 import LuaRuntime, lua_type

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.loop import Machine
    from tests.simulation.network import End

    OnCall = Callable[[list[bytes], list[bytes], "Reply"], None]

SCRIPT = Path(__file__).parents[2] / "collab" / "log" / "redis" / "log.lua"

Reply = bytes | int | None | list[Any]
Id = tuple[int, int]


class Failed(Exception):
    """Redis answers with an error."""


class Full(Failed):
    """There is no memory left for what the first write of a script would add."""


ADDING = {b"XADD", b"HSET", b"SET"}
WRITING = ADDING | {b"XTRIM", b"HDEL", b"DEL", b"PERSIST", b"EXPIRE"}


@dataclass
class Stream:
    """Entries in order, each with its fields."""

    last: Id = (0, 0)
    entries: list[tuple[Id, list[bytes]]] = field(default_factory=list)


Value = Stream | dict[bytes, bytes] | bytes


class Store:
    """The keys, and the commands on them. `now` is in ms."""

    def __init__(self, rng: random.Random) -> None:
        self.now = 0
        self._random = rng
        self._values: dict[bytes, Value] = {}
        self._expires: dict[bytes, int] = {}
        self.full = False
        self.followers: dict[bytes, int] = {}
        """How many listen to each channel."""
        self.published: list[tuple[bytes, bytes]] = []
        """What the running script published."""
        self._wrote = False

    def begin(self, now: int) -> None:
        """A script begins, at this time."""
        self.now, self.published, self._wrote = now, [], False

    def execute(self, *command: bytes) -> Reply:
        name, *args = command
        if self.full and not self._wrote and name in ADDING:
            raise Full("OOM command not allowed when used memory > 'maxmemory'.")
        self._wrote |= name in WRITING
        run: Callable[..., Reply] | None = getattr(self, f"do_{name.decode().lower()}", None)
        if run is None:
            raise Failed(f"ERR unknown command {name!r}")
        return run(*args)

    def keys(self) -> list[bytes]:
        return sorted(key for key in list(self._values) if self._find(key) is not None)

    def stream(self, key: bytes) -> list[tuple[Id, list[bytes]]]:
        """A stream's entries, for those who look at it from outside."""
        return list(self._stream(key).entries)

    def _find(self, key: bytes) -> Value | None:
        expires = self._expires.get(key)
        if expires is not None and expires <= self.now:
            self._remove(key)
        return self._values.get(key)

    def _remove(self, key: bytes) -> None:
        self._values.pop(key, None)
        self._expires.pop(key, None)

    def _of(self, key: bytes, kind: type[Any], empty: Any) -> Any:
        value = self._find(key)
        if value is None:
            return empty
        if not isinstance(value, kind):
            raise Failed("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    # -- Keys ---------------------------------------------------------------------------------

    def do_exists(self, key: bytes) -> int:
        return int(self._find(key) is not None)

    def do_del(self, *keys: bytes) -> int:
        found = [key for key in keys if self._find(key) is not None]
        for key in found:
            self._remove(key)
        return len(found)

    def do_persist(self, key: bytes) -> int:
        self._find(key)
        return int(self._expires.pop(key, None) is not None)

    def do_expire(self, key: bytes, seconds: bytes) -> int:
        if self._find(key) is None:
            return 0
        self._expires[key] = self.now + int(seconds) * 1000
        return 1

    def do_pttl(self, key: bytes) -> int:
        if self._find(key) is None:
            return -2
        expires = self._expires.get(key)
        return -1 if expires is None else expires - self.now

    def do_ttl(self, key: bytes) -> int:
        left = self.do_pttl(key)
        return left if left < 0 else (left + 500) // 1000

    def do_time(self) -> list[bytes]:
        return [b"%d" % (self.now // 1000), b"%d" % (self.now % 1000 * 1000)]

    # -- Strings and hashes -------------------------------------------------------------------

    def do_get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._of(key, bytes, None)
        return value

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> bytes:
        self._remove(key)
        self._values[key] = value
        if options:
            unit, amount = options
            self._expires[key] = self.now + int(amount) * {b"PX": 1, b"EX": 1000}[unit.upper()]
        return b"OK"

    def do_hget(self, key: bytes, name: bytes) -> bytes | None:
        value: bytes | None = self._of(key, dict, {}).get(name)
        return value

    def do_hset(self, key: bytes, *pairs: bytes) -> int:
        held = self._of(key, dict, None)
        if held is None:
            held = self._values[key] = {}
        new = 0
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            new += name not in held
            held[name] = value
        return new

    def do_hdel(self, key: bytes, *names: bytes) -> int:
        held = self._of(key, dict, {})
        found = [name for name in names if held.pop(name, None) is not None]
        if not held:
            self._remove(key)
        return len(found)

    def do_hgetall(self, key: bytes) -> list[bytes]:
        return [part for pair in self._of(key, dict, {}).items() for part in pair]

    # -- Streams ------------------------------------------------------------------------------

    def _stream(self, key: bytes) -> Stream:
        found: Stream = self._of(key, Stream, Stream())
        return found

    def do_xadd(self, key: bytes, entry_id: bytes, *fields: bytes) -> bytes:
        stream = self._stream(key)
        at = _id(entry_id)
        if at <= stream.last:
            raise Failed(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            )
        stream.last = at
        stream.entries.append((at, list(fields)))
        self._values[key] = stream
        return entry_id

    def do_xrange(self, key: bytes, start: bytes, end: bytes, *options: bytes) -> list[Any]:
        low, high = _bound(start, (0, 0), 1), _bound(end, (2**63, 2**63), -1)
        found = [entry for entry in self._stream(key).entries if low <= entry[0] <= high]
        return [_entry(entry) for entry in found[: _count(options)]]

    def do_xrevrange(self, key: bytes, end: bytes, start: bytes, *options: bytes) -> list[Any]:
        low, high = _bound(start, (0, 0), 1), _bound(end, (2**63, 2**63), -1)
        entries = self._stream(key).entries
        if (low, high) == ((0, 0), (2**63, 2**63)):
            found = entries[: -_count(options) - 1 : -1] if options else entries[::-1]
        else:
            found = [entry for entry in entries if low <= entry[0] <= high][::-1]
            found = found[: _count(options)]
        return [_entry(entry) for entry in found]

    def do_xlen(self, key: bytes) -> int:
        return len(self._stream(key).entries)

    def do_xtrim(self, key: bytes, _minid: bytes, *options: bytes) -> int:
        about = options[0] == b"~"
        stream = self._stream(key)
        first = _id(options[-1])
        gone = sum(entry[0] < first for entry in stream.entries)
        if about:  # whole nodes only: perhaps less
            gone = self._random.randint(0, gone)
        del stream.entries[:gone]
        return gone

    def do_pubsub(self, _shardnumsub: bytes, channel: bytes) -> list[Any]:
        return [channel, self.followers.get(channel, 0)]

    def do_spublish(self, channel: bytes, message: bytes) -> int:
        self.published.append((channel, message))
        return 1


def _id(text: bytes) -> Id:
    first, _, second = text.partition(b"-")
    return int(first), int(second or 0)


def _bound(text: bytes, unbounded: Id, step: int) -> Id:
    if text in (b"-", b"+"):
        return unbounded
    if text.startswith(b"("):
        first, second = _id(text[1:])
        return first, second + step
    return _id(text)


def _count(options: tuple[bytes, ...]) -> int:
    return int(options[1]) if options else 2**62


def _entry(entry: tuple[Id, list[bytes]]) -> list[Any]:
    return [b"%d-%d" % entry[0], list(entry[1])]


class Script:
    """`log.lua` in a Lua of its own, as Redis runs it."""

    def __init__(self) -> None:
        self._store: Store
        self._commands: list[tuple[bytes, ...]]
        lua = LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=False)
        self._table = lua.table_from
        make: Any = lua.eval(_WRAPPER)
        self._run: Callable[..., Any] = make(SCRIPT.read_bytes(), self._call, _sha1hex)

    def run(self, store: Store, keys: list[bytes], arguments: list[bytes]) -> Reply:
        """Raises `Failed` where Redis would answer with an error."""
        self._store = store
        reply: Reply = _reply(self._run(self._table(keys), self._table(arguments)))
        return reply

    def _call(self, *command: bytes | float) -> Any:
        return self._to_lua(self._store.execute(*map(_argument, command)))

    def _to_lua(self, reply: Reply) -> Any:
        if isinstance(reply, list):
            return self._table([self._to_lua(part) for part in reply])
        return False if reply is None else reply


_WRAPPER = """
function(source, call, sha1hex)
  redis = {call = call, sha1hex = sha1hex}
  local script = assert(loadstring(source))
  return function(keys, arguments)
    KEYS, ARGV = keys, arguments
    return script()
  end
end
"""


def _sha1hex(text: bytes) -> bytes:
    return hashlib.sha1(text).hexdigest().encode()


def _argument(value: bytes | float) -> bytes:
    return value if isinstance(value, bytes) else b"%.17g" % value


def _reply(value: Any) -> Any:
    if lua_type(value) == "table":
        parts = []
        for place in range(1, len(value) + 1):
            if value[place] is None:
                break
            parts.append(_reply(value[place]))
        return parts
    if isinstance(value, bool):
        return 1 if value else None
    return int(value) if isinstance(value, float) else value


class Redis:
    """A server, on a machine of its own."""

    def __init__(self, machine: Machine, rng: random.Random, on_call: OnCall) -> None:
        """`on_call` is told of each call that was executed, and what it answered."""
        self.machine = machine
        self.down = False
        self.runs = 0
        self.store = Store(rng)
        self._random = rng
        self._on_call = on_call
        self._journal: list[tuple[int, list[bytes], list[bytes]]] = []
        self._subscribers: dict[bytes, dict[End, None]] = {}

    @property
    def run_id(self) -> str:
        return f"run{self.runs}"

    def accept(self, end: End) -> None:
        """A connection of a server's. Requests are tuples, and so are the answers."""
        end.on_message = lambda request: self._take(end, *request)
        end.on_lost = lambda: self._forget(end)

    def _take(self, end: End, kind: str, *rest: Any) -> None:
        match kind:
            case "info":
                end.send(("info", self.run_id, self._now_ms() / 1000))
            case "subscribe":
                self._subscribers.setdefault(rest[0], {})[end] = None
                end.send(("subscribed", rest[0]))
            case "unsubscribe":
                self._subscribers.get(rest[0], {}).pop(end, None)
            case "call":
                number, keys, arguments = rest
                end.send(("answer", number, self.call(keys, arguments)))
            case "ping":
                end.send(("pong",))
            case "keys":
                end.send(("keys", rest[0], self.store.keys()))
            case _:
                raise AssertionError(kind)

    def _forget(self, end: End) -> None:
        for ends in self._subscribers.values():
            ends.pop(end, None)

    def call(self, keys: list[bytes], arguments: list[bytes]) -> Reply | Full:
        call = self._now_ms(), keys, arguments
        channel = keys[-1]
        self.store.followers = {channel: len(self._subscribers.get(channel, {}))}
        try:
            reply = self._execute(self.store, call)
        except Full as full:
            return full
        self._journal.append(call)
        for channel, message in self.store.published:
            for end in tuple(self._subscribers.get(channel, {})):
                end.send(("message", channel, message))
        self._on_call(keys, arguments, reply)
        return reply

    @staticmethod
    def _execute(store: Store, call: tuple[int, list[bytes], list[bytes]]) -> Reply:
        now, keys, arguments = call
        store.begin(now)
        return script().run(store, keys, arguments)

    def _now_ms(self) -> int:
        return 1_700_000_000_000 + int(self.machine.clock.now * 1000)

    # -- What may happen to it ----------------------------------------------------------------

    def make_room(self) -> None:
        self.store.full = False

    def stop(self) -> None:
        """Whoever cuts its connections does so too."""
        self.down = True
        self._subscribers.clear()

    def restart(self, lost_s: float | None) -> None:
        """Another run: without what was written in the last seconds, None for empty."""
        self.down = False
        self.runs += 1
        full, self.store = self.store.full, Store(self._random)
        upto = -1 if lost_s is None else self._now_ms() - int(lost_s * 1000)
        self._journal = [call for call in self._journal if call[0] <= upto]
        for call in self._journal:
            self._execute(self.store, call)
        self.store.begin(self._now_ms())
        self.store.full = full


_scripts: list[Script] = []


def script() -> Script:
    """One for all runs: it keeps nothing between two calls."""
    if not _scripts:
        _scripts.append(Script())
    return _scripts[0]
