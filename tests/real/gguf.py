"""Writes a tiny Llama of random weights as a GGUF file, of which llama.cpp makes a real, if senseless, model.

The format is GGUF's third version: a head, values under keys, descriptions of tensors, and their data. The
vocabulary is SentencePiece's by bytes, so that any text can be read and any can come out.
"""

import random
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_ALIGNMENT: Final = 32
_U32, _I32, _F32, _STRING, _ARRAY = 4, 5, 6, 8, 9  # GGUF's types of values

_WIDTH: Final = 32
_HEADS: Final = 4
_LAYERS: Final = 2
_INNER: Final = 64
WINDOW: Final = 1024  # tokens

_FIRST_LETTER: Final = 3 + 256  # of the tokens: before it three marks and all bytes

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # SentencePiece's types of tokens
_TEMPLATE: Final = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _string(value)
    return struct.pack({_U32: "<I", _I32: "<i", _F32: "<f"}[kind], value)


def _array(kind: int, values: Sequence[Any]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(_value(kind, each) for each in values)


def _vocabulary() -> tuple[list[str], list[float], list[int]]:
    letters = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?{}[]\"'"
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
    words = [each.replace(" ", "\u2581") for each in letters]
    return [*tokens, *words], [0.0] * (len(tokens) + len(words)), [*kinds, *[_NORMAL] * len(words)]


def _settings() -> Iterator[tuple[str, int, bytes]]:
    tokens, scores, kinds = _vocabulary()
    for name, kind, value in (
        ("general.architecture", _STRING, "llama"),
        ("general.name", _STRING, "tiny"),
        ("llama.context_length", _U32, WINDOW),
        ("llama.embedding_length", _U32, _WIDTH),
        ("llama.block_count", _U32, _LAYERS),
        ("llama.feed_forward_length", _U32, _INNER),
        ("llama.attention.head_count", _U32, _HEADS),
        ("llama.attention.layer_norm_rms_epsilon", _F32, 1e-5),
        ("llama.rope.dimension_count", _U32, _WIDTH // _HEADS),
        ("tokenizer.ggml.model", _STRING, "llama"),
        ("tokenizer.ggml.bos_token_id", _U32, 1),
        ("tokenizer.ggml.eos_token_id", _U32, 2),
        ("tokenizer.ggml.unknown_token_id", _U32, 0),
        ("tokenizer.chat_template", _STRING, _TEMPLATE),
    ):
        yield name, kind, _value(kind, value)
    yield "tokenizer.ggml.tokens", _ARRAY, _array(_STRING, tokens)
    yield "tokenizer.ggml.scores", _ARRAY, _array(_F32, scores)
    yield "tokenizer.ggml.token_type", _ARRAY, _array(_I32, kinds)


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    words = len(_vocabulary()[0])
    yield "token_embd.weight", (_WIDTH, words)
    yield "output_norm.weight", (_WIDTH,)
    yield "output.weight", (_WIDTH, words)
    for number in range(_LAYERS):
        block = f"blk.{number}"
        yield f"{block}.attn_norm.weight", (_WIDTH,)
        for part in ("q", "k", "v", "output"):
            yield f"{block}.attn_{part}.weight", (_WIDTH, _WIDTH)
        yield f"{block}.ffn_norm.weight", (_WIDTH,)
        yield f"{block}.ffn_gate.weight", (_WIDTH, _INNER)
        yield f"{block}.ffn_up.weight", (_WIDTH, _INNER)
        yield f"{block}.ffn_down.weight", (_INNER, _WIDTH)


def write_tiny_llama(path: Path, seed: int = 1) -> None:
    """Write the model; the same for the same seed."""
    chance = random.Random(seed)
    settings, shapes = list(_settings()), list(_shapes())
    head = [b"GGUF", struct.pack("<IQQ", 3, len(shapes), len(settings))]
    head += [_string(name) + struct.pack("<I", kind) + value for name, kind, value in settings]
    data = bytearray()
    for name, shape in shapes:
        size = 1
        for length in shape:
            size *= length
        is_norm = len(shape) == 1
        weights = array("f", (1.0 if is_norm else chance.gauss(0, 0.3) for _ in range(size)))
        if name == "output.weight":
            # Of single bytes and marks nothing speaks, so that the likeliest is a letter: half of a character
            # is written differently in a stream and in a whole answer.
            weights[: _WIDTH * _FIRST_LETTER] = array("f", bytes(4 * _WIDTH * _FIRST_LETTER))
        lengths = struct.pack(f"<{len(shape)}Q", *shape)
        head.append(
            _string(name) + struct.pack("<I", len(shape)) + lengths + struct.pack("<IQ", 0, len(data))
        )
        data += weights.tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
    whole = b"".join(head)
    path.write_bytes(whole + bytes(-len(whole) % _ALIGNMENT) + data)
