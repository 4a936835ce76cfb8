"""The command line: every verb of a node, with --json for scripts."""

from entente.app import groups
from entente.commands import (
    accounts,
    acts,
    agreements,
    consents,
    documents,
    holdings,
    papers,
    questions,
    releases,
    running,
    setting_up,
    statements,
    tokens,
)
from entente.commands.frame import main, opened

VERBS = (
    setting_up,
    running,
    agreements,
    releases,
    documents,
    consents,
    acts,
    holdings,
    statements,
    accounts,
    questions,
    papers,
    tokens,
)
for _group in groups(opened):
    main.add_command(_group)
__all__ = ["VERBS", "main"]

if __name__ == "__main__":
    main()
