"""Looking at a result: zoom, divider, blink, loupe, maps; and at a picture before there is a result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES

CHELSEA = EXAMPLES / "chelsea.png"


def views(visit: Visit) -> list[str]:
    layers = visit.page.locator(".sr-layer")
    return list(layers.evaluate_all("(all) => all.map((p) => p.style.transform + p.style.imageRendering)"))


def visible(visit: Visit) -> list[str]:
    """The titles of the panes that are seen."""
    labels = visit.page.locator(".sr-label b").all()
    return [label.inner_text() for label in labels if label.is_visible()]


def percent(visit: Visit) -> str:
    return str(visit.page.inner_text(".sr-percent"))


def serious(visit: Visit) -> list[tuple[str, str]]:
    """What axe finds that keeps people out: its rule and an element."""
    found = Axe().run(visit.page).response["violations"]
    return [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]


@pytest.fixture
def stage(tab: Visit) -> Any:
    """The pictures with the keyboard's focus, side by side and all in view."""
    tab.page.get_by_role("button", name="Side by side").click()
    stage = tab.page.locator(".sr-stage")
    stage.focus()
    tab.page.keyboard.press("0")
    return stage


def test_all_panes_move_as_one(tab: Visit, stage: Any) -> None:
    """Buttons, keys, wheel and drag change every pane alike; at 100 % and above pixels are crisp."""
    page = tab.page
    seen = [views(tab)]

    def changed() -> str:
        seen.append(views(tab))
        assert len(set(seen[-1])) == 1, "the panes differ"
        assert seen[-1] != seen[-2], "nothing has moved"
        return percent(tab)

    assert "auto" in seen[0][0]
    for name in ("200 %", "400 %", "800 %", "100 %"):
        page.get_by_role("button", name=name).click()
        assert changed() == name
        assert "pixelated" in seen[-1][0]
    assert "scale(1)" in seen[-1][0]
    stage.focus()
    page.keyboard.press("+")
    assert changed() == "150 %"
    page.keyboard.press("ArrowRight")
    changed()
    page.locator(".sr-window").nth(1).hover()
    page.mouse.down()
    page.mouse.move(640, 400)
    page.mouse.up()
    changed()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('.sr-percent').textContent != '150 %'")
    changed()


def test_the_hint_is_gone_after_the_first_gesture(tab: Visit, stage: Any) -> None:
    """It says how to move and zoom until somebody does, also after the page is loaded anew."""
    tab.page.keyboard.press("+")
    assert not tab.page.locator(".sr-gesture").is_visible()
    assert tab.page.evaluate("localStorage.getItem('sr-hint-seen')") == "1"


def test_number_keys_show_one_picture_alone(tab: Visit, stage: Any) -> None:
    """1, 2 and 3 show one; the same key again shows all. The view stays where it is."""
    for key, title in zip("123", ("Bicubic", "Autoencoder", "Reference"), strict=True):
        tab.page.keyboard.press(key)
        assert visible(tab) == [title]
    tab.page.keyboard.press("3")
    assert len(visible(tab)) == 3


def test_blinking_by_key_and_button(tab: Visit, stage: Any) -> None:
    """While B is held the other picture is there; the button changes between both until it is pressed again."""
    tab.page.keyboard.press("1")
    tab.page.keyboard.down("b")
    assert visible(tab) == ["Autoencoder"]
    tab.page.keyboard.up("b")
    assert visible(tab) == ["Bicubic"]
    tab.page.keyboard.press("1")
    blink = tab.page.get_by_role("button", name="Blink")
    blink.click()
    for title in ("Autoencoder", "Bicubic"):
        tab.page.locator(".sr-label", has_text=title).filter(visible=True).wait_for()
        assert visible(tab) in (["Autoencoder"], ["Bicubic"])
    blink.click()
    assert len(visible(tab)) == 3


def test_the_divider_moves_by_mouse_and_keys_and_the_picture_by_itself(tab: Visit, stage: Any) -> None:
    """Two pictures over one another: the handle slides, a drag beside it pans both."""
    tab.page.get_by_role("button", name="Divider").click()
    handle = tab.page.get_by_role("slider", name="Divider between")
    box = tab.page.locator(".sr-stage").bounding_box()
    clips = "(all) => all.filter((w) => w.style.clipPath).map((w) => w.style.clipPath)"
    before = tab.page.locator(".sr-window").evaluate_all(clips)
    assert len(before) == 2
    handle.focus()
    tab.page.keyboard.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "52"
    handle.hover()
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 100)
    tab.page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "25"
    assert tab.page.locator(".sr-window").evaluate_all(clips) != before
    tab.page.get_by_role("button", name="400 %").click()
    seen = views(tab)
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] / 2 - 60, box["y"] + 160)
    tab.page.mouse.up()
    assert views(tab) != seen
    assert handle.get_attribute("aria-valuenow") == "25"


def test_the_divider_and_blinking_compare_any_two(tab: Visit, stage: Any) -> None:
    """Both are chosen above the pictures, by mouse or keyboard, change places, and stay for the next result."""
    page = tab.page
    left, right = (page.get_by_label(f"Picture on the {side}") for side in ("left", "right"))
    assert not left.is_visible()
    page.get_by_role("button", name="Divider").click()
    assert visible(tab) == ["Bicubic", "Autoencoder"]
    right.select_option("Reference")
    assert visible(tab) == ["Bicubic", "Reference"]
    left.select_option("Reference")
    tops, labels = page.locator(".sr-right .sr-label b"), page.locator(".sr-label").filter(visible=True)
    page.set_viewport_size({"width": 390, "height": 844})
    edges = sorted((b["x"], b["x"] + b["width"]) for b in (label.bounding_box() for label in labels.all()))
    assert edges[0][1] <= edges[1][0], "one name does not hide the other"
    page.set_viewport_size({"width": 1440, "height": 900})
    assert (right.input_value(), tops.inner_text()) == ("Bicubic", "Bicubic")
    right.focus()
    page.keyboard.press("ArrowDown")
    assert (left.input_value(), tops.inner_text()) == ("Reference", "Autoencoder")
    tab.press()
    assert visible(tab) == ["Autoencoder", "Reference"]
    page.get_by_role("button", name="Blink").click()
    for title in ("Autoencoder", "Reference"):
        page.locator(".sr-label", has_text=title).filter(visible=True).wait_for()
    left.select_option("Bicubic")
    assert visible(tab) == ["Bicubic"]
    page.get_by_role("button", name="Blink").click()
    assert len(visible(tab)) == 2
    assert serious(tab) == []


def test_the_loupe_shows_the_same_spot_in_every_pane(tab: Visit, stage: Any) -> None:
    """It follows the pointer, and is drawn from the pictures' own pixels."""
    tab.page.get_by_role("button", name="Loupe").click()
    tab.page.locator(".sr-window").nth(1).hover(position={"x": 150, "y": 200})
    loupes = tab.page.locator(".sr-loupe")
    assert loupes.count() == 3
    places = loupes.evaluate_all(
        "(all) => all.map((c) => [c.style.left, c.style.top].map((p) => Math.round(parseFloat(p))))"
    )
    assert places == [[66, 116]] * 3
    colours = loupes.evaluate_all(
        "(all) => all.map((c) => [...c.getContext('2d').getImageData(84, 84, 1, 1).data.slice(0, 3)])"
    )
    pictures = tab.page.locator(".sr-base").evaluate_all(
        """(all) => all.map((image) => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            const layer = new DOMMatrix(image.parentElement.style.transform);
            const at = [(150 - layer.e) / layer.a, (200 - layer.f) / layer.a].map(Math.floor);
            return [...canvas.getContext("2d").getImageData(...at, 1, 1).data.slice(0, 3)];
        })"""
    )
    # The network in the middle has random weights, so its neighbouring pixels have nothing in common.
    differences = np.abs(np.array(colours, int) - np.array(pictures, int))[[0, 2]]
    assert differences.max() <= 12, "the pixel under the pointer"
    tab.page.get_by_role("button", name="Loupe").click()
    assert loupes.evaluate_all("(all) => all.every((c) => c.hidden)")


def test_maps_have_one_scale_and_the_greatest_difference_is_one_press_away(tab: Visit, stage: Any) -> None:
    """Both methods' maps replace their pictures, with one bar; the jump looks at 400 %."""
    tab.page.get_by_role("button", name="Error map").click()
    maps = tab.page.locator(".sr-map")
    assert maps.count() == 2
    tab.page.wait_for_function("[...document.querySelectorAll('.sr-map')].every((i) => i.naturalWidth == 450)")
    legend = tab.page.locator(".sr-bar-legend")
    assert "Difference from the reference" in legend.inner_text()
    assert legend.locator(".sr-bar-ticks span").count() == 3
    tab.page.get_by_role("button", name="Error map").click()
    assert not legend.is_visible()
    before = views(tab)
    tab.page.get_by_role("button", name="Greatest difference").click()
    assert percent(tab) == "400 %"
    assert views(tab) != before


def test_the_viewer_does_not_trap_the_page(tab: Visit, stage: Any) -> None:
    """A bare wheel over a picture scrolls the page, and the pictures stay."""
    before = views(tab)
    tab.page.locator(".sr-window").first.hover()
    tab.page.mouse.wheel(0, 200)
    tab.page.wait_for_function("window.scrollY > 0")
    assert views(tab) == before


def test_two_fingers_pinch_all_panes(browser: Any, address: str) -> None:
    """On a touch screen two fingers zoom the pictures, and one is left to the page."""
    visit = Visit(browser, address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    prevented = visit.page.evaluate(
        """() => {
            const pane = document.querySelector(".sr-window");
            pane.scrollIntoView();
            const edge = pane.getBoundingClientRect();
            const clientY = edge.top + 80;
            const touch = (x, identifier) => new Touch({ identifier, target: pane, clientX: edge.left + x, clientY });
            const send = (type, ...xs) => {
                const touches = xs.map(touch);
                return !pane.dispatchEvent(new TouchEvent(type, { touches, bubbles: true, cancelable: true }));
            };
            return [
                send("touchstart", 90),
                send("touchmove", 95),
                send("touchstart", 90, 110),
                send("touchmove", 80, 120),
                send("touchend"),
            ];
        }"""
    )
    assert prevented == [False, False, True, True, False]
    assert visit.page.inner_text(".sr-percent") == "400 %"
    assert len(set(views(visit))) == 1
    visit.context.close()
    assert visit.errors == []


def test_the_picture_is_there_at_once_and_no_older_result(tab: Visit, tmp_path: Path) -> None:
    """A chosen picture replaces the last result before it has arrived at the server, and is to be enlarged."""
    Image.effect_noise((64, 48), 90).convert("RGB").save(tmp_path / "mine.png")
    tab.page.route("**/upload**", lambda route: None)  # never arrives
    tab.page.set_input_files("#sr-picture input", tmp_path / "mine.png")
    tab.page.locator(".sr-label", has_text="Your picture").wait_for()
    assert tab.labels() == [("Your picture", "64x48")]
    assert tab.page.get_by_label("Enlarge", exact=True).is_checked()
    assert not tab.page.locator(".sr-scores").is_visible()
    assert not tab.page.locator(".sr-saving select").count()
    tab.page.unroute("**/upload**")
    tab.choose(tmp_path / "mine.png")
    plan = tab.page.locator(".sr-plan-text", has_text="64×48 → 128×96 pixels")
    plan.wait_for()
    assert tab.press() == "Done."
    assert [name for name, _ in tab.labels()] == ["Bicubic", "Autoencoder"]


def test_a_result_of_other_settings_says_so(tab: Visit) -> None:
    """Choosing another network marks what is shown as the former one's; choosing it again takes the mark off."""
    presets = tab.page.locator("#sr-preset")
    presets.get_by_label("Fast").check()
    assert "other settings (Fine 2x)" in tab.page.inner_text(".sr-stale")
    presets.get_by_label("Fine").check()
    assert tab.page.inner_text(".sr-stale") == ""


def test_the_view_stays_where_one_looks(tab: Visit, tmp_path: Path) -> None:
    """A chosen picture is seen whole; its results are looked at where it was, and another picture is whole again."""
    size = (1600, 200)
    Image.effect_noise(size, 90).save(tmp_path / "wide.png")
    tab.choose(tmp_path / "wide.png")
    tab.page.locator(".sr-label", has_text="1600x200").wait_for()
    assert float(percent(tab).split()[0]) < 100
    tab.page.get_by_role("button", name="400 %").click()
    tab.page.locator(".sr-stage").focus()
    for _ in range(9):
        tab.page.keyboard.press("ArrowRight")
    presets = tab.page.locator("#sr-preset")
    seen = []
    for name in ("Fast", "Fine"):
        presets.get_by_label(name).check()
        tab.press()
        assert percent(tab) == "200 %"
        seen.append(views(tab)[0])
    assert seen[0] == seen[1]
    tab.choose(tmp_path / "wide.png")
    tab.page.locator(".sr-label", has_text="Your picture").wait_for()
    assert float(percent(tab).split()[0]) < 100
    assert tab.page.inner_text("#sr-status") == "", "what was said is of another picture"


def test_what_exceeds_a_limit_says_so_before_the_button(tab: Visit, tmp_path: Path) -> None:
    """The reason, and a setting that fits, one press away."""
    Image.new("1", (4000, 4000)).save(tmp_path / "large.png")
    tab.choose(tmp_path / "large.png")
    presets = tab.page.locator("#sr-preset")
    presets.get_by_label("Fast").check()
    tab.page.get_by_label("3x").check()
    alert = tab.page.locator(".sr-plan-alert", has_text="144 million pixels")
    alert.wait_for()
    tab.page.locator(".sr-offer", has_text="Use 2x").click()
    tab.page.locator(".sr-plan-text", has_text="8000×8000").wait_for()
    assert tab.page.get_by_label("2x").is_checked()
    assert not alert.is_visible()
    presets.get_by_label("Fine").check()


def test_the_inside_of_the_network_is_a_press_away(tab: Visit) -> None:
    """Panels, latent and drawing appear one at a time, fit, and go when they are no longer of what is chosen."""
    page = tab.page
    inside = page.locator("#sr-inside")
    for name, count in (("Five panels", 10), ("Latent", 1), ("Drawing", 1)):
        button = inside.get_by_role("button", name=name)
        button.click()
        page.wait_for_function(
            "(count) => { const all = [...document.querySelectorAll('.sr-inside-shown img')];"
            "return all.length === count && all.every((img) => img.complete && img.naturalWidth > 0); }",
            arg=count,
        )
        assert button.get_attribute("aria-expanded") == "true"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    drawing = "(() => { const all = document.querySelector('.sr-drawing'); return all.width / all.naturalWidth; })()"
    assert page.evaluate(drawing) > 1, "it can be read, and is moved sideways"
    inside.get_by_role("group", name="Drawing").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.sr-wide').scrollLeft > 0")
    assert serious(tab) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator("#sr-scale").get_by_label("Size").check()
    assert inside.locator("img").count() == 0
    page.locator("#sr-scale").get_by_label("2x").check()
