"""A conversation with the offline model, as the agent holds it: the test plays the person and the tools."""

import json
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from taskchat.tools import TOOLS

NOW = "2025-12-07T10:30:00+01:00 (Europe/Berlin)"
"""A Sunday."""

OFFERED: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
    }
    for tool in TOOLS.values()
]
"""The `tools` of a Chat Completions request."""


class Dialogue:
    """Keeps the messages; every call that the model makes must fit the real tool's input."""

    def __init__(self, client: OpenAI) -> None:
        self.client = client
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": "You manage tasks."}]

    def say(self, text: str, tools: list[dict[str, Any]] | None = None) -> ChatCompletionMessage:
        """Say something and return what the model answers."""
        self.messages.append({"role": "user", "content": f"Now: {NOW}, Sunday\n\n{text}"})
        return self.ask(tools)

    def ask(self, tools: list[dict[str, Any]] | None = None) -> ChatCompletionMessage:
        """Ask for the next message; with an empty list of tools, for words."""
        offered = OFFERED if tools is None else tools
        request = {
            "model": "offline",
            "messages": self.messages,
            "reasoning_effort": "none",
            **({"tools": offered} if offered else {}),
        }
        completion = self.client.post("/chat/completions", cast_to=ChatCompletion, body=request)
        message = completion.choices[0].message
        assert completion.choices[0].finish_reason == ("tool_calls" if message.tool_calls else "stop")
        self.messages.append(message.model_dump(exclude_none=True))
        return message

    def answer(self, *answers: dict[str, Any]) -> ChatCompletionMessage:
        """Answer the model's tool calls, in order, and return what it does next."""
        calls = self.messages[-1]["tool_calls"]
        self.messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(answer)}
            for call, answer in zip(calls, answers, strict=True)
        ]
        return self.ask()


def calls(message: ChatCompletionMessage) -> list[tuple[str, dict[str, Any]]]:
    """Return the tools that a message calls, with arguments that the real tools accept."""
    made = [
        (call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
        if call.type == "function"
    ]
    for name, arguments in made:
        TOOLS[name].input.model_validate(arguments, context={"time_zone": None})
    return made
