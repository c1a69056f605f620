"""What models write, read as what they mean: JSON among words, calls in text, arguments that almost fit.

`json_scan` follows JSON while it comes; `json_text` finds the JSON of an answer; `almost_json` mends what is
not quite JSON; `arguments` sets right what does not quite fit a tool's schema; `spelled_calls` and
`python_calls` read calls in the spellings that models were trained on. Nothing here makes up what was not
written.
"""
