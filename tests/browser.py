"""Finds a Chromium for the page's tests, or installs one: Debian's where root can, else playwright's own.

The headless shell is the same browser without windows; the tests take a third less of a processor in it.
"""

import os
import shutil
import subprocess
import sys

SHELL = "chromium-headless-shell"
OTHERS = ("chromium", "chromium-browser", "google-chrome")
# A page lives for seconds: what compilers of hot code gain in them is less than they take.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--js-flags=--no-opt --no-maglev",
)


def find() -> str | None:
    """Path of a system-wide Chromium, if there is one."""
    return next(filter(None, map(shutil.which, (SHELL, *OTHERS))), None)


def install() -> None:
    """Raises `subprocess.CalledProcessError` where that fails."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
        subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", SHELL], check=True, env=environment)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"], check=True)


def main() -> None:
    if shutil.which(SHELL):
        return
    try:
        install()
    except subprocess.CalledProcessError:
        if not find():
            raise


if __name__ == "__main__":
    main()
