"""Live sessions over a websocket."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from websockets.exceptions import ConnectionClosed, InvalidStatus

import elman
from elman.serve.ticker import PART_CHARACTERS
from saved_models import SAVED, assert_close
from serving import Served, serving
from tones import RATE, sentence


def test_a_text_is_classified_as_it_arrives(served: Served) -> None:
    stream = elman.load(SAVED / "classify").stream()
    with served.live("classify") as live:
        assert live.say(open={}) == {"opened": {"model": "classify", "task": "classify"}}
        for word in ("the ", "film was", " not good "):
            readings = [one._asdict() for one in stream.push(word)]
            assert live.say(push=word, id=7) == {"pushed": readings, "id": 7}
        assert live.say(result={"probabilities": True}) == {"result": stream.result(probabilities=True)}
        assert live.say(result={}) == {"result": stream.result()}
        assert live.say(reset={}) == {"reset": None}
        stream.reset()
        assert live.say(push="good ")["pushed"] == [one._asdict() for one in stream.push("good ")]
    assert served.sessions("classify") == 0


def test_a_text_goes_on(served: Served) -> None:
    stream = elman.load(SAVED / "generate").stream()
    stream.push("I love ")
    with served.live("generate") as live:
        assert live.say(push="I love ") == {"pushed": None}
        assert live.say(result={"count": 2})["result"] == [list(pair) for pair in stream.result(2)]
        written = live.say(write={"length": 40, "seed": 1}, id="w")
        assert "".join(written["pieces"]) == "".join(stream.generate(40, seed=1))
        assert written["written"] == {"reason": "end"} and written["id"] == "w"
        assert live.error(why={}) == "why is for chat: use /v1/look for a 'generate' model"
        assert live.error(finish={}).startswith("the streams of a 'generate' model have no end")


def test_writing_stops_when_told(served: Served) -> None:
    with served.live("generate") as live:
        live.socket.send(json.dumps({"write": {"length": 100_000, "seed": 2}}))
        assert "piece" in json.loads(live.socket.recv(20))
        live.socket.send(json.dumps({"stop": {}}))
        assert live.heard()["written"] == {"reason": "stopped"}
        assert live.say(push="more ") == {"pushed": None}
        assert live.say(stop={})["written"] == {"reason": "stopped"}


def test_a_talk_a_translation_and_a_series(served: Served) -> None:
    bot = elman.load(SAVED / "chat").stream()
    bot.push("Hi, I am Ada.")
    with served.live("chat") as live:
        live.say(push="Hi, I am Ada.")
        assert live.say(result={}) == {"result": bot.result()}
        assert live.say(why={})["why"] == [list(pair) for pair in bot.why()]
        assert live.error(result={}).startswith("there is nothing to reply to")
    with served.live("translate") as live:
        live.say(push="pomon vidas")
        assert live.say(result={}) == {"result": elman.load(SAVED / "translate").predict("pomon vidas")}
    series = elman.load(SAVED / "forecast").stream()
    with served.live("forecast") as live:
        series.push(123.5)
        series.push(None, stamp="2019-04-01")
        live.say(push=123.5)
        live.say(push={"value": None, "stamp": "2019-04-01"})
        rows = [row | {"ds": str(row["ds"])} for row in series.result(2).iter_rows(named=True)]
        assert live.say(result={"horizon": 2})["result"] == rows
        assert live.error(push={"value": 1, "x": 2}).startswith("there is no covariate 'x'")
        assert live.error(push="3").startswith("push takes a number, null, or an object")


def test_speech(served: Served) -> None:
    samples = sentence("one two three", 5)
    stream = elman.load(SAVED / "transcribe").stream()
    expected = [word.text for word in [*stream.push(samples), *stream.finish()]]
    pcm = (samples * 32767).round().astype("<i2").tobytes()
    with served.live("transcribe") as live:
        live.say(open={"rate": RATE})
        words = []
        for start in range(0, len(pcm), 3200):
            live.socket.send(pcm[start : start + 3200])
            words += live.heard()["pushed"]["words"]
        words += live.say(finish={})["finished"]["words"]
        assert [word["text"] for word in words] == expected == ["one", "two", "three"]
        assert live.say(push=[0.0, 0.5])["pushed"] == {"words": [], "tentative": "", "utterance": 0}
        live.socket.send(b"odd")
        assert "even number" in live.heard()["error"]["message"]


@pytest.mark.parametrize(
    ("model", "first", "then", "options"),
    [
        ("classify", "the film w", "as not good ", {}),
        ("generate", "I love de", "ep ", {"adapt": True}),
        ("translate", "pomon ", "vidas", {}),
        ("forecast", 3.5, 4.5, {"start": "2020-01-01"}),
        ("chat", "Hi, I am Ada.", " How are you?", {"seed": 5}),
    ],
)
def test_a_session_moves_to_another_server(
    served: Served, model: str, first: Any, then: Any, options: dict[str, Any]
) -> None:
    with served.live(model) as live, serving({model: SAVED / model}) as other:
        live.say(open=options)
        live.say(push=first)
        saved = live.say(save={})["saved"]
        pushed, result = live.say(push=then), live.say(result={})
        with other.live(model) as moved:
            assert moved.say(load=saved) == {"loaded": {"model": model, "task": model}}
            assert (moved.say(push=then), moved.say(result={})) == (pushed, result)
            assert moved.error(load=saved[:-8]) and moved.error(load="nonsense") and moved.error(load=3)
            assert moved.say(save={})["saved"]  # as it was
        assert other.sessions(model) == 0


def test_speech_can_not_be_saved(served: Served) -> None:
    with served.live("transcribe") as live:
        assert live.error(save={}).startswith("a stream of speech can't be saved")


def test_a_wrong_message_is_answered_and_ten_in_a_row_close(served: Served) -> None:
    with served.live("classify") as live:
        live.say(push="good ")
        before = live.say(result={"probabilities": True})
        for message in ("garbage", "[]", '{"push": "a", "result": {}}', '{"push": 3}', '{"open": {"x": 1}}'):
            live.socket.send(message)
            assert "error" in live.heard()
        assert live.say(result={"probabilities": True}) == before
        for _ in range(10):
            live.socket.send("garbage")
            assert "error" in live.heard()
        assert live.heard()["error"]["message"] == "10 messages in a row were wrong"
        with pytest.raises(ConnectionClosed) as closed:
            live.heard()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
    assert served.sessions("classify") == 0


def test_there_is_no_such_model(served: Served) -> None:
    with pytest.raises(InvalidStatus, match="404"), served.live("nope"):
        pass


def test_a_state_that_becomes_nan_ends_that_session_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = elman.load(SAVED / "classify")
    with torch.no_grad():  # a word of which the network goes wrong
        model.network.members[0].embedding.weight[model.tokenizer.encode("awful")] = torch.nan
    monkeypatch.setattr("elman.tasks.load", lambda folder: model)
    with serving({"a": SAVED / "classify"}) as one, one.live("a") as good, one.live("a") as bad:
        before = good.say(push="the film ")
        assert bad.say(push="the film ") == before
        good.socket.send(json.dumps({"push": "was good "}))
        told = bad.say(push="was awful ")["error"]
        assert told["code"] == "not_finite" and "became NaN" in told["message"]
        with pytest.raises(ConnectionClosed) as closed:
            bad.heard()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        stream = model.stream()
        stream.push("the film ")
        assert good.heard()["pushed"] == [reading._asdict() for reading in stream.push("was good ")]
        assert good.say(result={"probabilities": True})["result"] == stream.result(probabilities=True)


def test_predictions_and_sessions_at_once_are_those_of_each_alone(served: Served) -> None:
    texts = ["the film was not good", "the end was awful", "they read old books "]
    model = elman.load(SAVED / "classify")
    alone = [one.to_dict() for one in model.answers(texts * 20)]
    last = [model.predict(text, probabilities=True) for text in texts]

    def talk(k: int) -> list[Any]:
        with served.live("classify") as live:
            for word in texts[k % 3].split():
                live.say(push=f"{word} ")
            return [live.say(result={"probabilities": True})["result"], last[k % 3]]

    def predict(_: int) -> list[Any]:
        return [served.predict("classify", texts * 20).json()["answers"], alone]

    with ThreadPoolExecutor(12) as threads:
        pairs = [*threads.map(talk, range(24)), *threads.map(predict, range(4))]
    for answer, expected in pairs:
        assert_close(answer, expected)
    assert served.sessions("classify") == 0


def test_limits_of_sessions_idle_time_and_messages() -> None:
    with serving({"a": SAVED / "classify"}, sessions=1, idle=2, message_bytes=1024) as small:
        with small.live("a") as live:
            live.say(push="good ")
            with small.live("a") as other:
                assert other.error(push="x") == "all 1 sessions of this model are open"
            assert live.heard()["error"]["message"] == "nothing came for 2 seconds"
        assert small.sessions("a") == 0
        with small.live("a") as live:
            live.socket.send("x" * 2000)
            with pytest.raises(ConnectionClosed) as closed:
                live.heard()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
        assert small.sessions("a") == 0


def test_a_long_turn_does_not_hold_up_other_sessions(served: Served) -> None:
    text, bot = "Hi, I am Ada. " * 5000, elman.load(SAVED / "chat").stream()
    bot.push(text)
    replies = [bot.result()]
    bot.push("How are you?")
    replies.append(bot.result())
    with served.live("chat") as long, served.live("chat") as short:
        long.say(open={}), short.say(open={})
        long.socket.send(json.dumps({"push": text}))
        assert short.say(push="Hi") == {"pushed": None} and "result" in short.say(result={})
        with pytest.raises(TimeoutError):  # the long one is still being read
            long.socket.recv(0)
        assert long.heard() == {"pushed": None}
        answers = [long.say(result={}), long.say(push="How are you?"), long.say(result={})]
        assert answers == [{"result": replies[0]}, {"pushed": None}, {"result": replies[1]}]
        saved = long.say(save={})["saved"]
        assert "loaded" in short.say(load=saved)


def test_a_turn_that_takes_too_long_is_read_before_the_next_message() -> None:
    text, bot = "Hi, I am Ada. " * 5000, elman.load(SAVED / "chat").stream()
    bot.push(text)
    with serving({"a": SAVED / "chat"}) as one, one.live("a") as live:
        live.say(open={})
        object.__setattr__(one.app.state.limits, "deadline", 0.01)
        assert live.error(push=text).startswith("the answer took longer")
        object.__setattr__(one.app.state.limits, "deadline", 60.0)
        assert live.say(result={}) == {"result": bot.result()}


@pytest.mark.parametrize("task", ["classify", "generate"])
def test_a_long_text_does_not_hold_up_other_sessions(served: Served, task: str) -> None:
    text = "good was bad " * 2000
    stream = elman.load(SAVED / task).stream()
    starts = range(0, len(text), PART_CHARACTERS)
    read = [stream.push(text[start : start + PART_CHARACTERS]) for start in starts]
    whole = None if read[0] is None else [one._asdict() for part in read for one in part]
    with served.live(task) as long, served.live(task) as short:
        long.say(push=""), short.say(push="")
        long.socket.send(json.dumps({"push": text}))
        assert "pushed" in short.say(push="good ")
        with pytest.raises(TimeoutError):  # the long one is still being read
            long.socket.recv(0)
        assert long.heard()["pushed"] == whole
        assert long.say(result={}) == json.loads(json.dumps({"result": stream.result()}))
