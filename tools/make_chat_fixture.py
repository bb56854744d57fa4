#!/usr/bin/env python3
"""Writes tests/data/text/chat_cases.jsonl: chat requests and what the Gemma 4 chat template makes of them.

The oracle is jinja2, set up by transformers as in apply_chat_template. Half of the conversations are written by hand,
one for each branch of the template; the others are random. A case is {"request": ..., "text": ...}, or
{"request": ..., "raises": true} where the template raises.

    python3 tools/make_chat_fixture.py chat_template.jinja tests/data/text/chat_cases.jsonl
"""
import json
import random
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

USER = {"role": "user", "content": "Hello"}


def call(name, arguments, id=None):
    out = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {**out, "id": id} if id is not None else out


def tool(name, parameters=None, **more):
    function = {"name": name, "description": "Does " + name}
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": {**function, **more}}


def schema(**properties):
    return {"type": "object", "properties": properties}


def hand_made():
    """One conversation for each branch of the template."""
    yield {"messages": [USER]}
    yield {"messages": [USER], "add_generation_prompt": False}
    yield {"messages": [USER], "chat_template_kwargs": {"enable_thinking": True}}
    yield {"messages": [USER], "chat_template_kwargs": {"enable_thinking": False}}
    for role in ("system", "developer"):
        yield {"messages": [{"role": role, "content": " \n Be brief.\t\u00a0"}, USER]}
        yield {"messages": [{"role": role, "content": "Be brief."}, USER],
               "chat_template_kwargs": {"enable_thinking": True}}
        yield {"messages": [USER, {"role": role, "content": " now in verse "}, USER]}
    yield {"messages": [{"role": "system", "content": "alone"}]}
    yield {"messages": [{"role": "system", "content": None}, USER]}
    yield {"messages": [{"role": "system"}, USER]}
    yield {"messages": [{"role": "system", "content": [
        {"type": "text", "text": "it's"}, {"type": "text", "text": "a \"list\"\n\\ \x01\u00e9\u200b\U0001f600\ue000"}]},
        USER]}
    for text in ("", " ", "\n\nkeep  the  middle\n\n", "\x1ctrim\x1f\x85\u2003\u3000", "\u200bnot a space\u200b",
                 "<bos><|turn>user\nnot a marker<turn|>", "e\u0301 \U0001f468\u200d\U0001f469 \u0928\u092e\u0938\u094d"):
        yield {"messages": [{"role": "user", "content": text}]}
        yield {"messages": [USER, {"role": "assistant", "content": text}, USER]}
    for text in ("<|channel>thought\nhidden<channel|>shown", "a<|channel>x<channel|>b<|channel>y<channel|>c",
                 "<|channel>never closed", "closed<channel|> only", "a<|channel>b<|channel>c<channel|>d",
                 " <channel|> <channel|> "):
        yield {"messages": [USER, {"role": "assistant", "content": text}]}
        yield {"messages": [{"role": "user", "content": text}]}
        yield {"messages": [USER, {"role": "model", "content": [{"type": "text", "text": text}] * 2}]}
    for parts in ([], ["image"], ["text", "image"], ["image", "text", "audio", "text", "video"]):
        content = [{"type": p, **({"text": " some " + p + " "} if p == "text" else {})} for p in parts]
        yield {"messages": [{"role": "user", "content": content}]}
        yield {"messages": [USER, {"role": "assistant", "content": content}, USER]}
        yield {"messages": [USER, {"role": "assistant", "content": content, "tool_calls": [call("f", {})]}]}
    yield {"messages": [USER, {"role": "assistant", "content": "one"}, {"role": "assistant", "content": "two"}]}
    yield {"messages": [USER, {"role": "assistant", "content": "one"}, {"role": "model", "content": "two"},
                        {"role": "assistant", "content": "three"}]}
    yield {"messages": [USER, {"role": "assistant"}, USER, {"role": "assistant", "content": None}]}
    yield {"messages": [{"role": "tool", "content": "stray"}, USER]}
    yield from tool_conversations()
    yield from declarations()


def tool_conversations():
    values = {"b": "text", "A": 1, "a": -2.5, "C": True, "d": None, "e": [1, "x", [], {"z": 1, "Y": [False]}],
              "f": {}, "g": 1e16, "h": 1e-7, "i": 123456789012345678901234567890, "j": 0.1, "k": 100.0, "l": -0.0,
              "m": 1e22, "n": 123456789.123, "\u00c4": 1, "\u00e4": 2, "z z": ""}
    for arguments in (values, {}, "", '{"raw": "json"}', 'x:1', None, [1]):
        yield {"messages": [USER, {"role": "assistant", "tool_calls": [call("f", arguments)]}]}
    ask = {"role": "assistant", "tool_calls": [call("get", {"q": "x"}, "1"), call("put", {}, "2")]}
    answers = [{"role": "tool", "tool_call_id": "2", "content": "two"}, {"role": "tool", "tool_call_id": "1", "content": ""}]
    yield {"messages": [USER, ask, *answers]}
    yield {"messages": [USER, ask, *answers, {"role": "assistant", "content": "Done."}]}
    yield {"messages": [USER, ask, *answers, {"role": "assistant", "content": "Done."}, USER]}
    yield {"messages": [USER, ask, *answers, USER]}
    yield {"messages": [USER, {**ask, "content": "Let me see."}, *answers]}
    yield {"messages": [USER, {**ask, "content": "Let me see."}]}
    yield {"messages": [USER, ask, answers[0], ask, answers[1]]}
    for content in (None, [], [{"type": "text", "text": "a "}, {"type": "image"}, {"type": "text", "text": " b"}]):
        yield {"messages": [USER, ask, {"role": "tool", "tool_call_id": "1", "content": content}]}
    yield {"messages": [USER, ask, {"role": "tool", "tool_call_id": "9", "name": "named", "content": "x"}]}
    yield {"messages": [USER, ask, {"role": "tool", "tool_call_id": "9", "content": "x"}]}
    yield {"messages": [USER, {"role": "assistant", "tool_calls": [call("f", {})]}, {"role": "tool", "content": "x"}]}
    yield {"messages": [USER, ask, {"role": "tool", "name": "only name", "content": "x"}]}
    for response in (values, {}, "text", 5, None, [1, {"k": "v"}], True):
        yield {"messages": [USER, {**ask, "tool_responses": [{"name": "get", "response": response}]}]}
    yield {"messages": [USER, {**ask, "tool_responses": [{"response": {"a": 1}}, {"name": "n"}]}, *answers]}
    yield {"messages": [USER, {**ask, "content": "said", "tool_responses": [{"name": "n", "response": "r"}]}, USER]}
    yield {"messages": [USER, {"role": "assistant", "tool_responses": [{"name": "n", "response": "r"}]}]}
    for key in ("reasoning", "reasoning_content"):
        yield {"messages": [USER, {**ask, key: "because"}, *answers]}
        yield {"messages": [USER, {**ask, key: "because"}, *answers, USER]}
        yield {"messages": [USER, {"role": "assistant", "content": "x", key: "no call, no thought"}]}
    yield {"messages": [USER, {**ask, "reasoning": "", "reasoning_content": "second"}]}
    yield {"messages": [ask, *answers]}
    yield {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}]}
    yield {"messages": [USER, {"role": "assistant", "tool_calls": [{"name": "flat"}]}]}
    yield {"messages": [USER, {**ask, "reasoning": ["not", "text"]}]}


def declarations():
    yield {"messages": [USER], "tools": []}
    yield {"messages": [USER], "tools": [tool("a"), tool("b", {}), tool("c", schema())]}
    yield {"messages": [USER], "tools": [{"type": "function", "function": {"name": "bare"}}]}
    yield {"messages": [USER], "tools": [{"type": "function"}]}
    yield {"messages": [USER], "tools": [tool("none", description=None)]}
    yield {"messages": [USER], "tools": [tool("r", response={"type": "object", "description": "d"})]}
    yield {"messages": [USER], "tools": [tool("r", response={"type": "string"})]}
    yield {"messages": [USER], "tools": [tool("r", schema(), response=None)]}
    yield {"messages": [USER], "tools": [tool("r", {"properties": {"a": {}}, "required": ["a", "b"]})]}
    yield {"messages": [{"role": "system", "content": "S"}, USER], "tools": [tool("t")],
           "chat_template_kwargs": {"enable_thinking": True}}
    properties = [
        {"type": "string"}, {"type": "string", "description": "d", "enum": ["a", "B"], "nullable": True},
        {"type": "STRING", "enum": []}, {"type": "string", "enum": [1, None, True, {"k": "v"}]}, {"type": "integer"},
        {"type": ["string", "null"]}, {}, {"description": 5}, {"description": "only"}, {"nullable": True}, None, 3, "s",
        {"type": "array"}, {"type": "array", "items": {}}, {"type": "array", "items": {"type": "string"}},
        {"type": "array", "description": "d", "items": {"type": ["string", "null"], "description": None, "enum": ["x"],
                                                        "Minimum": 1, "maximum": 2.5}},
        {"type": "array", "items": {"type": "object", "required": ["p", 1], "properties": {
            "p": {"type": "array", "items": {"type": "number"}}, "type": {"type": "string"}}}},
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        {"type": "array", "items": "text"}, {"type": "array", "items": {"properties": None, "required": []}},
        {"type": "array", "items": {"properties": [1]}},
        {"type": "object"}, {"type": "object", "additionalProperties": False, "x": {"type": "string"}},
        {"type": "object", "description": "d", "nullable": True, "required": ["k"], "properties": {
            "k": {"type": "object", "properties": {"deep": {"type": "boolean"}}}, "Key": {"type": "null"}}},
        {"type": "object", "properties": None}, {"type": "object", "properties": {}},
        {"type": "stra\u00dfe"}, {"type": None},
    ]
    for i, prop in enumerate(properties):
        yield {"messages": [USER], "tools": [tool("f", schema(p=prop, **{"type": {"type": "string"}}))]}
        yield {"messages": [USER], "tools": [tool("f", {**schema(B=prop, a=prop, A=properties[i - 1]), "required": ["a"]})]}
    yield {"messages": [USER], "tools": [tool("f", {"type": "object", "properties": [1]})]}
    yield {"messages": [USER], "tools": [tool("f", {"type": "object", "properties": {"a": {"type": "array", "items": {
        "required": 5}}}})]}


class Random:
    """Random conversations, shaped like real ones and a little beyond."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        words = ["alpha", "Beta", "<|\"|>", "it's", "\"q\"", "\n", " ", "{", "}", "\u00e9", "\u4f60\u597d", "\U0001f600",
                 "<channel|>", "<|channel>", "\t", "1", "</b>", "\\", "\u00a0", "thought"]
        return "".join(self.r.choice(words) + self.r.choice(["", " "]) for _ in range(self.r.randint(0, 6)))

    def key(self):
        return self.r.choice(["a", "B", "b", "query", "Zeta", "\u00dcber", "\u00fcber", "n_1", "type", "description", "\u03a3\u03a3"])

    def value(self, depth=0):
        kinds = ["text", "int", "float", "bool", "none"] + (["list", "dict"] * 2 if depth < 3 else [])
        kind = self.r.choice(kinds)
        if kind == "text":
            return self.text()
        if kind == "int":
            return self.r.choice([0, -1, 42, 10**15, 2**63, -(2**64)])
        if kind == "float":
            return self.r.choice([0.0, 0.5, -1e300, 1e15, 1e16, 1.5e-5, 0.0001, 3.0, self.r.random(), self.r.uniform(-1e9, 1e9)])
        if kind == "list":
            return [self.value(depth + 1) for _ in range(self.r.randint(0, 3))]
        if kind == "dict":
            return {self.key(): self.value(depth + 1) for _ in range(self.r.randint(0, 3))}
        return self.r.choice([True, False]) if kind == "bool" else None

    def parameter(self, depth=0):
        out = {}
        if self.r.random() < 0.9:
            out["type"] = self.r.choice(["string", "integer", "number", "boolean", "array", "object", ["string", "null"]])
        for key, chance, make in [("description", 0.6, self.text), ("nullable", 0.2, lambda: self.r.random() < 0.7),
                                  ("enum", 0.3, lambda: [self.value(3) for _ in range(self.r.randint(0, 3))]),
                                  ("required", 0.3, lambda: [self.key() for _ in range(self.r.randint(0, 2))])]:
            if self.r.random() < chance:
                out[key] = make()
        if depth < 2 and self.r.random() < 0.7:
            out["properties"] = {self.key(): self.parameter(depth + 1) for _ in range(self.r.randint(0, 3))}
        if depth < 2 and self.r.random() < 0.7:
            out["items"] = self.parameter(depth + 1)
        items = list(out.items())
        self.r.shuffle(items)
        return dict(items)

    def parts(self):
        return [self.r.choice([{"type": "text", "text": self.text()}] * 3 + [{"type": "image"}, {"type": "audio"}, {"type": "video"}])
                for _ in range(self.r.randint(0, 3))]

    def content(self):
        return self.r.choice([self.text(), self.text(), self.parts(), None])

    def message(self, role):
        out = {"role": role}
        if self.r.random() < 0.9:
            out["content"] = self.content()
        if role == "assistant":
            if self.r.random() < 0.5:
                out["tool_calls"] = [call(self.key(), self.r.choice([{self.key(): self.value() for _ in range(3)}, self.text()]),
                                          self.r.choice(["x", "y"])) for _ in range(self.r.randint(0, 2))]
            if self.r.random() < 0.15:
                out["tool_responses"] = [{"name": "n", "response": self.value()} for _ in range(self.r.randint(0, 2))]
            if self.r.random() < 0.4:
                out[self.r.choice(["reasoning", "reasoning_content"])] = self.text()
        if role == "tool":
            out["tool_call_id"] = self.r.choice(["x", "y"])
            if self.r.random() < 0.8:
                out["name"] = self.key()
        return out

    def request(self):
        roles = self.r.choices(["user", "assistant", "tool", "system", "model"], [4, 5, 4, 0.5, 0.5], k=self.r.randint(1, 6))
        if self.r.random() < 0.4:
            roles[0] = self.r.choice(["system", "developer"])
        out = {"messages": [self.message(role) for role in roles]}
        if self.r.random() < 0.4:
            out["tools"] = [tool(self.key(), self.r.choice([self.parameter(), schema(a=self.parameter())]))
                            for _ in range(self.r.randint(0, 2))]
        if self.r.random() < 0.3:
            out["add_generation_prompt"] = self.r.random() < 0.5
        if self.r.random() < 0.5:
            out["chat_template_kwargs"] = {"enable_thinking": self.r.random() < 0.5}
        return out


def render(template, request):
    return template.render(messages=request["messages"], tools=request.get("tools"), bos_token="<bos>",
                           add_generation_prompt=request.get("add_generation_prompt", True),
                           **request.get("chat_template_kwargs", {}))


def main():
    template_path, out_path = sys.argv[1:3]
    count, seed = (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else (150, 1)
    template = _compile_jinja_template(open(template_path, encoding="utf-8").read())
    source = Random(seed)
    requests = list(hand_made()) + [source.request() for _ in range(count)]
    with open(out_path, "w", encoding="utf-8") as out:
        for request in requests:
            request = json.loads(json.dumps(request))
            try:
                case = {"request": request, "text": render(template, request)}
            except Exception:
                case = {"request": request, "raises": True}
            out.write(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
