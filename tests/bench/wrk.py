"""wrk as the load generator of whole answers: it costs the load core a third of what Python does."""

import subprocess
from pathlib import Path

from tests.bench.load import Address
from tests.bench.measure import Outcome
from tests.bench.programs import Program
from tests.bench.works import Work

# At its end wrk drops one request per connection unanswered, which the server has worked on; with this many
# answered for each one dropped, that is under 1 % of the cost.
LEAST_ANSWERS_PER_CONNECTION = 100

SCRIPT = """\
wrk.method = "POST"
wrk.body = [==[{body}]==]
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status, e.connect, e.read, e.write, e.timeout))
end
"""


def send(program: Program, address: Address, work: Work, seconds: int, place: Path) -> Outcome:
    """Send a work for some seconds."""
    script = place / "request.lua"
    script.write_text(_script(address, work))
    url = f"http://127.0.0.1:{address.port}{address.path}"
    arguments = ["-t1", f"-c{work.connections}", f"-d{seconds}s", "-s", str(script), url]
    done = subprocess.run(
        [program.path, *arguments],
        env=dict(program.environment),
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    return _outcome(done.stdout, done.stderr)


def _script(address: Address, work: Work) -> str:
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in address.headers().items())
    return SCRIPT.format(body=work.body(address.model).decode(), headers=headers)


def _outcome(output: str, errors: str) -> Outcome:
    results = [line.split()[1:] for line in output.splitlines() if line.startswith("RESULT ")]
    if not results:
        return Outcome(0, 0.0, f"wrk gave no result: {(errors or output).strip()[:300]}")
    requests, microseconds, *counts = (int(value) for value in results[0])
    kinds = ("non-2xx answers", "failed connects", "failed reads", "failed writes", "timeouts")
    faults = [f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True) if count]
    return Outcome(requests, microseconds / 1e6, ", ".join(faults) or None)
