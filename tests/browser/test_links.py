"""The settings in the page's address."""

from typing import Any

from tests.browser.conftest import Visit


def chosen(visit: Visit) -> list[str]:
    """What is chosen, of the choices that are seen."""
    visit.page.locator(".sr-saving select").first.wait_for()
    labels = visit.page.locator(".sr-choice label:has(:checked)").all()
    return [label.inner_text() for label in labels if label.is_visible()]


def test_a_link_restores_the_settings_and_the_address_follows_them(visit: Visit, address: str) -> None:
    """Opened, reloaded or changed: address, controls, button and plan say the same; nonsense changes nothing."""
    page = visit.page

    def opened(query: str) -> Any:
        page.goto(f"{address}?{query}")
        return page.locator(".sr-plan-text")

    assert page.url == address
    opened("preset=nano&scale=3&mode=compare&__theme=dark").filter(has_text="shrunk to 150×100").wait_for()
    assert chosen(visit) == ["Server", "Compare", "Fast", "3x", "Cleanly"]
    visit.task("Enlarge")
    page.wait_for_url("**mode=enlarge*")
    assert page.url == f"{address}?preset=nano&scale=3&mode=enlarge&__theme=dark"
    page.reload()
    page.locator(".sr-plan-text", has_text="451×300 → 1353×900").wait_for()
    page.get_by_role("button", name="Enlarge", exact=True).wait_for()
    assert chosen(visit) == ["Server", "Enlarge", "Fast", "3x"]
    page.get_by_label("Size", exact=True).check()
    page.locator(".sr-target input").fill("900")
    page.locator(".sr-target input").blur()
    page.wait_for_url("**width=900*")
    opened("mode=enlarge&scale=size&height=600").filter(has_text="451×300 → 902×600").wait_for()
    opened("mode=networks&networks=nano,base&shrinking=photo")
    page.locator("#sr-networks").wait_for()
    assert chosen(visit) == ["Server", "Networks", "Fast", "Fine", "2x", "As on the web"]
    opened("preset=photo&mode=enlarge&strength=0.25")
    page.locator("#sr-strength output", has_text="25 %").wait_for()
    assert not page.locator("#sr-strength").get_by_role("checkbox").is_checked()
    nonsense = "preset=best&scale=9&mode=%00&networks=,&width=-1&strength=2e0&shrinking=photo"  # but for the last
    opened(nonsense).filter(has_text="shrunk to 225×150").wait_for()
    page.locator("#sr-shrinking label:has(:checked)", has_text="As on the web").wait_for()
    assert chosen(visit) == ["Server", "Compare", "Fine", "2x", "As on the web"]
    assert page.url == f"{address}?{nonsense}"
