"""Websocket `/v1/stream/{model}`: a live session, in JSON. See docs/serving.md for its messages."""

from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from elman.serve.answers import ApiError, answer_error
from elman.serve.bodies import parsed_object
from elman.serve.conversation import Conversation, Reply
from elman.serve.guard import chosen_protocol
from elman.serve.session import Session


async def stream(websocket: WebSocket) -> None:
    """Hold a session until the client leaves."""
    try:
        entry = websocket.app.state.shelf[websocket.path_params["model"]]
        loaded = await entry.loaded()
        session = Session(entry, loaded, websocket.app.state.limits)
    except Exception as error:
        await websocket.send_denial_response(answer_error(error))
        return
    await websocket.accept(chosen_protocol(websocket))
    await Conversation(websocket, JsonTalk(session)).run()


class JsonTalk:
    """The JSON protocol of a session. A binary message is pushed as PCM."""

    is_over = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self._mark: Reply = {}  # of the last message, which its replies repeat

    def greeting(self) -> None:
        """Return None: the client speaks first."""

    async def replies(self, content: str | bytes) -> AsyncIterator[Reply]:
        """Handle a message."""
        self._mark = {}
        if isinstance(content, bytes):
            message: Reply = {"push": content}
        else:
            message = parsed_object(content)
            self._mark = {"id": message.pop("id")} if "id" in message else {}
        async for reply in self._session.answers(message):
            yield reply | self._mark

    def refusal(self, error: ApiError) -> Reply:
        """Return an error object."""
        return {"error": error.body()} | self._mark

    def ending(self, seconds: float) -> Reply:
        """Return the warning, so that the client can save the session."""
        return {"ending": {"seconds": seconds}}

    def interrupts(self, content: str | bytes) -> bool:
        """Stop the generation if the message is a stop."""
        if self._session.is_writing and isinstance(content, str) and "stop" in content:
            with suppress(ApiError):
                if "stop" in parsed_object(content):
                    self._session.stop()
                    return True
        return False

    def close(self) -> None:
        """Free the row."""
        self._session.close()


ROUTES: list[BaseRoute] = [WebSocketRoute("/v1/stream/{model}", stream)]
