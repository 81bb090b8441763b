"""A Hub of our own: repositories with commits, over HTTP on this machine, as well or as badly as it is told.

What huggingface_hub asks the real one for when it pulls, pushes and makes repositories; large files by LFS.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

import sr_model.models.hub
from tests.servers import Server

OWNER, READER = "hf_owner", "hf_reader"  # tokens: one may do everything, the other only read
Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits, and what branches and tags point to them. It begins with an empty one."""

    private: bool = False
    gated: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit({}, "main")

    def commit(self, files: Files, ref: str) -> str:
        sha = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        return sha

    def sha(self, revision: str) -> str | None:
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    @property
    def files(self) -> Files:
        return self.commits[self.refs["main"]]


class Hub:
    """The repositories by kind and name, and what goes wrong with the next requests."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}  # "models/owner/name"
        self.large: Files = {}  # by sha256
        self.failures: list[tuple[str, int]] = []  # (part of a path, status) of the next request to it
        self.cuts: list[int] = []  # bytes after which the next bodies break off
        self.asked: list[str] = []  # "GET /path" of each request
        self.uploaded: list[int] = []  # bytes of each large file
        self.resumed: list[int] = []  # where downloads went on
        self.before_commit: list[Any] = []  # called before the next commit is looked at
        self.lock = threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                Request(hub, self).answer()

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def model(self, name: str) -> Repository:
        return self.repositories[f"models/{name}"]

    def add(self, name: str, files: Files, **settings: Any) -> str:
        """A model with one commit of files; returns its sha."""
        repository = self.repositories.setdefault(f"models/{name}", Repository(**settings))
        return repository.commit(repository.files | files, "main")


class RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class Request:
    """One request, its body read, and its answer."""

    def __init__(self, hub: Hub, handler: BaseHTTPRequestHandler) -> None:
        self.hub, self.handler = hub, handler
        url = urlsplit(handler.path)
        self.path, self.query = unquote(url.path), parse_qs(url.query)
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        hub.asked.append(f"{handler.command} {handler.path}")

    ROUTES = (
        (r"/api/repos/create", "create"),
        (r"/api/validate-yaml", "validate"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)(?:/revision/(.+))?", "info"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/tree/(.+)", "tree"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/preupload/(.+)", "preupload"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/commit/(.+)", "commit"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/branch/(.+)", "branch"),
        (r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/(hardware|settings)", "setting"),
        (r"/(?:(spaces|datasets)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        (r"/large/([0-9a-f]+)", "large"),
        (r"/(?:(spaces|datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    )

    def answer(self) -> None:
        try:
            with self.hub.lock:
                for failure in self.hub.failures:
                    if failure[0] in self.path:
                        self.hub.failures.remove(failure)
                        raise RefusedError(failure[1])
            for pattern, name in self.ROUTES:
                if found := re.fullmatch(pattern, self.path):
                    getattr(self, name)(*found.groups())
                    return
            raise RefusedError(404)
        except RefusedError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            self.send(json.dumps({"error": error.message}).encode(), error.status, headers)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        handler = self.handler
        handler.send_response(status)
        for name, value in (
            {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        ).items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            with self.hub.lock:
                cut = self.hub.cuts.pop(0) if self.hub.cuts and len(body) > 10_000 else len(body)
            handler.wfile.write(body[:cut])
            handler.close_connection = cut < len(body)

    def reply(self, value: Any) -> None:
        self.send(json.dumps(value).encode())

    def repository(self, kind: str | None, name: str, write: bool = False) -> Repository:
        if self.token not in ("", OWNER, READER):
            raise RefusedError(401, message="Invalid credentials in Authorization header")
        found = self.hub.repositories.get(f"{kind or 'models'}/{name}")
        if not found or (found.private and self.token != OWNER):
            raise RefusedError(404 if self.token else 401, "RepoNotFound", "Repository not found")
        if found.gated and self.token != OWNER and not self.path.startswith("/api/"):
            raise RefusedError(403 if self.token else 401, "GatedRepo", "Access is restricted")
        if write and self.token != OWNER:
            raise RefusedError(403 if self.token else 401, message="Forbidden")
        return found

    def at(self, repository: Repository, revision: str) -> tuple[str, Files]:
        sha = repository.sha(revision)
        if not sha:
            raise RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repository.commits[sha]

    def create(self) -> None:
        if self.token != OWNER:
            raise RefusedError(403 if self.token == READER else 401, message="Forbidden")
        wanted = json.loads(self.body)
        kind, name = wanted.get("type", "model") + "s", f"{wanted['organization']}/{wanted['name']}"
        url = f"{self.hub.url}/{'spaces/' if kind == 'spaces' else ''}{name}"
        if f"{kind}/{name}" in self.hub.repositories:
            self.send(json.dumps({"url": url, "error": "You already created this repo"}).encode(), 409)
            return
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.hub.repositories[f"{kind}/{name}"] = Repository(private=private, settings=wanted)
        self.reply({"url": url, "name": name})

    def validate(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def info(self, kind: str, name: str, revision: str | None) -> None:
        repository = self.repository(kind, name)
        sha, files = self.at(repository, revision or "main")
        siblings = [{"rfilename": path} for path in files]
        self.reply({"id": name, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []})

    def tree(self, kind: str, name: str, place: str) -> None:
        revision, _, folder = place.partition("/")
        _, files = self.at(self.repository(kind, name), revision)
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        below = [path for path in files if path.startswith(prefix)]
        if folder and not below:
            raise RefusedError(404, "EntryNotFound", f"{folder} does not exist on {revision}")
        entries: dict[str, dict[str, Any]] = {}
        for path in below:
            inner, *more = path.removeprefix(prefix).split("/")
            if more and self.query.get("recursive") != ["true"]:
                entries[inner] = {"type": "directory", "path": prefix + inner, "oid": inner}
            else:
                oid = hashlib.sha1(files[path]).hexdigest()
                entries[path] = {"type": "file", "path": path, "size": len(files[path]), "oid": oid}
        self.reply(list(entries.values()))

    def preupload(self, kind: str, name: str, revision: str) -> None:
        self.at(self.repository(kind, name, write=True), revision)
        mode = {True: "lfs", False: "regular"}
        self.reply(
            {
                "files": [
                    {"path": f["path"], "uploadMode": mode[f["path"].endswith(".safetensors")], "shouldIgnore": False}
                    for f in json.loads(self.body)["files"]
                ]
            }
        )

    def batch(self, kind: str | None, name: str) -> None:
        self.repository(kind, name, write=True)
        objects = json.loads(self.body)["objects"]
        for entry in objects:
            if entry["oid"] not in self.hub.large:  # what is there needs no upload
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/large/{entry['oid']}"}}
        self.reply({"transfer": "basic", "objects": objects})

    def large(self, sha256: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == sha256
        self.hub.large[sha256] = self.body
        self.hub.uploaded.append(len(self.body))
        self.send(b"")

    def commit(self, kind: str, name: str, revision: str) -> None:
        repository = self.repository(kind, name, write=True)
        if self.hub.before_commit:
            self.hub.before_commit.pop(0)()
        lines = [json.loads(line) for line in self.body.splitlines()]
        with self.hub.lock:
            sha, files = self.at(repository, revision)
            header = next(line["value"] for line in lines if line["key"] == "header")
            if header.get("parentCommit", sha) != sha:
                raise RefusedError(412, message="A commit has happened since. Please refresh and try again.")
            files = dict(files)
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.hub.large[value["oid"]]
                elif line["key"] == "deletedFile":
                    del files[value["path"]]
            proposed = "create_pr" in self.query
            new = repository.commit(files, f"refs/pr/{len(repository.refs)}" if proposed else revision)
        pull = f"{self.hub.url}/{name}/discussions/1" if proposed else None
        self.reply({"commitUrl": f"{self.hub.url}/{name}/commit/{new}", "commitOid": new, "pullRequestUrl": pull})

    def branch(self, kind: str, name: str, branch: str) -> None:
        repository = self.repository(kind, name, write=True)
        if branch in repository.refs:
            raise RefusedError(409, message="Reference already exists")
        repository.refs[branch] = repository.refs["main"]
        self.reply({})

    def setting(self, kind: str, name: str, what: str) -> None:
        repository = self.repository(kind, name, write=True)
        repository.settings |= json.loads(self.body)
        self.reply({"stage": "BUILDING", "hardware": {"current": None, "requested": None}})

    def resolve(self, kind: str | None, name: str, revision: str, path: str) -> None:
        sha, files = self.at(self.repository(kind, name), revision)
        if path not in files:
            raise RefusedError(404, "EntryNotFound", "Entry not found")
        content = files[path]
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.handler.headers.get("Range") or "")
        if wanted:
            begin = int(wanted[1])
            self.hub.resumed.append(begin)
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self.send(content[begin:], 206, headers)
        else:
            self.send(content, headers=headers)


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that answers until the end of the block."""
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()


@contextmanager
def pretending(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The same, taken by huggingface_hub for the real one, with its cache in `folder` and nobody logged in."""
    constants = huggingface_hub.constants
    with serving() as hub:
        address = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files go by LFS, which is plain HTTP
        monkeypatch.setattr(sr_model.models.hub, "BACKOFF", 0.01)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub
