"""What the page shows under From a program, copied from there and run against it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_model.inference.upscaler import Upscaler
from tests.browser.conftest import Visit
from tests.conftest import EXAMPLES, tiny_model

NODE = """
import {{ readFile, writeFile }} from "node:fs/promises";
{code}
const large = await enlarge(new Blob([await readFile("photo.png")]));
await writeFile("large.png", Buffer.from(await large.arrayBuffer()));
"""
BROWSER = """async (data) => {{
    {code}
    const large = await enlarge(new Blob([new Uint8Array(data)]));
    return [...new Uint8Array(await large.arrayBuffer())];
}}"""


def test_programs_work_as_they_are_copied(tab: Visit, tmp_path: Path) -> None:
    """Python, JavaScript and curl, with the page's own address in them, each give the library's pixels."""
    small = Image.open(EXAMPLES / "chelsea.png").convert("RGB").crop((90, 40, 140, 80))
    expected = np.asarray(Upscaler(tiny_model(), "cpu")(small))
    tab.page.locator("#sr-program pre", has_text=tab.page.url.rstrip("/")).first.wait_for()
    shown = tab.page.locator("#sr-program pre code").all_inner_texts()
    assert len(shown) == 3
    python, javascript, curl = shown
    scripts = {"python": [sys.executable, "-c", python], "curl": ["bash", "-euo", "pipefail", "-c", curl]}
    if node := shutil.which("node"):
        (tmp_path / "script.mjs").write_text(NODE.format(code=javascript))
        scripts["javascript"] = [node, str(tmp_path / "script.mjs")]
    for name, command in scripts.items():
        if name == "curl" and not shutil.which("curl"):
            continue
        folder = tmp_path / name
        folder.mkdir()
        small.save(folder / "photo.png")
        subprocess.run(command, cwd=folder, check=True, timeout=300)
        assert np.array_equal(np.asarray(Image.open(folder / "large.png")), expected), name
    data = tab.page.evaluate(BROWSER.format(code=javascript), list((tmp_path / "python" / "photo.png").read_bytes()))
    (tmp_path / "large.png").write_bytes(bytes(data))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "large.png")), expected)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Exception, match="not an image"):
        tab.page.evaluate(BROWSER.format(code=javascript), list((tmp_path / "text.png").read_bytes()))
