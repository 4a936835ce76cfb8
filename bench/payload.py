"""What is large, between the two processes of `bench.wire`: 10^9 bytes, and reads while a bundle is sealed.

Reads while sealing: the partner asks for our checkpoint again and again, while we do nothing (the floor), and while
another process at our node imports, screens and seals a large bundle on the same two cores.

The long payload is a document of 10^9 bytes that no parser knows. Each verb at the sender's desk is a process of its
own, as a person calls it. The floor of its seconds reads the file and hashes it once, encrypts it and writes it, and
does the same the other way: what one crossing cannot leave out.
"""

from collections.abc import Iterator

from bench.crossing import BUNDLES
from bench.measure import Result, Skipped
from bench.wire import long_payload, while_sealing


def run() -> Iterator[Result | Skipped]:
    """The document, then the reads."""
    yield from long_payload()
    yield from while_sealing(BUNDLES["enterprise-attack"])
