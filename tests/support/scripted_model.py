"""A provider on a real loopback socket that answers what a test scripted, on both protocols, faults included.

    with ScriptedModel() as model:
        model.script(calls(("create_task", {"title": "Buy milk"})), says("Added it."))
        ...  # point the openai SDK to model.base_url
        assert model.requests[0].messages[-1]["content"].endswith("Add milk")

The protocols are OpenAI's: https://developers.openai.com/api/reference/resources/chat and
https://developers.openai.com/api/reference/resources/responses.
"""

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self, TypeAlias

from local.loopback import LoopbackServer

MODEL_NAME = "scripted-model"

ToolCall: TypeAlias = tuple[str, Mapping[str, Any] | str]
"""A tool's name with its arguments: a mapping, or a raw string that need not be JSON."""


@dataclass(frozen=True)
class Usage:
    """The tokens that an answer reports."""

    prompt_tokens: int = 11
    completion_tokens: int = 7
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it came: header names in lower case, the body parsed."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Return the messages of a Chat Completions request."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def input(self) -> list[dict[str, Any]]:
        """Return the items of a Responses request."""
        items: list[dict[str, Any]] = self.body["input"]
        return items

    @property
    def tool_names(self) -> list[str]:
        """Return the names of the tools that the model may call; empty where it may call none."""
        if self.body.get("tool_choice") == "none":
            return []
        return [tool.get("function", tool)["name"] for tool in self.body.get("tools") or ()]


@dataclass(frozen=True)
class Completion:
    """An ordinary answer: one choice, with text, tool calls, both, a refusal, or none of them."""

    content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    ids: tuple[str, ...] = ()
    refusal: str | None = None
    finish_reason: str = "stop"
    usage: Usage = Usage()
    message_fields: Mapping[str, Any] = field(default_factory=dict)
    call_fields: Mapping[str, Any] = field(default_factory=dict)
    reasoning: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawAnswer:
    """A status, headers and bytes, sent as they stand."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drip:
    """The bytes of a body, one at a time, so many seconds apart."""

    body: bytes
    seconds_between: float
    status: int = 200


@dataclass(frozen=True)
class Silence:
    """No answer: the connection stays open until the server closes, or closes at once."""

    hang_up: bool


Answer: TypeAlias = Completion | RawAnswer | Drip | Silence
ScriptedAnswer: TypeAlias = Answer | Callable[[ReceivedRequest], Answer]
"""An answer, or a function that makes one while the client waits: a test can act in the middle of a call."""


def says(text: str, finish_reason: str = "stop", usage: Usage = Usage()) -> Completion:
    """Answer with words."""
    return Completion(content=text, finish_reason=finish_reason, usage=usage)


def calls(
    *tool_calls: ToolCall,
    content: str | None = None,
    finish_reason: str = "tool_calls",
    ids: Sequence[str] = (),
    usage: Usage = Usage(),
    message_fields: Mapping[str, Any] | None = None,
    call_fields: Mapping[str, Any] | None = None,
    reasoning: Sequence[str] = (),
) -> Completion:
    """Ask for tools, in order. Ids run from `call_1` over the server's life unless `ids` gives them.

    The fields are added to the message and to its first call, as some providers do on Chat Completions; `reasoning`
    is the encrypted content of reasoning items, on Responses.
    """
    return Completion(
        content,
        tool_calls,
        tuple(ids),
        None,
        finish_reason,
        usage,
        message_fields or {},
        call_fields or {},
        tuple(reasoning),
    )


def refuses(text: str) -> Completion:
    """Refuse, as a model does in the field `refusal`."""
    return Completion(refusal=text)


def empty() -> Completion:
    """Answer with neither text nor tool calls."""
    return Completion(content="")


def status(code: int, headers: Mapping[str, str] | None = None, body: Any = None) -> RawAnswer:
    """Answer with an error status and a JSON body, by default one in OpenAI's form."""
    document = {"error": {"message": f"scripted {code}", "type": "scripted"}} if body is None else body
    return RawAnswer(
        code, json.dumps(document).encode(), (("Content-Type", "application/json"), *(headers or {}).items())
    )


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> RawAnswer:
    """Answer with any bytes, which need not be JSON."""
    return RawAnswer(status, body, (("Content-Type", content_type),))


def hangs() -> Silence:
    """Accept the request and answer nothing until the server closes."""
    return Silence(hang_up=False)


def hangs_up() -> Silence:
    """Close the connection without an answer."""
    return Silence(hang_up=True)


def drips(body: bytes, seconds_between: float, status: int = 200) -> Drip:
    """Answer so slowly that no single read times out."""
    return Drip(body, seconds_between, status)


class ScriptedModel:
    """The server. `requests` holds what came, in order; `unexpected`, what came after the script's end.

    Every GET is answered with `models`, a list of the one model by default.
    """

    def __init__(self, model: str = MODEL_NAME) -> None:
        self.model = model
        self.requests: list[ReceivedRequest] = []
        self.unexpected: list[ReceivedRequest] = []
        self.models: RawAnswer = raw(json.dumps({"object": "list", "data": [{"id": model}]}).encode())
        self.closing = threading.Event()
        self._answers: deque[ScriptedAnswer] = deque()
        self._lock = threading.Lock()
        self._call_ids: Iterator[str] = (f"call_{number}" for number in itertools.count(1))
        self._server = LoopbackServer(_handler_for(self))

    @property
    def base_url(self) -> str:
        """Return what goes into OPENAI_BASE_URL."""
        return f"{self._server.url}/v1"

    def script(self, *answers: ScriptedAnswer) -> None:
        """Queue answers; each request consumes one."""
        with self._lock:
            self._answers.extend(answers)

    def replace_script(self, *answers: ScriptedAnswer) -> None:
        """Drop the answers that nobody has asked for, and queue others."""
        with self._lock:
            self._answers.clear()
            self._answers.extend(answers)

    @property
    def unused(self) -> int:
        """Return how many scripted answers nobody has asked for."""
        return len(self._answers)

    def answer(self, request: ReceivedRequest) -> Answer:
        """Record a request and return the next answer of the script."""
        with self._lock:
            self.requests.append(request)
            scripted = self._answers.popleft() if self._answers else None
            if scripted is None:
                self.unexpected.append(request)
        if scripted is None:
            return status(500, body={"error": {"message": "the script is empty: nobody expected this request"}})
        return scripted(request) if callable(scripted) else scripted

    def document(self, completion: Completion, path: str = "/chat/completions") -> dict[str, Any]:
        """Return a completion as the JSON document of the protocol that was asked on `path`."""
        if path.endswith("/responses"):
            return self._response(completion)
        usage = completion.usage
        return {
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1_764_000_000,
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": self._message(completion),
                    "finish_reason": completion.finish_reason,
                    "logprobs": None,
                }
            ],
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
                "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
                "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            },
        }

    def _response(self, completion: Completion) -> dict[str, Any]:
        number = len(self.requests)
        output: list[dict[str, Any]] = [
            {"type": "reasoning", "id": f"rs_{number}_{place}", "summary": [], "encrypted_content": content}
            for place, content in enumerate(completion.reasoning)
        ]
        if completion.content is not None or completion.refusal is not None:
            part = (
                {"type": "refusal", "refusal": completion.refusal}
                if completion.content is None
                else {"type": "output_text", "text": completion.content, "annotations": []}
            )
            output.append({"type": "message", "id": f"msg_{number}", "role": "assistant", "content": [part]})
        output += [
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": call["id"],
                "status": "completed",
                **call["function"],
            }
            for call in self._message(completion).get("tool_calls", ())
        ]
        is_cut_off = completion.finish_reason in ("length", "content_filter")
        reason = "max_output_tokens" if completion.finish_reason == "length" else "content_filter"
        usage = completion.usage
        return {
            "id": f"resp_{number}",
            "object": "response",
            "model": self.model,
            "status": "incomplete" if is_cut_off else "completed",
            "incomplete_details": {"reason": reason} if is_cut_off else None,
            "error": None,
            "output": output,
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            },
        }

    def _message(self, completion: Completion) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": completion.content,
            "refusal": completion.refusal,
            **completion.message_fields,
        }
        if completion.tool_calls:
            given = iter(completion.ids)
            with self._lock:
                ids = [next(given, None) or next(self._call_ids) for _ in completion.tool_calls]
            message["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {
                        "name": name,
                        "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                    },
                }
                for call_id, (name, arguments) in zip(ids, completion.tool_calls, strict=True)
            ]
            message["tool_calls"][0] |= completion.call_fields
        return message

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.stop()


def _handler_for(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(model.models)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            request = ReceivedRequest(
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=json.loads(self.rfile.read(length) or b"{}"),
            )
            self._send(model.answer(request))

        def _send(self, answer: Answer) -> None:
            match answer:
                case Completion():
                    self._send(raw(json.dumps(model.document(answer, self.path)).encode()))
                case RawAnswer():
                    self._head(answer.status, answer.headers, len(answer.body))
                    self.wfile.write(answer.body)
                case Drip():
                    self._head(answer.status, (("Content-Type", "application/json"),), len(answer.body))
                    for byte in answer.body:
                        if model.closing.wait(answer.seconds_between):
                            return
                        self.wfile.write(bytes((byte,)))
                case Silence(hang_up=False):
                    model.closing.wait()

        def _head(self, status: int, headers: Sequence[tuple[str, str]], length: int) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the console quiet."""

    return Handler
