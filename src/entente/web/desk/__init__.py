"""The core's own screens. `SCREENS` is all the app knows of them; each file is one part of the desk's work."""

from entente.web.desk.custody import life
from entente.web.desk.entry import entry
from entente.web.desk.exchange import exchange
from entente.web.desk.extract import audit
from entente.web.desk.me import me
from entente.web.desk.reconcile import reconcile
from entente.web.desk.register import register
from entente.web.desk.release import release
from entente.web.desk.today import today
from entente.web.desk.undertaking import undertaking
from entente.web.desk.undertakings import undertakings_
from entente.web.desk.verify import verify

SCREENS = (today, exchange, register, release, entry, life, verify, reconcile, audit, undertakings_, undertaking, me)
