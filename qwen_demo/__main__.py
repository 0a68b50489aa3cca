"""The command line: `ask` gives one answer without a server; `key` and `user` make credentials.

Words go to standard output as they come, everything else to standard error. Exit codes: 0
answered, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""

import argparse
import asyncio
import getpass
import logging
import os
import sys
import warnings
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

from qwen_demo.errors import InvalidRequest, QwenDemoError, SettingsError
from qwen_demo.settings import Settings, load_settings
from qwen_demo.types import ChatRequest, Finished, Message, Part, Sampling, Text

USAGE = """%(prog)s serve [settings]
       %(prog)s ask [IMAGE ...] QUESTION [--temperature T] [--max-tokens N] [--seed S] [settings]
       %(prog)s key NAME        print a new API key, and the line for --api-keys-file
       %(prog)s user NAME       ask for a password, print the line for --page-users-file"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("qwen_demo", usage=USAGE, epilog="Settings: see python app.py --help.")
    parser.add_argument("command", choices=["serve", "ask", "key", "user"])
    if not argv or argv[0] in ("-h", "--help"):
        parser.parse_args(argv)
    if argv[0] == "serve":
        from qwen_demo.server.app import serve

        return serve(load_settings(argv[1:]))
    if argv[0] in ("key", "user"):
        parser.add_argument("name")
        return _credential(**vars(parser.parse_args(argv)))
    if argv[0] != "ask":
        parser.parse_args(argv[:1])
    parser.add_argument("words", nargs="+", metavar="IMAGE ... QUESTION", help="files or https URLs, then the question")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--seed", type=int)
    options, rest = parser.parse_known_args(argv)
    *images, question = options.words
    sampling = Sampling(options.max_tokens, options.temperature, seed=options.seed)
    return asyncio.run(_ask(load_settings(rest), images, question, sampling))


def _credential(command: str, name: str) -> int:
    from qwen_demo.http.credentials import hash_of_password, new_key

    if command == "key":
        key, hashed = new_key()
        print(f"Give this key to {name}; it is not shown again:\n{key}", file=sys.stderr)
    else:
        hashed = hash_of_password(getpass.getpass(f"Password of {name}: "))
    print(f"{name}:{hashed}")
    return 0


async def _ask(settings: Settings, images: list[str], question: str, sampling: Sampling) -> int:
    from qwen_demo.server.app import build_engine
    from qwen_demo.service.service import Service

    parts = [await _open(name, settings) for name in images]
    service = Service(settings.model_copy(update={"warmup": False}), build_engine(settings))
    service.start()
    await service.loaded()
    try:
        if service.failure:
            raise service.failure
        request = ChatRequest((Message("user", (*parts, Text(question))),), sampling)
        async with aclosing(service.answer(request, front="cli")) as events:
            async for event in events:
                if isinstance(event, Finished):
                    _report(event)
                else:
                    print(event.text, end="", flush=True)
    finally:
        await service.close()
    return 0


def _open(name: str, settings: Settings) -> Awaitable[Part]:
    from qwen_demo import media

    if name.startswith(("https:", "http:", "data:")):
        return media.load_url(name, settings)
    path = Path(name)
    if not path.is_file():
        raise InvalidRequest(f"{name}: there is no such file. Images come first, the question last, in quotes.")
    return media.load_path(str(path), settings, allowed_roots=[path.resolve().parent])


def _report(finished: Finished) -> None:
    print(flush=True)
    if finished.reason != "stop":
        print(f"(ended by {finished.reason})", file=sys.stderr)


def _run() -> int:
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    warnings.simplefilter("ignore")
    try:
        return main(sys.argv[1:])
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except QwenDemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(_run())
