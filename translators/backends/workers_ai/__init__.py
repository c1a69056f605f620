"""Cloudflare Workers AI through its native `/ai/run/{model}`, in the legacy schema's family.

`request` writes the body (parameters, messages, tools, prompted_tools, structured), `response` reads the
answer (answer, calls, output, usage, errors, blame), `answer_filters` says what it goes through, `judges`
whether it will do, and has `ask` put the question once more; `catalogue` holds the facts of each model.
"""
