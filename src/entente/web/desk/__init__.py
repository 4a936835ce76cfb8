"""The core's own screens. `SCREENS` is all the app knows of them; each file is one part of the desk's work."""

from entente.web.desk.act import listed, one_act
from entente.web.desk.admin import admin
from entente.web.desk.api import api, description
from entente.web.desk.custody import life
from entente.web.desk.desk import desk
from entente.web.desk.documents import DOCUMENTS
from entente.web.desk.draft import draft, draft_object
from entente.web.desk.entry import entry
from entente.web.desk.exchange import exchange
from entente.web.desk.extract import audit
from entente.web.desk.inbox import inbox
from entente.web.desk.law import agreement
from entente.web.desk.me import me, passkey
from entente.web.desk.order import order
from entente.web.desk.papers import PAPERS
from entente.web.desk.persons import person, persons
from entente.web.desk.propose import imports, source
from entente.web.desk.quarantine import quarantine
from entente.web.desk.reconcile import reconcile
from entente.web.desk.register import register
from entente.web.desk.release import release
from entente.web.desk.requests import ask, request, requests
from entente.web.desk.search import search
from entente.web.desk.take_in import take_in
from entente.web.desk.thing import thing, thing_bytes
from entente.web.desk.today import today
from entente.web.desk.undertaking import undertaking
from entente.web.desk.undertakings import undertakings_
from entente.web.desk.verify import verify

SCREENS = (
    today,
    desk, imports, source, draft, draft_object, listed, one_act, order,
    inbox, quarantine, take_in, search, thing, thing_bytes,
    requests, request, ask, *DOCUMENTS,
    exchange, release, reconcile,
    register, entry, life, verify, audit,
    undertakings_, undertaking,
    admin, persons, person, agreement,
    me, passkey, api, description, *PAPERS,
)  # fmt: skip
