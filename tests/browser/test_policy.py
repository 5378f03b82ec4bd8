"""What the page's Content Security Policy forbids does not happen, and would be noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.server import ServerProcess
    from tests.browser.people import People

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = """() => {
    const script = document.createElement("script");
    script.append("window.injected = true");
    document.body.append(script);
}"""
MARKUP = """() => {
    const image = '<img src="/favicon.svg" onload="window.injected = true">';
    try { document.body.innerHTML = image; } catch { /* as it should be */ }
}"""
STYLE = """() => {
    const style = document.createElement("style");
    style.append("body { display: none }");
    document.body.append(style);
}"""
REQUEST = """() => fetch("http://127.0.0.1:9/").then(() => {
    window.injected = true;
}, () => {})"""
FRAME = """() => {
    const frame = document.createElement("iframe");
    frame.src = location.href;
    document.body.append(frame);
}"""


@pytest.mark.parametrize(
    ("injection", "directive"),
    [
        (SCRIPT, "require-trusted-types-for"),
        (MARKUP, "require-trusted-types-for"),
        (STYLE, "style-src-elem"),
        (REQUEST, "connect-src"),
        (FRAME, "frame-src"),
    ],
    ids=["script", "markup", "style", "request", "frame"],
)
async def test_what_is_injected_does_not_run(
    site: ServerProcess, people: People, injection: str, directive: str
) -> None:
    ada = await people.come("Ada", site.url)
    await ada.page.get_by_role("button", name="New document").wait_for()
    await ada.page.evaluate(injection)
    await ada.page.wait_for_function("() => window.violated?.length > 0")
    assert directive in await ada.page.evaluate("window.violated")
    assert await ada.page.evaluate("window.injected === undefined")
    assert await ada.page.get_by_role("button", name="New document").is_visible()
    assert ada.complaints
    ada.complaints.clear()
