"""What the page weighs and how soon it can be used, beside a bare chat of the same Gradio:

    python -m benchmarks.page                   first visits and later ones
    python -m benchmarks.page --long            a conversation of 200 questions, while 50 others are answered

Needs requirements-dev.txt and a Chromium (`python tests/browser.py` installs one). Both pages are on this machine and take
turns in one browser; a foreign host that a page names fails at once. Medians; on a busy machine only bytes, nodes
and ratios mean something. `main thread s` is the browser's work, which a busy machine lengthens less.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

import httpx
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

from benchmarks import machine
from benchmarks.running import app, read_address
from tests.browser import find

WINDOW = {"width": 1280, "height": 860}
# As small as a chat about images can be in Gradio; it prints what `read_address` waits for.
BARE = """
import gradio as gr
chat = gr.ChatInterface(lambda message, history: message["text"], multimodal=True)
_, url, _ = chat.launch(prevent_thread_lock=True, quiet=True, server_port=None)
print("A demo:", url.rstrip("/"), flush=True)
print("Ready after", flush=True)
chat.block_thread()
"""
# Runs before the page's own scripts: when there is a box to type into, and when that is Gradio's own.
WATCH = """
(() => {
  window.typed = window.drawn = null;
  const look = () => {
    const boxes = [...document.querySelectorAll("textarea")].filter((box) => !box.disabled && box.getClientRects().length);
    if (boxes.length) window.typed ??= performance.now();
    if (boxes.some((box) => !box.closest("#early"))) window.drawn = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})();
"""
TYPED = "How many of the things in this picture are red?"
# No request under way, and none new for this long: the page has all it wants.
QUIET_MS = 700


@contextlib.contextmanager
def bare() -> Iterator[str]:
    """The address of a page with nothing but `gr.ChatInterface`."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE],
        env={**os.environ, "PYTHONUNBUFFERED": "1", "GRADIO_ANALYTICS_ENABLED": "False"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield read_address(process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find(),
            args=[
                "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )  # fmt: skip
        yield browser
        browser.close()


def measured(devtools: CDPSession) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}


def key_cost_ms(page: Page, devtools: CDPSession) -> float:
    """Of the browser's main thread, for one key in the box of the question; what the page does meanwhile is in it."""
    page.locator("textarea:visible").first.focus()
    page.keyboard.type(TYPED, delay=20)  # the first ones draw the button
    before = measured(devtools)["TaskDuration"]
    page.keyboard.type(TYPED, delay=20)
    page.wait_for_timeout(QUIET_MS)
    return 1000 * (measured(devtools)["TaskDuration"] - before) / len(TYPED)


def visit(context: BrowserContext, url: str, slowdown: int) -> dict:
    """Open the page anew in `context`, whose cache may know it; figures once the page is quiet."""
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    for domain in ("Network", "Performance", "HeapProfiler"):
        devtools.send(f"{domain}.enable")
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    seen = {"requests": 0, "kB": 0.0}

    def asked(event: dict) -> None:
        seen["requests"] += event["request"]["url"].startswith(url)

    def finished(event: dict) -> None:
        seen["kB"] += event["encodedDataLength"] / 1000

    devtools.on("Network.requestWillBeSent", asked)
    devtools.on("Network.loadingFinished", finished)
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_function("window.drawn !== null", timeout=120_000)
    last = -1
    while seen["requests"] != last:
        last = seen["requests"]
        page.wait_for_timeout(QUIET_MS)
    work = measured(devtools)
    key_ms = key_cost_ms(page, devtools)
    devtools.send("HeapProfiler.collectGarbage")
    told = page.evaluate(
        """() => ({
            "first paint s": performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
            "can type s": window.typed / 1000,
            "own box s": window.drawn / 1000,
            "nodes": document.querySelectorAll("*").length,
            "heap MB": performance.memory.usedJSHeapSize / 1e6,
        })"""
    )
    page.close()
    return {**told, **seen, "key ms": key_ms, "main thread s": work["TaskDuration"], "script s": work["ScriptDuration"]}


def loads(addresses: dict[str, str], turns: int) -> list[dict]:
    """Rows of medians: each page, slowdown and cache. Who begins changes from turn to turn."""
    visits: dict[tuple, list[dict]] = {}
    with chromium() as browser:
        for turn in range(turns):
            for slowdown in (1, 4):
                for name in list(addresses)[:: 1 if turn % 2 else -1]:
                    context = browser.new_context(viewport=WINDOW)
                    for cache in ("cold", "warm"):
                        figures = visit(context, addresses[name], slowdown)
                        visits.setdefault((name, slowdown, cache), []).append(figures)
                    context.close()
    rows = []
    for (name, slowdown, cache), figures in sorted(visits.items(), key=lambda visit: (visit[0][1:], visit[0][0])):
        medians = {key: statistics.median(each[key] for each in figures) for key in figures[0]}
        rows.append({"page": name, "CPU": f"1/{slowdown}", "cache": cache, **medians})
    return rows


def ratios(rows: list[dict]) -> list[dict]:
    """Ours by the bare page's, of each pair of rows."""
    pairs = [(a, b) for a in rows for b in rows if a["page"] == "ours" and b["page"] == "bare"
             and (a["CPU"], a["cache"]) == (b["CPU"], b["cache"])]  # fmt: skip
    return [
        {
            "page": "ours / bare",
            **{key: a[key] if isinstance(a[key], str) else a[key] / b[key] for key in a if key != "page"},
        }
        for a, b in pairs
    ]


def first_rows(turns: int) -> list[dict]:
    with app("scripted", []) as ours, bare() as other:
        addresses = {"ours": ours, "bare": other}
        config = {name: len(httpx.get(f"{url}/config").content) / 1000 for name, url in addresses.items()}
        rows = loads(addresses, turns)
    rows = [{**row, "config kB": config[row["page"]]} for row in rows]
    return rows + ratios(rows)


def long_rows(turns: int) -> list[dict]:
    from benchmarks import page_long  # it needs this module

    return page_long.rows(turns)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--label", default="")
    parser.add_argument("--long", action="store_true", help="a long conversation and a crowd, see page_long.py")
    options = parser.parse_args(argv)
    load = os.getloadavg()[0]
    rows = long_rows(options.turns) if options.long else first_rows(options.turns)
    print(machine.table(rows))
    told = {"asked": vars(options), "load_average_before": load}
    name = "page-long" if options.long else "page"
    print(machine.write(name, {"label": options.label, "rows": rows, **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
