"""OpenAI's chat completions: `read` the request (parameters, messages, tools), `write` the answer."""
