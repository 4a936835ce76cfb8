"""The core's own screens. `SCREENS` is all the app knows of them; each file is one part of the desk's work."""

from entente.web.desk.act import listed, one_act
from entente.web.desk.api import api, description
from entente.web.desk.desk import desk
from entente.web.desk.draft import draft, draft_object
from entente.web.desk.me import me, passkey
from entente.web.desk.order import order
from entente.web.desk.papers import PAPERS
from entente.web.desk.propose import imports, source
from entente.web.desk.today import today

SCREENS = (
    today,
    desk,
    me,
    passkey,
    api,
    description,
    draft,
    draft_object,
    imports,
    source,
    listed,
    one_act,
    order,
    *PAPERS,
)
