"""Where the page offers other models, and with which one a program begins."""

import pytest

from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.engines.scripted import ScriptedEngine
from qwen_demo.errors import ModelLoadError
from qwen_demo.server.engines import build_changeable
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.remembered import RememberedModel
from qwen_demo.settings import Settings
from qwen_demo.settings.choosing import offers_models


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"model": "embedded"}, True),
        ({"host": "0.0.0.0", "open": True}, False),
        ({"host": "0.0.0.0", "open": True, "model_menu": "on"}, True),
        ({"trusted_proxies": "127.0.0.1"}, False),
        ({"trusted_proxies": "127.0.0.1", "model_menu": "on"}, True),
        ({"model_menu": "off"}, False),
        ({"engine": "scripted", "model_menu": "on"}, False),
        ({"engine": "remote", "base_url": "http://127.0.0.1:9/v1", "model_menu": "on"}, False),
        ({"compare_engine": "generate", "model_menu": "on"}, False),
    ],
)
def test_other_models_are_offered_at_this_machine_and_elsewhere_where_the_operator_says_so(settings, offered):
    assert offers_models(Settings(**settings)) is offered


def test_on_a_space_nobody_changes_the_model_for_all(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    assert not offers_models(Settings(host="127.0.0.1", trusted_proxies=""))


def test_the_engine_is_a_plain_one_where_nothing_is_offered(tmp_path):
    assert isinstance(build_changeable(Settings(engine="scripted", state_dir=tmp_path)), ScriptedEngine)
    assert isinstance(build_changeable(Settings(model_menu="off", state_dir=tmp_path)), ProcessEngine)
    assert isinstance(build_changeable(Settings(state_dir=tmp_path)), ModelSwitch)


def test_a_remembered_model_is_begun_with_unless_another_one_is_named_or_its_files_are_gone(tmp_path, caplog):
    def begins_with(**settings) -> str:
        return build_changeable(Settings(state_dir=tmp_path, **settings)).info.model_id

    remembered = RememberedModel(tmp_path)
    assert begins_with() == "auto"
    remembered.write("embedded")
    assert begins_with() == "embedded"
    assert begins_with(model="somebody/named") == "somebody/named"
    assert begins_with(model_menu="off") == "auto"
    remembered.write("somebody/gone")
    assert begins_with() == "auto"
    assert "somebody/gone was chosen on the page, and its files are gone" in caplog.text
    assert remembered.read() is None


def test_what_can_be_no_model_is_not_offered(tmp_path):
    with pytest.raises(ModelLoadError, match="no such folder"):
        build_changeable(Settings(state_dir=tmp_path, offer_models="embedded,/nowhere"))
