"""Draws conversations: questions in many wordings, things outside the model's reach, later turns.

Reads data/questions.jsonl and data/refusals.jsonl (their form is in data/README.md). Never draws a wording that is
held out. The idea: few answers, each seen with very many wordings, so that the small model ties an answer to the words
that matter; the wordings are multiplied by frames ("Please explain X"), polite openings, lost punctuation and case, and
light typing errors. Checked by: check.py.
"""
import random

import numpy as np

import data
import sudoku

FRAMES = ["What is {}?", "What is {}?", "What's {}?", "what is {}", "Explain {}.", "Tell me about {}.",
          "Can you explain {}?", "Define {}.", "{}?", "{}", "What does {} mean?", "Please explain {}.",
          "I do not understand {}.", "What do you know about {}?", "Describe {}.", "Could you tell me what {} is?",
          "Help me understand {}.", "What is meant by {}?", "How would you explain {}?", "Say something about {}.",
          "Tell me what {} is.", "What exactly is {}?", "I want to know about {}.", "Explain {} to me.",
          "How does {} work?", "What is {} for?", "What is {} good for?", "Why {}?", "Give me a short explanation of {}."]
OPENINGS = ["Please tell me: ", "Tell me, ", "Can you tell me: ", "Hi! ", "Hello, ", "A question: ", "Pocket, ", "So, ",
            "Please: ", "Well, ", "And ", "Okay, ", "I would like to know: ", "One more question: ", "Now ", "But "]
CLOSINGS = [" Thanks!", " Please.", " please", " Thank you.", " Explain briefly.", " Tell me.", ", please?", "??"]
SYSTEMS = ["You are a helpful assistant.", "You are a helpful assistant.", "Be brief.", "Answer in plain English.",
           "You are Pocket.", "You are a friendly assistant. Be polite.", "Answer in one sentence."]
LATER = ["thanks", "bye", "praise", "blame", "okay", "want_sudoku", "joke"]     # what people say in a later turn
MISUSED = {"thanks", "bye", "praise", "blame", "okay", "hello"}                 # whole remarks: no frames around them


def lower_first(s):
    return s[:1].lower() + s[1:] if s[1:2].islower() or s[1:2] == " " else s


def typo(s, rng):
    """Swaps, drops or doubles one letter inside a word."""
    places = [i for i in range(1, len(s) - 2) if s[i].isalpha() and s[i + 1].isalpha()]
    if not places:
        return s
    i = rng.choice(places)
    kind = rng.randrange(3)
    return s[:i] + [s[i + 1] + s[i], "", s[i] * 2][kind] + s[i + (2 if kind == 0 else 1):]


def vary(s, rng, frames=True):
    """Another way of typing the same question."""
    if frames and rng.random() < 0.15:
        s = rng.choice(OPENINGS) + lower_first(s)
    if frames and rng.random() < 0.08:
        s = s + rng.choice(CLOSINGS)
    if rng.random() < 0.2:
        s = s.rstrip("?.!")
    if rng.random() < 0.15:
        s = s.lower()
    elif rng.random() < 0.02:
        s = s.upper()
    if rng.random() < 0.08:
        s = typo(s, rng)
    return s


class Talk:
    def __init__(self, fmt, folder, chains, seed=0):
        self.fmt, self.chains = fmt, chains
        self.rng, self.nprng = random.Random(seed + 1), np.random.default_rng(seed + 1)
        self.questions = data.read_jsonl(folder / "questions.jsonl")
        self.refusals = data.read_jsonl(folder / "refusals.jsonl")
        self.by_id = {q["id"]: q for q in self.questions}
        self.bad_grid_answer = next(q["answer"] for q in self.refusals if q["id"] == "no_puzzle")
        held = [w for q in self.questions + self.refusals for w in q["held_out"]]
        self.held_out = {plain(w) for w in held}
        for q in self.questions:
            frames = [f.format(n) for n in q.get("names", []) for f in FRAMES]
            q["wordings"] = [w[:1].upper() + w[1:] for w in frames if plain(w) not in self.held_out]

    def question(self, q=None):
        """(text, answer) of one of the questions, or of the given one."""
        rng = self.rng
        q = q or rng.choice(self.questions)
        words = rng.choice(q["wordings"]) if q["wordings"] and rng.random() < 0.45 else rng.choice(q["ask"])
        return self.fresh(words, q["answer"], q["id"] not in MISUSED)

    def fresh(self, words, answer, frames):
        text = vary(words, self.rng, frames)
        while plain(text) in self.held_out:
            text = vary(words, self.rng, frames)
        return text, answer

    def refusal(self):
        rng = self.rng
        q = rng.choices(self.refusals, [5, 2, 2, 2, 1])[0]
        if q["id"] == "no_puzzle" and rng.random() < 0.5:
            return self.bad_grid(), q["answer"]
        words = rng.choice(q["ask"])
        for key, values in q["fill"].items():
            while "{" + key + "}" in words:
                words = words.replace("{" + key + "}", rng.choice(values), 1)
        return self.fresh(words, q["answer"], True)

    def bad_grid(self):
        """A grid that is not 6 by 6."""
        rng = self.rng
        rows, cols = rng.choice([(4, 4), (5, 6), (6, 5), (7, 6), (5, 5), (3, 6), (2, 6), (4, 6), (9, 9), (8, 8)])
        digits = "123456" if max(rows, cols) < 8 else "123456789"
        lines = ["".join(rng.choice(digits) if rng.random() < 0.4 else "." for _ in range(cols)) for _ in range(rows)]
        return rng.choice(data.SUDOKU_WORDS).format("\n".join(lines))

    def one(self):
        """A first turn without a Sudoku."""
        return self.question() if self.rng.random() < 0.72 else self.refusal()

    def text(self):
        question, answer = self.one()
        messages = [data.user(question)]
        if self.rng.random() < 0.08:
            messages.insert(0, {"role": "system", "content": self.rng.choice(SYSTEMS)})
        return self.fmt.prompt(messages), self.fmt.canvas(answer)

    def sudoku(self):
        puzzle, solution = self.chains.draw(self.nprng)
        return self.rng.choice(data.SUDOKU_WORDS).format(sudoku.text(puzzle)), sudoku.text(solution)

    def later(self):
        """Something said in a later turn."""
        r = self.rng.random()
        if r < 0.25:
            return self.sudoku()
        if r < 0.55:
            return self.question(self.by_id[self.rng.choice(LATER)])
        return self.one()

    def dialogue(self):
        """Two to four turns; the model answers the last. Now and then one turn that is too long for `text`."""
        if self.rng.random() < 0.15:
            question, answer = (self.bad_grid(), self.bad_grid_answer) if self.rng.random() < 0.5 else self.one()
            messages = [{"role": "system", "content": self.rng.choice(SYSTEMS)}] if self.rng.random() < 0.5 else []
            return self.fmt.prompt(messages + [data.user(question)]), self.fmt.canvas(answer)
        turns = [self.sudoku() if self.rng.random() < 0.4 else self.one()]
        turns += [self.later() for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        messages = []
        for question, answer in turns:
            messages += [data.user(question), data.model(answer)]
        return self.fmt.prompt(messages[:-1]), self.fmt.canvas(turns[-1][1])


def plain(s):
    """A wording without case, punctuation and doubled spaces: held-out wordings are compared by this."""
    return " ".join("".join(c if c.isalnum() else " " for c in s.lower()).split())
