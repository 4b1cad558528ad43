"""`liveso page` in a real browser, with a daemon that says what the test wants."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import browser, looking, served_page
from tests.made_up import NEW, MadeUpDaemon, library, made_up_daemon, many, status, target
from tests.package_answers import NEW as NEW_PACKAGE
from tests.package_answers import OLD as OLD_PACKAGE
from tests.package_answers import answer, row

WHY = "3 functions witness that a member moved from +0x0 to +0x8: conn_is_open, conn_new, conn_write"
REFUSED = library("libssl.so.3", "refused", reason=WHY, details=[WHY, "debug-information: none"], refused_version=NEW)
UPDATED = library("libcrypto.so.3", "updated", milliseconds=31.2)
CURRENT = library("libz.so.1")
WAITING = library("libz.so.1", "waiting", refused_version=NEW, waiting_version=NEW)


def several() -> dict[str, Any]:
    nginx = [target(100 + number, "nginx.service", REFUSED, UPDATED, CURRENT) for number in range(5)]
    return status(*nginx, target(300, "redis.service", UPDATED, CURRENT), target(301, "ssh.service", CURRENT))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as it:
        yield it


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[MadeUpDaemon]:
    with made_up_daemon(tmp_path, several()) as it:
        yield it


def cell(page: Page, library: str, service: str) -> Any:
    return page.locator(f'[role=gridcell][aria-label^="{library} in {service}:"]')


def has_focus(page: Page, label: str) -> None:
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(re.escape(label)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_answer_comes_first_and_each_result_has_a_sign(
    chromium: Browser, daemon: MadeUpDaemon, scheme: str
) -> None:
    with served_page(daemon.variables) as served, looking(chromium, served.url, color_scheme=scheme) as page:
        expect(page.locator("h1")).to_have_text("1 of 3 services needs a restart.")
        for name, service, word in (
            ("libssl.so.3", "nginx.service", "refused"),
            ("libz.so.1", "ssh.service", "current"),
        ):
            use = cell(page, name, service).locator("use")
            expect(use).to_have_attribute("href", f"#sign-{word}")
        expect(cell(page, "libssl.so.3", "nginx.service")).to_have_attribute("aria-label", re.compile("in 5 processes"))
        red, green, blue = re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (int(red) + int(green) + int(blue) < 3 * 64) == (scheme == "dark")
        expect(page.locator("#legend")).to_contain_text("refused 1")


def test_what_changes_is_pushed_and_only_that_is_drawn_again(chromium: Browser, daemon: MadeUpDaemon) -> None:
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        same = cell(page, "libz.so.1", "ssh.service").element_handle()
        *nginx, _redis, ssh = daemon.status["targets"]
        daemon.status = status(
            *nginx, target(300, "redis.service", {**UPDATED, "stale_functions": ["f"]}, CURRENT), ssh
        )
        expect(page.locator("h1")).to_have_text("2 of 3 services need a restart.")
        sign = cell(page, "libcrypto.so.3", "redis.service").locator("use")
        expect(sign).to_have_attribute("href", "#sign-updated-but")
        assert same.evaluate("it => it.isConnected")
        daemon.status = status(*[target(it["pid"], "nginx.service", UPDATED) for it in nginx], ssh)
        expect(page.locator("h1")).to_have_text("All 2 services run what is on disk.")
        daemon.status = status()
        expect(page.locator("h1")).to_have_text("No process is kept up to date here.")


def test_the_keyboard_reaches_all_of_it(chromium: Browser, daemon: MadeUpDaemon) -> None:
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        expect(page.locator("h1")).to_contain_text("restart")
        page.locator("#filter").focus()
        page.keyboard.press("Tab")
        has_focus(page, "libssl.so.3 in nginx.service: refused")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("ArrowRight")
        has_focus(page, "libcrypto.so.3 in nginx.service")
        page.keyboard.press("ArrowDown")
        has_focus(page, "libcrypto.so.3 in redis.service")
        page.keyboard.press("ArrowDown")
        has_focus(page, "libz.so.1 in ssh.service")
        page.keyboard.press("Control+Home")
        page.keyboard.press("Home")
        has_focus(page, "nginx.service, 5 processes")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        dialog = page.locator("dialog")
        expect(dialog).to_be_visible()
        expect(dialog).to_contain_text(WHY)
        expect(dialog).to_contain_text("debug-information: none")
        expect(dialog.locator(".processes li")).to_have_count(5)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        has_focus(page, "libssl.so.3 in nginx.service: refused")


def test_a_cell_names_the_cves_of_its_packages(chromium: Browser, daemon: MadeUpDaemon) -> None:
    rows = [row(pid, REFUSED["path"], OLD_PACKAGE, OLD_PACKAGE, NEW_PACKAGE, "refused") for pid in range(100, 105)]
    daemon.answers["/packages"] = answer(dict.fromkeys(range(100, 105), "nginx.service"), *rows)
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        cell(page, "libssl.so.3", "nginx.service").click()
        dialog = page.locator("dialog")
        expect(dialog).to_contain_text(f"libssl3: began with {OLD_PACKAGE}, runs {OLD_PACKAGE}, on disk {NEW_PACKAGE}")
        expect(dialog.locator("dt", has_text="Fixed on disk only")).to_be_visible()
        expect(dialog).to_contain_text("CVE-2026-0001")
        expect(dialog.locator("dt", has_text="Fixed in memory")).to_have_count(0)


def test_filters_leave_what_is_asked_for(chromium: Browser, daemon: MadeUpDaemon) -> None:
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        expect(page.locator(".row")).to_have_count(3)
        page.get_by_label("Filter services and libraries").fill("redis")
        expect(page.locator(".row")).to_have_count(1)
        page.get_by_label("Filter services and libraries").fill("")
        page.get_by_label("Only what needs attention").check()
        expect(page.locator(".row .cell")).to_have_count(1)
        page.get_by_label("Filter services and libraries").fill("no such thing")
        expect(page.locator("#empty")).to_be_visible()


def test_nothing_is_done_without_the_token(chromium: Browser, daemon: MadeUpDaemon) -> None:
    running = {"path": UPDATED["path"], "build_id": "cafe00cafe00", "running": [100, 101, 102, 103, 104]}
    daemon.answers["/rollback"] = {"libraries": [running]}
    with served_page(daemon.variables) as served, looking(chromium, served.url, "status of 401") as page:
        cell(page, "libcrypto.so.3", "nginx.service").click()
        page.get_by_role("button", name="Roll back").click()
        page.get_by_label("Token").fill("guessed")
        with page.expect_response("**/act/rollback") as answered:
            page.get_by_role("button", name="Do it").click()
        assert answered.value.status == 401
        expect(page.locator(".ask [role=alert]")).to_have_text("this is not the token")
        assert not daemon.questions
        page.get_by_label("Token").fill(served.token)
        page.get_by_role("button", name="Do it").click()
        expect(page.locator(".said")).to_have_text("5 processes run cafe00cafe00 now")
        assert daemon.questions == [
            ("/rollback", {"library": UPDATED["path"], "version": "", "pids": "100 101 102 103 104", "wait": "30.0"})
        ]


def test_the_token_comes_with_the_address_and_does_not_stay_there(chromium: Browser, daemon: MadeUpDaemon) -> None:
    daemon.status = status(target(7, "a.service", WAITING))
    daemon.answers["/allow"] = {"libraries": [WAITING["path"]], "version": NEW, "pids": [7]}
    with served_page(daemon.variables) as served, looking(chromium, served.link) as page:
        expect(page.locator("h1")).to_have_text("The only service waits for a person.")
        assert page.url == served.url
        cell(page, "libz.so.1", "a.service").click()
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_label("Token")).to_have_count(0)
        page.get_by_role("button", name="Do it").click()
        expect(page.locator(".said")).to_have_text("bbbbbbbbbbbb is allowed, and goes into 1 process")
        assert daemon.questions == [("/allow", {"library": WAITING["path"], "version": NEW})]


def test_names_are_text_whatever_they_contain(chromium: Browser, daemon: MadeUpDaemon) -> None:
    bad = "<img src=x onerror='window.broken=1'><script>window.broken=1</script>"
    one = library("x", "refused", reason=bad, details=[bad, f'"{bad}'])
    one["path"] = f"/lib/{bad.replace('/', '|')}"
    daemon.status = {
        **status(target(7, f"{bad.replace('/', '|')}.service", one, command=bad, note=bad)),
        "problems": [bad],
        "version": bad,
    }
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        page.locator(".row .cell").click()
        expect(page.locator("dialog .reasons")).to_contain_text(bad)
        expect(page.locator("#problems")).to_contain_text(bad)
        assert page.evaluate("[window.broken, document.querySelectorAll('img, body script').length]") == [None, 0]


def test_it_recovers_when_the_daemon_does(chromium: Browser, tmp_path: Path) -> None:
    with made_up_daemon(tmp_path, several()) as daemon:
        variables = daemon.variables
    with served_page(variables) as served, looking(chromium, served.url) as page:
        expect(page.locator("h1")).to_have_text("No daemon answers.")
        expect(page.locator("#remark")).to_contain_text("there is no such socket")
        with made_up_daemon(tmp_path, several()):
            expect(page.locator("h1")).to_have_text("1 of 3 services needs a restart.")
            expect(page.locator("#grid")).not_to_have_class(re.compile("is-old"))
        expect(page.locator("h1")).to_have_text("No daemon answers.")
        expect(page.locator("#grid")).to_have_class(re.compile("is-old"))


def test_a_thousand_processes_are_moved_through_without_delay(chromium: Browser, daemon: MadeUpDaemon) -> None:
    daemon.status = many(1000)
    with served_page(daemon.variables) as served, looking(chromium, served.url) as page:
        expect(page.locator("h1")).to_have_text("All 1000 services run what is on disk.")
        page.locator("#filter").focus()
        page.keyboard.press("Tab")
        page.evaluate(
            """() => {
                window.slowest = 0;
                let last = performance.now();
                const look = (now) => {
                    slowest = Math.max(slowest, now - last);
                    last = now;
                    requestAnimationFrame(look);
                };
                requestAnimationFrame(look);
            }"""
        )
        start = time.monotonic()
        for _step in range(60):
            page.keyboard.press("PageDown")
        took = time.monotonic() - start
        page.keyboard.press("Control+End")
        expect(page.locator(":focus")).to_be_in_viewport()
        has_focus(page, "in service-0999.service")
        assert page.locator(".row").count() < 100
        assert page.locator("#grid").get_attribute("aria-rowcount") == "1001"
        # some 20 ms here; generous, for a loaded machine
        assert page.evaluate("slowest") < 2000, "ms for one frame"
        assert took < 30, "seconds for 60 keys"


def test_it_fits_a_narrow_screen_and_keeps_still_where_that_is_wanted(chromium: Browser, daemon: MadeUpDaemon) -> None:
    narrow: dict[str, Any] = {"viewport": {"width": 400, "height": 800}, "reduced_motion": "reduce"}
    with served_page(daemon.variables) as served, looking(chromium, served.url, **narrow) as page:
        cell(page, "libssl.so.3", "nginx.service").click()
        expect(page.locator("dialog .state")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 400
        assert page.evaluate("getComputedStyle(document.querySelector('dialog')).animationName") == "none"
