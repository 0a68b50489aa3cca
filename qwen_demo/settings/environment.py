"""What libraries take from the environment alone: worked out here, written by `apply_environment`."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qwen_demo.errors import SettingsError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_LAUNCHED = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
# For programs whose output other programs read.
NO_PROGRESS_BARS = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|^QWEN_DEMO_", re.IGNORECASE)


def process_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that a process with a model needs before it imports torch.

    Args:
        given: variables that are there already and win; by default those of this process.
    """
    given = os.environ if given is None else given
    # Waiting threads sleep. While they spin, two threads on two busy cores are ten times slower than
    # one (benchmarks/embedded.py).
    wanted = {"OMP_WAIT_POLICY": "PASSIVE"}
    # GPU memory of pieces that came in one size serves other sizes later.
    if sys.platform == "linux" and "PYTORCH_CUDA_ALLOC_CONF" not in given:
        wanted["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
    return {name: value for name, value in wanted.items() if name not in given}


def launched_place(given: Mapping[str, str] | None = None) -> tuple[int, int, int]:
    """Which of several processes that share one training run this is, which GPU of its machine is its own, and how many
    there are, as `accelerate launch` and `torchrun` say; (0, 0, 1) for one alone."""
    given = os.environ if given is None else given
    rank, local, count = (given.get(name, usual) for name, usual in _LAUNCHED.items())
    return int(rank), int(local), int(count)


def environment_without_secrets(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables of a process that reads strangers' texts: none of ours, none that is called after a secret.

    Args:
        given: by default those of this process.
    """
    given = os.environ if given is None else given
    kept = {name: value for name, value in given.items() if not _SECRET.search(name)}
    return kept | process_environment(kept) | NO_PROGRESS_BARS


def replica_environments(count: int, given: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """All variables of each of so many processes that share the GPUs of this machine: equal shares, none in two.

    Args:
        given: variables that are there already; by default those of this process. CUDA_VISIBLE_DEVICES among them says
            which GPUs there are; without it all of the machine's.

    Raises:
        SettingsError: there are fewer GPUs than processes, and not none.
    """
    given = os.environ if given is None else given
    named = given.get(VISIBLE)
    if named is None:
        gpus = [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    else:
        gpus = [name.strip() for name in named.split(",") if name.strip()]
    if not gpus:
        return [dict(given)] * count
    if len(gpus) < count:
        raise SettingsError(
            f"--replicas {count} needs {count} GPUs, one for each, and there are {len(gpus)} ({', '.join(gpus)}; "
            f"{VISIBLE} may name others). Give as many or fewer."
        )
    share = len(gpus) // count
    return [{**given, VISIBLE: ",".join(gpus[n * share : (n + 1) * share])} for n in range(count)]


def page_environment(uploads: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that Gradio needs before a page is built.

    Args:
        uploads: folder of uploads. Gradio's default is one for all Gradio programs of a machine, which each
            empties at its end.
        given: variables that are there already and win, but for the folder; by default those of this process.
    """
    given = os.environ if given is None else given
    # Gradio sums up its events anew after each one, for a monitoring page that is off here; more events, more work.
    wanted = {"GRADIO_ANALYTICS_MAX_EVENTS": "100", "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000"}
    wanted = {name: value for name, value in wanted.items() if name not in given}
    return wanted | {"GRADIO_TEMP_DIR": str(uploads)}


def apply_environment(variables: Mapping[str, str]) -> None:
    """Write variables into this process's environment, from which its children inherit them."""
    os.environ.update(variables)


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """The same for as long as a block runs, for libraries that look there at each call."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
