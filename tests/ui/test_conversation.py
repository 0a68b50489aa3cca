import pytest

from qwen_demo.errors import InvalidRequest, MediaRefused, QwenDemoError
from qwen_demo.media import MediaLoader
from qwen_demo.types import Image, Text
from qwen_demo.ui.conversation import Reader
from tests.conftest import draw


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    draw("red").save(folder / "red.png")
    return folder


@pytest.fixture
def reader(settings, uploads):
    return Reader(MediaLoader.of(settings), [uploads])


async def test_gradios_and_openais_spelling_are_read_alike(reader, uploads):
    path = str(uploads / "red.png")
    gradio = [{"role": "user", "content": [{"type": "file", "file": {"path": path}}, {"type": "text", "text": "hi"}]}]
    plain = [{"role": "user", "content": [{"path": path}, "hi"]}]
    for history in (gradio, plain):
        (message,) = await reader.messages(history)
        assert isinstance(message.parts[0], Image)
        assert message.parts[1] == Text("hi")


async def test_a_string_is_one_text(reader):
    (message,) = await reader.messages([{"role": "user", "content": "hi"}])
    assert message.parts == (Text("hi"),)


async def test_the_system_prompt_stands_first_and_alone(reader):
    history = [{"role": "system", "content": "old"}, {"role": "user", "content": "hi"}]
    messages = await reader.messages(history, "new")
    assert [(m.role, m.text) for m in messages] == [("system", "new"), ("user", "hi")]


@pytest.mark.parametrize("where", ["outside.png", "uploads/../outside.png", "uploads/link.png"])
async def test_files_outside_the_uploads_are_refused(reader, uploads, where):
    draw("blue").save(uploads.parent / "outside.png")
    (uploads / "link.png").symlink_to(uploads.parent / "outside.png")
    with pytest.raises(MediaRefused):
        await reader.messages(
            [{"role": "user", "content": [{"type": "file", "file": {"path": str(uploads.parent / where)}}]}]
        )


@pytest.mark.parametrize(
    "history",
    [
        ["hello"[0:1], 5],
        [None],
        [{"role": "root", "content": "hi"}],
        [{"role": "user", "content": [{"type": "audio", "audio": "x"}]}],
        [{"role": "user", "content": [{"type": "file"}]}],
        [{"role": "user", "content": [{"type": "file", "file": {"path": 5}}]}],
        [{"role": "user", "content": [{"type": "file", "file": None}]}],
        [{"role": "user", "content": [17]}],
        [{"role": "user", "content": 17}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": 3}]}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
    ],
)
async def test_any_other_shape_is_refused_in_words(reader, history):
    with pytest.raises(QwenDemoError) as refused:
        await reader.messages(history)
    assert isinstance(refused.value, InvalidRequest)
