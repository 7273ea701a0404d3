"""A long conversation hits the provider's prompt cache, counted on the requests by the benchmark's simulation."""

import pytest

from bench.recording_model import RecordingModel
from functions.chat import app
from local.lambda_events import http_event, invoke
from tests.evals.conftest import ChatWith

pytestmark = pytest.mark.xdist_group("evals")
TURNS = 60


def test_nine_tenths_of_a_long_conversation_hit(chat_with: ChatWith) -> None:
    with RecordingModel() as model, chat_with(model.url()):
        conversation_id = None
        for number in range(TURNS):
            body = {"message": f"Add a task to call number {number}", "conversation_id": conversation_id}
            answer = invoke(app.handler, http_event("POST", "/chat", body=body))
            assert answer.status == 200
            conversation_id = answer.body["conversation_id"]
        figures = model.figures()
    given, hit = (sum(column) for column in zip(*figures, strict=True))
    assert len(figures) == 2 * TURNS
    assert hit / given > 0.88  # 0.93 over 200 turns: the beginning, before 1,024 tokens, counts for more here
    assert (given - hit) / TURNS < 900
