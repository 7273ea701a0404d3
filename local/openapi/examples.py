"""Examples of request bodies by operation, and of JSON responses by operation and status."""

from collections.abc import Mapping
from typing import Any

TURN = "5f0c7a52-6f0e-4b8e-9d1c-2f4f0a1b3c5d"
TASK: Mapping[str, Any] = {
    "id": 7,
    "title": "Buy groceries",
    "description": None,
    "priority": "high",
    "due_at": "2026-11-30T23:59:59Z",
    "completed": False,
    "completed_at": None,
    "created_at": "2026-11-25T08:58:37.136000Z",
    "updated_at": "2026-11-25T08:58:37.136000Z",
}
CALL: Mapping[str, Any] = {
    "id": "call_1",
    "tool": "create_task",
    "arguments": {"title": "Buy groceries", "priority": "high", "due_at": "2026-11-30"},
    "result": {
        "id": 7,
        "title": "Buy groceries",
        "created": True,
        "priority": "high",
        "due_at": "2026-11-30T23:59:59+00:00",
    },
    "before": None,
    "after": TASK,
    "timestamp": "2026-11-25T08:58:37Z",
}
CONVERSATION: Mapping[str, Any] = {
    "id": 1,
    "title": "Add a task to buy groceries",
    "kind": "chat",
    "created_at": "2026-11-25T08:58:36.120000Z",
    "updated_at": "2026-11-25T08:58:38.510000Z",
    "snippet": None,
}
MESSAGE: Mapping[str, Any] = {
    "id": 2,
    "role": "assistant",
    "content": "",
    "tool_calls": [CALL],
    "created_at": "2026-11-25T08:58:37.136000Z",
    "turn_id": TURN,
    "feedback": None,
}
REPLY = 'Added "Buy groceries" as task 7.'
RUNNING: Mapping[str, Any] = {
    "id": TURN,
    "conversation_id": 1,
    "status": "running",
    "tool_calls": [CALL],
    "response": None,
    "message_id": None,
    "error": None,
    "usage": None,
    "created_at": "2026-11-25T08:58:36.120000Z",
    "finished_at": None,
}
USAGE: Mapping[str, Any] = {
    "model": "gpt-6.1-terra",
    "input_tokens": 2310,
    "cached_tokens": 1024,
    "output_tokens": 96,
    "reasoning_tokens": 32,
}
METADATA: Mapping[str, Any] = {
    "resource": "https://api.example.com/mcp",
    "resource_name": "Taskchat",
    "authorization_servers": ["https://issuer.example.com/"],
    "bearer_methods_supported": ["header"],
}

REQUESTS: Mapping[str, Any] = {
    "post_chat": {"message": "Add a task to buy groceries by Monday, high priority", "timezone": "Europe/Berlin"},
    "patch_conversation": {"title": "Groceries"},
    "put_feedback": {"rating": "down", "comment": "It missed the date."},
    "post_task": {"title": "Buy groceries", "priority": "high", "due_at": "2026-11-30"},
    "patch_task": {"priority": "urgent", "due_at": None, "completed": True},
    "post_mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks", "arguments": {}}},
}
RESPONSES: Mapping[tuple[str, str], Any] = {
    ("post_chat", "200"): {
        "turn_id": TURN,
        "conversation_id": 1,
        "message_id": 3,
        "response": REPLY,
        "tool_calls": [CALL],
    },
    ("post_chat", "202"): RUNNING,
    ("get_turn", "200"): {
        **RUNNING,
        "status": "finished",
        "response": REPLY,
        "message_id": 3,
        "usage": USAGE,
        "finished_at": "2026-11-25T08:58:38.510000Z",
    },
    ("post_undo", "200"): {
        "turn_id": "9b1e4c1e-7a0a-4a55-8f0e-6d1a2b3c4d5e",
        "conversation_id": 1,
        "message_id": 5,
        "tool_calls": [
            {
                "id": "call_1",
                "tool": "undo",
                "arguments": {},
                "result": {"id": 7},
                "before": TASK,
                "after": None,
                "timestamp": "2026-11-25T09:02:11Z",
            }
        ],
    },
    ("get_conversations", "200"): {"items": [CONVERSATION], "next_cursor": None},
    ("get_conversation", "200"): CONVERSATION,
    ("patch_conversation", "200"): {**CONVERSATION, "title": "Groceries"},
    ("get_messages", "200"): {"items": [MESSAGE], "next_cursor": None},
    ("get_usage", "200"): {
        "period_started_at": "2026-11-25T00:00:00Z",
        "resets_at": "2026-11-26T00:00:00Z",
        "turns": 4,
        "tokens": 9624,
        "input_tokens": 9240,
        "cached_tokens": 4096,
        "output_tokens": 384,
        "reasoning_tokens": 128,
        "turns_in_minute": 1,
        "turns_in_flight": 0,
        "limits": {"tokens_per_day": 500000, "turns_per_minute": 20, "turns_in_flight": 3},
    },
    ("get_export", "200"): {"items": [{"table": "tasks", "data": TASK}], "next_cursor": None},
    ("get_tasks", "200"): {"items": [TASK], "next_cursor": None},
    ("post_task", "201"): TASK,
    ("get_task", "200"): TASK,
    ("patch_task", "200"): {
        **TASK,
        "priority": "urgent",
        "due_at": None,
        "completed": True,
        "completed_at": "2026-11-25T09:00:00.250000Z",
        "updated_at": "2026-11-25T09:00:00.250000Z",
    },
    ("post_mcp", "200"): {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "…"}]}},
    ("get_metadata", "200"): METADATA,
    ("get_metadata_of_mcp", "200"): METADATA,
}
