"""From nothing to the first answered question, in parts: `python -m benchmarks.start`.

Starts `python app.py` anew several times and asks about an image as soon as the page is there.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "examples" / "shapes.png"


def once() -> dict[str, float]:
    """Seconds since start until each line of the program's output, and until the first answer."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", "--model", "embedded"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    seen = {}
    try:
        for line in process.stdout:
            now = time.perf_counter() - began
            if "demo: http" in line:
                seen["page is there"] = now
                url = line.split()[2]
            elif "Loading embedded" in line:
                seen["PyTorch and transformers imported"] = now
            elif line.strip().endswith(": ready"):
                seen["weights loaded"] = now
            elif line.startswith("Ready after"):
                seen["warm"] = now
                break
        else:
            raise RuntimeError("the program ended before it was ready")
        from gradio_client import Client, handle_file

        client = Client(url, verbose=False)
        client.predict(question="What is in this image?", image=handle_file(str(IMAGE)), api_name="/ask")
        seen["first question answered"] = time.perf_counter() - began
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = [once() for _ in range(parser.parse_args().runs)]
    rows = [
        {
            "until": part,
            "median s": statistics.median(run[part] for run in runs),
            "worst s": max(run[part] for run in runs),
        }
        for part in runs[0]
    ]
    print(machine.table(rows))
    print(machine.write("start", {"runs": len(runs), "rows": rows}))


if __name__ == "__main__":
    main()
