"""What a hostile client may send, at random: broken, mistyped, odd and valid messages."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.live.raw import BINARY, CLOSE, PING, PONG, TEXT, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

LIMITS: dict[str, Any] = {
    "max_message_bytes": 65_536,
    "max_document_units": 20_000,
    "max_updates_per_push": 20,
    "max_sections_per_push": 200,
    "messages_per_second": 2_000,
}
"""Settings of a server that is attacked: low enough that every limit is met."""

ODD_NUMBERS = (0, -1, 1.5, 1e300, 2**31, 2**53 - 1, 2**53, 2**64, 10**400, -(2**63), True, None)
ODD_STRINGS = ("", "\0", "\n", "\r\n", "\ufeff", "😀", "\ud83d", "\ude00", "x" * 3_000, "__proto__")
ODD_CLOSES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1015, 2999, 3000, 4000, 4999, 5000, 65_535)


@dataclass(slots=True)
class Place:
    """Where a session stands: the text's revision and length, and the last seq.

    It may go on with `token`, and with none of `others`.
    """

    revision: int
    length: int
    token: str
    others: Sequence[str] = ()
    seq: int = 1

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq


class Hostile:
    """Makes messages, each as the bytes of its frames. `Random` alone decides."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._kinds: dict[Callable[[Place], bytes], int] = {
            self._push: 500,
            self._odd_push: 150,
            self._presence: 150,
            self._beat_or_token: 50,
            self._wrong_push: 100,
            self._mistyped: 40,
            self._garbled: 40,
            self._nonsense: 20,
            self._below: 30,
            self._flood: 1,
        }

    def message(self, place: Place) -> tuple[str, bytes, bool]:
        """The kind, the bytes, and whether a push is among them that will be answered."""
        (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
        answered = kind in (self._push, self._odd_push, self._wrong_push)
        return kind.__name__.strip("_"), kind(place), answered

    # -- Valid messages, plain and odd --------------------------------------------------------

    def _change(self, length: int) -> list[Any]:
        random = self._random
        start = random.randint(0, length)
        end = min(length, start + random.choice((0, 0, 1, 3, length // 4)))
        lines = random.choice(([], ["x"], ["ab", "cd"], ["", ""], ["😀"], ["grüße "]))
        change = [start, [end - start, *lines], length - end]
        return [section for section in change if section != 0]

    def _pushed(self, place: Place) -> dict[str, Any]:
        change = self._change(place.length)
        seq = place.next_seq()
        return {"type": "push", "revision": place.revision, "seq": seq, "updates": [change]}

    def _push(self, place: Place) -> bytes:
        return _text(self._pushed(place))

    def _odd_push(self, place: Place) -> bytes:
        """Right, but as nobody would write it; or on a revision that is long past."""
        random, push = self._random, self._pushed(place)
        match random.randrange(6):
            case 0:
                push["updates"] = [[place.length] if place.length else []] * random.randint(1, 20)
            case 1:
                push["updates"] = [[0, place.length, 0, [0]]]
            case 2:
                push["updates"] = [[1] * place.length if place.length < 150 else [place.length]]
            case 3:
                push |= {"unheard": self._value(3), "of": self._value(0)}
            case 4:
                push["revision"] = max(place.revision - random.randint(1, 50), 0)
            case _:
                push["seq"] = place.seq = place.seq + random.randint(1, 2**20)
        data = json.dumps(push, indent=random.choice((None, 3)), ensure_ascii=random.random() < 0.5)
        return self._in_parts(data.encode(errors="replace"))

    def _presence(self, place: Place) -> bytes:
        random = self._random
        places = (-(2**53) + 1, -1, 0, 1, place.length, place.length + 1, 2**53 - 1)
        revision = random.choice((place.revision, 0, place.revision + 1, 2**53 - 1))
        ranges = [random.choices(places, k=2) for _ in range(random.choice((0, 1, 3, 500)))]
        return _text({"type": "presence", "revision": revision, "ranges": ranges})

    def _beat_or_token(self, place: Place) -> bytes:
        beat = {"type": "beat", "revision": self._value(0)}
        token = place.token
        if self._random.random() < 0.1:
            token = self._random.choice((*place.others, token + "x", ""))
        return _text(self._random.choice((beat, {"type": "token", "token": token})))

    # -- Wrong ones ---------------------------------------------------------------------------

    def _wrong_push(self, place: Place) -> bytes:
        """A message of the protocol; what stands inside `updates` is not (T5)."""
        random, push = self._random, self._pushed(place)
        length = place.length
        match random.randrange(6):
            case 0:
                push["updates"] = [[length + random.choice((-1, 1, 2**40))]]
            case 1:
                push["updates"] = [[length, [0, random.choice(("\n", "a\rb", "\0"))]]]
            case 2:
                push["updates"] = [self._value(3) for _ in range(random.randint(0, 30))]
            case 3:
                push["updates"] = [[length, [0, "x" * 20_001]]]
            case 4:
                push["updates"] = [[[0, "x"]] * 201]
            case _:
                push["revision"] += random.choice((1, 1_000, 2**40))
        # What no decoder reads would be no message at all.
        return _text(json.loads(json.dumps(push).replace("\\ud83d", "d").replace("\\ude00", "e")))

    def _mistyped(self, place: Place) -> bytes:
        """A valid message with one value in it replaced by another, or left out."""
        push = self._pushed(place)
        presence = {"type": "presence", "revision": 0, "ranges": [[0, 1]]}
        message: dict[str, Any] = self._random.choice(
            (push, presence, {"type": "token", "token": ""})
        )
        name = self._random.choice(list(message))
        if self._random.random() < 0.2:
            del message[name]
        else:
            message[name] = self._value(3)
        return _text(message)

    def _garbled(self, place: Place) -> bytes:
        """A valid message with bytes changed, left out, doubled or put in."""
        random = self._random
        data = bytearray(json.dumps(self._pushed(place)).encode())
        for _ in range(random.choice((1, 1, 1, 2, 10))):
            at = random.randrange(len(data) + 1)
            match random.randrange(4):
                case 0:
                    data[at : at + 1] = random.randbytes(1)
                case 1:
                    del data[at : at + random.choice((1, 1, 20))]
                case 2:
                    data[at:at] = data[max(at - random.choice((1, 5, 50)), 0) : at]
                case _:
                    data[at:at] = random.choice(string.printable).encode()
        return frame(TEXT, bytes(data))

    def _nonsense(self, place: Place) -> bytes:
        random = self._random
        match random.randrange(4):
            case 0:
                return _text(self._value(4))
            case 1:
                return frame(TEXT, random.randbytes(random.randrange(100)))
            case 2:
                return frame(BINARY, random.randbytes(random.randrange(100)))
            case _:
                return frame(TEXT, b"[" * random.choice((1, 100, 30_000)))

    def _below(self, place: Place) -> bytes:
        """Frames that are odd, or none."""
        random = self._random
        match random.randrange(8):
            case 0:
                return random.randbytes(random.randrange(1, 200))
            case 1:
                return frame(random.randrange(16), random.randbytes(random.randrange(200)))
            case 2:
                return frame(TEXT, b'{"type":"beat"}', reserved=random.randrange(1, 8))
            case 3:
                return frame(TEXT, b'{"type":"beat"}', masked=False)
            case 4:
                return frame(random.choice((PING, PONG)), random.randbytes(random.randrange(126)))
            case 5:
                code = random.choice(ODD_CLOSES).to_bytes(2, "big")
                return frame(CLOSE, random.choice((b"", code, code + b"bye", code + b"\xff", b"x")))
            case 6:
                return frame(TEXT, b"x" * random.choice((65_536, 65_537, 300_000)))
            case _:
                return frame(TEXT, b'{"type":', final=False) + frame(0, b"", final=False) * 50

    def _flood(self, place: Place) -> bytes:
        return frame(TEXT, b'{"type":"beat"}') * 12_000

    # -- Parts of them ------------------------------------------------------------------------

    def _value(self, depth: int) -> Any:
        """Any JSON value, and some that are none."""
        random = self._random
        kind = random.randrange(6 if depth else 4)
        if kind <= 1:
            return random.choice((*ODD_NUMBERS, random.randint(-10, 10_000)))
        if kind <= 3:
            return random.choice((*ODD_STRINGS, "beat", "push", "insert"))
        values = [self._value(depth - 1) for _ in range(random.randrange(5))]
        if kind == 4:
            return values
        return {random.choice(("type", "revision", "seq", "updates", "x")): each for each in values}

    def _in_parts(self, data: bytes) -> bytes:
        """A message in one frame or several, with pings between them."""
        random = self._random
        if random.random() < 0.7:
            return frame(TEXT, data)
        cuts = sorted(random.choices(range(len(data) + 1), k=random.randint(1, 4)))
        parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        frames = [
            frame(TEXT if not index else 0, part, final=index == len(parts) - 1)
            for index, part in enumerate(parts)
        ]
        return random.choice((b"", frame(PING, b"?"))).join(frames)


def _text(value: Any) -> bytes:
    return frame(TEXT, json.dumps(value).encode())
