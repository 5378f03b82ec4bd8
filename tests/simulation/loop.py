"""A virtual clock, and machines whose event loops run by it, all in one thread.

Time stands still while anything is ready, and jumps to the next timer when nothing is: an hour
passes in no time, and nothing but the seed decides what comes first. Each machine has an event loop
of its own, so that it can be paused (what becomes due waits for it) or killed (nothing of it ever
runs again, no `finally` either) without the others.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
import secrets
import sys
import time
import warnings
from asyncio import events
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

EPOCH_S = 1_700_000_000.0
"""What the wall clocks show when a run begins."""

MAX_HOP_S = 0.002
"""How long a thread takes at most for what it is given."""


class Stuck(AssertionError):
    """Nothing is ready and nothing is due, or there is no end of it."""


class Handle:
    """A callback that is to run; cancelled, it does nothing."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when", "machine")

    def __init__(
        self,
        machine: Machine,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self.machine = machine
        self._when = when
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = None
        self._args = ()

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when

    def run(self) -> None:
        if self._callback is None:
            return
        try:
            self._context.run(self._callback, *self._args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            self.machine.call_exception_handler(
                {"message": f"{self._callback} failed", "exception": error}
            )


class Clock:
    """The time, and what is due. `failed` is called with what no callback may raise."""

    def __init__(self, seed: int, max_steps: int = 2_000_000) -> None:
        self.now = 0.0
        self.steps = 0
        self.random = random.Random(f"clock {seed}")
        self.failures: list[str] = []
        self.machines: list[Machine] = []
        self._max_steps = max_steps
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = itertools.count()
        self.names = itertools.count()
        """Numbers for tasks and futures: they are told apart by these, never by their address."""

    def machine(self, name: str) -> Machine:
        """A new one; what it does not have of an event loop, nobody uses here."""
        return Machine(name, self)  # type: ignore[abstract]

    def soon(self, handle: Handle) -> None:
        self._ready.append(handle)

    def later(self, handle: Handle) -> None:
        heapq.heappush(self._timers, (handle.when(), next(self._count), handle))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Run to a time, or until `done` holds, which is looked at whenever time is to move on.

        Returns whether it holds. Raises `Stuck`.
        """
        ready, timers = self._ready, self._timers
        current: Machine | None = None
        try:
            while True:
                while ready:
                    handle = ready.popleft()
                    machine = handle.machine
                    if machine.stopped:
                        machine.keep(handle)
                        continue
                    if machine is not current:
                        events._set_running_loop(machine)
                        current = machine
                    self.steps += 1
                    handle.run()
                    if self.failures:
                        return False
                if self.steps > self._max_steps:
                    raise Stuck(f"{self.steps} steps, and no end of it")
                if done():
                    return True
                if not timers:
                    raise Stuck("nothing is ready, and nothing is due")
                when = timers[0][0]
                if when > until:
                    self.now = until
                    return False
                self.now = max(self.now, when)
                while timers and timers[0][0] <= self.now:
                    ready.append(heapq.heappop(timers)[2])
        finally:
            events._set_running_loop(None)

    def end(self) -> None:
        """Nothing runs any more; what waits is thrown away here and now, and not at random."""
        self._ready.clear()
        self._timers.clear()
        for machine in self.machines:
            machine.kill()
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            with warnings.catch_warnings(action="ignore"):
                for machine in self.machines:
                    events._set_running_loop(machine)
                    machine.throw_away()
        finally:
            events._set_running_loop(None)
            sys.unraisablehook = hook


class Future(asyncio.Future[Any]):
    """One whose place in a set does not depend on its address."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(loop=machine)
        self._number = next(machine.clock.names)

    def __hash__(self) -> int:
        return self._number


class Task(asyncio.Task[Any]):
    """One whose place in a set does not depend on its address."""

    def __init__(self, number: int, *args: Any, **options: Any) -> None:
        self._number = number
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


class Machine(asyncio.AbstractEventLoop):
    """A process with an event loop of its own."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.stopped = False
        self.dead = False
        clock.machines.append(self)
        self._kept: list[Handle] = []
        self.tasks: dict[Task, None] = {}
        """Those that are not done; they are held, so that nothing of a killed one ever runs."""

    # -- What may happen to it ----------------------------------------------------------------

    def pause(self) -> None:
        self.stopped = True

    def wake(self) -> None:
        """Go on; what became due meanwhile is done first, in its order."""
        if self.dead or not self.stopped:
            return
        self.stopped = False
        kept, self._kept = self._kept, []
        for handle in kept:
            self.clock.soon(handle)

    def kill(self) -> None:
        self.stopped = self.dead = True
        self._kept.clear()

    def throw_away(self) -> None:
        """Close what its tasks run. Only of a dead one, when all is over."""
        while self.tasks:  # what is thrown away may begin others
            task = next(iter(self.tasks))
            del self.tasks[task]
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(RuntimeError):  # it would like to wait for something
                task.get_coro().close()

    def keep(self, handle: Handle) -> None:
        if not self.dead:
            self._kept.append(handle)

    # -- The event loop -----------------------------------------------------------------------

    def time(self) -> float:
        return self.clock.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(self, self.clock.now, callback, args, context)
        if not self.dead:
            self.clock.soon(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(self, when, callback, args, context)
        if not self.dead:
            self.clock.later(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        return self.call_at(self.clock.now + delay, callback, *args, context=context)

    def create_future(self) -> Future:
        return Future(self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> Task:
        task = Task(next(self.clock.names), coro, loop=self, name=name, context=context)
        self.tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: Task) -> None:
        self.tasks.pop(task, None)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> Future:
        """A thread does it all at once, a little later."""
        done = self.create_future()
        self.call_later(self.clock.random.uniform(0, MAX_HOP_S), _work, done, func, args)
        return done

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.dead:
            return
        error = context.get("exception")
        self.clock.failures.append(f"{self.name}: {context.get('message')}: {error!r}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)


def _work(done: Future, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = func(*args)
    except Exception as error:  # noqa: BLE001 - it is for whoever waits
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(result)


LOOK_S = 20e-6
"""How much time passes between two looks at a clock: whatever is measured takes a moment."""


@contextmanager
def virtual(clock: Clock, seed: int) -> Iterator[None]:
    """All clocks of Python show this one's time, and all randomness follows from the seed."""
    looks = itertools.count()
    names = random.Random(f"names {seed}")

    def precise() -> float:
        return clock.now + (next(looks) % 50) * LOOK_S

    fakes: dict[Any, dict[str, Callable[..., Any]]] = {
        time: {
            "monotonic": lambda: clock.now,
            "perf_counter": precise,
            "time": lambda: EPOCH_S + clock.now,
            "time_ns": lambda: int((EPOCH_S + clock.now) * 1e9),
            "monotonic_ns": lambda: int(clock.now * 1e9),
        },
        secrets: {
            "token_urlsafe": lambda size=32: f"{names.getrandbits(8 * size):x}"[: size * 4 // 3],
            "token_hex": lambda size=32: names.randbytes(size).hex(),
            "token_bytes": lambda size=32: names.randbytes(size),
        },
    }
    real = {
        module: {name: getattr(module, name) for name in fake} for module, fake in fakes.items()
    }
    state = random.getstate()
    random.seed(seed)
    for module, fake in fakes.items():
        for name, function in fake.items():
            setattr(module, name, function)
    try:
        yield
    finally:
        for module, functions in real.items():
            for name, function in functions.items():
                setattr(module, name, function)
        random.setstate(state)
