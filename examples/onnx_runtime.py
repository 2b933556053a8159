"""Run a model that `elman export` wrote, with NumPy and onnxruntime alone, and answer as elman does.

    python examples/onnx_runtime.py reviews.onnx "The movie was not good"

For classifiers of words, language models of words or characters, and transcribers without a search.
"""

import json
import re
import sys
from collections import Counter

import numpy as np
import onnxruntime


class Model:
    def __init__(self, path):
        onnxruntime.set_default_logger_severity(3)  # it warns of every input that has a default
        self.session = onnxruntime.InferenceSession(path)
        self.about = json.loads(self.session.get_modelmeta().custom_metadata_map["elman"])
        self.state, self.counts, self.recent = {}, Counter(), []

    def read(self, ids, **inputs):
        """Read tokens, all at once or, in a graph of steps, one by one; return the last outputs."""
        whole = self.about["graph"] == "whole"
        for one in [np.array(ids)[:, None]] if whole else [np.array([i]) for i in ids]:
            outputs = self.session.run(None, {"ids": one, **inputs, **self.state})
            found = dict(zip((one.name for one in self.session.get_outputs()), outputs, strict=True))
            self.state = {k.replace("_out", "_in"): v for k, v in found.items() if k.startswith("state")}
        return found


def words(text, patterns):
    """Cut a text into words as elman does: "don't" is do and n't."""
    for raw in re.findall(patterns["word"], re.sub(patterns["tag"], lambda tag: " " * len(tag[0]), text)):
        for word in re.findall(patterns["run"], raw.replace("’", "'")):
            clitics = []
            while clitic := re.search(patterns["clitic"], word, re.IGNORECASE):
                clitics, word = [clitic[1], *clitics], word[: clitic.start()]
            yield from (part.lower() for part in [word, *clitics])


def classify(model, text, more=False):
    """Return the probability of every label; with `more`, of a text that goes on, in a graph of steps."""
    about, new, inputs = model.about, [*words(text, model.about["patterns"])], {}
    numbers = {word: k for k, word in enumerate(about["vocabulary"]["words"], 2)}
    ids, ngrams = [about["start"]] * (not more) + [numbers.get(word, 1) for word in new], about["ngrams"]
    for word in [""] * (not more) + new if ngrams else ():
        model.recent = [*model.recent, word][-ngrams["longest"] :]
        found = [ngrams["phrases"].get(" ".join(model.recent[k:])) for k in range(len(model.recent))]
        parts = (f" {word} "[i : i + n] for n in ngrams["sizes"] for i in range(len(word) + 3 - n))
        model.counts.update(k for k in [*found, *map(ngrams["pieces"].get, parts)] if k is not None)
        inputs["ngrams"] = np.array([[*model.counts]], np.int64)
        inputs["counts"] = np.array([[*model.counts.values()]], np.float32)
    return dict(zip(about["classes"], model.read(ids, **inputs)["probabilities"][0].tolist(), strict=True))


def write(model, text, length):
    """Return the likeliest continuation of a text, token by token, as `generate` does at temperature 0."""
    tokens, written = ["", "", *model.about["vocabulary"]["tokens"]], ""
    found = re.findall(model.about["pattern"], re.sub(model.about["blank"], " ", text))
    ids = [0, *(tokens.index(one) if one in tokens else 1 for one in found)]
    for _ in range(length):
        ids = [int(model.read(ids)["log_probs"].reshape(-1, len(tokens))[-1, 2:].argmax()) + 2]
        written += tokens[ids[0]]
    return written


def transcribe(model, samples):
    """Return the text of samples (N,) from -1 to 1 at the model's rate."""
    best = model.session.run(None, {"samples": samples})[0].argmax(1).tolist()
    said = [k - 1 for k, before in zip(best, [0, *best], strict=False) if k and k != before]
    return model.about["between"].join(model.about["alphabet"]["labels"][k] for k in said)


if __name__ == "__main__":
    model, text = Model(sys.argv[1]), sys.argv[2]
    print(classify(model, text) if model.about["task"] == "classify" else write(model, text, 20))
