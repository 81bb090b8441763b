"""The texts of the page."""

import html
import re
from collections.abc import Sequence

from sr_model.models.weights import Card, name
from sr_model.ui import words
from sr_model.ui.cache import INTERVAL, MAX_AGE
from sr_model.ui.limits import MAX_BYTES, MAX_PIXELS, MAX_RESULT_PIXELS
from sr_model.ui.many.rows import MOST_BYTES, MOST_FILES

assert MAX_AGE + INTERVAL <= 3600, "the page promises that pictures are gone within an hour"

ENGLISH = words.read()
TITLE = ENGLISH["title"]
OPENING = "Opening the picture"
DONE = "Done."
NO_PICTURE = "Choose a picture first; while it is uploading, wait a moment."
FAILED = "Something went wrong here. Please try again, or try another picture."
NO_MEMORY = "There is not enough memory for this picture now. Please try a smaller one."
REFUSED = "The server did not take this request; it was busy or could not be reached. Please try again."
WAITING = "Waiting in the queue"
CANCELLED = "Cancelled."
TOO_LONG = "This would take about {seconds:.0f} seconds here, and at most {most:.0f} are allowed."

LIMITS = {
    "pixels": f"{MAX_PIXELS / 1e6:g}",
    "megabytes": MAX_BYTES // 1024**2,
    "result": f"{MAX_RESULT_PIXELS / 1e6:g}",
    "files": MOST_FILES,
    "total": MOST_BYTES // 1024**2,
}

# The words in capitals are those of words/, and what a page puts in.
API = """## PROGRAM

PYTHON_SAID

```python
import shutil

from gradio_client import Client, handle_file

client = Client("ADDRESS")
path = client.predict(handle_file("photo.png"), SCALE, "PRESET", api_name="/enlarge")
shutil.move(path, "large.png")
```

JAVASCRIPT_SAID

```js
// A file or blob in, a blob of the enlarged PNG out.
async function enlarge(picture, scale = SCALE, preset = "PRESET") {
  const api = "ADDRESS/gradio_api";
  const body = new FormData();
  body.append("files", picture, "photo.png");
  const [path] = await (await fetch(`${api}/upload`, { method: "POST", body })).json();
  const data = [{ path, meta: { _type: "gradio.FileData" } }, scale, preset];
  const headers = { "Content-Type": "application/json" };
  const asked = await fetch(`${api}/call/enlarge`, { method: "POST", headers, body: JSON.stringify({ data }) });
  const { event_id: id, detail } = await asked.json();
  if (!asked.ok) throw new Error(detail); // the queue is full
  const events = await (await fetch(`${api}/call/enlarge/${id}`)).text();
  const [, kind, result] = events.match(/event: (\\w+)\\ndata: (.*)\\s*$/);
  if (kind !== "complete") throw new Error(result);
  return (await fetch(JSON.parse(result)[0].url)).blob();
}
```

CURL_SAID

```bash
api="ADDRESS/gradio_api"
path=$(curl -sSf -F "files=@photo.png" "$api/upload" | cut -d '"' -f 2)
data='{"data": [{"path": "'$path'", "meta": {"_type": "gradio.FileData"}}, SCALE, "PRESET"]}'
id=$(curl -sSf -H "Content-Type: application/json" -d "$data" "$api/call/enlarge" | cut -d '"' -f 4)
url=$(curl -sSf "$api/call/enlarge/$id" | sed -n 's/.*"url": *"\\([^"]*\\)".*/\\1/p' | tail -n 1)
curl -sSf -o large.png "$url"
```
"""


# Without a queue of strangers, and on hardware of one's own choice.
DUPLICATE = """## Your own copy

[Duplicate this Space](https://huggingface.co/spaces/{space}?duplicate=true) to have it to yourself.

"""


def api(preset: str, scale: int, address: str = "https://...") -> str:
    """How programs use the page at this address; the page puts in its own."""
    values = {"ADDRESS": address, "PRESET": preset, "SCALE": str(scale), "PROGRAM": ENGLISH["program"]}
    for language in ("python", "javascript", "curl"):
        values[f"{language.upper()}_SAID"] = ENGLISH[f"program_{language}"]
    text = API
    for gap, value in values.items():
        text = text.replace(gap, value)
    return text


def weights(cards: Sequence[Card], place: str) -> str:
    """Which weights the page serves: how many, and on a press a table of their names, dates and sha256."""
    source = f" from <code>{html.escape(place)}</code>" if place else ""
    summary = f"<summary>{ENGLISH['weights_1']}{source} ({len(cards)})</summary>"
    lines = [f"## {ENGLISH['weights']}", "", f"<details>{summary}", ""]
    lines += [f"| {ENGLISH['weights_2']} | {ENGLISH['weights_3']} | sha256 |", "|---|---|---|"]
    lines += [f"| {name(card.preset, card.scale)} | {_day(card.made)} | `{_hex(card.sha256)}` |" for card in cards]
    return "\n".join([*lines, "", "</details>"])


def _day(text: str) -> str:
    """A date or nothing: anyone may have written the json."""
    return text if re.fullmatch(r"[0-9-]{10}", text) else ""


def _hex(text: str) -> str:
    return text[:16] if re.fullmatch(r"[0-9a-f]{64}", text) else ""
