"""An agreement that both authorities have not signed, byte for byte, founds nothing and leaves nothing behind."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entente.app import AREAS
from entente.errors import AgreementError, EntenteError, StateError
from entente.keys import SoftSigner
from entente.node import setup
from entente.node.node import Node
from entente.treaty.agreement import parse_agreement
from lab.pair import PASSPHRASE, Clock, Pair, Template, in_process, rows, state


@pytest.fixture
def empty(tmp_path: Path, templates: Callable[[str], Template], cheap_passphrases: None) -> Any:  # noqa: ARG001
    """A node that has keys and no agreement, and the template's secrets."""
    template = templates("india-korea")
    code = next(iter(template.authorities))
    setup.create(tmp_path / code, setup.Settings(code), PASSPHRASE)
    node = Node(tmp_path / code, AREAS, in_process, passphrase=PASSPHRASE, clock=Clock())
    yield node, template
    node.close()


def refused(node: Node, template: Template, data: bytes, envelope: bytes) -> str:
    """What founding on this file is refused with; nothing stands afterwards, now or when opened again."""
    before, served = rows(node), list((node.folder / "served").rglob("*"))
    with pytest.raises(EntenteError) as fault:
        setup.found(node, data, envelope, template.authorities[node.party])
    assert isinstance(fault.value, AgreementError), fault.value
    assert rows(node) == before
    assert list((node.folder / "served").rglob("*")) == served
    assert not node.laws
    assert not node.trees
    return fault.value.explain()


def changed(envelope: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The envelope after a change of its JSON."""
    found = json.loads(envelope)
    change(found)
    return json.dumps(found).encode()


def test_an_unsigned_agreement_founds_nothing(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement and names both parties whose signatures are missing; the partner knows nothing."""
    node, template = empty
    words = refused(node, template, template.toml, setup.sign_agreement(template.toml, []))
    assert "IND" in words
    assert "KOR" in words


@pytest.mark.parametrize(("present", "missing"), [("IND", "KOR"), ("KOR", "IND")])
def test_an_agreement_signed_by_one_side_founds_nothing(
    empty: tuple[Node, Template], present: str, missing: str
) -> None:
    """The node knows no agreement and names the party that has not signed; the partner knows nothing."""
    node, template = empty
    envelope = setup.sign_agreement(template.toml, [template.authorities[present]])
    words = refused(node, template, template.toml, envelope)
    assert f"not signed by the authority of {missing}" in words


def test_one_authority_that_signs_twice_is_one_side(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: the second signature is by the same key; the partner knows nothing."""
    node, template = empty
    envelope = setup.sign_agreement(template.toml, [template.authorities["IND"]] * 2)
    assert "KOR" in refused(node, template, template.toml, envelope)


def test_a_strangers_signature_is_no_authoritys(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement, though two keys signed it; the partner knows nothing."""
    node, template = empty
    envelope = setup.sign_agreement(template.toml, [template.authorities["IND"], SoftSigner.generate()])
    assert "KOR" in refused(node, template, template.toml, envelope)


def test_a_signature_under_anothers_key_id_does_not_count(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: the key id is KOR's, the signature a stranger's; the partner knows nothing."""
    node, template = empty

    def swap(found: dict[str, Any]) -> None:
        stranger = json.loads(setup.sign_agreement(template.toml, [SoftSigner.generate()]))
        found["signatures"][1]["sig"] = stranger["signatures"][0]["sig"]

    assert "KOR" in refused(node, template, template.toml, changed(template.envelope, swap))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"approvals = 2", b"approvals = 1", id="one approval less"),
        pytest.param(b"SECRET", b"SECRET ", id="a space in a level"),
        pytest.param(b'IND = "SECRET", KOR', b'IND = "RESTRICTED", KOR', id="another row of equivalence"),
        pytest.param(b"# SAMPLE.", b"# SAMPLE!", id="one byte of a comment"),
        pytest.param(b"\n[rules]", b"\n\n[rules]", id="an empty line more"),
    ],
)
def test_an_agreement_changed_after_signing_founds_nothing(
    empty: tuple[Node, Template], old: bytes, new: bytes
) -> None:
    """The node knows no agreement: one changed byte, even in a comment, is another agreement.

    The partner knows nothing.
    """
    node, template = empty
    assert old in template.toml
    refused(node, template, template.toml.replace(old, new, 1), template.envelope)


def test_the_signature_file_of_other_bytes_founds_nothing(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement, though the envelope by itself is signed by both; the partner knows nothing."""
    node, template = empty
    other = template.toml.replace(b"version = 1", b"version = 2", 1)
    words = refused(node, template, template.toml, setup.sign_agreement(other, list(template.authorities.values())))
    assert "other bytes" in words


def test_an_envelope_whose_payload_is_exchanged_founds_nothing(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: the payload is the file, the signatures are over another.

    The partner knows nothing.
    """
    node, template = empty
    other = template.toml.replace(b"approvals = 2", b"approvals = 1", 1)
    envelope = changed(template.envelope, lambda found: found.update(payload=base64.b64encode(other).decode()))
    refused(node, template, other, envelope)


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="nothing inside"),
        pytest.param(b'{"payload":1,"payloadType":2,"signatures":3}', id="numbers"),
        pytest.param(b'{"payload":"","payload":"","payloadType":"","signatures":[]}', id="a key twice"),
    ],
)
def test_a_file_that_is_no_envelope_founds_nothing(empty: tuple[Node, Template], envelope: bytes) -> None:
    """The node knows no agreement and says so in words, not in a traceback; the partner knows nothing."""
    node, template = empty
    with pytest.raises(EntenteError):
        setup.found(node, template.toml, envelope, template.authorities["IND"])
    assert not node.laws


def test_a_payload_type_of_something_else_founds_nothing(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: an envelope for another type is not one for this; the partner knows nothing."""
    node, template = empty
    envelope = changed(template.envelope, lambda found: found.update(payloadType="application/json"))
    refused(node, template, template.toml, envelope)


def test_the_other_partys_authority_founds_nothing_here(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: KOR's authority cannot speak for IND; the partner knows nothing."""
    node, template = empty
    with pytest.raises(AgreementError, match="not the authority of IND"):
        setup.found(node, template.toml, template.envelope, template.authorities["KOR"])
    assert not node.laws


def test_one_key_cannot_be_both_authorities(empty: tuple[Node, Template]) -> None:
    """The node knows no agreement: whoever holds both ends has agreed with himself; the partner knows nothing."""
    node, template = empty
    ind, kor = (template.authorities[code].public.encode() for code in ("IND", "KOR"))
    data = template.toml.replace(kor, ind)
    refused(node, template, data, setup.sign_agreement(data, [template.authorities["IND"]]))


@pytest.mark.parametrize("what", ["the same again", "an older version", "another agreement"])
def test_a_register_that_is_founded_takes_no_other_agreement(pair: Pair, what: str) -> None:
    """Both know what they knew: the offer is refused, not kept, not served, and not in force after a restart."""
    toml = {
        "the same again": pair.template.toml,
        "an older version": pair.template.toml.replace(b"approvals = 2", b"approvals = 1", 1),
        "another agreement": pair.template.toml.replace(b'id = "india-korea"', b'id = "korea-india"', 1),
    }[what]
    signers = pair.template.authorities
    before, law = state(pair.a), pair.a.law.hash
    with pytest.raises((StateError, AgreementError)):
        setup.found(pair.a, toml, setup.sign_agreement(toml, list(signers.values())), signers["IND"])
    assert pair.a.law.hash == law
    assert set(pair.a.laws) == {law}
    assert state(pair.a) == before
    pair.open("IND")
    assert set(pair.a.laws) == {law}
    assert [given.law.version for given in map(parse_agreement, pair.a.db.agreements())] == [1]
