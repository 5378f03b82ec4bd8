"""Every known attack on a server process, in small, while somebody types in the same document."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench import hostile

if TYPE_CHECKING:
    from pathlib import Path


async def test_every_attack_has_its_answer_and_the_editor_beside_it_loses_nothing(
    tmp_path: Path,
) -> None:
    """H1 to H3, L1 to L3, X1, U4: all at once, each from an address of its own."""
    async with hostile.besieged(tmp_path, hostile.SMALL) as siege:
        async with siege.going_on(), asyncio.TaskGroup() as tasks:
            answers = {
                attack: tasks.create_task(siege.attack(attack), name=attack.name)
                for attack in hostile.ATTACKS
            }
        assert await siege.server.stop() == 0
    seen = {attack.name: answer.result() for attack, answer in answers.items()}
    assert seen == {attack.name: attack.answer for attack in hostile.ATTACKS}
    assert hostile.errors(siege.server) == []
