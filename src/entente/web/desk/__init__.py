"""The core's own screens. `SCREENS` is all the app knows of them; each file is one part of the desk's work."""

from entente.web.desk.entry import entry
from entente.web.desk.me import me
from entente.web.desk.register import register
from entente.web.desk.release import release
from entente.web.desk.today import today
from entente.web.desk.verify import verify

SCREENS = (today, register, release, entry, verify, me)
