import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_demo.errors import SettingsError
from qwen_demo.settings import (
    MIB,
    Settings,
    apply_environment,
    load_settings,
    page_environment,
    process_environment,
    replica_environments,
)
from qwen_demo.settings.fields import GROUPS
from tests.conftest import ROOT


@pytest.fixture
def env_file(monkeypatch, tmp_path):
    """Writes the lines of `.env`."""

    def write(*lines: str) -> None:
        (tmp_path / ".env").write_text("\n".join(lines) + "\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setitem(Settings.model_config, "env_file", ".env")

    return write


@pytest.fixture
def told(capsys, monkeypatch) -> str:
    """What `--help` prints."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        load_settings(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_defaults_listen_on_loopback_and_gradios_port():
    settings = load_settings([])
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 7860, "auto")


def test_the_command_line_wins_over_the_environment_and_that_over_the_env_file(monkeypatch, env_file):
    env_file("QWEN_DEMO_PORT=1", "QWEN_DEMO_HOST=1.1.1.1", "QWEN_DEMO_MODEL=a/b")
    monkeypatch.setenv("QWEN_DEMO_PORT", "2")
    monkeypatch.setenv("QWEN_DEMO_HOST", "2.2.2.2")
    settings = load_settings(["--port", "3"])
    assert (settings.port, settings.host, settings.model) == (3, "2.2.2.2", "a/b")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--port", "ninety"], "^--port: must be a whole number, not 'ninety'$"),
        (["--port"], "^--port: expected one argument"),
        (["--model", ""], "^--model: nothing is given; without the flag it is auto"),
        (["--api-keys-file", ""], "^--api-keys-file: nothing is given; without the flag it is none"),
        (["--adapters", "a"], "^--adapters: a is not NAME=FOLDER"),
        (["--adapters", "a=/b,a=/c"], "^--adapters: two have the same name$"),
        (["--max-images", "0"], "^--max-images: must be greater than or equal to 1, not '0'$"),
        (
            ["--quantization", "nf4-visoin"],
            r"^--quantization: 'nf4-visoin' is none of auto, .* did you mean nf4-vision\?$",
        ),
        (
            ["--min-pixels", "100000", "--max-pixels", "50000"],
            "^--min-pixels 100000 is larger than --max-pixels 50000$",
        ),
        (["--engine", "remote", "--compare-engine", "generate"], "--engine remote"),
        (["--replicas", "2", "--compare-engine", "generate"], "--replicas"),
        (["--replicas", "2", "--engine", "scripted"], "--replicas"),
        (["--engine", "remote", "--give-way-file", "a"], "--give-way-file.*--engine remote"),
        (["--go-first-file", "a", "--give-way-file", "a"], "--give-way-file.*itself"),
        (["--engine", "scripted", "--compare-quantization", "nf4"], "--compare-quantization"),
        (["hello"], "^'hello' is not expected here"),
        (["--base-url", "http://a/v1"], "^--base-url is for --engine remote or triton, not --engine auto$"),
        (["--engine", "remote", "--base-url", "a:8000/v1"], "^--base-url a:8000/v1 is no address"),
        (["--fetch-hosts", "a.org,https://b.org"], "^--fetch-hosts: https://b.org is no name of a host"),
        (["--fetch-hosts", "*.b.org"], "^--fetch-hosts: .* is no full name of one host"),
        (["--allowed-hosts", "b.org:443"], "^--allowed-hosts: b.org:443 is no name of a host"),
    ],
)
def test_a_bad_value_is_named(argv, named):
    with pytest.raises(SettingsError, match=named):
        load_settings(argv)


def test_an_error_names_where_the_value_came_from(monkeypatch, env_file):
    env_file("# mine", "OTHER=1", "", "export QWEN_DEMO_MAX_IMAGES=none", "QWEN_DEMO_MIN_PIXELS=100000")
    with pytest.raises(
        SettingsError, match=r"^--max-images from QWEN_DEMO_MAX_IMAGES in \.env, line 4: must be a whole"
    ):
        load_settings([])
    monkeypatch.setenv("QWEN_DEMO_MAX_IMAGES", "few")
    with pytest.raises(
        SettingsError, match=r"^--max-images from QWEN_DEMO_MAX_IMAGES: must be a whole number, not 'few'$"
    ):
        load_settings([])
    with pytest.raises(SettingsError, match=r"^--max-images: must be a whole number, not 'many'$"):
        load_settings(["--max-images", "many"])
    with pytest.raises(
        SettingsError, match=r"larger than .*; --min-pixels is from QWEN_DEMO_MIN_PIXELS in \.env, line 5$"
    ):
        load_settings(["--max-images", "1", "--max-pixels", "50000"])


def test_an_adapter_of_the_environment_is_named_with_its_variable(monkeypatch):
    monkeypatch.setenv("QWEN_DEMO_ADAPTERS", "a")
    with pytest.raises(SettingsError, match=r"^--adapters: a is not .*; --adapters is from QWEN_DEMO_ADAPTERS$"):
        load_settings([])


def test_a_bad_port_of_gradios_own_variable_is_named_too(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_PORT", "ninety")
    with pytest.raises(SettingsError, match=r"^--port from GRADIO_SERVER_PORT: must be a whole number"):
        load_settings([])


@pytest.mark.parametrize("asked", ["4", "0"])
def test_several_workers_are_refused_with_the_reason_and_what_to_do(asked, monkeypatch):
    with pytest.raises(SettingsError, match=r"--workers: .*each load the model anew.*CUDA_VISIBLE_DEVICES"):
        load_settings(["--workers", asked])
    monkeypatch.setenv("QWEN_DEMO_WORKERS", asked)
    with pytest.raises(SettingsError, match="workers"):
        load_settings([])
    assert load_settings(["--workers", "1"]).workers == 1


@pytest.mark.parametrize("argv", [["--max-imges", "4"], ["--max-imges=4"]])
def test_an_unknown_flag_is_refused_with_the_one_that_was_meant(argv):
    with pytest.raises(SettingsError, match=r"there is no flag --max-imges; did you mean --max-images\?"):
        load_settings(argv)


def test_a_flag_is_not_guessed_from_its_beginning():
    with pytest.raises(SettingsError, match="there is no flag --max-image-by"):
        load_settings(["--max-image-by", "5"])


def test_an_unknown_variable_of_ours_is_refused_with_the_one_that_was_meant(monkeypatch):
    monkeypatch.setenv("QWEN_DEMO_PROT", "1")
    with pytest.raises(SettingsError, match=r"QWEN_DEMO_PROT; did you mean QWEN_DEMO_PORT\?"):
        load_settings([])


def test_an_unknown_line_of_ours_in_the_env_file_is_refused_with_the_one_that_was_meant(env_file):
    env_file("SOMEBODY_ELSES=1", "", "QWEN_DEMO_PROT=1")
    with pytest.raises(SettingsError, match=r"QWEN_DEMO_PROT in \.env, line 3; did you mean QWEN_DEMO_PORT\?"):
        load_settings([])


def test_a_setting_that_is_not_there_is_refused_in_code_too():
    with pytest.raises(TypeError, match="prot"):
        Settings(prot=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [("20MiB", 20 * MIB), ("512 kib", 512 * 1024), ("2GiB", 2048 * MIB), ("1.5MiB", MIB * 3 // 2), ("4096", 4096)],
)
def test_sizes_are_written_as_people_do(text, value, monkeypatch):
    assert load_settings(["--max-image-bytes", text]).max_image_bytes == value
    monkeypatch.setenv("QWEN_DEMO_MAX_VIDEO_BYTES", text)
    assert load_settings([]).max_video_bytes == value


@pytest.mark.parametrize("text", ["20MB", "MiB", "1e3", "-5MiB", "many"])
def test_a_size_that_could_mean_two_things_is_refused(text):
    with pytest.raises(SettingsError, match=r"^--max-image-bytes: a size is a number of bytes"):
        load_settings([f"--max-image-bytes={text}"])


def test_every_field_ending_in_bytes_takes_sizes():
    fields = [name for name in Settings.model_fields if name.endswith("_bytes")]
    assert len(fields) >= 5
    for name in fields:
        assert getattr(load_settings([f"--{name.replace('_', '-')}", "2GiB"]), name) == 2048 * MIB


def test_the_token_is_not_shown():
    settings = load_settings(["--hf-token", "hf_secret"])
    assert "hf_secret" not in repr(settings) + str(settings)


SEVERAL = [name for name, field in Settings.model_fields.items() if field.annotation == tuple[str, ...]]
TWO_OF = {
    "adapters": "forms=/a,parts=/b",
    "base_url": "http://a/v1,http://b/v1",
    "cors_origins": "https://a.org,https://b.org",
}


@pytest.mark.parametrize("name", SEVERAL)
def test_whatever_may_be_several_is_given_with_commas_on_the_command_line(name):
    two = TWO_OF.get(name, "a.org,b.org")
    engine = ["--engine", "remote"] if name == "base_url" else []
    settings = load_settings([*engine, f"--{name.replace('_', '-')}", two.replace(",", ", ")])
    assert getattr(settings, name) == tuple(two.split(","))


def test_hosts_are_given_with_commas_or_one_by_one():
    assert load_settings(["--fetch-hosts", "A.org, b.org"]).fetch_hosts == ("a.org", "b.org")
    assert load_settings(["--fetch-hosts", "A.org", "--fetch-hosts", "b.org"]).fetch_hosts == ("a.org", "b.org")


def test_what_is_on_can_be_switched_off(monkeypatch):
    assert load_settings([]).warmup
    assert not load_settings(["--no-warmup"]).warmup
    monkeypatch.setenv("QWEN_DEMO_WARMUP", "false")
    assert not load_settings([]).warmup
    assert load_settings(["--warmup"]).warmup


def test_a_space_is_reachable_from_outside(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/demo")
    assert load_settings([]).host == "0.0.0.0"
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    assert load_settings([]).port == 7999


def test_help_lists_every_setting_under_the_heading_of_its_group(told):
    headings = [(group.__doc__ or "").removesuffix(".") + ":" for group in GROUPS]
    sections = re.split("|".join(rf"^{heading}$" for heading in headings), told, flags=re.M)[1:]
    assert len(sections) == len(GROUPS)
    for group, section in zip(GROUPS, sections, strict=True):
        listed = re.findall(r"^  (--[a-z-]+)", section, re.M)
        assert listed == [f"--{name.replace('_', '-')}" for name in group.model_fields]
    assert {name for group in GROUPS for name in group.model_fields} == set(Settings.model_fields)


def test_help_spells_each_default_as_a_person_would(told):
    defaults = re.findall(r"\(default: ([^)]+)\)", re.sub(r"\s+", " ", told))
    assert len(defaults) == len(Settings.model_fields)
    assert {"20 MiB", "4 GiB", "67_000_000", "the model's own", "as many as memory holds", "on", "off", "7860"} <= {
        *defaults
    }
    assert not {"None", "", "0", "()", "True", "False"} & {*defaults}
    assert not [text for text in defaults if re.fullmatch(r"\d{6,}", text)]


def test_help_says_how_a_flag_is_written_as_a_variable(told):
    assert "--max-images 4 is QWEN_DEMO_MAX_IMAGES=4" in re.sub(r"\s+", " ", told)


def test_reading_settings_leaves_the_environment_as_it_is(env_file):
    env_file("QWEN_DEMO_PORT=1")
    before = dict(os.environ)
    load_settings(["--model", "embedded"])
    process_environment()
    page_environment(ROOT)
    assert dict(os.environ) == before


def test_what_a_person_set_for_torch_wins_over_ours():
    assert process_environment({})["OMP_WAIT_POLICY"] == "PASSIVE"
    assert process_environment({"OMP_WAIT_POLICY": "ACTIVE", "PYTORCH_CUDA_ALLOC_CONF": "x"}) == {}


def test_the_folder_of_uploads_wins_over_gradios_own_variable(tmp_path):
    given = {"GRADIO_TEMP_DIR": "/tmp/gradio", "GRADIO_ANALYTICS_MAX_EVENTS": "7"}
    wanted = page_environment(tmp_path, given)
    assert wanted["GRADIO_TEMP_DIR"] == str(tmp_path)
    assert "GRADIO_ANALYTICS_MAX_EVENTS" not in wanted


def test_the_environment_is_written_for_this_process_and_its_children(monkeypatch):
    monkeypatch.setenv("TRIED", "no")
    apply_environment({"TRIED": "yes"})
    program = "import os; print(os.environ['TRIED'])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "yes\n"


def test_the_environment_is_written_in_one_place():
    writes = r"os\.environ\[[^]]+\] *=(?!=)|os\.environ\.(?:setdefault|update|pop)|os\.(?:putenv|unsetenv)"
    files = [*(ROOT / "qwen_demo").rglob("*.py"), ROOT / "app.py"]
    writing = {str(path.relative_to(ROOT)) for path in files if re.search(writes, path.read_text())}
    assert writing == {"qwen_demo/settings/environment.py"}


@pytest.mark.parametrize(
    ("named", "count", "shares"),
    [
        ("0,1", 2, ["0", "1"]),
        ("3, 1 ,2,0", 2, ["3,1", "2,0"]),
        ("0,1,2", 2, ["0", "1"]),
        ("GPU-8f,MIG-1/0", 2, ["GPU-8f", "MIG-1/0"]),
        ("", 3, ["", "", ""]),
    ],
    ids=["one each", "two each, as named", "one is left over", "by their ids", "none to be seen"],
)
def test_replicas_get_equal_shares_of_the_gpus(named, count, shares):
    made = replica_environments(count, {"CUDA_VISIBLE_DEVICES": named, "HOME": "/home/me"})
    assert [each["CUDA_VISIBLE_DEVICES"] for each in made] == shares
    assert {each["HOME"] for each in made} == {"/home/me"}


def test_without_names_the_machines_own_gpus_are_shared(monkeypatch):
    files = [Path("/dev") / name for name in ("nvidia6", "nvidia2")]
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: files if folder == Path("/dev") else [])
    assert [each["CUDA_VISIBLE_DEVICES"] for each in replica_environments(2, {})] == ["0", "1"]


def test_more_replicas_than_gpus_are_refused_by_number():
    with pytest.raises(SettingsError, match=r"--replicas 3 needs 3 GPUs.*there are 2 \(0, 1;"):
        replica_environments(3, {"CUDA_VISIBLE_DEVICES": "0,1"})
