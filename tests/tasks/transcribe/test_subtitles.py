"""Subtitles of words."""

from hypothesis import given
from hypothesis import strategies as st

from elman.tasks.transcribe.subtitles import MAX_CHARACTERS, MAX_SECONDS, cues, srt, text_of, vtt
from elman.tasks.transcribe.text import Word

WORDS = [Word("call", 0.5, 0.8, 1.0), Word("mum", 0.9, 1.2, 1.0), Word("now", 3.0, 3.2, 1.0)]


def test_a_pause_ends_a_subtitle() -> None:
    assert "".join(f"{line}\n" for line in srt(WORDS, 0.5)) == (
        "1\n00:00:00,500 --> 00:00:01,500\ncall mum\n\n2\n00:00:03,000 --> 00:00:04,000\nnow\n\n"
    )
    assert list(vtt(WORDS, 5.0)) == ["WEBVTT\n", "00:00:00.500 --> 00:00:03.200\ncall mum now\n"]
    assert list(srt([], 0.5)) == []


def test_hours_and_rounding() -> None:
    (line,) = srt([Word("late", 3_661.0005, 3_662.9996, 1.0)], 0.5)
    assert line.splitlines()[1] == "01:01:01,000 --> 01:01:03,000"


@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=30), st.floats(0, 2), st.floats(0, 3)), max_size=40
    )
)
def test_no_word_is_lost_and_no_subtitle_is_long(parts: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, gap, length in parts:
        words.append(Word(text, at + gap, at + gap + length, 1.0))
        at += gap + length
    each = list(cues(words, 0.5))
    assert [word for cue in each for word in cue] == words
    for cue in each:
        assert len(cue) == 1 or len(text_of(cue)) <= MAX_CHARACTERS
        assert len(cue) == 1 or cue[-1].end - cue[0].start <= MAX_SECONDS
    times = [line.splitlines()[1].split(" --> ") for line in srt(words, 0.5)]
    flat = [one for pair in times for one in pair]
    assert flat == sorted(flat)
