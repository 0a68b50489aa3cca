"""How the page feels in a long conversation and a crowd: `python -m benchmarks.page --long`.

One answer streams through the page, from an empty conversation and from one of 200 questions that the browser kept,
alone, while 50 others are answered through Gradio, and on a processor four times slower. Meanwhile keys are pressed and
the chat is scrolled; the longest task of that time stands apart from those when an answer begins and ends.
"""

import asyncio
import contextlib
import statistics
import threading
from collections.abc import Iterator

from playwright.sync_api import Browser, Page

from benchmarks.load import quantile
from benchmarks.page import WINDOW, chromium
from benchmarks.running import app
from benchmarks.users import GradioUser, Question, connect

TURNS, OTHERS = 200, 50
WORDS = 400  # of the answer that is watched; the scripted engine gives 50 a second
KEYS = 30

# Frames count, as they are what a person sees. Times in ms.
WATCH = """
() => {
  const seen = window.seen = {keys: [], shown: [], tasks: [], size: 0};
  const chat = document.querySelector("#chat");
  document.addEventListener("keydown", (event) => requestAnimationFrame(() => setTimeout(() =>
    seen.keys.push(performance.now() - event.timeStamp))), true);
  const tasks = (list) => list.getEntries().forEach(({ startTime, duration }) => seen.tasks.push([startTime, duration]));
  new PerformanceObserver(tasks).observe({type: "longtask"});
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => setTimeout(() => {
      waiting = false;
      seen.shown.push(performance.now());
    }));
  }).observe(chat, {childList: true, characterData: true, subtree: true});
}
"""
# Up and down once, a tenth of the window a frame, at most 3 s: ms of each frame.
SCROLL = """
() => new Promise((resolve) => {
  const inner = document.querySelector("#chat [role=log]");
  const frames = [], began = performance.now();
  let last = began, step = -innerHeight / 10;
  const next = (now) => {
    frames.push(now - last);
    last = now;
    if (now - began > 3000) return resolve(frames);
    inner.scrollTop += step;
    if (inner.scrollTop <= 0) step = -step;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})
"""


def kept(turns: int) -> list[dict]:
    """What the browser holds of a conversation with so many questions, which the engine has room for."""
    messages = []
    for turn in range(turns):
        answer = (
            f"**Answer {turn}.** " + "It has words, `code` and a list.\n\n- one\n- two\n\n" + "and more words " * 10
        )
        messages += [
            {"role": "user", "parts": [{"text": f"Question {turn} about something?"}]},
            {"role": "assistant", "parts": [{"text": answer}]},
        ]
    item = {"id": "long", "name": "long", "named": True, "time": 1, "at": 0, "lines": [messages]}
    return [item]


@contextlib.contextmanager
def crowd(url: str, count: int) -> Iterator[None]:
    """So many others ask through Gradio, again and again, until the block ends."""
    ended = threading.Event()

    async def one() -> None:
        async with connect(url) as http:
            user = GradioUser(http, Question("word " * WORDS, 1000))
            while not ended.is_set():
                await user.ask(leave_after_s=None)

    async def all_of_them() -> None:
        others = [asyncio.create_task(one()) for _ in range(count)]
        await asyncio.to_thread(ended.wait)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(all_of_them(),))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def opened(browser: Browser, url: str, turns: int) -> Page:
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto(url)
    page.set_default_timeout(120_000)
    page.locator("#question textarea").wait_for()
    if turns:
        page.evaluate("items => Promise.all(items.map(window.qwenDemo.store.put))", kept(turns))
        page.reload()
        page.locator("#conversations .open").click()
        page.get_by_text(f"Answer {turns - 1}.").wait_for()
        page.wait_for_timeout(1000)
    return page


def watched(page: Page, slowdown: int) -> dict:
    """One answer from asking to its end, with keys pressed and the chat scrolled while it grows."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    devtools.send("Performance.enable")
    devtools.send("Network.enable")
    traffic = {"received": 0, "sent": 0}

    def work() -> float:
        found = {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
        return found["TaskDuration"]

    def received(event: dict) -> None:
        traffic["received"] += event["dataLength"]

    def sent(event: dict) -> None:
        traffic["sent"] += len(event["request"].get("postData", ""))

    devtools.on("Network.dataReceived", received)
    devtools.on("Network.requestWillBeSent", sent)
    page.evaluate(WATCH)
    box = page.locator("#question textarea")
    box.fill("word " * WORDS)
    before, began = work(), page.evaluate("performance.now()")
    box.press("Enter")
    page.wait_for_function("window.seen.shown.length > 3")
    streams = page.evaluate("performance.now()")
    for _ in range(KEYS):
        box.press("x")
        page.wait_for_timeout(50)
    frames = page.evaluate(SCROLL)
    scrolled = page.evaluate("performance.now()")
    page.locator("#question .submit-button").wait_for()
    seen = page.evaluate("window.seen")
    seconds = (page.evaluate("performance.now()") - began) / 1000
    busy = work() - before
    gaps = [b - a for a, b in zip(seen["shown"], seen["shown"][1:], strict=False)]
    nodes = page.evaluate("document.querySelectorAll('*').length")
    page.context.close()
    return {
        "nodes": nodes,
        "key to frame ms, p50": statistics.median(seen["keys"]),
        "p95": quantile(seen["keys"], 0.95),
        "changes shown": len(seen["shown"]),
        "gap between changes ms, p95": quantile(gaps, 0.95),
        "scrolled frame ms, p95": quantile(frames, 0.95),
        "long tasks s": sum(ms for _, ms in seen["tasks"]) / 1000,
        "longest while streaming ms": max((ms for at, ms in seen["tasks"] if streams <= at < scrolled), default=0.0),
        "longest ms": max((ms for _, ms in seen["tasks"]), default=0.0),
        "main thread busy": busy / seconds,
        "answer s": seconds,
        "sent kB": traffic["sent"] / 1000,
        "received kB": traffic["received"] / 1000,
    }


def rows(repeats: int) -> list[dict]:
    """Medians of each case; the cases take turns."""
    cases = [(turns, *beside) for turns in (0, TURNS) for beside in ((0, 1), (OTHERS, 1), (0, 4))]
    found: dict[tuple, list[dict]] = {case: [] for case in cases}
    with app("scripted", ["--max-running", "64"]) as url, chromium() as browser:
        for _ in range(repeats):
            for turns, others, slowdown in cases:
                page = opened(browser, url, turns)
                with crowd(url, others):
                    found[turns, others, slowdown].append(watched(page, slowdown))
    return [
        {
            "questions": turns,
            "others": others,
            "CPU": f"1/{slowdown}",
            **{k: statistics.median(each[k] for each in figures) for k in figures[0]},
        }
        for (turns, others, slowdown), figures in found.items()
    ]
