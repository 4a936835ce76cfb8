"""The command line: every verb of a node, with --json for scripts."""

from entente.commands import agreements, documents, questions, releases, running, setting_up
from entente.commands.frame import main

VERBS = (setting_up, running, agreements, releases, documents, questions)
__all__ = ["VERBS", "main"]

if __name__ == "__main__":
    main()
