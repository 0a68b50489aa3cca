"""Programs that tests run and Python does not bring: found on the machine, or fetched from Debian.

The package is unpacked under `.cache/tools` rather than installed: that needs no root and starts
no service. Where neither works, the tests that need the program fail and say what to do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1] / ".cache" / "tools"


class ToolMissing(Exception):
    """A program is not there and could not be fetched."""


def promtool() -> str:
    """Path of Prometheus' checker of configurations and rules."""
    return _program("promtool", package="prometheus")


def nginx() -> str:
    """Path of nginx."""
    return _program("nginx", package="nginx", folder="usr/sbin")


def haproxy() -> str:
    """Path of HAProxy; unpacked, it needs `LD_LIBRARY_PATH`, see `libraries`."""
    libraries = ("liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
    return _program("haproxy", package="haproxy", folder="usr/sbin", more=libraries)


def bird() -> str:
    """Path of BIRD, which speaks BGP; as for HAProxy, unpacked it needs `LD_LIBRARY_PATH`."""
    return _program("bird", package="bird2", folder="usr/sbin", more=("libssh-gcrypt-4",))


def libraries(program: str) -> dict[str, str]:
    """What has to be in the environment of a program that was unpacked with its libraries."""
    found = [str(folder) for folder in Path(program).parents[2].glob("usr/lib/*-linux-gnu") if TOOLS in folder.parents]
    return {"LD_LIBRARY_PATH": ":".join(found)} if found else {}


def _program(name: str, *, package: str, folder: str = "usr/bin", more: tuple[str, ...] = ()) -> str:
    """`more` are packages that hold what it loads."""
    unpacked = TOOLS / package / folder / name
    if found := shutil.which(name):
        return found
    if not unpacked.exists():
        _fetch(name, package, *more)
    return str(unpacked)


def _fetch(name: str, package: str, *more: str) -> None:
    folder = TOOLS / package
    downloads = TOOLS / f"{package}.download"
    advice = f"{name} is needed by the tests. Install it yourself, as by: apt-get install {package}"
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise ToolMissing(f"{advice}. (This system has no apt-get to fetch it with.)")
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        if os.geteuid() == 0:
            _run("apt-get", "update", "-q", cwd=downloads)
        # Without root the package lists must be there already.
        _run("apt-get", "download", "-q", package, *more, cwd=downloads)
        # The program comes last, so that it is there only if all it loads is.
        for each in (*more, package):
            (archive,) = downloads.glob(f"{each}_*.deb")
            _run("dpkg-deb", "-x", archive.name, str(folder), cwd=downloads)
    except (subprocess.CalledProcessError, ValueError) as error:
        said = getattr(error, "stdout", "")
        raise ToolMissing(f"{advice}. (Fetching it failed.)\n{said}") from error
    finally:
        shutil.rmtree(downloads)


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


if __name__ == "__main__":
    try:
        print(promtool(), nginx(), haproxy(), bird(), sep="\n")
    except ToolMissing as error:
        sys.exit(f"error: {error}")
