"""The dashboard's page in a real browser, Chromium without a window."""

import contextlib
import shutil
import subprocess
import sys
import threading

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from chromium import chromium as headless
from helpers import PROGRAMS, emptied
from persisting.dashboard import Dashboard
from persisting.queue import PersistingBackend

PATIENCE = 60
MARKUP = "<img src=x onerror=document['title']='run'>"
NOT_TIMED = "not measured: open the bucket with enable_metrics=True"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    logs = {"goog:loggingPrefs": {"browser": "ALL"}}
    profile = tmp_path_factory.mktemp("profile")
    with headless(profile, "--window-size=1280,1000", capabilities=logs) as driver:
        yield driver


@pytest.fixture
def browser(chromium):
    """The browser, and after the test the proof that its console stayed empty."""
    scheme(chromium, "light")
    chromium.get_log("browser")
    yield chromium
    assert chromium.get_log("browser") == []


def scheme(browser, name):
    feature = {"name": "prefers-color-scheme", "value": name}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@contextlib.contextmanager
def shown(path, port=0):
    with Dashboard(path, port=port) as dashboard:
        thread = threading.Thread(target=dashboard.run)
        thread.start()
        try:
            yield dashboard.url
        finally:
            dashboard.stop()
            thread.join()


@contextlib.contextmanager
def opened(browser, path):
    """The browser shows the page, and leaves it before its server ends."""
    with shown(path) as url:
        browser.get(url)
        try:
            yield url
        finally:
            browser.get("about:blank")


@contextlib.contextmanager
def writer(folder, measured="measured"):
    """Another process that puts records into the bucket."""
    with subprocess.Popen(
        [sys.executable, PROGRAMS / "dashboard_writer.py", folder, measured],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.stdin.close()
            assert process.wait(PATIENCE) == 0


def put(folder, records, bucket_id=0):
    with PersistingBackend(bucket_id, folder).sync() as bucket:
        bucket.put_batch(records)


def until(browser, attempt):
    return WebDriverWait(browser, PATIENCE, poll_frequency=0.1).until(lambda _: attempt())


def text(browser, selector):
    """All text at once: elements may be replaced between two questions."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return browser.execute_script(script, selector)


def rows(browser):
    """The cells of each bucket's row."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#table tbody tr:not(.topic)')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def number(words):
    return int("".join(filter(str.isdigit, words)) or 0)


def facts(browser):
    names, values = text(browser, ".facts dt"), text(browser, ".facts dd")
    return dict(zip(names, values, strict=True))


def charts(browser):
    """Of each chart its title and whether any pixel of it has the colour of a series."""
    return dict(
        browser.execute_script(
            """
            const wanted = ["--one", "--two"].map((name) => {
              const value = getComputedStyle(document.documentElement).getPropertyValue(name);
              return parseInt(value.trim().slice(1), 16);
            });
            return [...document.querySelectorAll("figure")].map((figure) => {
              const canvas = figure.querySelector("canvas");
              const title = figure.querySelector("span").textContent;
              if (!canvas || !canvas.width) return [title, false];
              const copy = new OffscreenCanvas(canvas.width, canvas.height)
                .getContext("2d", { willReadFrequently: true });
              copy.drawImage(canvas, 0, 0);
              const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
              let found = false;
              for (let i = 0; i < data.length && !found; i += 4) {
                const pixel = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
                found = data[i + 3] === 255 && wanted.includes(pixel);
              }
              return [title, found];
            });
            """
        )
    )


def background(browser):
    return browser.execute_script("return getComputedStyle(document.body).backgroundColor")


def test_a_bucket_that_another_process_writes(browser, tmp_path):
    with writer(tmp_path / "rollouts" / "bucket_0") as process, opened(browser, tmp_path):
        until(browser, lambda: rows(browser) and number(rows(browser)[0][2]))
        assert text(browser, ".topic .name") == ["rollouts"]
        assert rows(browser)[0][1] == f"open by {process.pid}"
        first = number(rows(browser)[0][2])
        until(browser, lambda: number(rows(browser)[0][2]) > first)
        until(browser, lambda: rows(browser)[0][3].endswith("/s") and rows(browser)[0][3] != "0/s")
        # the first bucket is shown in detail by itself
        assert text(browser, "#detail h2") == ["rollouts / bucket 0"]
        until(browser, lambda: number(facts(browser)["In the table"]) > 0)
        until(browser, lambda: all(charts(browser).values()))
        assert len(charts(browser)) == 6
        assert text(browser, ".note:not([hidden])") == []
        assert {"id", "score", MARKUP} == {
            cells.text
            for cells in browser.find_elements(By.CSS_SELECTOR, ".pair .part:first-child tbody th")
        }
        assert "added" in text(browser, ".pair .part:last-child td")
        assert "persisting_put_duration_seconds" in text(browser, ".part tbody th")


def test_markup_in_names_and_values_stays_text(browser, tmp_path):
    topic = "<b>topic</b><img src=x onerror=alert(1)>"
    with PersistingBackend(0, tmp_path / "a", schema={MARKUP: str, "*": "any"}).sync() as bucket:
        bucket.put_batch([{MARKUP: MARKUP, "list": [MARKUP], "map": {MARKUP: MARKUP}}])
    put(tmp_path / topic.replace("/", "\N{DIVISION SLASH}") / "bucket_0", [{"id": MARKUP}])
    with opened(browser, tmp_path) as url:
        until(browser, lambda: len(rows(browser)) == 2)
        for link in browser.find_elements(By.CSS_SELECTOR, "#table tbody a"):
            link.click()
            name = link.get_attribute("aria-label").split(", bucket")[0]
            until(browser, lambda name=name: "".join(text(browser, "#detail h2")).startswith(name))
            until(browser, lambda: MARKUP in " ".join(text(browser, "#detail .part tbody td")))
        assert browser.title == "Persisting"
        images = browser.find_elements(By.CSS_SELECTOR, "img")
        assert [image.get_attribute("src") for image in images] == [f"{url}icon.svg"]
        assert browser.find_elements(By.CSS_SELECTOR, "b:not(.key b)") == []


def test_a_writer_without_metrics(browser, tmp_path):
    with writer(tmp_path / "bucket_0", measured="not"), opened(browser, tmp_path):
        until(browser, lambda: text(browser, ".note:not([hidden])") == [NOT_TIMED])
        drawn = {"Put rate": True, "Put latency": False, "Log sync": True}
        until(browser, lambda: drawn.items() <= charts(browser).items())


def test_a_closed_bucket_says_why_it_has_no_metrics(browser, tmp_path):
    put(tmp_path / "topic" / "bucket_0", [{"id": 1}])
    with opened(browser, tmp_path):
        why = "only a process that has the bucket open measures this"
        until(browser, lambda: text(browser, ".note:not([hidden])") == [why] * 4)
        assert why in text(browser, ".part .empty")


def test_both_colour_schemes(browser, tmp_path):
    with writer(tmp_path / "bucket_0"), opened(browser, tmp_path):
        seen = set()
        for name in ("dark", "light"):
            scheme(browser, name)
            until(browser, lambda: charts(browser).get("Put rate"))
            seen.add(background(browser))
        assert len(seen) == 2


def test_no_buckets_then_one_then_none(browser, tmp_path):
    with opened(browser, tmp_path):
        until(browser, lambda: "No buckets here yet" in "".join(text(browser, "#none")))
        put(tmp_path / "topic" / "bucket_0", [{"id": 1}])
        until(browser, lambda: [row[2] for row in rows(browser)] == ["1"])
        assert not browser.find_element(By.ID, "none").is_displayed()
        shutil.rmtree(tmp_path / "topic")
        until(browser, lambda: "No buckets here yet" in "".join(text(browser, "#none")))
        until(browser, lambda: text(browser, "#detail h2") == [])


def test_a_damaged_bucket_beside_a_whole_one(browser, tmp_path):
    for name in ("hurt", "well"):
        put(tmp_path / name / "bucket_0", [{"id": 1}])
    emptied(tmp_path / "hurt" / "bucket_0" / "CHECKPOINT")
    with opened(browser, tmp_path) as url:
        until(browser, lambda: [row[1] for row in rows(browser)] == ["damaged", "closed"])
        until(browser, lambda: "CHECKPOINT" in "".join(text(browser, "#detail .error")))
        browser.find_element(By.LINK_TEXT, "bucket 0").click()
        browser.get(f"{url}#well%2Fbucket_0")
        until(browser, lambda: text(browser, "#detail h2") == ["well / bucket 0"])
        assert facts(browser)["Records"] == "1"
        assert text(browser, "#totals .alarm dd") == ["1"]


def test_the_keyboard_and_the_filter(browser, tmp_path):
    for topic, bucket in (("first", 0), ("first", 1), ("second", 0)):
        put(tmp_path / topic / f"bucket_{bucket}", [{"id": bucket}], bucket)
    with opened(browser, tmp_path):
        until(browser, lambda: len(rows(browser)) == 3)
        field = browser.find_element(By.ID, "filter")
        field.send_keys(Keys.TAB)
        for key in (Keys.DOWN, Keys.DOWN, Keys.UP, Keys.ENTER):
            browser.switch_to.active_element.send_keys(key)
        until(browser, lambda: text(browser, "#detail h2") == ["first / bucket 1"])
        assert text(browser, "a[aria-current=true]") == ["bucket 1"]
        field.send_keys("second")
        until(browser, lambda: text(browser, ".topic .name") == ["second"])
        field.send_keys("x")
        until(browser, lambda: "No bucket fits" in "".join(text(browser, "#none")))


def test_the_server_starts_again(browser, tmp_path):
    put(tmp_path / "topic" / "bucket_0", [{"id": 1}])
    with shown(tmp_path) as url:
        browser.get(url)
        until(browser, lambda: text(browser, "#connection") == ["live"])
    until(browser, lambda: text(browser, "#connection") == ["no answer, trying again"])
    refused = {"ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"}
    for message in browser.get_log("browser"):  # Chromium's own, and only those
        assert any(name in message["message"] for name in refused), message
    put(tmp_path / "topic" / "bucket_0", [{"id": 2}])
    with shown(tmp_path, port=int(url.rsplit(":", 1)[1].strip("/"))):
        until(browser, lambda: text(browser, "#connection") == ["live"])
        until(browser, lambda: [row[2] for row in rows(browser)] == ["2"])
        browser.get("about:blank")
        browser.get_log("browser")


def test_two_hundred_buckets(browser, memory_folder):
    for i in range(200):
        put(memory_folder / f"topic {i // 20:02}" / f"bucket_{i % 20}", [{"id": i}], i % 20)
    with opened(browser, memory_folder):
        until(browser, lambda: len(rows(browser)) == 200)
        until(browser, lambda: all(row[2] == "1" for row in rows(browser)))
        assert len(text(browser, ".topic .name")) == 10
        browser.find_elements(By.CSS_SELECTOR, "#table tbody a")[150].click()
        until(browser, lambda: text(browser, "#detail h2") == ["topic 07 / bucket 10"])
        put(memory_folder / "topic 07" / "bucket_10", [{"id": 0}], 10)
        until(browser, lambda: facts(browser)["Records"] == "2")


@pytest.mark.parametrize("width", [1280, 600, 360])
def test_nothing_is_cut_off_in_a_narrow_window(browser, tmp_path, width):
    put(
        tmp_path / "topic" / "bucket_0",
        [{f"a field of a long name {i}": "x" * 50 for i in range(9)}],
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    with opened(browser, tmp_path):
        until(browser, lambda: len(charts(browser)) == 6)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
