"""What needs schemathesis is collected where it is: `./run test fuzz`, which fails when it finds no test."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("schemathesis") else ["test_schemathesis.py"]
