"""Translation between the dialects that clients speak and those that backends speak.

All of it is pure: what comes out depends on what goes in and on nothing else. Time, ids and the catalogue are
handed over as values. Two wings, and between them the common words:

    clients/<dialect>.read     bytes       -> ChatRequest      (chat.py: the common request)
    backends/<dialect>         ChatRequest -> Dialogue         (dialogue.py: the calls of one answer)
    backends/<dialect>.Reader  bytes       -> deltas           (deltas.py: the common answer)
    filters/                   deltas      -> deltas           (what a backend lacks)
    clients/<dialect>.Writer   deltas      -> bytes

N client dialects and M backend dialects so cost N + M modules, and no dialect knows another one.
rounds.py is the dialogue that asks again, call.py an HTTP call as a value, report.py the fate of every
parameter, errors.py the common error, sse.py server-sent events, surrogates.py characters that come in two
halves, schemas.py what clients' JSON Schemas may be, json_judge.py whether an answer is the JSON that was
asked for, tools.py call ids and what tools are offered, overflow.py a prompt too long in the words that
clients know, quotes.py what of a backend's words may be shown.
answers/ and asking/ are what all backends share: an answer in whatever shape read into deltas, and a question
put, and put once more where the answer will not do.
model_text/ reads what models write as what they mean: JSON among words, calls in text, arguments that almost
fit.

The laws, each a property test in tests/laws:

1. Total: what OpenAI lets a client send is sent on in the model's own schema, or refused by the name of the
   parameter that cannot be met.
2. Accounted: nothing that a client sent disappears without a word; every parameter is in the report once.
3. Cut-proof: where the network cuts a backend's bytes makes no difference to the deltas.
4. Foldable: a stream, put together, is the whole answer; a whole answer, taken apart, is a stream.
5. Honest endings: a choice finishes once, a stream ends once, and what broke never looks finished.
6. Ids hold: no two calls of a conversation share an id, and every replica finds the backend's own in ours.
7. Exact books: reported usage stays as it was reported; counted usage says that it was counted.

Another client dialect is a module in clients/ and a row in clients/__init__.py; another backend a folder
in backends/; another model a row in that backend's table.
"""
