"""Passkeys: only a device that holds the key, asked here and just now, for this origin, with its owner there, signs in.

The device is a soft one, written from the standard: it makes an ES256 key and signs what the browser would have it
sign. Source: W3C Web Authentication Level 2, 6.1, 6.5, 7.1 and 7.2.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.testclient import TestClient

from entente.web.passkeys import SignInError
from lab.site import PASSWORD, Site, certified, put_password

ORIGIN = "http://localhost"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Device:
    """One passkey on a soft device."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name, self.count = os.urandom(16), 0

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def make(self, asked: dict[str, Any], *, origin: str = ORIGIN, flags: int = PRESENT | VERIFIED) -> str:
        """What the browser hands in after `create`."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        head = hashlib.sha256(asked["rp"]["id"].encode()).digest() + bytes([flags | ATTESTED]) + bytes(4)
        data = head + bytes(16) + len(self.name).to_bytes(2, "big") + self.name + cbor2.dumps(public)
        client = self._client("webauthn.create", asked["challenge"], origin)
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"clientDataJSON": text_of(client), "attestationObject": text_of(attested)}
        return self._credential(response)

    def answer(
        self, asked: dict[str, Any], *, origin: str = ORIGIN, flags: int = PRESENT | VERIFIED, count: int | None = None
    ) -> str:
        """What the browser hands in after `get`."""
        self.count += 1
        used = self.count if count is None else count
        data = hashlib.sha256(asked["rpId"].encode()).digest() + bytes([flags]) + used.to_bytes(4, "big")
        client = self._client("webauthn.get", asked["challenge"], origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text_of(client), "authenticatorData": text_of(data), "signature": text_of(signature),
            "userHandle": None,
        }  # fmt: skip
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> str:
        name = text_of(self.name)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


@pytest.fixture
def browser(site: Site) -> Iterator[TestClient]:
    """A browser of a person with a password, signed in under the name that a passkey can be bound to."""
    put_password(site.pair, site.node, "rung1")
    with TestClient(site.app, base_url=ORIGIN, follow_redirects=False) as client:
        signed = client.post("/signin", data={"user": "rung1", "password": PASSWORD})
        assert signed.status_code == 303
        yield client


def offered(browser: TestClient) -> dict[str, Any]:
    found = re.search(r"<pre[^>]*>(.*?)</pre>", browser.get("/me/passkey").text, re.DOTALL)
    assert found
    made: dict[str, Any] = json.loads(found[1].replace("&#34;", '"'))
    return made


def hand_in(browser: TestClient, credential: str, **changes: str) -> Any:
    csrf = re.search(r'name="csrf" value="(.*?)"', browser.get("/me").text)
    assert csrf
    values = {"act": "passkey", "csrf": csrf[1], "label": "phone", "credential": credential, "password": PASSWORD}
    return browser.post("/me", data={**values, **changes})


def asked(site: Site) -> tuple[TestClient, dict[str, Any]]:
    client = TestClient(site.app, base_url=ORIGIN, follow_redirects=False)
    found: dict[str, Any] = client.get("/signin/passkey").json()
    return client, found


def enter(client: TestClient, credential: str) -> Any:
    return client.post("/signin/passkey", data={"credential": credential, "next": "/me"})


@pytest.fixture
def device(browser: TestClient) -> Device:
    """A device that was added."""
    made = Device()
    assert hand_in(browser, made.make(offered(browser))).status_code == 303
    return made


def test_a_passkey_that_was_added_signs_its_person_in(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    assert "allowCredentials" not in challenge or not challenge["allowCredentials"]
    done = enter(client, device.answer(challenge))
    assert (done.status_code, done.headers["location"]) == (303, "/me")
    assert "rung1" in client.get("/me").text


@pytest.mark.parametrize("flags", [PRESENT, VERIFIED, 0])
def test_a_device_whose_owner_was_not_there_signs_nobody_in(site: Site, device: Device, flags: int) -> None:
    client, challenge = asked(site)
    assert enter(client, device.answer(challenge, flags=flags)).status_code == 401


def test_an_answer_for_another_origin_signs_nobody_in(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    assert enter(client, device.answer(challenge, origin="http://localhost.example")).status_code == 401


def test_an_answer_counts_once(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    answer = device.answer(challenge)
    assert enter(client, answer).status_code == 303
    assert enter(client, answer).status_code == 401


def test_a_copy_of_a_device_is_found_by_its_count(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    assert enter(client, device.answer(challenge, count=9)).status_code == 303
    _, later = asked(site)
    assert enter(client, device.answer(later, count=9)).status_code == 401


def test_a_challenge_that_nobody_asked_here_is_no_challenge(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    assert enter(client, device.answer({**challenge, "challenge": text_of(os.urandom(32))})).status_code == 401


def test_another_devices_signature_signs_nobody_in(site: Site, device: Device) -> None:
    client, challenge = asked(site)
    stranger = Device()
    assert enter(client, stranger.answer(challenge)).status_code == 401
    stranger.name = device.name
    _, challenge = asked(site)
    assert enter(client, stranger.answer(challenge)).status_code == 401


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"response":{"clientDataJSON":"e30"}}', "\0", "x" * 5000])
def test_what_is_no_answer_is_turned_away(site: Site, text: str) -> None:
    client, _ = asked(site)
    assert enter(client, text).status_code == (400 if text == "\0" else 401)


def test_a_passkey_is_added_by_the_password_and_for_oneself_only(site: Site, browser: TestClient) -> None:
    device = Device()
    assert hand_in(browser, device.make(offered(browser)), password="wrong").status_code == 400  # noqa: S106 - no secret
    assert hand_in(browser, device.make(offered(browser)), label=" ").status_code == 400
    assert hand_in(browser, device.make(offered(browser), origin="http://evil")).status_code == 400
    assert hand_in(browser, device.make(offered(browser), flags=PRESENT)).status_code == 400
    certified(site.pair, site.node, "other", 1)
    offer = json.loads(site.door.sign_in.passkeys.offer(f"{site.code}/other", site.door.site("localhost")))  # type: ignore[arg-type]
    assert hand_in(browser, device.make(offer)).status_code == 400
    client, challenge = asked(site)
    assert enter(client, device.answer(challenge)).status_code == 401


def test_a_passkey_that_was_forgotten_signs_nobody_in(site: Site, browser: TestClient, device: Device) -> None:
    csrf = re.search(r'name="csrf" value="(.*?)"', browser.get("/me").text)
    assert csrf
    gone = browser.post("/me", data={"act": "forget", "csrf": csrf[1], "passkey": device.name.hex()})
    assert gone.status_code == 303
    client, challenge = asked(site)
    assert enter(client, device.answer(challenge)).status_code == 401


def test_whoever_is_revoked_is_out_by_passkey_too(site: Site, device: Device) -> None:
    certified(site.pair, site.node, "rung1", 1, areas=[])
    try:
        client, challenge = asked(site)
        assert enter(client, device.answer(challenge)).status_code == 401
    finally:
        certified(site.pair, site.node, "rung1", 1)


def test_under_a_number_there_are_no_passkeys(site: Site) -> None:
    assert site.client.get("/signin/passkey").status_code == 401
    with pytest.raises(SignInError):
        site.door.sign_in.passkeys.answer("{}", site.door.site("localhost"))  # type: ignore[arg-type]
