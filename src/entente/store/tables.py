"""The tables of the five databases. node.db is authoritative and holds no content; view.db is rebuilt at will."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

node = MetaData()
keys = MetaData()
heads = MetaData()
view = MetaData()
access = MetaData()

log = Table(
    "log",
    node,
    Column("log_id", Integer, primary_key=True),
    Column("origin", Text, nullable=False, unique=True),
    Column("party", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("root", Text, nullable=False),
)
segment = Table(  # C2SP bundle bytes; at most 256 entries, never across a multiple of 256
    "segment",
    node,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # `place(log_id, start)`
    Column("count", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
rid_index = Table(  # one row a batch: sorted (32-byte rid, u64 index); a row a rid would touch a page each
    "rid_index",
    node,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
note = Table(  # signed notes as received or made; the kinds are named in node/ledger.py and node/stores.py
    "note",
    node,
    Column("log_id", Integer, ForeignKey("log.log_id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("root", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
agreement = Table(
    "agreement",
    node,
    Column("hash", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
draft = Table(
    "draft",
    node,
    Column("rid", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("core", LargeBinary, nullable=False),
    Column("blob", Text, nullable=False),
    Column("blob_bytes", Integer, nullable=False),
    Column("source", Text, nullable=False),
)
draft_state = Index("draft_state", draft.c.state)
approval = Table(
    "approval",
    node,
    Column("rid", Text, ForeignKey("draft.rid"), primary_key=True),
    Column("by", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
journal = Table(  # the home journal: gate records, refusals, imports; never leaves the node
    "journal",
    node,
    Column("seq", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
journal_key = Index("journal_key", journal.c.kind, journal.c.key)
inbox = Table(  # one row per rank-2 entry of the partner; `outcome` set is the commit point of its processing
    "inbox",
    node,
    Column("log_id", Integer, ForeignKey("log.log_id"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rid", Text, nullable=False),
    Column("permit", Integer, nullable=False),
    Column("findings", LargeBinary, nullable=False),
    Column("outcome", Text),
    Column("reason", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("answered", Integer, nullable=False),
)
source = Table(  # imported material: one encrypted pack per import
    "source",
    node,
    Column("id", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("blob_bytes", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("map", Text, nullable=False),
)
marking_map = Table(
    "marking_map",
    node,
    Column("id", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("sigs", LargeBinary, nullable=False),
)

act = Table(  # what several persons sign, at different times, before it becomes an entry; `home` never leaves the node
    "act",
    node,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("home", LargeBinary, nullable=False),
)
act_sig = Table(
    "act_sig",
    node,
    Column("act", Text, ForeignKey("act.id"), primary_key=True),
    Column("by", Text, primary_key=True),
    Column("sig", Text, nullable=False),
)
erasure = Table(  # what is to be destroyed of a release, written before the first of it is; and what is answered after
    "erasure",
    node,
    Column("rid", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("what", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)
feed = Table(  # a server of the nation's own that is read into quarantine; its secret is in keys.db
    "feed",
    node,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("auth", Text, nullable=False),
    Column("ca", Text, nullable=False),
    Column("map", Text, nullable=False),
    Column("push", Integer, nullable=False),
    Column("position", LargeBinary, nullable=False),
    Column("objects", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("polled", Text, nullable=False),
)

START_BITS = 40


def place(log_id: int, start: int) -> int:
    """Where a batch stands among all registers: one integer orders like (log_id, start) without a second tree."""
    return log_id << START_BITS | start


secret = Table(  # machine and person keys, each locked under a passphrase
    "secret",
    keys,
    Column("name", Text, primary_key=True),
    Column("public", Text, nullable=False),
    Column("locked", LargeBinary, nullable=False),
)
record_key = Table(  # dek and salt of a release or a pack, encrypted under the node's key
    "record_key",
    keys,
    Column("name", Text, primary_key=True),
    Column("locked", LargeBinary, nullable=False),
)
wrapped = Table(  # what is served at key/<rid>
    "wrapped",
    keys,
    Column("rid", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

signed = Table(
    "signed",
    heads,
    Column("origin", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("root", Text, nullable=False),
    Column("line", LargeBinary, nullable=False),
)
watermark = Table(
    "watermark",
    heads,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
)

thing = Table(  # one object version as people, screens and TAXII clients see it
    "thing",
    view,
    Column("place", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("order", Text, nullable=False),  # orders the versions of one id; equal for equal instants
    Column("title", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("marking", Integer, nullable=False),
    Column("least", Integer, nullable=False),  # the rank, in this party's scale, that its own marking asks for
    Column("rank", Integer, nullable=False),  # of the least clearance that may read it: no copy of it asks for more
    Column("apart", Text, nullable=False),  # its digest if it stands beside another of this version; else empty
    Column("size", Integer, nullable=False),
    Column("shelf", Text),  # what it is listed with; null: with nothing
    Column("stamp", Integer),  # when it was listed, microseconds since 1970, no two alike; null: it is not listed
    Column("text", Text, nullable=False),  # what can be searched in it, where its bytes do not show that
    Column("data", LargeBinary, nullable=False),  # empty where it is long: it is read from its blob
)
thing_listed = Index(
    "thing_listed", thing.c.shelf, thing.c.stamp, thing.c.rank, sqlite_where=thing.c.stamp.is_not(None)
)
thing_type = Index(
    "thing_type", thing.c.shelf, thing.c.type, thing.c.stamp, thing.c.rank, sqlite_where=thing.c.stamp.is_not(None)
)
thing_version = Index(
    "thing_version", thing.c.shelf, thing.c.id, thing.c.order, sqlite_where=thing.c.shelf.is_not(None)
)
thing_sha = Index("thing_sha256", thing.c.sha256)
thing_rank = Index("thing_rank", thing.c.place, thing.c.rank, thing.c.least)  # how much of a place who may read
mark = Table(  # numbers by name, such as the last stamp given out
    "mark",
    view,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
)
reader = Table(  # this party's persons as its register certifies them: who may read what
    "reader",
    view,
    Column("handle", Text, primary_key=True),
    Column("rank", Integer, nullable=False),
    Column("roles", LargeBinary, nullable=False),
    Column("areas", LargeBinary, nullable=False),
    Column("until", Text, nullable=False),
)
status = Table(  # what became of each object that a TAXII client added; goes with the import it tells of
    "status",
    view,
    Column("id", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("shelf", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
status_place = Index("status_place", status.c.place)
holding = Table(  # one release received, or one import: its markings and how many objects it has
    "holding",
    view,
    Column("place", Text, primary_key=True),
    Column("markings", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
)
saved_fold = Table(
    "saved_fold",
    view,
    Column("id", Integer, primary_key=True),
    Column("heads", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

token = Table(  # by which a person's tools sign in; its secret is not kept
    "token",
    access,
    Column("id", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("read_only", Integer, nullable=False),
    Column("made", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("revoked", Text, nullable=False),
    Column("used", Text, nullable=False),
)
web_secret = Table(  # what the listener signs with for itself, such as the place where a page goes on
    "web_secret",
    access,
    Column("name", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
session = Table(  # a browser in which a person signed in; the cookie's text is not kept
    "session",
    access,
    Column("digest", LargeBinary, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("made", Text, nullable=False),
    Column("seen", Text, nullable=False),
    Column("ended", Text, nullable=False),
)
session_handle = Index("session_handle", session.c.handle)
deed = Table(  # a form that was handed in, so that handing it in again does nothing: where it led, empty while at work
    "deed",
    access,
    Column("digest", LargeBinary, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("href", Text, nullable=False),
    Column("words", LargeBinary, nullable=False),
)
passkey = Table(  # a person's passkey: its public half, and how often its authenticator says it was used
    "passkey",
    access,
    Column("id", LargeBinary, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("count", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("made", Text, nullable=False),
    Column("used", Text, nullable=False),
)
passkey_handle = Index("passkey_handle", passkey.c.handle)
