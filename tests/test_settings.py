import pytest

from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings, load_settings


def test_defaults_listen_on_loopback_and_gradios_port():
    settings = load_settings([])
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 7860, "auto")


def test_the_command_line_wins_over_the_environment_and_that_over_the_env_file(monkeypatch, tmp_path):
    (tmp_path / "my.env").write_text("QWEN_DEMO_PORT=1\nQWEN_DEMO_HOST=1.1.1.1\nQWEN_DEMO_MODEL=a/b\n")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / "my.env")
    monkeypatch.setenv("QWEN_DEMO_PORT", "2")
    monkeypatch.setenv("QWEN_DEMO_HOST", "2.2.2.2")
    settings = load_settings(["--port", "3"])
    assert (settings.port, settings.host, settings.model) == (3, "2.2.2.2", "a/b")


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--port", "ninety"], "--port"),
        (["--max-images", "0"], "--max-images"),
        (["--quantization", "fp3"], "--quantization"),
        (["--min-pixels", "100000", "--max-pixels", "50000"], "min_pixels"),
        (["--engine", "remote", "--compare-engine", "generate"], "--engine remote"),
        (["--engine", "scripted", "--compare-quantization", "nf4"], "--compare-quantization"),
    ],
)
def test_a_bad_value_is_named(argv, named):
    with pytest.raises(SettingsError, match=named):
        load_settings(argv)


@pytest.mark.parametrize("asked", ["4", "0"])
def test_several_workers_are_refused_with_the_reason_and_what_to_do(asked, monkeypatch):
    with pytest.raises(SettingsError, match=r"--workers: .*each load the model anew.*CUDA_VISIBLE_DEVICES"):
        load_settings(["--workers", asked])
    monkeypatch.setenv("QWEN_DEMO_WORKERS", asked)
    with pytest.raises(SettingsError, match="workers"):
        load_settings([])
    assert load_settings(["--workers", "1"]).workers == 1


def test_an_unknown_flag_stops_the_program(capsys):
    with pytest.raises(SystemExit):
        load_settings(["--prot", "1"])
    assert "--prot" in capsys.readouterr().err


def test_an_unknown_variable_of_ours_is_named(monkeypatch):
    monkeypatch.setenv("QWEN_DEMO_PROT", "1")
    with pytest.raises(SettingsError, match="QWEN_DEMO_PROT"):
        load_settings([])


def test_the_token_is_not_shown():
    settings = load_settings(["--hf-token", "hf_secret"])
    assert "hf_secret" not in repr(settings) + str(settings)


def test_hosts_are_given_with_commas():
    assert load_settings(["--fetch-hosts", "A.org, b.org"]).fetch_hosts == ("a.org", "b.org")


def test_a_space_is_reachable_from_outside(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/demo")
    assert load_settings([]).host == "0.0.0.0"
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    assert load_settings([]).port == 7999
