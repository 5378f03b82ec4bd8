"""What an operator can set: environment variables named `COLLAB_…`."""

from __future__ import annotations

import ipaddress
import secrets
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from collab.errors import Misconfigured


def _separated(given: object) -> object:
    if not isinstance(given, str):
        return given
    return tuple(part for part in (each.strip() for each in given.split(",")) if part)


Separated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_separated)]
"""Several values of one variable, with commas between them."""

SeparatedSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_separated)]


class Limits(BaseSettings):
    """What holds for every client; the welcome names the first group (L1)."""

    model_config = SettingsConfigDict(env_prefix="COLLAB_", extra="ignore", frozen=True)

    max_message_bytes: int = Field(1_048_576, ge=1_024, le=64 * 1_048_576)
    max_document_units: int = Field(10_000_000, ge=1_000)
    max_updates_per_push: int = Field(1_000, ge=1, le=10_000)
    max_sections_per_push: int = Field(10_000, ge=3, le=1_000_000)
    max_ranges: int = Field(100, ge=1)
    pushes_per_second: int = Field(1_000, ge=1)
    presence_hz: int = Field(10, ge=1)
    heartbeat_s: float = Field(15.0, gt=0, le=300)

    # What a client may send besides the pushes that are ordered, in messages of up to 4 KiB.
    messages_per_second: int = Field(500, ge=10)
    user_pushes_per_second: int = Field(10_000, ge=1)  # in all sessions, and over REST
    document_pushes_per_second: int = Field(20_000, ge=1)
    handshakes_per_second: int = Field(100, ge=1)  # from one address
    handshakes_at_once: int = Field(1_000, ge=1)
    stall_s: float = Field(60.0, gt=0)  # without reading anything of what waits for it
    slow_request_s: float = Field(10.0, gt=0)  # for a head; a body may lag so far behind
    min_bytes_per_second: int = Field(1_024, ge=1)  # of a body, and of an answer that is read
    max_connections: int = Field(16_000, ge=2)
    max_half_open: int = Field(200, ge=1)  # without a whole request, from one address
    max_head_bytes: int = Field(65_536, ge=4_096)
    max_body_bytes: int = Field(16 * 1_048_576, ge=1_024)
    max_form_bytes: int = Field(65_536, ge=1_024)  # of a body with neither a text nor an edit
    max_sessions: int = Field(10_000, ge=1)
    max_user_sessions: int = Field(2_000, ge=1)
    max_document_sessions: int = Field(5_000, ge=1)
    max_rooms: int = Field(10_000, ge=1)
    max_memory_bytes: int = Field(1_073_741_824, ge=1_048_576)
    max_unsaved_bytes: int = Field(64 * 1_048_576, ge=1_048_576)
    max_welcomes: int = Field(64, ge=1)  # with a long text, under way at once
    max_user_documents: int = Field(10_000, ge=1)  # that one user owns
    max_title_units: int = Field(200, ge=1)

    # Guesses of a password: so many at once, and again one after so long. For one account, for one
    # link, by which a whole class may come, and for all from one address, which it may share.
    password_guesses: int = Field(10, ge=1)
    link_guesses: int = Field(500, ge=1)
    password_guess_every_s: float = Field(60.0, gt=0)
    address_guesses: int = Field(500, ge=1)
    address_guess_every_s: float = Field(0.5, gt=0)


class Settings(Limits):
    """One server's settings. Every field is an environment variable `COLLAB_<NAME>`."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    workers: int = Field(1, ge=1, le=256)
    data_dir: Path = Path("collab-data")
    database_url: str = ""
    redis_url: SecretStr | None = None
    secret: SecretStr | None = None
    old_secrets: SeparatedSecrets = ()  # they only verify
    jwks_url: str = ""
    jwks_max_age_s: float = Field(600.0, ge=30)
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_name_claim: str = "name"
    jwt_roles_claim: str = "collab_roles"
    guests: bool | None = None
    anyone: Literal["editor", "commenter", "viewer", "nobody"] | None = None
    allowed_origins: Separated = ()
    trusted_proxies: Separated = ("127.0.0.1",)
    registration: bool | None = None
    password_memory_kib: int = Field(65_536, ge=32, le=4_194_304)
    password_passes: int = Field(3, ge=1, le=100)
    token_ttl_s: int = Field(24 * 3600, ge=60)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics: bool = True

    room_idle_s: float = Field(30.0, ge=0)
    sweep_s: float = Field(30.0, gt=0)
    access_check_s: float = Field(5.0, gt=0)
    open_timeout_s: float = Field(30.0, gt=0)
    commit_patience_s: float = Field(10.0, gt=0)
    shutdown_s: float = Field(10.0, gt=0)
    redis_timeout_s: float = Field(3.0, ge=0.5, le=60)

    @property
    def on_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def guests_allowed(self) -> bool:
        """Guests need no account: as set, else only where nobody else can reach the server."""
        return self.on_loopback if self.guests is None else self.guests

    @property
    def registration_allowed(self) -> bool:
        """People may make accounts: as set, else where no host application signs them in."""
        return not self.jwks_url if self.registration is None else self.registration

    @property
    def anyone_at_first(self) -> str:
        """The role in a new document of whoever knows its id, or "nobody": as set, else an editor's
        only where nobody else can reach the server.
        """
        return self.anyone or ("editor" if self.on_loopback else "nobody")

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'collab.db'}"

    def signing_secret(self) -> str:
        """The secret that tokens are signed with.

        On the loopback address one is made at the first start and kept in the data directory.
        Raises `Misconfigured` elsewhere: a server that others can reach needs one of its own.
        """
        if self.secret is not None:
            return self.secret.get_secret_value()
        if not self.on_loopback:
            raise Misconfigured("COLLAB_SECRET must be set when COLLAB_HOST is not loopback")
        path = self.data_dir / "secret"
        if not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".new")
            unfinished.touch(mode=0o600)
            unfinished.write_text(secrets.token_urlsafe(48))
            unfinished.replace(path)
        return path.read_text()
