"""The first ten minutes: two nodes on this machine carry a real bundle across and prove it.

Invented persons, keys made a minute ago, a SAMPLE agreement. Everything is done by the verbs that a real node has.
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import click

from entente.cast import SAMPLES
from entente.errors import EntenteError
from entente.place import free_folder, make_folder, remember_demo
from entente.steps import Demo


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the two nodes go (new or empty). Default: demo-N here.",
)
@click.option("--once", is_flag=True, help="End when all steps are done.")
@click.option("--json", "as_json", is_flag=True, help="The last line on standard output is one JSON object.")
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Your own STIX 2.1 bundle."
)
@click.option(
    "--agreement", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Your own agreement (TOML)."
)
@click.option("--taxii", is_flag=True, help="The bundle enters one node by TAXII, and a sighting comes back by TAXII.")
def main(
    folder: Path | None, *, once: bool, as_json: bool, bundle: Path | None, agreement: Path | None, taxii: bool
) -> None:
    """Carry a bundle between two nodes on this machine, under a SAMPLE agreement, and prove it."""
    began = time.monotonic()
    place = (folder or free_folder()).resolve()
    demo = None
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        make_folder(place)
        demo = Demo(
            place,
            agreement or SAMPLES / "india-korea.toml",
            bundle or SAMPLES / "sample.stix.json",
            default=bundle is not None,
            taxii=taxii,
            say=click.echo,
        )
        click.echo("SAMPLE agreement, invented persons. Two nodes, two keys, two databases, one wire between them.")
        code = demo.run()
        remember_demo(place)
        _last_words(demo, time.monotonic() - began, once=once)
        if as_json:
            click.echo(json.dumps(demo.result, ensure_ascii=False, sort_keys=True))
        if not once:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: end.set())
            end.wait()
    except EntenteError as fault:
        click.echo(fault.explain(), err=True)
        if as_json and demo is not None:
            click.echo(json.dumps({**demo.result, "error": fault.explain()}, ensure_ascii=False, sort_keys=True))
        code = fault.exit_code
    except KeyboardInterrupt:
        code = 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a process behind
        if demo is not None:
            demo.close()
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A demo at work is interrupted, also by SIGTERM: what it started is ended."""
    raise KeyboardInterrupt


def _last_words(demo: Demo, seconds: float, *, once: bool) -> None:
    up = "" if once else "Both nodes are up until Ctrl-C. "
    click.echo(f"Done in {seconds:.0f} s. {up}Files: {demo.folder}")
    if demo.stage is not None and not once:
        for code, side in demo.sides.items():
            click.echo(f"   {side.name}  {demo.stage.webs[code]}/")
            for person in side.people:
                click.echo(f"      {person.user:8s} {person.password}   {', '.join(person.roles)}")
        places = "   ".join(f"{code} {demo.taxii_url(code)}" for code in demo.sides)
        click.echo(f"   their tools, TAXII 2.1, as the same persons: {places}")
        places = "   ".join(f"{code} {demo.stage.urls[code]}" for code in demo.sides)
        click.echo(f"   for the partner alone, over mutual TLS: {places}")
        click.echo("   ./run entente status           registers, worker, listener")
    click.echo("   ./run entente why 1            every object, every article, passed or failed")
    click.echo("   ./run entente verify           every hash, head and signature again; so does python3 verify.py DIR")
    click.echo("   ./run demo --bundle FILE       your own STIX 2.1 bundle (ATT&CK for ICS: 1,766 of 1,826 cross)")


if __name__ == "__main__":
    main()
