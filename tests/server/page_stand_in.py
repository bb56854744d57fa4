"""A stand-in for `dgemma serve`, for the page's browser test: serves src/server/page and plays answers from a script.

What it says over the wire is docs/PAGE.md, "What the page asks of the service". The question chooses the scene: a word
of SCENES in it, "busy", "endless", "fail" and "break" for what goes wrong, and "hold", "second canvas" or "wait" for an answer
that stands still after two steps, after two of its second canvas, or before the first one until it is released. No model; the noise is drawn with a fixed seed. Also for trying the page by hand:

    python3 tests/server/page_stand_in.py 8080
"""
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "src/server/page"
MIMES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript",
         ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain"}
SAMPLER = {"max_denoising_steps": 48, "t_min": 0.4, "t_max": 0.8, "entropy_bound": 0.1, "stability_threshold": 1,
           "confidence_threshold": 0.005, "canvas_length": 64, "context_length": 4096}
LENGTH, STEPS = 64, 6
NOISE = ["ing", " the", "ção", "的", "ком", "ung", "نا", "==", "\n", "zz", " mit", "ö"]
ANSWER = ("Light is scattered by air, **short waves most of all**, and so the sky is blue from every side. At sunset the "
          "way through the air is longer; most of the blue is lost on it, and what is left is *orange and red*.\n\n"
          "```python\nprint('blue' if sun.high else 'red')\n```\n")
TAGS = ("<script>window.hacked = 1</script> <img src=x onerror=\"window.hacked = 1\"> "
        "[link](javascript:window.hacked=1) **<b>bold</b>**\n\n```html\n<script>window.hacked = 1</script>\n```\n")
BOARD = "346251\n512463\n653142\n124635\n265314\n431526"
SCENES = {"tags": TAGS, "short": "Yes.", "board": BOARD}


def tokens_of(text):
    """Pieces of up to five characters, a space at the front of one; figures one by one."""
    if text == BOARD:
        return list(text)
    pieces, rest = [], text
    while rest:
        end = next((i for i in range(1, min(5, len(rest))) if rest[i] in " \n"), min(5, len(rest)))
        pieces.append(rest[:end])
        rest = rest[end:]
    return pieces


def canvas_steps(tokens, rng):
    """Rows of each step of a canvas that ends as `tokens`: [(mean entropy, [changed rows])]."""
    settle = [rng.randint(1, STEPS - 2) for _ in tokens]
    before = [None] * len(tokens)
    for step in range(STEPS):
        rows, total = [], 0.0
        for row, token in enumerate(tokens):
            left = settle[row] - step
            if left > 2:
                now = (rng.choice(NOISE), 4.0, "noise")
            elif left > 0:
                now = (token if rng.random() < 0.7 else rng.choice(tokens), 0.7 * left, "draft")
            else:
                now = (token, 0.0, "accepted" if left == 0 else "settled")
            total += now[1]
            if now != before[row]:
                text, entropy, state = now
                rows.append({"row": row, "id": 1, "text": text, "entropy": entropy, "state": state})
            before[row] = now
        yield total / len(tokens), rows


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, mime="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", mime)
        self.send_header("content-length", str(len(data)))
        self.send_header("content-security-policy", "default-src 'self'; img-src 'self' data:")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refused(self):
        key = self.server.key
        if not key or self.headers.get("authorization") == f"Bearer {key}":
            return False
        self.reply(401, {"error": {"message": "A key is needed.", "type": "authentication_error"}})
        return True

    def do_GET(self):
        if self.path == "/v1/models":
            if self.server.loading.is_set():
                self.reply(503, {"error": {"message": "The model is being loaded."}}, retry_after="1")
            elif not self.refused():
                self.server.deaf.clear()
                model = {"id": self.server.model, "object": "model", "diffusion": SAMPLER}
                self.reply(200, {"object": "list", "data": [model]})
            return
        file = PAGE / ("index.html" if self.path == "/" else self.path.lstrip("/"))
        if file.is_file() and PAGE in file.resolve().parents:
            self.reply(200, file.read_bytes(), MIMES[file.suffix])
        else:
            self.reply(404, {"error": {"message": "not found"}})

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.refused():
            return
        self.server.requests.append(text)
        body = json.loads(text)
        question = body["messages"][-1]["content"]
        if self.server.deaf.is_set():
            self.close_connection = True
            return
        if body["model"] != self.server.model:
            self.reply(404, {"error": {"message": f"model: expected {self.server.model}, got {body['model']}"}})
            return
        if "busy" in question:
            self.reply(429, {"error": {"message": "All places are taken."}}, retry_after="3")
            return
        if "endless" in text:
            self.reply(400, {"error": {"message": "messages: too many", "code": "context_length_exceeded"}})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self.play(question, body)
        except (BrokenPipeError, ConnectionResetError):
            self.server.vanished.set()
        self.close_connection = True

    def event(self, **fields):
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stand-in", **fields}
        self.data(json.dumps(chunk))

    def data(self, text):
        line = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def delta(self, delta, finish=None, **fields):
        self.event(choices=[{"index": 0, "delta": delta, "finish_reason": finish}], **fields)

    def hold(self):
        """Waits for the test's word, with comments that notice when the client leaves."""
        for _ in range(600):
            if self.server.release.wait(0.1):
                return
            self.wfile.write(b"3\r\n:\n\n\r\n")
            self.wfile.flush()

    def play(self, question, body):
        answer = next((text for word, text in SCENES.items() if word in question), ANSWER)
        rng = random.Random(question)
        tokens = tokens_of(answer)
        canvases = [tokens[i:i + LENGTH] for i in range(0, len(tokens), LENGTH)]
        self.delta({"role": "assistant", "content": ""})
        self.delta({}, diffusion={"type": "started", "canvas_length": LENGTH, "vocab_size": 2048, "prompt_tokens": 20,
                                  "cached_tokens": 0, "seed": str(body.get("seed", 7)), "max_denoising_steps": 48})
        if "chat_template_kwargs" in body:
            self.delta({"reasoning_content": "One sentence will do."})
        for canvas, kept in enumerate(canvases):
            rows_of_canvas = kept + [""] * (LENGTH - len(kept))
            noise = [{"id": 1, "text": rng.choice(NOISE)} for _ in rows_of_canvas]
            self.delta({}, diffusion={"type": "canvas", "canvas": canvas, "max_steps": 48, "noise": noise})
            if "wait" in question:
                self.hold()
            for step, (mean, rows) in enumerate(canvas_steps(rows_of_canvas, rng)):
                last = step == STEPS - 1
                self.delta({}, diffusion={"type": "draft", "canvas": canvas, "step": step, "max_steps": 48,
                                          "temperature": 0.8 - 0.01 * step, "mean_entropy": mean, "last": last,
                                          "converged": last, "rows": rows})
                if step == 1 and ("hold" in question or ("second canvas" in question and canvas == 1)):
                    self.hold()
                if "fail" in question and step == 2:
                    self.data(json.dumps({"error": {"message": "Out of memory in step 3."}}))
                    self.wfile.write(b"0\r\n\r\n")
                    return
                if "break" in question and step == 2:
                    return
                time.sleep(0.02)
            self.delta({}, diffusion={"type": "committed", "canvas": canvas, "steps": STEPS, "converged": True,
                                      "tokens": len(kept)})
            self.delta({"content": "".join(kept)})
        self.delta({}, finish="stop")
        steps = [STEPS] * len(canvases)
        self.event(choices=[], usage={
            "prompt_tokens": 20, "completion_tokens": len(tokens), "total_tokens": 20 + len(tokens),
            "diffusion": {"denoising_steps": sum(steps), "canvases": len(steps), "steps_per_canvas": steps,
                          "tokens_per_forward": len(tokens) / sum(steps), "timing": {"total_s": 2.0}}})
        self.data("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


class StandIn(ThreadingHTTPServer):
    """Listens on 127.0.0.1. `requests`: the bodies it got; `vanished`: a client left in the middle of an answer;
    `release`: set it to let held answers go on; `loading`: while it is set the model is not there yet; `deaf`: while it
    is set questions get no answer, until somebody asks for the models; `model`: what the model is called."""
    daemon_threads = True

    def __init__(self, port=0, key=""):
        super().__init__(("127.0.0.1", port), Handler)
        self.key = key
        self.requests = []
        self.vanished = threading.Event()
        self.release = threading.Event()
        self.loading = threading.Event()
        self.deaf = threading.Event()
        self.model = "stand-in"
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()  # stop() waits so long
        return self

    def stop(self):
        self.release.set()
        self.shutdown()
        self.socket.close()


if __name__ == "__main__":
    service = StandIn(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(service.url)
    service.serve_forever()
