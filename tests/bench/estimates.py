"""Show how well prompts are estimated whose vocabulary nobody told us: the simulator's, model by model.

Run as `python -m tests.bench.estimates`. For each model prompts of many lengths are asked of a simulated
account; before each the estimate is taken, after it the reported usage teaches. Printed is the error of the
estimates, as a share of the reported tokens, of all prompts but the first twenty.
"""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx
import msgspec

from gateway import catalogue
from gateway.estimates import Estimates
from gateway.simulator import SIMULATED_ACCOUNT_ID, SIMULATED_API_TOKEN, Simulator
from translators.backends.workers_ai.catalogue import Catalogue
from translators.backends.workers_ai.request import translate
from translators.call import Stamp
from translators.clients import OPENAI_CHAT
from translators.report import Report

MODELS: Final = (
    "@cf/meta/llama-3.1-8b-instruct-fast",
    "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    "@cf/openai/gpt-oss-20b",
    "@cf/qwen/qwen3-30b-a3b-fp8",
    "@cf/zai-org/glm-4.7-flash",
    "@cf/mistralai/mistral-small-3.1-24b-instruct",
)
LEARNING: Final = 20
_TEXT: Final = (
    "the gateway leads a stream to its turbines while water falls and night comes over hills of stone "
    "für viele Straßen größer als Übung compute_index(value=3.14159) {'name': 'penstock'} 水 流 る"
)
WORDS: Final = tuple(_TEXT.split())


def main() -> int:
    """Print a line a model; the status is 1 where the median error of one is above a fifth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=200)
    errors = asyncio.run(measure(parser.parse_args().prompts))
    worst = 0.0
    for model, shares in errors.items():
        cuts = quantiles(shares, n=20)
        sys.stdout.write(f"{model}: error p50 {cuts[9]:.1%}, p95 {cuts[18]:.1%}\n")
        worst = max(worst, cuts[9])
    return 0 if worst <= 0.2 else 1


async def measure(prompts: int, models: Sequence[str] = MODELS) -> dict[str, list[float]]:
    """Model -> the errors of its prompts' estimates, as shares."""
    estimates, known = Estimates(), catalogue.load(Path(os.devnull).parent)
    transport = httpx.ASGITransport(app=Simulator())
    headers = {"authorization": f"Bearer {SIMULATED_API_TOKEN}"}
    base = f"http://simulator/client/v4/accounts/{SIMULATED_ACCOUNT_ID}/"
    errors: dict[str, list[float]] = {}
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as account:
        for model in models:
            chance = random.Random(model)
            seen = [await _one(account, estimates, known, model, chance) for _ in range(prompts)]
            errors[model] = seen[LEARNING:]
    return errors


async def _one(
    account: httpx.AsyncClient, estimates: Estimates, known: Catalogue, model: str, chance: random.Random
) -> float:
    length = int(4 ** chance.uniform(1, 6))
    text = " ".join(chance.choice(WORDS) for _ in range(length))
    asked = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 8}
    request = OPENAI_CHAT.read(msgspec.json.encode(asked))
    dialogue = translate(request, model, known.facts(model), Stamp(0, "0" * 24), Report())
    (call,) = dialogue.first()
    estimate = estimates.tokens(model, call.prompt_bytes)
    answer = await account.post("/".join(call.segments), content=call.body)
    reader = call.reader()
    reader.start(answer.status_code, dict(answer.headers))
    reader.feed(answer.content)
    reader.close()
    usage = reader.usage()
    assert not usage.estimated, answer.text
    estimates.learn(model, call.prompt_bytes, usage.prompt)
    return abs(estimate - usage.prompt) / usage.prompt


if __name__ == "__main__":
    sys.exit(main())
