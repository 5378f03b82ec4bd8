"""What Schemathesis loads into its own process; `test_schemathesis.py` names it."""

import json
import os
import re
from itertools import count, cycle
from typing import Any

import schemathesis
from schemathesis.auths import AuthContext
from schemathesis.hooks import HookContext

TOKENS = cycle(json.loads(os.environ["TOKENS_IN_TURN"]))
OWN = json.loads(os.environ["TOKENS_BY_PATH"])
"""Calls that end a sign-in, each with one that nobody else needs."""

KEY = re.compile(r"[!-~]{1,200}")

_numbers = count(1)


@schemathesis.hook
def before_call(context: HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """No key makes a document twice where others are asked for it: a repeated one brings back the
    answer from when the document was made, also if it is deleted since.
    """
    stateful = case.meta is not None and case.meta.phase.name.name == "STATEFUL"
    if stateful and (case.method, case.path) == ("POST", "/v1/documents"):
        key = case.headers.get("Idempotency-Key")
        if isinstance(key, str) and KEY.fullmatch(key):
            case.headers["Idempotency-Key"] = f"{key}-{next(_numbers)}"


@schemathesis.auth(refresh_interval=None)
class InTurn:
    """Each request bears the next one's token; none where that is empty."""

    def get(self, case: Any, context: AuthContext) -> str:
        return str(OWN.get(case.operation.path) or next(TOKENS))

    def set(self, case: Any, data: str, context: AuthContext) -> None:
        if data:
            case.headers["Authorization"] = f"Bearer {data}"
