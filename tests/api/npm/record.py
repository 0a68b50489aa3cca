"""Lets the clients from npm hold their two turns, and keeps what they sent: `python -m tests.api.npm.record`.

Needs node, npm and a registry. The tests need none of them: they send again what is kept.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest
from tests.api.conftest import PLAIN, App
from tests.api.test_chat_completions import data_url
from tests.api.test_two_turns import CALLING, TELLING
from tests.conftest import ROOT

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.jsonl"
INSTALLED = ROOT / ".cache" / "npm"


def call_then_tell(app: App) -> None:
    """The model calls a tool, and tells JSON to whoever brings what the tool gave."""
    app.engine.info = replace(app.engine.info, json_schema=True)
    play = app.engine.stream

    def stream(request: ChatRequest):
        answered = any(message.role == "tool" for message in request.messages)
        app.engine.script = TELLING if answered else CALLING
        return play(request)

    app.engine.stream = stream


def main() -> int:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "turns.mjs"):
        shutil.copy(HERE / name, INSTALLED)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=INSTALLED, check=True)
    app = App(Settings(**PLAIN), CALLING)
    try:
        call_then_tell(app)
        command = ["node", "turns.mjs", f"{app.url}/v1", data_url()]
        said = subprocess.run(command, cwd=INSTALLED, stdout=subprocess.PIPE, text=True)
    finally:
        app.stop()
    if said.returncode == 0:
        RECORDED.write_text(said.stdout, encoding="utf-8")
    return said.returncode


if __name__ == "__main__":
    sys.exit(main())
