"""A data file or a folder of such files -> rows and problems, a line at a time."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from qwen_demo.errors import InvalidRequest, MediaRefused
from qwen_demo.finetune.formats import BadRow, row_of
from qwen_demo.finetune.rows import PARTS, ImageFile, PartOf, Read, RowProblem
from qwen_demo.media import decode_data_url
from qwen_demo.settings import MIB, Settings

MAX_LINE_BYTES = 64 * MIB
MAX_LIST_BYTES = 256 * MIB  # of a .json file, which has to be read whole
READ = (".jsonl", ".json", ".csv")


class Images:
    """Where the images of data files are: beside the file, under folders that were named, or in `kept`.

    Args:
        roots: folders under which files may lie; relative names are tried in each.
        kept: a folder for what data: URLs hold, by its hash.
    """

    def __init__(self, settings: Settings, roots: Iterable[Path], kept: Path):
        self.settings, self.kept = settings, kept
        self.roots = tuple(dict.fromkeys(root.resolve() for root in roots))

    @property
    def allowed(self) -> tuple[Path, ...]:
        return (*self.roots, self.kept.resolve())

    def image(self, said: str) -> ImageFile:
        """Raises `BadRow`."""
        scheme = said[:8].lower()
        if scheme.startswith("data:"):
            return self._kept(said)
        if scheme.startswith("https://"):
            return ImageFile(said, said[:80])
        if "://" in said[:12] and not scheme.startswith("file://"):
            raise BadRow(f"names an image by {said[:40]!r}; taken are paths, data: and https: URLs.")
        path = Path(said[7:] if scheme.startswith("file://") else said)
        for candidate in [path] if path.is_absolute() else [root / path for root in self.roots]:
            if _is_file(candidate):
                if any(candidate.resolve().is_relative_to(root) for root in self.allowed):
                    return ImageFile(str(candidate), said[-80:])
                raise BadRow(f"names {said}, which lies outside of the data's folder. Name its folder with --images.")
        raise BadRow(f"names the image {said[-120:]}, and there is no such file. Name its folder with --images.")

    def _kept(self, url: str) -> ImageFile:
        try:
            data = decode_data_url(url, self.settings, kind="image", name="image")
        except MediaRefused as error:
            raise BadRow(str(error)) from error
        path = self.kept / hashlib.sha256(data).hexdigest()
        if not path.exists():
            self.kept.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.part")
            partial.write_bytes(data)
            os.replace(partial, path)
        return ImageFile(str(path), "an image in the data")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a name may be: base64 without its scheme, say
        return False


def files_of(data: Path) -> list[Path]:
    """The data files that `data` means. Raises `InvalidRequest` where there is none."""
    if data.is_file():
        if data.suffix.lower() not in READ:
            raise InvalidRequest(f"{data} is none of {', '.join(READ)}.")
        return [data]
    if not data.is_dir():
        raise InvalidRequest(f"{data}: there is no such file or folder.")
    found = sorted(path for path in data.iterdir() if path.suffix.lower() in READ and not path.name.startswith("."))
    if not found:
        raise InvalidRequest(f"{data} has no {', '.join(READ)} file in it.")
    return found


def read(files: Iterable[Path], images: Images, question: str = "") -> Read:
    """Every line as a `Row`, or as a `RowProblem` that says why it is none."""
    for file in files:
        part = _part_of(file)
        for where, item in _items(file):
            if isinstance(item, RowProblem):
                yield item
                continue
            try:
                yield row_of(item, where, images, part=part, question=question)
            except BadRow as bad:
                yield RowProblem(where, str(bad))


def _part_of(file: Path) -> PartOf:
    words = file.stem.lower().replace(".", "_").split("_")
    return next((PARTS[word] for word in (file.stem.lower(), *words) if word in PARTS), "")


def _items(file: Path) -> Iterator[tuple[str, Any]]:
    """Each object and where it stands; a `RowProblem` in its place where it cannot be read."""
    kinds = {".jsonl": _lines, ".json": _list, ".csv": _table}
    try:
        yield from kinds[file.suffix.lower()](file)
    except OSError as error:
        yield file.name, RowProblem(file.name, f"cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        yield file.name, RowProblem(file.name, "is not UTF-8. Save it as UTF-8.")
    except csv.Error as error:
        yield file.name, RowProblem(file.name, f"is no CSV: {error}.")


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open("rb") as opened:
        number = 0
        while line := opened.readline(MAX_LINE_BYTES + 1):
            number += 1
            where = f"{file.name}:{number}"
            if len(line) > MAX_LINE_BYTES:
                yield where, RowProblem(where, f"is longer than {MAX_LINE_BYTES // MIB} MiB; the rest was not read.")
                return
            if line.strip():
                yield where, _whole(_parsed(line, where), where)


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return RowProblem(where, "is not UTF-8. Save it as UTF-8.")
    except RecursionError:
        return RowProblem(where, "is nested too deeply.")
    except ValueError as error:
        return RowProblem(where, f"is not JSON: {error}.")


def _whole(item: Any, where: str) -> Any:
    """Half of a surrogate pair can stand in JSON as an escape, but is no character."""
    try:
        json.dumps(item, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return RowProblem(where, "holds half of a surrogate pair, which is no character.")
    return item


def _list(file: Path) -> Iterator[tuple[str, Any]]:
    if file.stat().st_size > MAX_LIST_BYTES:
        most = MAX_LIST_BYTES // MIB
        yield (
            file.name,
            RowProblem(file.name, f"has more than {most} MiB in one list. Save it as .jsonl, a row a line."),
        )
        return
    found = _parsed(file.read_bytes(), file.name)
    if isinstance(found, RowProblem):
        yield file.name, found
        return
    for number, item in enumerate(found if isinstance(found, list) else [found], 1):
        where = f"{file.name}[{number}]"
        yield where, _whole(item, where)


def _table(file: Path) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(MAX_LINE_BYTES)  # for a process; its default is less than a photograph in a field
    with file.open(encoding="utf-8-sig", newline="") as opened:
        table = csv.DictReader(opened)
        if not {"image", "answer"} <= set(table.fieldnames or ()):
            columns = ", ".join(table.fieldnames or ()) or "none"
            yield file.name, RowProblem(file.name, f"needs columns image and answer; it has {columns}.")
            return
        for line in table:
            where = f"{file.name}:{table.line_num}"
            if None in line or None in line.values():
                yield where, RowProblem(where, "has more or fewer fields than the first line.")
            else:
                yield where, line
