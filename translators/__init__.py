"""Translation between the dialects that clients speak and those that backends speak.

Pure: bytes and values in, bytes and values out. No I/O, no clock, no randomness, no global state; the
clock, the ids and the catalogue arrive as values. Two wings, and between them the common words:

    clients/<dialect>.read     bytes       -> ChatRequest      (chat.py: the common request)
    backends/<dialect>         ChatRequest -> Dialogue         (dialogue.py: the calls of one answer)
    backends/<dialect>.Reader  bytes       -> deltas           (deltas.py: the common answer)
    filters/                   deltas      -> deltas           (what a backend lacks)
    clients/<dialect>.Writer   deltas      -> bytes

N client dialects and M backend dialects so cost N + M modules, and no dialect knows another one.
rounds.py is the dialogue that asks again, call.py an HTTP call as a value, report.py the fate of every
parameter, errors.py the common error, sse.py server-sent events, schemas.py what clients' JSON Schemas may
be, json_text.py the JSON in an answer and json_judge.py whether it will do, tools.py call ids, overflow.py a
prompt too long in the words that clients know, quotes.py what of a backend's words may be shown.
What models write badly is read by spelled_calls.py and python_calls.py (calls in text), almost_json.py and
arguments.py (arguments that nearly fit), all over json_scan.py, which follows JSON while it comes.

The laws, each a property test in tests/laws:

1. Total: any body that OpenAI's specification allows gives either a body that the model's schema accepts,
   or a 400 naming the parameter.
2. Accounted: each parameter that the client sent has exactly one fate.
3. Cut-proof: however the backend's bytes are cut, the deltas are the same.
4. Foldable: streamed and whole answers to one question agree.
5. Honest endings: one finish a choice, one terminal event, no clean ending after a dead backend.
6. Ids hold: tool-call ids are unique in a conversation, and any replica restores the backend's.
7. Exact books: what a backend reported is passed on as reported, what it did not is counted and marked.

Another client dialect is a module in clients/ and a row in clients/__init__.py; another backend a folder
in backends/; another model a row in that backend's table.
"""
