"""`python -m entente`."""

from entente.cli import main

main(prog_name="entente")
