"""The command line: every verb of a node, with --json for scripts."""

from entente.commands import agreements, questions, releases, setting_up
from entente.commands.frame import main

VERBS = (setting_up, agreements, releases, questions)
__all__ = ["VERBS", "main"]

if __name__ == "__main__":
    main()
