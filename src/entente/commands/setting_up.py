"""Setting up a node: stores, keys, persons, the partner, the marking map."""

from pathlib import Path

import click

from entente.commands.frame import (
    FILE,
    FOLDER,
    columns,
    main,
    node_verb,
    opened,
    password_of,
    show,
    sign_as,
    signers_of,
)
from entente.node import setup


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--party", required=True, help="This party's code in the agreement.")
@click.option(
    "--passphrase-file", type=FILE, required=True, help="Locks the node's keys; copied into the folder, mode 0600."
)
@click.option("--dispatch-slot-minutes", default=15, help="Releases leave at the end of such slots; 0: at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def create(folder: Path, party: str, passphrase_file: Path, dispatch_slot_minutes: int, *, as_json: bool) -> None:
    """Make an empty node in FOLDER: its own stores and machine keys, no agreement yet."""
    passphrase = passphrase_file.read_bytes().strip()
    setup.create(folder, setup.Settings(party, dispatch_slot_minutes=dispatch_slot_minutes), passphrase)
    (folder / "passphrase").touch(mode=0o600)
    (folder / "passphrase").write_bytes(passphrase)
    show(as_json, {"folder": str(folder), "party": party}, f"node of {party} in {folder}; next: `entente init`")


@main.command()
@click.argument("agreement", type=FILE)
@click.argument("signatures", type=FILE)
@click.option(
    "--authority", "authority_file", type=FILE, required=True, help="The authority's locked key (`entente key new`)."
)
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@node_verb
def init(
    agreement: Path,
    signatures: Path,
    authority_file: Path,
    authority_passphrase_file: Path,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """Found this party's register under AGREEMENT, which both authorities have signed in SIGNATURES (DSSE)."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        signed = setup.found(node, agreement.read_bytes(), signatures.read_bytes(), authority)
        genesis = setup.genesis_hash(node)
    show(
        as_json,
        {"agreement": signed.hash, "genesis": genesis},
        f"agreement {signed.hash}\ngenesis   {genesis} (for the pairing file)",
    )


@main.group()
def key() -> None:
    """Keys of authorities and persons."""


@key.command("new")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase-file", type=FILE, required=True, help="Locks the key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def key_new(path: Path, passphrase_file: Path, *, as_json: bool) -> None:
    """Make an authority's key in PATH, locked; prints the public half for the agreement."""
    public = setup.new_authority(path, passphrase_file.read_bytes().strip())
    show(as_json, {"key": public}, public)


@key.command("list")
@node_verb
def key_list(folder: Path | None, *, as_json: bool) -> None:
    """List the persons' keys held here and how they are certified."""
    with opened(folder) as node:
        rows = [
            {
                "areas": fact.person.areas,
                "ceiling": fact.person.ceiling,
                "handle": handle,
                "revoked": fact.revoked_from is not None,
                "roles": fact.person.roles,
                "until": fact.person.until,
            }
            for handle, fact in sorted(node.side.persons.items())
        ]
        lines = [
            (
                handle, ", ".join(fact.person.roles), f"up to {fact.person.ceiling}", f"until {fact.person.until}",
                f"REVOKED from entry {fact.revoked_from}" if fact.revoked_from is not None else "",
            )
            for handle, fact in sorted(node.side.persons.items())
        ]  # fmt: skip
    show(as_json, rows, columns(lines) if lines else "nobody is certified yet")


@key.command("renew")
@click.argument("what", type=click.Choice(["kem", "tls"]))
@click.option("--authority", "authority_file", type=FILE, required=True, help="The authority's locked key.")
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@node_verb
def key_renew(
    what: str, authority_file: Path, authority_passphrase_file: Path, folder: Path | None, *, as_json: bool
) -> None:
    """Certify a new sealing key (kem, at least every 90 days) or a new TLS leaf key of this node."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        draft = setup.renew_kem(node, authority) if what == "kem" else setup.rotate_tls(node, authority)
        (idx,) = node.append([draft])
    show(as_json, {"idx": idx, "key": draft.body["key"]}, f"new {what} key, entry {idx}")


@key.command("revoke")
@click.argument("handle")
@click.option("--reason", required=True, help="In a word or two; it stands in the register.")
@click.option("--authority", "authority_file", type=FILE, required=True, help="The authority's locked key.")
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@node_verb
def key_revoke(
    handle: str, reason: str, authority_file: Path, authority_passphrase_file: Path, folder: Path | None, *,
    as_json: bool,
) -> None:  # fmt: skip
    """Revoke the key of person HANDLE, by the authority: it signs and reads nothing from then on."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        (idx,) = node.append([setup.revoke_person(node, authority, handle, reason)])
    show(as_json, {"handle": handle, "idx": idx}, f"{handle} revoked, entry {idx}")


@main.command()
@click.argument("handle")
@click.option("--roles", required=True, help="Comma-separated roles.")
@click.option("--areas", required=True, help="Comma-separated areas.")
@click.option("--ceiling", required=True, help="The highest level the person may approve, in this party's scale.")
@click.option("--until", required=True, help="YYYY-MM-DDTHH:MMZ")
@click.option(
    "--national-id-file", type=FILE, required=True, help="One natural person, one id: it never leaves the node."
)
@click.option("--password-file", type=FILE, help="The person's password; asked for if left out.")
@click.option("--authority", "authority_file", type=FILE, required=True, help="The authority's locked key.")
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@node_verb
def person(
    handle: str, roles: str, areas: str, ceiling: str, until: str, national_id_file: Path, password_file: Path | None,
    authority_file: Path, authority_passphrase_file: Path, folder: Path | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Certify a person: a key of their own, locked under their password, and an entry by the authority.

    Whoever has a key here keeps it: this changes what the person is certified for, and until when.
    """
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        public = node.person_key(handle) or node.add_person_key(handle, password_of(handle, password_file))
        draft = setup.certify(
            node, authority, handle=handle, national_id=national_id_file.read_text().strip(), key=public,
            roles=roles.split(","), areas=areas.split(","), ceiling=ceiling, until=until,
        )  # fmt: skip
        (idx,) = node.append([draft])
    show(as_json, {"handle": handle, "idx": idx, "key": public}, f"{handle} certified, entry {idx}")


@main.command()
@click.option("--level", required=True, help="The highest level, in this party's own scale.")
@click.option("--areas", required=True, help="Comma-separated areas.")
@click.option("--until", required=True, help="YYYY-MM-DDTHH:MMZ")
@click.option("--authority", "authority_file", type=FILE, required=True, help="The authority's locked key.")
@click.option("--authority-passphrase-file", type=FILE, required=True, help="What opens the authority's key.")
@node_verb
def assure(
    level: str,
    areas: str,
    until: str,
    authority_file: Path,
    authority_passphrase_file: Path,
    folder: Path | None,
    *,
    as_json: bool,
) -> None:
    """State that this party can protect up to LEVEL in these areas: without it the partner may release nothing."""
    authority = setup.read_authority(authority_file, authority_passphrase_file.read_bytes().strip())
    with opened(folder) as node:
        (idx,) = node.append([setup.assure(node, authority, level=level, areas=areas.split(","), until=until)])
    show(as_json, {"idx": idx}, f"assured up to {level}, entry {idx}")


@main.command("map")
@click.argument("path", type=FILE)
@sign_as
@node_verb
def map_(
    path: Path, handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Sign a marking map (JSON: agreement, area, rows, default?) so that imports can be read by it."""
    with opened(folder) as node:
        found = setup.parse_map(path.read_bytes(), place=path.name)
        signers = signers_of(node, handles, passwords)
        name = node.sign_map(found, signers)
    show(as_json, {"map": name}, f"map {name}")


@main.command()
@sign_as
@node_verb
def confirm(handles: tuple[str, ...], passwords: tuple[Path, ...], folder: Path | None, *, as_json: bool) -> None:
    """Vouch for the clock after a long stop, or for the registers after a loss of heads.db: the node signs again."""
    with opened(folder) as node:
        found = node.confirm(signers_of(node, handles, passwords))
    show(as_json, {"confirmed": found}, f"confirmed: {found}" if found else "nothing is in doubt")
