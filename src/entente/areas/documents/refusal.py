"""What is not taken in, and why, in words that a person understands."""


class ActiveError(Exception):
    """This file may not be exchanged: it is of a refused kind, holds something active, or reads in two ways."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
