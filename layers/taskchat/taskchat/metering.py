"""Metrics of a turn: what the model used and how long it took.

They are written in CloudWatch's embedded metric format, with the dimension `service`. The dashboard and the alarm on
tokens in `template.yaml` read them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from taskchat.agent import Completion, Prompt, Provider, Usage
from taskchat.logs import logger
from taskchat.monitoring import METRICS_NAMESPACE


class Meter:
    """A provider that adds up what the calls of another one use."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.usage = Usage()
        self.model_seconds = 0.0
        self.is_finished = False
        """Set by the caller if the turn ended in this invocation with a reply."""

    def complete(self, prompt: Prompt, timeout_seconds: float) -> Completion:
        """Call the model once; see `Provider`."""
        started = time.perf_counter()
        try:
            completion = self._provider.complete(prompt, timeout_seconds)
        finally:
            self.model_seconds += time.perf_counter() - started
        self.usage += completion.usage
        return completion


@contextmanager
def metered(provider: Provider) -> Iterator[Meter]:
    """Write the metrics of one invocation at its end, also if it fails; without a call of the model there are none."""
    meter = Meter(provider)
    started = time.perf_counter()
    try:
        yield meter
    finally:
        if meter.model_seconds:
            _write(meter, time.perf_counter() - started)


def _write(meter: Meter, seconds: float) -> None:
    metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE, service=logger.service)
    metrics.add_metric("InputTokens", MetricUnit.Count, meter.usage.input_tokens)
    metrics.add_metric("CachedTokens", MetricUnit.Count, meter.usage.cached_tokens)
    metrics.add_metric("OutputTokens", MetricUnit.Count, meter.usage.output_tokens)
    metrics.add_metric("ModelSeconds", MetricUnit.Seconds, meter.model_seconds)
    if meter.is_finished:
        metrics.add_metric("Turns", MetricUnit.Count, 1)
        metrics.add_metric("TurnSeconds", MetricUnit.Seconds, seconds)
    metrics.flush_metrics()
