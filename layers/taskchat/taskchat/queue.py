"""The queue of turns for the worker: an SQS queue, whose messages name a turn and nothing else.

A message may be lost, sent twice or come late. The turn's row says what there is to do, and the sweep queues a turn
again that nobody works on.
"""

import json
import logging
import uuid
from functools import cached_property
from typing import Any, Protocol

LONGEST_DELAY_SECONDS = 900
"""The limit of SQS for `DelaySeconds`."""
SEND_TIMEOUT_SECONDS = 1.0
"""Longest wait for a connection to SQS, and again for its answer: a person waits for the response that follows."""
_logger = logging.getLogger(__name__)


class Queue(Protocol):
    """Brings turns to the worker."""

    def send(self, turn_id: uuid.UUID, delay_seconds: float = 0.0) -> None:
        """Ask the worker to go on with a turn. A message that cannot be sent is left to the sweep."""


class SqsQueue:
    """An SQS queue by its URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, turn_id: uuid.UUID, delay_seconds: float = 0.0) -> None:
        """Send a message that names the turn; see `Queue`."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as in `_client`

        try:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=json.dumps({"turn_id": str(turn_id)}),
                DelaySeconds=min(int(delay_seconds), LONGEST_DELAY_SECONDS),
            )
        except (BotoCoreError, ClientError) as error:
            _logger.warning("turn %s is left to the sweep, because it could not be queued: %s", turn_id, error)

    @cached_property
    def _client(self) -> Any:
        # The SDK takes 0.2 s to import, which an invocation that sends nothing does not need.
        import boto3  # noqa: PLC0415 - see above
        from botocore.config import Config  # noqa: PLC0415 - see above

        limits = Config(
            connect_timeout=SEND_TIMEOUT_SECONDS, read_timeout=SEND_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
        )
        return boto3.client("sqs", config=limits)


def turn_id_of(message_body: str) -> uuid.UUID:
    """Return the turn that a message names.

    Raises:
        ValueError: the message names none.
    """
    try:
        return uuid.UUID(json.loads(message_body)["turn_id"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the message names no turn") from error
