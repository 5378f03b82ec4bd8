"""What no good client sends, and what each is answered (T5, P5, P6, L2).

After each, the document is as it was, and another editor in it types on.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from tests.live.raw import BINARY, CLOSE, PING, TEXT, Raw, frame
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LIMITS: dict[str, Any] = {
    "max_message_bytes": 60_000,
    "max_document_units": 1_000,
    "max_updates_per_push": 5,
    "max_sections_per_push": 20,
}

START = "a😀b"  # four units, at revision 1


Answer = tuple[int | str, str] | str
"""A close code and its reason, a refusal's code and message, or FINE."""


def push(updates: str, *, revision: str = "1", seq: str = "1", more: str = "") -> str:
    """A push as JSON, every part as it is given."""
    return f'{{"type":"push","revision":{revision},"seq":{seq},"updates":{updates}{more}}}'


def presence(ranges: str, *, revision: str = "1") -> str:
    return f'{{"type":"presence","revision":{revision},"ranges":{ranges}}}'


def text(*messages: str) -> bytes:
    return b"".join(frame(TEXT, message.encode()) for message in messages)


FINE = "ordered"
NO_MESSAGE = 4400, "not a message of this protocol"
NO_TOKEN = 4401, "the token is not valid"
NOT_UTF_8 = 1007, "text messages are UTF-8"
NO_CHANGE = "invalid_change", "a change is a list of sections"
NO_SECTION = "invalid_change", "a section is a number, or a list of a number and lines"
NO_COUNT = "invalid_change", "a section counts whole units"
NO_SUCH_COUNT = "invalid_change", "a section's number of units is negative or too large"
NO_LINE = "invalid_change", "a line is a string"
NO_SUCH_LINE = "invalid_change", "a line contains a line break or NUL"
CUT = "invalid_change", "a cut through a surrogate pair"

MESSAGES: list[tuple[str, str | bytes, Answer]] = [
    # not JSON
    ("nothing", "", NO_MESSAGE),
    ("a space", " ", NO_MESSAGE),
    ("no JSON", "hello", NO_MESSAGE),
    ("half of a message", '{"type":"beat"', NO_MESSAGE),
    ("a message and more", '{"type":"beat"} {"type":"beat"}', NO_MESSAGE),
    ("a byte order mark", '\ufeff{"type":"beat"}', NO_MESSAGE),
    ("NUL before it", '\0{"type":"beat"}', NO_MESSAGE),
    ("a comment", '{"type":"beat"/**/}', NO_MESSAGE),
    ("single quotes", "{'type':'beat'}", NO_MESSAGE),
    ("a comma too many", '{"type":"beat",}', NO_MESSAGE),
    ("a raw line feed in a string", push('[[4,[0,"x\ny"]]]'), NO_MESSAGE),
    ("a bad escape", push('[[4,[0,"\\x"]]]'), NO_MESSAGE),
    ("a lone high surrogate", push('[[4,[0,"\\ud83d"]]]'), NO_MESSAGE),
    ("a lone low surrogate", push('[[4,[0,"\\ude00"]]]'), NO_MESSAGE),
    ("surrogates in the wrong order", push('[[4,[0,"\\ude00\\ud83d"]]]'), NO_MESSAGE),
    ("arrays in arrays, 25,000 deep", push("[" * 25_000 + "]" * 25_000), NO_MESSAGE),
    ("objects in objects, 5,000 deep", '{"type":' * 5_000 + "1" + "}" * 5_000, NO_MESSAGE),
    (
        "depth in a field that nobody knows",
        push("[[4]]", more=',"x":' + "[" * 9_000 + "]" * 9_000),
        NO_MESSAGE,
    ),
    # not of the protocol
    ("null", "null", NO_MESSAGE),
    ("a number", "7", NO_MESSAGE),
    ("a string", '"beat"', NO_MESSAGE),
    ("an array", '[{"type":"beat"}]', NO_MESSAGE),
    ("an empty object", "{}", NO_MESSAGE),
    ("no type", '{"revision":1,"seq":1,"updates":[[4]]}', NO_MESSAGE),
    ("an unknown type", '{"type":"rm -rf"}', NO_MESSAGE),
    ("a type in capitals", '{"type":"BEAT"}', NO_MESSAGE),
    ("a type that is null", '{"type":null}', NO_MESSAGE),
    ("a type that is an array", '{"type":["beat"]}', NO_MESSAGE),
    ("a message that servers send", '{"type":"welcome","revision":1}', NO_MESSAGE),
    ("type twice, the last unknown", '{"type":"beat","type":"x"}', NO_MESSAGE),
    # a push that is none
    ("no revision", '{"type":"push","seq":1,"updates":[[4]]}', NO_MESSAGE),
    ("no seq", '{"type":"push","revision":1,"updates":[[4]]}', NO_MESSAGE),
    ("no updates", '{"type":"push","revision":1,"seq":1}', NO_MESSAGE),
    ("a revision in quotes", push("[[4]]", revision='"1"'), NO_MESSAGE),
    ("a revision that is null", push("[[4]]", revision="null"), NO_MESSAGE),
    ("a revision that is true", push("[[4]]", revision="true"), NO_MESSAGE),
    ("a revision that is an array", push("[[4]]", revision="[1]"), NO_MESSAGE),
    ("a negative revision", push("[[4]]", revision="-1"), NO_MESSAGE),
    (
        "minus nothing",
        push("[[4]]", revision="-0"),
        ("invalid_change", "lengths do not fit: 4 and 0 units"),
    ),
    ("a fractional revision", push("[[4]]", revision="1.5"), NO_MESSAGE),
    ("a revision as a float", push("[[4]]", revision="1.0"), NO_MESSAGE),
    ("a revision with an exponent", push("[[4]]", revision="1e0"), NO_MESSAGE),
    ("a revision beyond 2**53", push("[[4]]", revision="9007199254740992"), NO_MESSAGE),
    ("a revision of 4,000 digits", push("[[4]]", revision="9" * 4_000), NO_MESSAGE),
    ("a revision of 50,000 digits", push("[[4]]", revision="9" * 50_000), NO_MESSAGE),
    ("a revision with zeros before it", push("[[4]]", revision="01"), NO_MESSAGE),
    ("a revision with a plus", push("[[4]]", revision="+1"), NO_MESSAGE),
    ("a revision that is NaN", push("[[4]]", revision="NaN"), NO_MESSAGE),
    ("an infinite revision", push("[[4]]", revision="Infinity"), NO_MESSAGE),
    ("a seq in quotes", push("[[4]]", seq='"1"'), NO_MESSAGE),
    ("a seq that is null", push("[[4]]", seq="null"), NO_MESSAGE),
    ("a negative seq", push("[[4]]", seq="-1"), NO_MESSAGE),
    ("a fractional seq", push("[[4]]", seq="0.5"), NO_MESSAGE),
    ("a seq with an exponent", push("[[4]]", seq="1e300"), NO_MESSAGE),
    ("a seq beyond 2**53", push("[[4]]", seq="9007199254740992"), NO_MESSAGE),
    ("a seq of 20,000 digits", push("[[4]]", seq="1" * 20_000), NO_MESSAGE),
    ("updates that are null", push("null"), NO_MESSAGE),
    ("updates that are an object", push('{"0":[4]}'), NO_MESSAGE),
    ("updates that are a string", push('"[[4]]"'), NO_MESSAGE),
    ("updates that are a number", push("4"), NO_MESSAGE),
    (
        "a second push while one is in flight",
        text(push("[[4]]"), push("[[4]]", seq="2")),
        (4400, "a push is in flight"),
    ),
    (
        "a seq that was used",
        text(push("[[5]]", seq="7"), push("[[4]]", seq="7")),
        (4400, "seq must be larger than 7"),
    ),
    (
        "a seq that is lower",
        text(push("[[5]]", seq="7"), push("[[4]]", seq="6")),
        (4400, "seq must be larger than 7"),
    ),
    (
        "the largest seq, and then none is left",
        text(push("[[5]]", seq=str(2**53 - 1)), push("[[4]]", seq=str(2**53 - 1))),
        (4400, "seq must be larger than 9007199254740991"),
    ),
    # presence and tokens that are none
    ("presence without a revision", '{"type":"presence","ranges":[]}', NO_MESSAGE),
    ("presence without ranges", '{"type":"presence","revision":1}', NO_MESSAGE),
    ("ranges that are null", presence("null"), NO_MESSAGE),
    ("a range with one end", presence("[[1]]"), NO_MESSAGE),
    ("a range with three ends", presence("[[1,2,3]]"), NO_MESSAGE),
    ("a range that is a number", presence("[1]"), NO_MESSAGE),
    ("a fractional range", presence("[[0.5,1]]"), NO_MESSAGE),
    ("a range in quotes", presence('[["0","1"]]'), NO_MESSAGE),
    ("a range beyond 2**53", presence("[[0,9007199254740992]]"), NO_MESSAGE),
    ("presence at a negative revision", presence("[]", revision="-1"), NO_MESSAGE),
    ("a token that is a number", '{"type":"token","token":7}', NO_MESSAGE),
    ("no token", '{"type":"token"}', NO_MESSAGE),
    ("an empty token", '{"type":"token","token":""}', NO_TOKEN),
    ("a token that is rubbish", '{"type":"token","token":"a.b.c"}', NO_TOKEN),
    ("a token of 50,000 letters", '{"type":"token","token":"%s"}' % ("x" * 50_000), NO_TOKEN),
    ("a token that is not ASCII", '{"type":"token","token":"grüße"}', NO_TOKEN),
    # refused, and the session goes on
    (
        "a revision in the future",
        push("[[4]]", revision="9"),
        ("invalid_change", "there is no revision 9 yet; the last is 1"),
    ),
    (
        "a revision far in the future",
        push("[[4]]", revision=str(2**53 - 1)),
        ("invalid_change", "there is no revision 9007199254740991 yet; the last is 1"),
    ),
    ("no update at all", push("[]"), ("invalid_change", "a push has at least one update")),
    ("an update that is null", push("[null]"), NO_CHANGE),
    ("an update that is a number", push("[4]"), NO_CHANGE),
    ("an update that is a string", push('["[4]"]'), NO_CHANGE),
    ("an update that is an object", push('[{"sections":[4]}]'), NO_CHANGE),
    ("an update that is true", push("[true]"), NO_CHANGE),
    ("a section that is null", push("[[null,4]]"), NO_SECTION),
    ("a section that is a string", push('[["4"]]'), NO_SECTION),
    ("a section that is true", push("[[true,3]]"), NO_SECTION),
    ("a section that is an object", push("[[4,{}]]"), NO_SECTION),
    ("a section that is empty", push("[[4,[]]]"), NO_SECTION),
    ("a section that is an array in an array", push("[[[[4]]]]"), NO_COUNT),
    ("a section that deletes nothing", push("[[4,[0]]]"), FINE),
    ("a section that deletes in quotes", push('[[["4"]]]'), NO_COUNT),
    ("a section that deletes a fraction", push("[[[0.5],3.5]]"), NO_COUNT),
    ("a section that deletes less than nothing", push("[[[-4],8]]"), NO_SUCH_COUNT),
    ("a section that keeps less than nothing", push("[[-1,5]]"), NO_SUCH_COUNT),
    ("a section that keeps a float", push("[[4.0]]"), NO_SECTION),
    ("a section that keeps an exponent", push("[[4e0]]"), NO_SECTION),
    ("a section that keeps 10**30", push(f"[[{10**30}]]"), NO_SUCH_COUNT),
    (
        "a section that keeps 5,000 digits",
        push(f"[[{'4' * 5_000}]]"),
        ("invalid_change", "a change is an array of sections"),
    ),
    (
        "sections that overflow together",
        push(f"[[{2**53 - 1},{2**53 - 1},4]]"),
        ("invalid_change", "lengths do not fit: 18014398509481986 and 4 units"),
    ),
    ("a section with NaN", push("[[NaN]]"), NO_MESSAGE),
    ("a line that is a number", push("[[4,[0,7]]]"), NO_LINE),
    ("a line that is null", push("[[4,[0,null]]]"), NO_LINE),
    ("a line that is an array", push('[[4,[0,["x"]]]]'), NO_LINE),
    ("a line with a line feed", push('[[4,[0,"x\\ny"]]]'), NO_SUCH_LINE),
    ("a line with a carriage return", push('[[4,[0,"x\\ry"]]]'), NO_SUCH_LINE),
    ("a line with NUL", push('[[4,[0,"x\\u0000y"]]]'), NO_SUCH_LINE),
    ("an insertion inside a pair", push('[[2,[0,"x"],2]]'), CUT),
    ("half of a pair deleted", push("[[1,[1],2]]"), CUT),
    ("the other half of a pair deleted", push("[[2,[1],1]]"), CUT),
    ("a pair made of halves", push('[[1,[1,"\\ud83d\\ude01"],2]]'), CUT),
    (
        "a total that is too small",
        push("[[3]]"),
        ("invalid_change", "lengths do not fit: 3 and 4 units"),
    ),
    (
        "a total that is too large",
        push("[[5]]"),
        ("invalid_change", "lengths do not fit: 5 and 4 units"),
    ),
    (
        "a second update that does not fit the first",
        push('[[[0,"x"],4],[4]]'),
        ("invalid_change", "lengths do not fit: 4 and 5 units"),
    ),
    (
        "too many updates",
        push("[[4],[4],[4],[4],[4],[4]]"),
        ("too_large", "a push has at most 5 updates"),
    ),
    (
        "too many sections",
        push(f"[[{'[0],' * 20}4]]"),
        ("too_large", "a push has at most 20 sections"),
    ),
    (
        "too many sections, of no form",
        push(f"[[{'{},' * 20}4]]"),
        ("too_large", "a push has at most 20 sections"),
    ),
    (
        "more than the document may hold",
        push(f'[[4,[0,"{"x" * 997}"]]]'),
        ("document_full", "a document holds at most 1000 units"),
    ),
    (
        "lines without end",
        push("[[4,[0" + ',""' * 1_000 + "]]]"),
        ("document_full", "a document holds at most 1000 units"),
    ),
    # odd, and fine
    ("the largest seq", push("[[4]]", seq=str(2**53 - 1)), FINE),
    ("unknown fields", push("[[4]]", more=',"__proto__":{"admin":true},"role":"owner"'), FINE),
    ("seq twice", push("[[4]]", more=',"seq":2'), FINE),
    ("type twice, the last a push", push("[[4]]", more=',"type":"push"'), FINE),
    (
        "white space all over",
        ' \r\n\t{ "type" : "push" ,\n"revision":1,"seq":1,"updates":[ [ 4 ] ] } \n',
        FINE,
    ),
    (
        "escapes where none are needed",
        '{"\\u0074ype":"pu\\u0073h","revision":1,"seq":1,"updates":[[4]]}',
        FINE,
    ),
    ("keeps of nothing", push("[[0,4,0]]"), FINE),
    (
        "presence far outside",
        text(presence(f"[[{-(2**53) + 1},{2**53 - 1}]]"), push("[[4]]")),
        FINE,
    ),
    (
        "presence in the future",
        text(presence("[[0,1]]", revision=str(2**53 - 1)), push("[[4]]")),
        FINE,
    ),
    (
        "more ranges than are shown",
        text(presence(f"[{'[0,0],' * 5_000}[0,0]]"), push("[[4]]")),
        FINE,
    ),
    (
        "an empty push in parts",
        b"".join(
            frame(opcode, part, final=last)
            for opcode, part, last in (
                (TEXT, b"", False),
                (0, push("[[4]]").encode(), False),
                (PING, b"?", True),
                (0, b"", True),
            )
        ),
        FINE,
    ),
    # below the messages
    ("a binary message", frame(BINARY, b'{"type":"beat"}'), (4400, "messages are text")),
    ("an empty binary message", frame(BINARY), (4400, "messages are text")),
    ("bad UTF-8", frame(TEXT, b'{"type":"\xff"}'), NOT_UTF_8),
    ("surrogates in UTF-8", frame(TEXT, b'{"type":"\xed\xa0\x80"}'), NOT_UTF_8),
    ("UTF-8 that ends in the middle", frame(TEXT, '{"type":"ü'.encode()[:-1]), NOT_UTF_8),
    ("UTF-16", frame(TEXT, '{"type":"beat"}'.encode("utf-16")), NOT_UTF_8),
    (
        "a frame that is not masked",
        frame(TEXT, b'{"type":"beat"}', masked=False),
        (1002, "incorrect masking"),
    ),
    (
        "a reserved bit",
        frame(TEXT, b'{"type":"beat"}', reserved=1),
        (1002, "reserved bits must be 0"),
    ),
    (
        "the bit of compression, which nobody asked for",
        frame(TEXT, b'{"type":"beat"}', reserved=4),
        (1002, "reserved bits must be 0"),
    ),
    ("an opcode that nobody knows", frame(3, b"x"), (1002, "invalid opcode")),
    ("a control opcode that nobody knows", frame(11, b"x"), (1002, "invalid opcode")),
    ("a ping that is too long", frame(PING, b"x" * 126), (1002, "control frame too long")),
    ("a ping in parts", frame(PING, b"x", final=False), (1002, "fragmented control frame")),
    ("a part of no message", frame(0, b"x"), (1002, "unexpected continuation frame")),
    (
        "a message within a message",
        frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
        (1002, "expected a continuation frame"),
    ),
    ("a close frame of one byte", frame(CLOSE, b"\x03"), (1002, "close frame too short")),
    (
        "a close code that must not be sent",
        frame(CLOSE, (1006).to_bytes(2, "big")),
        (1002, "invalid status code"),
    ),
    (
        "a close reason that is not UTF-8",
        frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"),
        (1007, "invalid start byte at position 0"),
    ),
    ("a close as it should be", frame(CLOSE, (1000).to_bytes(2, "big") + b"bye"), (1000, "bye")),
    ("a close without a code", frame(CLOSE), (1005, "")),
    (
        "a message that is too long",
        text("x" * 60_001),
        (1009, "frame with 60001 bytes exceeds limit of 60000 bytes"),
    ),
    (
        "a message that says that it is endless",
        b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"mask" + b"x" * 999,
        (1009, "frame with 9223372036854775807 bytes exceeds limit of 60000 bytes"),
    ),
    (
        "a length with its highest bit",
        b"\x81\xff" + b"\xff" * 8 + b"mask",
        (1009, "frame with 18446744073709551615 bytes exceeds limit of 60000 bytes"),
    ),
    (
        "parts that are too long together",
        frame(TEXT, b"x" * 40_000, final=False) + frame(0, b"x" * 20_001),
        (1009, "frame with 20001 bytes after reading 40000 bytes exceeds limit of 60000 bytes"),
    ),
    ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (1002, "invalid opcode")),
]


async def answered(raw: Raw, *, by_its_end: bool) -> Answer:
    """How a push is answered, or how the session ends; all else is passed over."""
    while True:
        opcode, payload = await raw.next()
        if opcode == CLOSE:
            return int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode()
        message = json.loads(payload) if opcode == TEXT and not by_its_end else {"type": ""}
        if message["type"] == "updates":
            return FINE
        if message["type"] == "refused":
            return message["code"], message["message"]


async def test_every_hostile_message_has_its_answer_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """P5, P6, T5, L2: each comes from a session of its own, to a document of its own, where Ada is
    too; after it, she types.
    """
    caplog.set_level(logging.WARNING)
    answers: dict[str, Answer] = {}
    async with serving(tmp_path, **LIMITS) as server:
        token = await server.token("Mallory")
        for what, sent, expected in MESSAGES:
            document_id = await server.document(START)
            ada = await server.join(document_id)
            mallory = await Raw.join(server.port, document_id, token)
            mallory.send(sent if isinstance(sent, bytes) else text(sent))
            ends = expected != FINE and isinstance(expected[0], int)
            answers[what] = await answered(mallory, by_its_end=ends)
            await ada.push([4, [0, "!"]])
            while (await ada.heard(ada.revision + 1))[-1][0] != ada.name:
                pass
            assert await server.text(document_id) == START + "!", what
            await ada.leave()
            await mallory.cut()
    assert answers == {what: expected for what, _, expected in MESSAGES}
    assert not caplog.records
