"""Passkeys: a person signs in by their device, which shows that it holds a key and that its owner is there.

It opens a session and nothing else: what a person signs still takes the password that opens their key. Source: W3C Web
Authentication Level 2, 7.1 and 7.2.
"""

import secrets
import threading
import time
from datetime import UTC, datetime

import msgspec

from entente.errors import EntenteError, UsageError
from entente.store.access_db import AccessDb, Passkey
from entente.strict import time_text

PATIENCE_S = 300.0
MOST_WAITING = 1000
LONGEST_LABEL = 60


class SignInError(EntenteError):
    """Nobody is signed in: no password, passkey or token, a wrong one, or one whose person is not certified now."""

    code = "signin"
    status = 401
    exit_code = 1
    title = "Not signed in"


class Site(msgspec.Struct, frozen=True):
    """Where persons reach this node with their browser: the name that a passkey is bound to, and the whole origin."""

    name: str
    origin: str


class Passkeys:
    """The passkeys of one node's persons. Usable from any thread."""

    def __init__(self, access: AccessDb, lock: threading.Lock) -> None:
        """`lock` is held while `access` is used."""
        self._access, self._lock = access, lock
        self._asked: dict[bytes, tuple[float, str]] = {}

    def of(self, handle: str) -> list[Passkey]:
        """A person's passkeys."""
        with self._lock:
            return self._access.passkeys(handle)

    def offer(self, handle: str, site: Site) -> str:
        """What a browser is asked to make a passkey by, as JSON."""
        from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415 - a tenth of a second
        from webauthn.helpers.structs import (  # noqa: PLC0415
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        chosen = AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        )
        made = generate_registration_options(
            rp_id=site.name, rp_name="entente", user_name=handle, user_id=handle.encode()[:64],
            challenge=self._ask(handle), authenticator_selection=chosen,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one.id) for one in self.of(handle)],
        )  # fmt: skip
        return options_to_json(made)

    def add(self, handle: str, label: str, credential: str, site: Site) -> None:
        """The passkey that a browser made for this person works from now on.

        Raises: UsageError if it does not answer what was asked here a few minutes ago, or has no label.
        """
        from webauthn import verify_registration_response  # noqa: PLC0415
        from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

        if not label.strip() or len(label) > LONGEST_LABEL:
            raise UsageError(f"a passkey needs a label of at most {LONGEST_LABEL} characters", place="passkey")
        try:
            found = verify_registration_response(
                credential=credential, expected_challenge=self._asked_of(credential, handle),
                expected_rp_id=site.name, expected_origin=site.origin, require_user_verification=True,
            )  # fmt: skip
        except (WebAuthnException, ValueError, KeyError, TypeError) as fault:
            raise UsageError("this passkey was not made as asked", place="passkey", remedy="Try again.") from fault
        row = Passkey(
            found.credential_id, handle, label.strip(), found.credential_public_key, found.sign_count, _now()
        )  # fmt: skip
        with self._lock:
            if self._access.passkey(row.id) is not None:
                raise UsageError("this passkey is known here already", place="passkey")
            self._access.put_passkey(row)

    def challenge(self, site: Site) -> str:
        """What a browser is asked to sign in by, as JSON; it names nobody."""
        from webauthn import generate_authentication_options, options_to_json  # noqa: PLC0415
        from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415

        made = generate_authentication_options(
            rp_id=site.name, challenge=self._ask(""), user_verification=UserVerificationRequirement.REQUIRED
        )
        return options_to_json(made)

    def answer(self, credential: str, site: Site) -> str:
        """The handle of the person whose passkey signed the challenge.

        Raises: SignInError if it did not, or if its count of uses fell back, as that of a copy does.
        """
        from webauthn import verify_authentication_response  # noqa: PLC0415
        from webauthn.helpers import parse_authentication_credential_json  # noqa: PLC0415
        from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

        try:
            name = parse_authentication_credential_json(credential).raw_id
            with self._lock:
                row = self._access.passkey(name)
            if row is None:
                raise SignInError("this passkey is not known here", remedy="Sign in by password.")
            done = verify_authentication_response(
                credential=credential, expected_challenge=self._asked_of(credential, ""), expected_rp_id=site.name,
                expected_origin=site.origin, credential_public_key=row.key,
                credential_current_sign_count=row.count, require_user_verification=True,
            )  # fmt: skip
        except (WebAuthnException, UsageError, ValueError, KeyError, TypeError):
            raise SignInError(
                "this passkey did not answer as asked", remedy="Try again, or use the password."
            ) from None
        with self._lock:
            self._access.use_passkey(row.id, done.new_sign_count, _now())
        return row.handle

    def drop(self, name: bytes, handle: str) -> None:
        """The person's passkey works no more; UsageError if they have none such."""
        with self._lock:
            gone = self._access.drop_passkey(name, handle)
        if not gone:
            raise UsageError("no such passkey of yours", place="passkey")

    def _ask(self, handle: str) -> bytes:
        now = time.monotonic()
        challenge = secrets.token_bytes(32)
        with self._lock:
            if len(self._asked) >= MOST_WAITING:
                self._asked = {one: row for one, row in self._asked.items() if row[0] > now}
            if len(self._asked) >= MOST_WAITING:
                raise SignInError("too many sign in at once", remedy="Wait a minute.")
            self._asked[challenge] = (now + PATIENCE_S, handle)
        return challenge

    def _asked_of(self, credential: str, handle: str) -> bytes:
        """The challenge that a browser's answer names, if it was asked of this person and not answered yet."""
        from webauthn.helpers import base64url_to_bytes, parse_client_data_json  # noqa: PLC0415

        raw = msgspec.json.decode(credential, type=_Answer).response.clientDataJSON
        challenge = parse_client_data_json(base64url_to_bytes(raw)).challenge
        with self._lock:
            until, asked = self._asked.pop(challenge, (0.0, ""))
        if until < time.monotonic() or asked != handle:
            raise UsageError("this was not asked here, or too long ago", place="passkey")
        return challenge


class _Response(msgspec.Struct):
    clientDataJSON: str  # noqa: N815 - the standard's name


class _Answer(msgspec.Struct):
    response: _Response


def _now() -> str:
    return time_text(datetime.now(UTC))
