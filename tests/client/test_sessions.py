"""Random sessions of several editors over a bad network, each repeatable by its seed."""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import TYPE_CHECKING

import msgspec
import pytest

from collab.client.replica import Replica
from collab.client.wire import Refused
from collab.text import Change, to_units
from tests.client.model import LIMITS, Model

if TYPE_CHECKING:
    from collab.client.wire import Push, Updates

TIGHT = msgspec.structs.replace(
    LIMITS, max_message_bytes=400, max_updates_per_push=4, max_sections_per_push=12
)


class Site:
    """An editor, and what is under way between it and the server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.replica = Replica()
        self.seen = self.replica.text
        """What it shows, followed by edits and by what it tells of others."""
        self.online = False
        self.sent = -1
        """The last revision that the server sent to this session."""
        self.up: deque[Push] = deque()
        self.down: deque[Updates | Refused] = deque()


class World:
    """Takes random steps. Everything that happens follows from the seed."""

    def __init__(self, seed: int, *, only_insert: bool = False) -> None:
        self.random = random.Random(seed)
        self.model = Model(limits=TIGHT)
        self.sites = [Site(name) for name in ("ada", "bob", "cyd")]
        self.only_insert = only_insert
        self.typed: list[str] = []
        self.histories = 1

    def run(self, steps: int, *, losing_history: bool = False) -> None:
        actions = [self.type, self.push, self.order, self.deliver, self.connect]
        weights = [6, 5, 5, 8, 2]
        rare = [self.cut, self.refuse, self.void]
        if losing_history:
            rare.append(self.lose_history)
        for _ in range(steps):
            if self.random.random() < 0.04:
                self.random.choice(rare)(self.random.choice(self.sites))
            else:
                action = self.random.choices(actions, weights)[0]
                action(self.random.choice(self.sites))
        self.settle()

    def settle(self) -> None:
        """Let the network heal, until nothing moves any more."""
        for _ in range(10_000):
            for site in self.sites:
                for action in (self.connect, self.push, self.order, self.deliver):
                    action(site)
            if all(
                not site.replica.unconfirmed and site.replica.revision == self.model.revision
                for site in self.sites
            ):
                return
        raise AssertionError("the editors do not come to rest")

    # -- what may happen ----------------------------------------------------------------------

    def type(self, site: Site) -> None:
        text = str(site.replica.text)
        start = self.random.randint(0, len(text))
        end = start
        if not self.only_insert and self.random.random() < 0.4:
            end = min(len(text), start + self.random.randint(1, 6))
        insert = ""
        if end == start or self.random.random() < 0.5:
            # A letter that nobody else ever types, at times more of it than one push holds.
            insert = chr(0x20000 + len(self.typed)) * self.random.choice([1, 1, 2, 3, 80])
            self.typed.append(insert)
        before, cut, whole = (len(to_units(part)) for part in (text[:start], text[start:end], text))
        change = Change.replace(whole, before, before + cut, insert)
        site.replica.edit(change)
        site.seen = change.apply(site.seen)

    def push(self, site: Site) -> None:
        if site.online:
            push = site.replica.next_push(self.model.limits)
            if push is not None:
                assert len(msgspec.json.encode(push)) <= TIGHT.max_message_bytes
                assert len(push.updates) <= TIGHT.max_updates_per_push
                site.up.append(push)

    def order(self, site: Site) -> None:
        if site.up:
            answer = self.model.push(site.name, site.up.popleft())
            if isinstance(answer, Refused):
                site.down.append(answer)

    def deliver(self, site: Site) -> None:
        if not site.online:
            return
        site.down.extend(self.model.since(site.sent))
        site.sent = self.model.revision
        if site.down:
            message = site.down.popleft()
            if isinstance(message, Refused):
                assert site.replica.refused(message) is None
            else:
                site.replica.receive(message)
            self.check(site)

    def connect(self, site: Site) -> None:
        if site.online:
            return
        handshake = site.replica.handshake()
        # What the old session sent may still arrive, before or after the fate is settled.
        late = self.random.random() < 0.5
        while site.up and not late:
            self.order(site)
        welcome = self.model.welcome(site.name, handshake)
        while site.up:
            self.order(site)
        site.down.clear()
        if self.random.random() < 0.2:
            return  # the welcome is lost
        site.replica.welcome(welcome)
        self.check(site)
        site.sent = welcome.revision
        site.online = True

    def cut(self, site: Site) -> None:
        site.online = False
        site.down.clear()
        if self.random.random() < 0.5:
            site.up.clear()

    def refuse(self, site: Site) -> None:
        if site.up and site.online:
            push = site.up.popleft()
            code = self.random.choice(["unavailable", "stale", "rate_limited"])
            site.down.append(Refused(push.seq, code))

    def void(self, _: Site) -> None:
        self.model.void()

    def lose_history(self, _: Site) -> None:
        self.histories += 1
        revision = self.random.randint(0, self.model.revision)
        self.model = self.model.restarted_at(revision, f"h{self.histories}-")
        for site in self.sites:
            site.up.clear()
            self.cut(site)

    # -- what must hold -----------------------------------------------------------------------

    @staticmethod
    def check(site: Site) -> None:
        """The replica's law, and that it tells what it does to the visible text."""
        text = site.replica.confirmed
        for change in site.replica.unconfirmed:
            text = change.apply(text)
        assert text == site.replica.text
        for change in site.replica.seen():
            site.seen = change.apply(site.seen)
        assert text == site.seen

    def check_all(self) -> None:
        for site in self.sites:
            self.check(site)
            assert str(site.replica.text) == str(self.model.text)
            assert site.replica.mark == self.model.mark


@pytest.mark.parametrize("seed", range(60))
def test_all_editors_end_with_the_same_text_whatever_is_delayed_and_cut(seed: int) -> None:
    """T8, P2, P4, U2, U3, H5, H7."""
    world = World(seed)
    world.run(400)
    world.check_all()


@pytest.mark.parametrize("seed", range(60))
def test_everything_typed_is_there_exactly_once(seed: int) -> None:
    """P4, H7: nothing that was in flight when a session was cut is lost or doubled."""
    world = World(seed, only_insert=True)
    world.run(300)
    world.check_all()
    assert Counter(str(world.model.text)) == Counter("".join(world.typed))


@pytest.mark.parametrize("seed", range(60))
def test_all_editors_end_with_the_same_text_even_when_the_server_lost_history(seed: int) -> None:
    """H6: what is unsent is carried over the difference."""
    world = World(seed)
    world.run(400, losing_history=True)
    world.check_all()
