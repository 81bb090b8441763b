"""From `python app.py` to the first finished enlargement, as a visitor of a Space that slept has it.

`python -m benchmarks.cold_start [--runs 3]` starts the page on a free port, sends it a photo through its API as soon as
it answers, and prints the seconds of each part. "Processor" is what the server's process has computed, on all cores;
other work on the machine changes it less than the clock.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from gradio_client import Client, handle_file  # before the clock runs

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "examples" / "chelsea.png"  # 451x300
LONGEST = 300  # seconds


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def measure(photo: Path) -> dict[str, float]:
    """Seconds until the page answers, until the photo is enlarged, and of the processor until then."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--device", "cpu"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        while not answers(url):
            if server.poll() is not None or time.perf_counter() - began > LONGEST:
                raise SystemExit("The page did not start.")
            time.sleep(0.05)
        page = time.perf_counter() - began
        Client(url, verbose=False).predict(handle_file(photo), 2, "base", api_name="/enlarge")
        return {"page": page, "enlarged": time.perf_counter() - began, "processor": processor_seconds(server.pid)}
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> bool:
    """Whether the page is there."""
    try:
        with urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def processor_seconds(pid: int) -> float:
    """What a process has computed so far, where the system tells (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / 100  # user and system, in hundredths


def main() -> int:
    """Print each run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--photo", type=Path, default=PHOTO, metavar="FILE", help="(default: chelsea.png, 451x300)")
    options = parser.parse_args()
    runs = [measure(options.photo) for _ in range(options.runs)]
    for run in runs:
        print("  ".join(f"{name} {value:.2f} s" for name, value in run.items()), flush=True)
    print("median  " + "  ".join(f"{name} {statistics.median(run[name] for run in runs):.2f} s" for name in runs[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
