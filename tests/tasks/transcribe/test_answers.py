"""Transcripts in print and in JSON."""

from elman.tasks.transcribe.answers import Transcript
from elman.tasks.transcribe.text import Word


def test_a_transcript_is_its_words() -> None:
    words = (Word("call", 0.1, 0.4, 0.9), Word("mum", 0.5, 0.8, 0.7))
    one = Transcript(None, words)
    assert str(one) == one.text == "call mum" and str(Transcript("a.wav", words)) == "a.wav\tcall mum"
    assert one.to_dict()["words"][1] == {"text": "mum", "start": 0.5, "end": 0.8, "confidence": 0.7}
    assert str(Transcript(None, ())) == ""
    single = Transcript("a.wav", words, alone=True)
    assert str(single) == "call mum" and single.to_dict() == one.to_dict()
