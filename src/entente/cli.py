"""The command line: every verb of a node, with --json for scripts."""

from entente.commands import (
    accounts,
    acts,
    agreements,
    consents,
    documents,
    holdings,
    questions,
    releases,
    running,
    setting_up,
    statements,
)
from entente.commands.frame import main

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
)
__all__ = ["VERBS", "main"]

if __name__ == "__main__":
    main()
