#!/usr/bin/env python3
"""`dgemma serve` under load, and what it adds to an answer's own time. Standard library only.

    bench/serve_bench.py build/dgemma models/pocket load [--requests 1000] [--connections 32]
    bench/serve_bench.py build/dgemma models/pocket overhead [--requests 50]
    bench/serve_bench.py build/dgemma models/pocket throughput [--requests 200] [--threads 2]

All start the service themselves on a free port. `load` mixes whole answers and streams with clients that leave (30 %), and
malformed, oversized and slow requests; each answer has to be the one that its seed gives alone, each bad request gets
its status, no place may stay taken, and memory has to keep its level. `overhead` takes one request after the
other and subtracts from the client's time what the service says that generating took (usage.diffusion.timing).
`throughput` compares tokens/s of 1, 2 and 4 clients with those of generating alone: the same answers one after the other,
by the time that the engine itself took for each, as `dgemma generate` reports it; no caches are kept between answers. In
both the client is a plain socket that sends ready bytes, and nothing is parsed while the clock runs. Exit status 1 where something is wrong, the service's own end included: so a sanitizer's findings show.
"""
import argparse
import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

REQUEST_SECONDS = 2
QUESTIONS = ["Who are you?", "What is a canvas?", "Solve this Sudoku:\n.4.2.1\n5.2.6.\n.5.1.2\n1.4.3.\n2.5.1.\n.3.5.6"]
CHAT = "/v1/chat/completions"
JSON = {"Content-Type": "application/json"}
MALFORMED = [(400, "{"), (400, "[]"), (400, '{"messages": []}'),
             (404, '{"model": "x", "messages": [{"role": "user", "content": "a"}]}'),
             (400, '{"messages": [{"role": "user", "content": "a"}], "n": 99}')]


class Service:
    """The program, from its start to its end."""

    def __init__(self, program, model, *options):
        command = [program, "serve", "-m", model, "--port", "0", "--request-seconds", str(REQUEST_SECONDS), *options]
        self.log_file = tempfile.TemporaryFile("w+")  # not a pipe, whose reader would take the client's time
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        self.port = int(re.search(r":(\d+)\s*$", self.process.stdout.readline()).group(1))
        while self.get("/health")[0] != 200:
            if self.process.poll() is not None:
                sys.exit("the service ended: " + "".join(self.log()))
            time.sleep(0.1)

    def log(self):
        """Lines of a service that has ended: before, the place in the file is the service's."""
        self.log_file.seek(0)
        return self.log_file.readlines()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def get(self, path):
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def metric(self, name):
        return float(re.search("^" + re.escape(name) + r" (\S+)$", self.get("/metrics")[1], re.MULTILINE).group(1))

    def memory(self):
        """MiB in use, without what is kept for later requests within --cache-mib."""
        used, kept = (self.metric(f'dgemma_memory_bytes{{kind="{kind}"}}') for kind in ("resident", "idle_caches"))
        return (used - kept) / 2**20

    def stop(self):
        """Problems of its end."""
        self.process.terminate()
        status = self.process.wait(timeout=120)
        findings = [line for line in self.log() if "Sanitizer" in line or "status=500" in line or "internal" in line]
        return findings + ([f"exit status {status}"] if status != 0 else [])


def body(question, seed, stream, **more):
    request = {"messages": [{"role": "user", "content": question}], "seed": seed, "max_tokens": 64, **more}
    if stream:
        request.update(stream=True, stream_options={"include_usage": True})
    return json.dumps(request)


def events(response):
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def ask(connection, question, seed, stream, **more):
    """(status, text, usage, when the first draft came)."""
    connection.request("POST", CHAT, body(question, seed, stream, **more), JSON)
    response = connection.getresponse()
    if response.status != 200 or not stream:
        answer = json.loads(response.read())
        text = answer["choices"][0]["message"]["content"] if response.status == 200 else ""
        return response.status, text, answer.get("usage"), None
    text, usage, first = "", None, None
    for chunk in events(response):
        if first is None and chunk.get("diffusion", {}).get("type") == "draft":
            first = time.monotonic()
        for choice in chunk.get("choices", []):
            text += choice["delta"].get("content") or ""
        usage = chunk.get("usage") or usage
    return 200, text, usage, first


class Load:
    KINDS = {"whole": 37, "stream": 20, "leave": 30, "malformed": 6, "oversized": 4, "slow": 3}

    def __init__(self, service):
        self.service = service
        self.counts, self.problems, self.lock = Counter(), [], threading.Lock()
        connection = service.connect()
        self.expected = {(q, seed): ask(connection, q, seed, False)[1] for q in QUESTIONS for seed in range(3)}

    def note(self, outcome, problem=None):
        with self.lock:
            self.counts[outcome] += 1
            if problem:
                self.problems.append(problem)

    def one(self, number):
        rng = random.Random(number)
        kind = rng.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        try:
            getattr(self, kind)(rng)
        except Exception as error:  # whatever it is, it is a finding
            self.note(f"{kind}: {type(error).__name__}", f"{kind}: {error!r}")

    def whole(self, rng):
        self.answer(rng, False)

    def stream(self, rng):
        self.answer(rng, True)

    def answer(self, rng, stream):
        question, seed = rng.choice(list(self.expected))
        while True:
            connection = self.service.connect()
            status, text, _, _ = ask(connection, question, seed, stream)
            connection.close()
            if status != 429:
                break
            self.note("429, tried again")
            time.sleep(rng.uniform(0.05, 0.3))
        right = status == 200 and text == self.expected[question, seed]
        self.note("stream" if stream else "whole", None if right else f"status {status}, text {text!r} for seed {seed}")

    def leave(self, rng):
        """Goes at once, or somewhere in the stream."""
        connection = self.service.connect()
        connection.request("POST", CHAT, body(rng.choice(QUESTIONS), rng.randrange(3), True, diffusion={"drafts": True}), JSON)
        if rng.random() < 0.5:
            response = connection.getresponse()
            response.read(rng.randrange(1, 4000))
        connection.close()
        self.note("left")

    def refused(self, text, expected, headers):
        connection = self.service.connect()
        connection.request("POST", CHAT, text, headers)
        status = connection.getresponse().status
        connection.close()
        self.note(f"status {status}", None if status == expected else f"status {status} instead of {expected}")

    def malformed(self, rng):
        status, text = rng.choice(MALFORMED)
        self.refused(text, status, JSON)

    def oversized(self, _):
        self.refused(None, 413, {**JSON, "Content-Length": str(17 << 20)})

    def slow(self, _):
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=60) as line:
            line.sendall(b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\n")
            status = line.recv(64).split()[1].decode()
        self.note(f"status {status}", None if status == "408" else f"status {status} instead of 408")


def load(service, options):
    run = Load(service)
    start = time.monotonic()
    with ThreadPoolExecutor(options.connections) as pool:
        list(pool.map(run.one, range(options.requests // 2)))
        early = service.memory()
        list(pool.map(run.one, range(options.requests // 2, options.requests)))
    seconds, late = time.monotonic() - start, service.memory()
    for outcome, count in sorted(run.counts.items()):
        print(f"{count:6} {outcome}")
    print(f"{seconds:.1f} s; without idle caches {early:.1f} MiB after half of the requests, {late:.1f} MiB after the last")
    if options.requests >= 1000 and late > 1.1 * early + 8:  # before, caches and heap are still growing to their size
        run.problems.append("memory grows")
    deadline = time.monotonic() + 30
    while service.metric("dgemma_sessions_active") + service.metric("dgemma_queue_waiting") > 0:
        if time.monotonic() > deadline:
            run.problems.append("a place is still taken")
            break
        time.sleep(0.1)
    return run.problems


class Line:
    """A connection that is kept, and the bytes of what it asks: as little of a client as can be."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(*arguments, **more):
        text = body(*arguments, **more).encode()
        return (f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(text)}\r\n\r\n").encode() + text

    def ask(self, request, stream, awaited=b"\0"):
        """(seconds until the response's end, seconds until `awaited` came, usage)."""
        start, first, data = time.perf_counter(), None, b""
        self.socket.sendall(request)
        while not (data.endswith(b"\r\n0\r\n\r\n") if stream else self.whole(data)):
            data += self.socket.recv(1 << 16)
            if first is None and awaited in data:
                first = time.perf_counter() - start
        seconds = time.perf_counter() - start
        last = data.rsplit(b"\ndata: {", 1)[1].splitlines()[0] if stream else data.partition(b"\r\n\r\n{")[2]
        return seconds, first, json.loads(b"{" + last)["usage"]

    @staticmethod
    def whole(data):
        head, blank, content = data.partition(b"\r\n\r\n")
        return blank and len(content) == int(re.search(rb"Content-Length: (\d+)", head).group(1))


def overhead(service, options):
    line = Line(service.port)
    rows = {"whole answer": [], "stream": [], "first draft after the first step": []}
    own = []
    for seed in range(options.requests):
        for name, stream, steps in zip(rows, (False, True, True), (48, 48, 1)):
            knobs = {"drafts": name.startswith("first"), "max_denoising_steps": steps}
            request = Line.request(QUESTIONS[2], seed, stream, diffusion=knobs)
            seconds, first, usage = line.ask(request, stream, b'"type":"draft"')
            timing = usage["diffusion"]["timing"]
            own += [] if first else [timing["total_s"]]
            spent = timing["prompt_s"] + timing["denoise_s"] if first else timing["total_s"]
            rows[name].append((first or seconds) - spent)
    print(f"an answer's own time: median {1e3 * statistics.median(own):.1f} ms; beside it:")
    for name, values in rows.items():
        ms = sorted(1e3 * value for value in values)
        quarter, most = ms[len(ms) // 4], ms[len(ms) * 9 // 10]
        print(f"{name}: median {statistics.median(ms):.2f} ms, a quarter below {quarter:.2f}, nine tenths below {most:.2f}")
    return []


def answers_of(service, requests):
    """[(tokens, the engine's seconds)] of one client after its requests."""
    line = Line(service.port)
    usages = [line.ask(request, False)[2] for request in requests]
    return [(usage["completion_tokens"], usage["diffusion"]["timing"]["total_s"]) for usage in usages]


def rate(service, requests, clients):
    """Tokens/s of so many clients that share the requests, and of the engine alone where there is one."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        shares = pool.map(lambda client: answers_of(service, requests[client::clients]), range(clients))
        tokens, own = map(sum, zip(*(answer for share in shares for answer in share)))
    return tokens / (time.perf_counter() - start), tokens / own


def throughput(service, options):
    requests = [Line.request(QUESTIONS[i % len(QUESTIONS)], i, False) for i in range(options.requests)]
    rate(service, requests, 1)  # warm
    rates = {1: [], 2: [], 4: []}
    alone = []
    for _ in range(5):
        for clients, list_of in rates.items():
            served, own = rate(service, requests, clients)
            list_of.append(served)
            alone += [own] if clients == 1 else []
    print(f"generating alone: median {statistics.median(alone):.0f} tokens/s")
    for clients, list_of in rates.items():
        ratios = sorted(served / own for served, own in zip(list_of, alone))
        print(f"{clients} clients: median {statistics.median(list_of):.0f} tokens/s, "
              f"{statistics.median(ratios):.3f} times that ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return []


MODES = {"load": (load, 1000, []), "overhead": (overhead, 50, []), "throughput": (throughput, 200, ["--cache-mib", "0"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("what", choices=list(MODES))
    parser.add_argument("--requests", type=int, help="default: 1000, 50 or 200")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--threads", default="1")
    options = parser.parse_args()
    mode, requests, more = MODES[options.what]
    options.requests = options.requests or requests
    service = Service(options.program, options.model, "-t", options.threads, *more)
    problems = mode(service, options)
    problems += service.stop()
    for problem in problems[:20]:
        print("PROBLEM:", problem.strip())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
