# What Python's huggingface_hub leaves in the cache that all tools of the Hub share, for test/hub. It downloads two files of
# a repository from a server in this file, which sends the headers that the library reads.
# make_hub_cache.py OUTPUT.json
import hashlib
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from write_json import write_json

REPO = "timm/some_net.a1_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b'{"architecture": "some_net"}\n', "onnx/model.onnx": bytes(range(256)) * 16}


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        # Other addresses are those of the library's own statistics.
        content = FILES.get(self.path.partition("/resolve/main/")[2], b"")
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{git}"')
        if self.path.endswith(".onnx"):
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ |= {
    "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    "HF_HOME": tempfile.mkdtemp(),
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}

from huggingface_hub import hf_hub_download  # noqa: E402  (reads the environment when it is imported)

for path in FILES:
    hf_hub_download(REPO, path)

root = Path(os.environ["HF_HOME"])
entries = {}
for path in sorted(root.rglob("models--*/**/*")):
    if ".locks" in path.parts or path.is_dir():
        continue
    name = str(path.relative_to(root))
    if path.is_symlink():
        entries[name] = {"link": os.readlink(path)}
    elif "refs" in path.parts:
        entries[name] = {"text": path.read_text()}
    else:
        entries[name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

write_json(
    sys.argv[1],
    {
        "repo": REPO,
        "commit": COMMIT,
        "files": {path: content.hex() for path, content in FILES.items()},
        "entries": entries,
    },
    9,
)
