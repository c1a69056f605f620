"""Cloudflare Workers AI through its native `/ai/run/{model}`, in the legacy schema's family.

`request` writes the body (parameters, messages, tools, structured), `response` reads the answer
(answer, calls, output, usage, errors); `catalogue` holds the facts of each model.
"""
