"""Turns from the queue, carried to their end without their client; and the sweep, which queues forgotten turns.

A message names a turn, and the turn's row says what there is to do. So a message does nothing that comes twice, comes
late, or names a turn that is over or held by another invocation.
"""

from taskchat.cold_start import imports_done

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from taskchat import account
from taskchat.database import database
from taskchat.errors import ConversationBusyError, TaskchatError
from taskchat.logs import logger
from taskchat.metering import metered
from taskchat.monitoring import note_defect, note_problem
from taskchat.process import chat, provider
from taskchat.queue import turn_id_of
from taskchat.settings import settings

RESERVED_SECONDS = 3.0
"""Time kept back for giving the turn back and queueing it."""
SWEEP = "sweep"
"""The `action` of the schedule's event."""

_processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> Mapping[str, Any]:
    """Serve a batch of messages, or sweep."""
    if event.get("action") == SWEEP:
        return _sweep(lambda: _seconds_left(context))
    return process_partial_response(event, _work, _processor, context)


def _work(record: SQSRecord, lambda_context: Any) -> None:
    """Go on with the turn that a message names.

    A turn that stops is queued anew by `Chat`, with the delay that its fault asks for, so this message is done. Only a
    fault before the turn was taken, such as a database that does not answer, makes the message come again.
    """
    try:
        turn_id = turn_id_of(record.body)
        logger.append_keys(turn_id=str(turn_id))
        with metered(provider) as model:
            reply = chat(model).resume(turn_id, lambda: _seconds_left(lambda_context))
            model.is_finished = reply is not None
    except TaskchatError as error:
        note_problem(error)
        if error.turn_id is None and not isinstance(error, ConversationBusyError):
            raise
    except Exception as error:
        note_defect(error)
        raise


def _sweep(seconds_left: Callable[[], float]) -> Mapping[str, int]:
    """Queue forgotten turns, and delete a batch of conversations that were kept for as long as the settings say."""
    queued = chat(provider).sweep(seconds_left)
    days = settings().retention_days
    if days == 0:
        return {"queued": queued}
    forgotten = database().sweep_transaction(
        lambda connection: account.forget_untouched(connection, days), seconds_left=seconds_left
    )
    return {"queued": queued, "forgotten": forgotten}


def _seconds_left(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000 - RESERVED_SECONDS


imports_done()
