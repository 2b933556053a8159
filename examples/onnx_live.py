"""Transcribe a recording while it arrives, by a step that `elman export` wrote, with NumPy and onnxruntime.

    elman export runs/digits -o digits.onnx
    python examples/onnx_live.py digits.step.onnx recording.wav

For transcribers that train with `live=True` and answer without a search. The WAV file has one channel of
16 bits at the model's rate.
"""

import itertools
import json
import sys
import wave

import numpy as np
import onnxruntime

PIECE_SECONDS = 0.1


class LiveModel:
    def __init__(self, path):
        onnxruntime.set_default_logger_severity(3)  # it warns of every input that has a default
        self.session = onnxruntime.InferenceSession(path)
        self.about = json.loads(self.session.get_modelmeta().custom_metadata_map["elman"])
        self.state, self.label = {}, 0

    def push(self, samples, final=False):
        """Return the words, or letters, that samples (N,) from -1 to 1 make certain; `final` ones end the
        recording."""
        names = [output.name for output in self.session.get_outputs()]
        inputs = {"samples": samples, "final": np.array([final])}
        outputs = dict(zip(names, self.session.run(None, inputs | self.state), strict=True))
        labels = [self.label, *outputs.pop("log_probs").argmax(1).tolist()]
        changes = [k for before, k in itertools.pairwise(labels) if k and k != before]
        self.state = {name.replace("_out_", "_in_"): value for name, value in outputs.items()}
        self.label = labels[-1]
        if final:
            self.state, self.label = {}, 0
        return [self.about["alphabet"]["labels"][k - 1] for k in changes]


if __name__ == "__main__":
    model = LiveModel(sys.argv[1])
    with wave.open(sys.argv[2]) as file:
        count = int(PIECE_SECONDS * file.getframerate())
        while piece := file.readframes(count):
            for word in model.push(np.frombuffer(piece, np.int16) / np.float32(32768)):
                print(word, end=model.about["between"], flush=True)
    print(*model.push(np.zeros(0, np.float32), final=True), sep=model.about["between"])
