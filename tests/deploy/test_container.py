"""What operators deploy beside the app: Prometheus' rules and Grafana's dashboard, against the app's own metrics."""

import json
import re
import subprocess
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qwen_demo import errors
from qwen_demo.engines.scripted import Script
from qwen_demo.settings import Settings
from tests import tools
from tests.api.conftest import App
from tests.conftest import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "qwen-demo.json").read_text(encoding="utf-8"))
HELLO = {"messages": [{"role": "user", "content": "hello there"}]}
# Of the engine's own numbers, those that rules and panels ask for by name.
STATS = {
    "batch_size": 3,
    "process_resident_bytes": 1,
    "gpu_memory_bytes": 1,
    "gpu_memory_used_bytes": 1,
    "gpu_memory_total_bytes": 2,
    "replicas": 2,
    "replicas_ready": 1,
    "replicas_out": 0,
}
# Prometheus adds these to what it scrapes.
ADDED = {"job", "instance", "__name__"}
WORDS_OF_PROMQL = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool"}


@pytest.fixture(scope="module")
def promtool():
    path = tools.promtool()

    def run(*arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run([path, *arguments], cwd=PROMETHEUS, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def scraped() -> str:
    """`/metrics` of the app after an answer, a refusal and a rejection."""
    app = App(Settings(warmup=False, canary_s=0, grace_s=1, max_waiting=0), Script(["one ", "two"]))
    healthy = app.engine.health
    try:
        with app.client() as client:
            assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
            assert client.post("/inference", json={"prompt": "hi", "temperature": 9}).status_code == 400
            app.engine.health = lambda: replace(healthy(), slots=0, stats=STATS)
            assert client.post("/inference", json={"prompt": "hi"}).status_code == 429
            return client.get("/metrics").text
    finally:
        app.stop()


@pytest.fixture(scope="module")
def exported(scraped) -> dict[str, set[str]]:
    """Every sample's name and its labels."""
    names: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names | {"up": set()}


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    queries += [
        re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"]).group(1)
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    return [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]


def alert_queries() -> list[str]:
    text = re.sub(r"^\s*#.*$", "", (PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"), flags=re.M)
    found = re.findall(r"^ +expr: (?:\|\n(.*?)|([^|\n]+)\n)(?= +for:)", text, flags=re.M | re.S)
    assert len(found) == text.count("- alert:")
    return [block or line for block, line in found]


def used(query: str) -> tuple[set[str], set[str], list[tuple[str, set[str]]]]:
    """Names of metrics, labels that are grouped by, and each selector's name and labels."""
    grouped = {label.strip() for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query) for label in group.split(",")}
    bare = re.sub(r"\b(?:by|on)\s*\([^)]*\)", " ", query)
    selectors = [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', labels))))
        for name, labels in re.findall(r"([a-zA-Z_:][\w:]*)?\{([^}]*)\}", bare)
    ]
    bare = re.sub(r'\{[^}]*\}|\[[^]]*\]|"[^"]*"|\b[0-9.]+[smhd]?\b', " ", bare)
    names = set(re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare)) - WORDS_OF_PROMQL
    return names, grouped, selectors


def test_the_scrape_configuration_and_its_rules_are_valid(promtool):
    assert "1 rule files found" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_when_it_should_and_not_before(promtool):
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_no_alert_is_untested():
    alerts = re.findall(r"- alert: (\w+)", (PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    tested = (PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8")
    assert len(alerts) >= 8
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n\s+exp_alerts:\n", tested), alert


def test_each_query_of_the_dashboard_is_valid(promtool, tmp_path):
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(dashboard_queries())]
    path = tmp_path / "queries.json"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_the_metrics_follow_prometheus_conventions(promtool, scraped):
    promtool("check", "metrics", stdin=re.sub(r"^python_gc.*\n|^# \w+ python_gc.*\n", "", scraped, flags=re.M))


@pytest.mark.parametrize("query", [*alert_queries(), *dashboard_queries()])
def test_each_query_asks_for_names_and_labels_that_the_app_exports(query, exported):
    names, grouped, selectors = used(query)
    if 'qwen_engine_.+"' not in query:
        assert names
    assert names <= set(exported), names - set(exported)
    for name, labels in selectors:
        assert labels <= exported.get(name, set()) | ADDED, query
    assert grouped <= set().union(ADDED, *(exported[name] for name in names))


def test_the_engines_own_numbers_have_the_prefix_that_the_dashboard_looks_for(exported):
    assert exported["qwen_engine_batch_size"] == set()
    assert any('__name__=~"qwen_engine_.+"' in query for query in dashboard_queries())


def test_a_wrong_name_or_label_would_be_noticed(exported):
    names, grouped, _ = used('sum by (colour) (rate(qwen_nothing_total{job="a"}[5m])) / on (job) group_left() up > 2h')
    assert names == {"qwen_nothing_total", "up"}
    assert grouped == {"colour", "job"}
    assert used('a{b="c", d=~"e=f"}')[2] == [("a", {"b", "d"})]


def test_outcomes_and_reasons_in_queries_are_codes_of_errors_or_ends_of_answers():
    codes = {cls.code for cls in vars(errors).values() if isinstance(cls, type) and hasattr(cls, "code")}
    text = "\n".join([*alert_queries(), *dashboard_queries()])
    asked = {code for group in re.findall(r'(?:outcome|reason)=~?"([^"]*)"', text) for code in group.split("|")}
    assert {"engine_failed", "out_of_memory", "overloaded"} <= asked
    assert asked <= codes | {"stop", "length", "repetition", "tool_calls", "content_filter", "cancelled"}


def test_the_alerts_about_the_servers_faults_miss_none():
    callers = (errors.InvalidRequest, errors.SettingsError, errors.Overloaded, errors.NotReady, errors.ModelLoadError)
    faults = {
        cls.code
        for cls in vars(errors).values()
        if isinstance(cls, type) and hasattr(cls, "code") and not issubclass(cls, callers)
    }
    (query,) = [query for query in alert_queries() if "engine_failed" in query]
    assert set(re.search(r'outcome=~"([^"]*)"', query).group(1).split("|")) == faults


def test_legends_name_labels_that_their_queries_keep(exported):
    for panel in panels():
        for target in panel["targets"]:
            names, grouped, _ = used(target["expr"].replace("$__rate_interval", "5m"))
            kept = grouped or ADDED.union(*(exported[name] for name in names))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]


def test_each_panel_has_a_unit_and_a_title_of_its_own():
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels())
    assert DASHBOARD["uid"] == "qwen-demo"
