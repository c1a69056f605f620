"""What models write, read as what they mean: JSON among words, calls in text, arguments that almost fit.

`json_scan` follows JSON while it comes; `json_text` finds the JSON of an answer, and `remains` tells it from
the parts of a broken one; `almost_json` mends what is not quite JSON; `arguments` sets right what does not
quite fit a tool's schema; `offered` knows the tools of a request and whether arguments are meant for them.
`spelled_calls` reads calls in the spellings that models
were trained on, out of a `source` that is read while it comes, `stated_calls` those in JSON, `python_calls`
those in Python, `gemma_calls` Gemma's; `call_object` lets a call's arguments go on before it is whole,
`prose` tells a call from one that is shown. Nothing here makes up what was not written.
"""
