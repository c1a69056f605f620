"""Metrics of a process, or of several together, in Prometheus' text format. The home of prometheus_client.

Names follow OpenTelemetry's GenAI conventions where these have one (`gen_ai_*`), else `penstock_*`.
Labels come from closed sets: a model that nobody configured and no list has is `other`.

`counting` is what a process notes as it goes along, `names` says what each series means, and `text` writes
them all.
"""

from gateway.metrics.counting import Metrics
from gateway.metrics.text import CONTENT_TYPE, render, written

__all__ = ["CONTENT_TYPE", "Metrics", "render", "written"]
