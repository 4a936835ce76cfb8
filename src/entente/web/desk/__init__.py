"""The core's own screens. `SCREENS` is all the app knows of them; each file is one part of the desk's work."""

from entente.web.desk.admin import admin
from entente.web.desk.api import api, description
from entente.web.desk.documents import DOCUMENTS
from entente.web.desk.draft import draft, draft_object
from entente.web.desk.inbox import inbox
from entente.web.desk.law import agreement
from entente.web.desk.me import me, passkey
from entente.web.desk.papers import PAPERS
from entente.web.desk.persons import person, persons
from entente.web.desk.quarantine import quarantine
from entente.web.desk.requests import ask, request, requests
from entente.web.desk.search import search
from entente.web.desk.take_in import take_in
from entente.web.desk.thing import thing, thing_bytes
from entente.web.desk.today import today

SCREENS = (
    today,
    draft, draft_object,
    inbox, quarantine, take_in, search, thing, thing_bytes,
    requests, request, ask, *DOCUMENTS,
    admin, persons, person, agreement,
    me, passkey, api, description, *PAPERS,
)  # fmt: skip
