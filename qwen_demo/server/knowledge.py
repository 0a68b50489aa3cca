"""`qwen-demo knowledge`: collections of documents on the terminal, without a server.

A model is loaded only if a page has no words of its own. What is added here, a server that runs finds at once: both
open the same files.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.sentences import counted, printable
from qwen_demo.settings import FlagParser, Settings, apply_environment, process_environment, read_settings

_ACTIONS = (
    "list | add NAME FILE_OR_FOLDER ... | show NAME | search NAME QUESTION | stop NAME | continue NAME | "
    "rename NAME NEW | remove NAME [FILE] | export NAME FILE | import NAME FILE"
)
WATCHED_EVERY_S = 5.0
_LEFT_OUT = (".", "~$")  # hidden files, and those that Office writes while it has a file open


def knowledge(argv: Sequence[str], prog: str) -> int:
    """Do one thing with collections; gives the exit code, 1 where a file could not be read."""
    parser = FlagParser(prog, "Collections of your own documents.", usage=f"{_ACTIONS} [settings]", listed=False)
    parser.add_argument("action", choices=list(_DO), help=_ACTIONS)
    parser.add_argument("words", nargs="*", metavar="...", help="what the action takes")
    parser.add_argument("--owner", default="", help="whose, such as key:anna or user:anna; else those without keys")
    parser.add_argument("--top-k", type=int, default=5, help="pages that a search gives, 5 by default")
    given, options = parser.read(argv)
    least, do = _DO[options.action]
    if len(options.words) < least:
        raise InvalidRequest(f"{options.action} takes more words: {_ACTIONS}")
    if options.owner and not options.owner.startswith(("key:", "user:")):
        raise InvalidRequest(f"--owner {options.owner}: say key:NAME or user:NAME.")
    settings = read_settings(given)
    apply_environment(process_environment())
    return asyncio.run(_with_collections(settings, do, options))


async def _with_collections(settings: Settings, do: "_Do", options: Any) -> int:
    from qwen_demo.knowledge.knowledge import LOCAL, Knowledge
    from qwen_demo.media import MediaLoader
    from qwen_demo.server.engines import build_engine
    from qwen_demo.service.service import Service

    service = Service(settings.model_copy(update={"warmup": False}), build_engine(settings))
    begun = False

    async def model_there() -> None:
        nonlocal begun
        if not begun:
            begun = True
            service.start()
        await service.loaded()

    async with aclosing(MediaLoader.of(settings)) as loader:
        collections = Knowledge(settings, loader, service, model_there)
        try:
            return await do(collections, options.owner or LOCAL, options)
        finally:
            await collections.close()
            await service.close()


async def _list(collections: Any, owner: str, options: Any) -> int:
    known = await collections.collections(owner)
    for each in known:
        pages = counted(each.pages, "page")
        print(f"{each.name}: {counted(len(each.files), 'file')}, {each.pages_done:,} of {pages} read")
    if not known:
        print("There are no collections yet.", file=sys.stderr)
    return 0


async def _show(collections: Any, owner: str, options: Any) -> int:
    files = (await collections.collection(owner, options.words[0])).files
    for entry in files:
        problem = f"  {printable(entry.problem)}" if entry.problem else ""
        print(f"{entry.name}: {entry.state}, {entry.pages_done:,} of {counted(entry.pages, 'page')}{problem}")
    if not files:
        print(f"{options.words[0]} holds no files.", file=sys.stderr)
    return 0


async def _add(collections: Any, owner: str, options: Any) -> int:
    name, *paths = options.words
    files = [pair for path in paths for pair in _files(Path(path))]
    known, failed = await collections.known_digests(owner, name), 0
    for number, (called, path) in enumerate(files, 1):
        which = printable(f"[{number}/{len(files)}] {called}")
        try:
            collections.check_size(called, path.stat().st_size)
            if known.get(called) == await asyncio.to_thread(_digest, path):
                print(f"{which}: unchanged")
                continue
            adding = collections.add(owner, name, called, await asyncio.to_thread(path.read_bytes))
            entry = await _watched(collections, owner, (name, called), asyncio.ensure_future(adding))
        except (OSError, QwenDemoError) as error:
            failed += 1
            print(f"{which}: {printable(str(error))}", file=sys.stderr)
            continue
        failed += entry.state == "failed"
        words = f"{entry.state}, {counted(entry.pages_done, 'page')}" + (f"  {entry.problem}" if entry.problem else "")
        print(f"{which}: {printable(words)}", flush=True)
    if failed < len(files):
        await _make_vectors(collections, owner, name)
    return 1 if failed else 0


async def _watched(collections: Any, owner: str, place: tuple[str, str], adding: "asyncio.Future[Any]") -> Any:
    """The result of `adding`; meanwhile, how far it is, to standard error."""
    while not (await asyncio.wait([adding], timeout=WATCHED_EVERY_S))[0]:
        with suppress(QwenDemoError):
            entry = await collections.file(owner, *place)
            pages = counted(entry.pages, "page") if entry.pages else "? pages"
            print(f"    {entry.pages_done:,} of {pages}", file=sys.stderr, flush=True)
    return adding.result()


def _files(path: Path) -> list[tuple[str, Path]]:
    """Names in the collection, and paths. Raises `InvalidRequest` where there is nothing."""
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise InvalidRequest(f"{path}: there is no such file or folder.")
    found = (each for each in sorted(path.rglob("*")) if each.is_file())
    inner = [(each.relative_to(path), each) for each in found]
    return [(str(name), each) for name, each in inner if not any(part.startswith(_LEFT_OUT) for part in name.parts)]


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _search(collections: Any, owner: str, options: Any) -> int:
    from qwen_demo.knowledge.knowledge import MOST_TOP_K

    name, *question = options.words
    if not 1 <= options.top_k <= MOST_TOP_K:
        raise InvalidRequest(f"--top-k {options.top_k}: it may be 1 to {MOST_TOP_K}.")
    hits = await collections.search(owner, name, " ".join(question), options.top_k)
    for hit in hits:
        text = printable(" ".join(hit.text.split())[:300])
        print(f"{hit.score:.3f}  {hit.page.file}, page {hit.page.number}\n       {text}")
    if not hits:
        print("No page has any of these words.", file=sys.stderr)
    return 0 if hits else 1


async def _stop(collections: Any, owner: str, options: Any) -> int:
    await collections.stop(owner, options.words[0])
    return await _show(collections, owner, options)


async def _go_on(collections: Any, owner: str, options: Any) -> int:
    await collections.go_on(owner, options.words[0], to_the_end=True)
    return await _show(collections, owner, options)


async def _rename(collections: Any, owner: str, options: Any) -> int:
    await collections.rename(owner, options.words[0], options.words[1])
    print(f"{options.words[0]} is {options.words[1]} now")
    return 0


async def _remove(collections: Any, owner: str, options: Any) -> int:
    name, *files = options.words
    for file in files:
        await collections.remove_file(owner, name, file)
        print(f"{file}: removed from {name}", flush=True)
    if not files:
        files = (await collections.collection(owner, name)).files
        await collections.remove(owner, name)
        print(f"{name}: removed, with {counted(len(files), 'file')}")
    return 0


@contextmanager
def _to_be_written(path: str) -> Iterator[BinaryIO]:
    """A file that is there once all of it is; - is standard output."""
    if path == "-":
        yield sys.stdout.buffer
        return
    part = Path(f"{path}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _to_be_read(path: str) -> Iterator[BinaryIO]:
    """- is standard input. Raises `InvalidRequest` where there is no such file."""
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InvalidRequest(f"{path}: there is no such file.") from error


async def _export(collections: Any, owner: str, options: Any) -> int:
    name, path = options.words[:2]
    with _to_be_written(path) as file:
        left_out = await collections.moving.out(owner, name, file)
    print(f"{name} written to {path}", file=sys.stderr)
    for missing in left_out:
        print(f"{missing}: left out, as the file itself is gone from the disk", file=sys.stderr)
    return 1 if left_out else 0


async def _import(collections: Any, owner: str, options: Any) -> int:
    name, path = options.words[:2]
    with _to_be_read(path) as file:
        await collections.moving.bring(owner, name, file)
    await _make_vectors(collections, owner, name)
    return await _show(collections, owner, options)


async def _make_vectors(collections: Any, owner: str, name: str) -> None:
    try:
        await collections.vectors_made(owner, name)
    except QwenDemoError as error:
        print(f"Pages are found by words alone for now: {error}", file=sys.stderr)


_Do = Callable[[Any, str, Any], Awaitable[int]]
_DO: dict[str, tuple[int, _Do]] = {
    "list": (0, _list),
    "add": (2, _add),
    "show": (1, _show),
    "search": (2, _search),
    "stop": (1, _stop),
    "continue": (1, _go_on),
    "rename": (2, _rename),
    "remove": (1, _remove),
    "export": (2, _export),
    "import": (2, _import),
}
