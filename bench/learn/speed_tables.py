# SPDX-License-Identifier: Apache-2.0
"""The matrices of speed.py: real tables as both sides are given them, and the file that fit_matrix
reads."""
import dataclasses

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import feature_extraction

FILES = {"adult": ("adult_train", "income"), "bank_marketing": ("bank_marketing", "y"),
         "covertype_20k": ("covertype_20k", "Cover_Type"), "sms_spam": ("sms_spam", "label"),
         "kddcup99": ("kddcup99_10pct", "label")}
ROWS_MAX = {"kddcup99": 20000}  # its counterpart would take minutes
CLASS_MIN = 200  # rows of a class of kddcup99
TEST_SHARE = 5  # a fifth of the rows is predicted


@dataclasses.dataclass
class Table:
    name: str
    dense: np.ndarray         # numbers scaled, an indicator per level
    words: sparse.csr_matrix  # tf-idf of words and pairs of words; no columns without text
    codes: np.ndarray         # numbers as they are, levels as codes: for trees; None with text
    y: np.ndarray             # number of the class
    n_classes: int


@dataclasses.dataclass
class Part:
    """Rows of one view, for fitting and for predicting."""
    view: str  # "dense" or "trees"
    train: np.ndarray
    test: np.ndarray
    words: sparse.csr_matrix
    test_words: sparse.csr_matrix
    y: np.ndarray
    test_y: np.ndarray
    n_classes: int  # 0: the target is a number

    def both(self, test=False):
        """Dense and sparse columns as one sparse matrix."""
        dense, words = (self.test, self.test_words) if test else (self.train, self.words)
        return sparse.hstack([sparse.csr_matrix(dense), words]).tocsr().astype(float)


def load(folder, name):
    file, target = FILES[name]
    frame = pd.read_csv(folder / f"{file}.csv.gz", skipinitialspace=True)
    frame = frame.sample(min(len(frame), ROWS_MAX.get(name, len(frame))), random_state=1)
    if name == "kddcup99":
        counts = frame[target].value_counts()
        frame = frame[frame[target].isin(counts.index[counts >= CLASS_MIN])]
    classes, y = np.unique(frame.pop(target).astype(str), return_inverse=True)
    if name == "sms_spam":
        words = feature_extraction.text.TfidfVectorizer(ngram_range=(1, 2)).fit_transform(
            frame["text"])
        return Table(name, np.zeros((len(y), 0)), words.astype(np.float32).tocsr(), None, y,
                     len(classes))
    numbers = frame.select_dtypes("number")
    numbers = numbers.loc[:, numbers.std() > 0]
    others = frame.select_dtypes(exclude="number")
    scaled = ((numbers - numbers.mean()) / numbers.std(ddof=0)).to_numpy()
    levels = pd.get_dummies(others).to_numpy(float) if len(others.columns) else scaled[:, :0]
    codes = [others[c].astype("category").cat.codes.to_numpy(float) for c in others]
    return Table(name, np.hstack([scaled, levels]), sparse.csr_matrix((len(y), 0), dtype=np.float32),
                 np.column_stack([numbers.to_numpy(float), *codes]), y, len(classes))


def part_of(table, view, numbers, rows_max):
    """The first rows_max rows (they are in a random order), a fifth of them for predictions;
    `numbers`: the number of the class, scaled, is what is to be predicted."""
    n = min(rows_max, len(table.y))
    valid = np.arange(n) % TEST_SHARE == TEST_SHARE - 1
    x = (table.dense if view == "dense" else table.codes)[:n]
    words = table.words[:n] if view == "dense" else table.words[:n, :0]
    y = table.y[:n].astype(float)
    n_classes = 0 if numbers else table.n_classes
    if not numbers and n < len(table.y):  # classes that the fewer rows have
        present, y = np.unique(y, return_inverse=True)
        n_classes, y = len(present), y.astype(float)
    return Part(view, x[~valid], x[valid], words[~valid], words[valid], y[~valid], y[valid],
                n_classes)


def write(path, part):
    parts = ((part.train, part.words), (part.test, part.test_words))
    with open(path, "wb") as out:
        np.array([len(part.y), len(part.test_y), part.train.shape[1], part.words.shape[1],
                  part.words.nnz, part.test_words.nnz, part.n_classes, part.view == "dense"],
                 np.int64).tofile(out)
        part.y.astype(float).tofile(out)
        for dense, _ in parts:
            np.asfortranarray(dense).T.tofile(out)
        for _, words in parts:
            words.indptr.astype(np.int64).tofile(out)
        for _, words in parts:
            words.indices.astype(np.int32).tofile(out)
        for _, words in parts:
            words.data.astype(np.float32).tofile(out)
