r"""An application with a login of its own, and Collab behind it.

    pip install fastapi uvicorn 'pyjwt[crypto]'
    python examples/host/host.py                      # http://127.0.0.1:9000

    COLLAB_JWKS_URL=http://127.0.0.1:9000/jwks.json \\
    COLLAB_JWT_ISSUER=http://127.0.0.1:9000 COLLAB_JWT_AUDIENCE=collab collab serve

Whoever logs in gets a cookie of this application, as ever. For Collab there is `/collab-token`: a
token for whom the cookie says, for five minutes, signed with a key whose public part everybody may
read. The roles in it are what this application knows; Collab takes its word. Then:

    curl -c jar -d name=ada -d password=lovelace http://127.0.0.1:9000/login
    TOKEN=$(curl -s -b jar -X POST http://127.0.0.1:9000/collab-token | jq -r .token)
    curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8000/v1/me
"""

import os
import secrets
import time
from typing import Annotated
from urllib.parse import parse_qs

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Cookie, FastAPI, HTTPException, Request, Response
from jwt.algorithms import ECAlgorithm

PORT = int(os.environ.get("PORT", "9000"))
URL = f"http://127.0.0.1:{PORT}"
TOKEN_S = 300

# A real application keeps its key in a file or a key service, and its passwords hashed.
KEY = ec.generate_private_key(ec.SECP256R1())
KEY_ID = secrets.token_hex(8)
PASSWORDS = {"ada": "lovelace", "guy": "auditor"}
NAMES = {"ada": "Ada Lovelace", "guy": "Guy"}
ROLES: dict[str, dict[str, str]] = {"ada": {}, "guy": {"*": "viewer"}}

app = FastAPI(title="A host application")
logged_in: dict[str, tuple[str, str]] = {}  # who, and since which login, by their cookie


@app.post("/login", status_code=204)
async def log_in(request: Request, response: Response) -> None:
    form = parse_qs((await request.body()).decode())
    name, password = (form.get(field, [""])[0] for field in ("name", "password"))
    if name not in PASSWORDS or not secrets.compare_digest(
        PASSWORDS[name].encode(), password.encode()
    ):
        raise HTTPException(401, "unknown, or wrong")
    session = secrets.token_urlsafe(24)
    logged_in[session] = name, secrets.token_hex(8)
    response.set_cookie("session", session, httponly=True, samesite="strict")


@app.get("/jwks.json")
async def public_keys() -> dict[str, list[dict[str, str]]]:
    """What Collab verifies our tokens with."""
    key = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return {"keys": [{**key, "kid": KEY_ID, "alg": "ES256", "use": "sig"}]}


@app.post("/collab-token")
async def token(session: Annotated[str, Cookie()] = "") -> dict[str, object]:
    """POST, so that no other site's page can have it; our page asks again before it expires."""
    if session not in logged_in:
        raise HTTPException(401, "log in first")
    name, login = logged_in[session]
    now = int(time.time())
    claims = {
        "iss": URL,
        "aud": "collab",
        "sub": name,
        "name": NAMES[name],
        "collab_roles": ROLES[name],
        "sid": login,
        "iat": now,
        "exp": now + TOKEN_S,
    }
    signed = jwt.encode(claims, KEY, "ES256", headers={"kid": KEY_ID})
    return {"token": signed, "expires_at": now + TOKEN_S}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning")
