#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases.json: what every transform of the recipe must give, from parts of scikit-learn
(1.9.1 wrote the file here) and pandas. Where a transform is defined otherwise than theirs, the
function that makes its case says by which formula the expected values come from their parts.

A case has one feature `v` and the target `y`; the first n_train rows of `csv` are for fitting.
`expect` lists columns of a view, of `all` rows or of the `training` rows as fitting gives them;
`gram` holds the inner products of the rows of the sparse part."""
import io
import json
import pathlib

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import (OneHotEncoder, OrdinalEncoder, QuantileTransformer,
                                   StandardScaler, TargetEncoder)

rng = np.random.default_rng(11)
cases = []
MARGIN = 3
CLIP = 8  # scaled values are held within this many standard deviations


class Case:
    def __init__(self, name, task, kind, values, y, n_train, seed=1):
        csv = io.StringIO()
        pd.DataFrame({"v": values, "y": y}).to_csv(csv, index=False)
        self.data = {"name": name, "task": task, "kind": kind, "seed": seed, "n_train": n_train,
                     "csv": csv.getvalue(), "n_dense": {}, "expect": []}
        cases.append(self.data)

    def expect(self, view, feature, values, tolerance=1e-9, which="all"):
        self.data["expect"].append({
            "view": view, "which": which, "feature": feature, "tolerance": tolerance,
            "values": [None if np.isnan(v) else float(v) for v in np.asarray(values, float)]})

    def widths(self, tree, dense):
        self.data["n_dense"] = {"tree": tree, "dense": dense}


def column(values):
    return np.asarray(values, float).reshape(-1, 1)


def standard(train, values):
    """StandardScaler fitted on `train`, then the clip."""
    z = StandardScaler().fit(column(train)).transform(column(values)).ravel()
    return np.clip(z, -CLIP, CLIP)


def targets(task, n):
    if task == "regression":
        return np.round(rng.normal(10, 3, n), 3)
    classes = ["no", "yes"] if task == "binary" else ["a", "b", "c"]
    return np.array(classes)[np.concatenate([np.arange(len(classes)),
                                             rng.integers(0, len(classes), n - len(classes))])]


def numeric(name, n_train, n_missing, n_apply=7):
    """median, then standardised by the mean and the deviation of the values that are there.
    SimpleImputer's median is the mean of the middle two of an even number of values; ours is the
    upper one of them, so that it is always a value of the column."""
    x = np.round(rng.normal(3, 2, n_train + n_apply), 4)
    x[rng.choice(n_train, n_missing, replace=False)] = np.nan
    x[n_train:n_train + 3] = [np.nan, 1e6, -1e6]
    case = Case(name, "binary", "numeric", x, targets("binary", len(x)), n_train)
    known = x[:n_train][~np.isnan(x[:n_train])]
    if len(known) % 2:
        filled = SimpleImputer(strategy="median").fit(column(x[:n_train])).transform(column(x))
    else:
        filled = np.where(np.isnan(x), np.sort(known)[len(known) // 2], x)
    case.expect("tree", "v", x, 0)
    case.expect("dense", "v", standard(known, np.ravel(filled)))
    if n_missing:
        indicator = MissingIndicator(features="all").fit(column(x[:n_train]))
        case.expect("dense", "v is missing", indicator.transform(column(x)).ravel(), 0)
    case.widths(1, 2 if n_missing else 1)


def straightness(task, z, y):
    """Log-likelihood of a line in z."""
    if task == "regression":
        return -0.5 * len(z) * np.log(1 - np.corrcoef(z, y)[0, 1] ** 2)
    if task == "binary":
        line = LogisticRegression(C=1000, tol=1e-10).fit(column(z), y)
        return -metrics.log_loss(y, line.predict_proba(column(z)), normalize=False)
    groups = [z[y == c] for c in np.unique(y)]
    between = sum(len(g) * (g.mean() - z.mean()) ** 2 for g in groups) / (len(z) * z.var())
    return -0.5 * len(z) * np.log(1 - between)


def target_along(task, z):
    """A target along a line in z, with noise."""
    place = stats.zscore(np.clip(z, -8, 8)) + rng.normal(0, 0.5, len(z))
    if task == "regression":
        return np.round(place, 3)
    if task == "binary":
        return np.where(place > 0.5, "yes", "no")
    return np.array(["a", "b", "c"])[np.digitize(place, [0.5, 3])]


def quantiles(name, ties, task="regression", straight=False):
    """Skewed columns: the normal score of the place among the training quantiles, standardised.
    QuantileTransformer interpolates the probability and then takes the score; ours interpolates
    the score between its 65 quantiles. Its scores end at +-5.2, ours at the scores of 0.002 and
    0.998. Equal quantiles share the mean of their scores. 64 k + 1 values, so that every quantile
    is a value; a missing one gets the median. Where the target
    is along the numbers as they are, they are only standardised."""
    n_train = 64 * 3 + 1
    x = np.round(np.exp(rng.normal(0, 1.5, n_train + 8)), 6)
    if ties:
        x[:60] = 0
    x[n_train:n_train + 4] = [np.nan, -5, 1e9, np.sort(x[:n_train])[100]]
    order = rng.permutation(n_train)
    x[:n_train] = x[:n_train][order]
    train = x[:n_train]
    assert stats.skew(train) > 1
    transformer = QuantileTransformer(n_quantiles=65, subsample=None).fit(column(train))
    scores = stats.norm.ppf(np.clip(transformer.references_, 0.002, 0.998))
    knots, place = np.unique(transformer.quantiles_.ravel(), return_inverse=True)
    means = np.bincount(place, scores) / np.bincount(place)

    def bend(values):
        return np.interp(values, knots, means)

    filled = np.where(np.isnan(x), np.median(train), x)
    views = [standard(bend(train), bend(filled)), standard(train, filled)]
    for _ in range(1000):  # until the likelihoods say which
        y = target_along(task, views[straight])
        told = [straightness(task, z[:n_train], y[:n_train]) for z in views]
        if (told[1] > told[0] + MARGIN) == straight:
            break
    assert (told[1] > told[0] + MARGIN) == straight
    case = Case(name, task, "numeric", x, y, n_train)
    case.expect("tree", "v", x, 0)
    case.expect("dense", "v", views[straight], 1e-7)
    case.widths(1, 1)


def levels(n_each, n_apply):
    """Level names, so many of each, shuffled, with missing ones; then levels to apply to."""
    train = [f"L{i:02d}" for i, n in enumerate(n_each) for _ in range(n)] + [None] * 6
    train = [train[i] for i in rng.permutation(len(train))]
    names = [f"L{i:02d}" for i in range(len(n_each))]
    return train, train + [names[i] for i in rng.integers(0, len(names), n_apply)] + [
        None, "never seen"]


def expect_codes(case, train, values, n_hot):
    """OrdinalEncoder with the levels in order of their number of rows, ties by name; levels of one
    row are not numbered. OneHotEncoder with such levels, and those beyond the 30th, as infrequent;
    a level that is not known counts as infrequent too. Missing has a column of its own."""
    known = pd.Series([v for v in train if v is not None])
    counts = known.value_counts()
    order = sorted((v for v in counts.index if counts[v] >= 2), key=lambda v: (-counts[v], v))
    present = np.array([v is not None for v in values])
    ordinal = OrdinalEncoder(categories=[order], handle_unknown="use_encoded_value",
                             unknown_value=np.nan)
    frame = pd.DataFrame({"v": [v if v is not None else "" for v in values]}, dtype=object)
    ordinal.fit(pd.DataFrame({"v": order}, dtype=object))
    case.expect("tree", "v", ordinal.transform(frame).ravel(), 0)
    hot = OneHotEncoder(min_frequency=2, max_categories=n_hot + 1,
                        handle_unknown="infrequent_if_exist", sparse_output=False)
    hot.fit(known.to_frame("v").astype(object))
    coded = hot.transform(frame) * present[:, None]
    names = list(hot.get_feature_names_out(["v"]))
    for i, name in enumerate(names[:-1]):
        case.expect("dense", "v=" + name[2:], coded[:, i], 0)
    assert names[-1].endswith("infrequent_sklearn")
    case.expect("dense", "v~rare", coded[:, -1], 0)
    case.expect("dense", "v is missing", ~present, 0)
    return order, counts, len(names) - 1


def one_hot(name, task, n_each):
    train, values = levels(n_each, 5)
    case = Case(name, task, "categorical", values, targets(task, len(values)), len(train))
    _, _, n = expect_codes(case, train, values, 30)
    case.widths(1, n + 2)


def seeds(seed, stream):
    """The stream of base/rng.h: xoshiro256++ seeded by splitmix64, written anew here."""
    mask = 2 ** 64 - 1

    def splitmix(state):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        return state, z ^ z >> 31

    def rotate(x, k):
        return (x << k | x >> (64 - k)) & mask

    state, mixed = splitmix(seed)
    state, child = splitmix(mixed ^ ((stream * 0xD1342543DE82EF95 + 1) & mask))
    s = []
    state = child
    for _ in range(4):
        state, z = splitmix(state)
        s.append(z)
    while True:
        yield (rotate((s[0] + s[3]) & mask, 23) + s[0]) & mask
        t = (s[1] << 17) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)


def inner_folds(seed, n):
    """Five folds dealt at random (Lemire's bounded draws), the same for every column."""
    numbers = seeds(seed, 0x696E6E6572)
    folds = []
    while len(folds) < n:
        product = next(numbers) * 5
        if product % 2 ** 64 >= 2 ** 64 % 5:
            folds.append(product >> 64)
    return np.array(folds)


def target_means(name, task, n_each, seed):
    """TargetEncoder with smooth = 10. Levels of one row, unseen and missing ones get the mean of
    all rows, as its unknown levels do. Training rows get what an encoder fitted on the other inner
    folds gives them; TargetEncoder deals its own folds, so ours are dealt as above. Scaled by the
    mean and deviation over the training rows with the encoding of all of them."""
    train, values = levels(n_each, 12)
    y = targets(task, len(values))
    case = Case(name, task, "categorical", values, y, len(train), seed)
    order, counts, n_hot = expect_codes(case, train, values, 30)
    n_train = len(train)
    labels = y[:n_train]
    text = np.array([v if v is not None else "(missing)" for v in values], dtype=object)
    text = np.where(np.isin(text.astype(str), order), text, "(other)").reshape(-1, 1)

    def means(rows, rows_to):
        kind = {"binary": "binary", "multiclass": "multiclass", "regression": "continuous"}[task]
        # Rows of no level count for the mean of all rows and for nothing else: they are there as
        # a level that is never asked for.
        encoder = TargetEncoder(categories=[sorted(order) + ["(other)"]], smooth=10.0,
                                target_type=kind)
        encoder.fit(text[rows], labels[rows])
        encoded = encoder.transform(text[rows_to])
        other = (text[rows_to] == "(other)").ravel()
        encoded[other] = encoder.target_mean_
        return encoded

    every = np.arange(n_train)
    plain = means(every, np.arange(len(values)))
    folds = inner_folds(seed, n_train)
    out_of_fold = np.empty((n_train, plain.shape[1]))
    for fold in range(5):
        out_of_fold[folds == fold] = means(every[folds != fold], every[folds == fold])
    log_count = np.array([np.log(counts[v]) if v in order else 0 for v in values])
    classes = sorted(set(y)) if task == "multiclass" else [None]
    for k, label in enumerate(classes):
        feature = "v~target" if label is None else f"v~target={label}"
        case.expect("tree", feature, plain[:, k], 1e-12)
        case.expect("tree", feature, out_of_fold[:, k], 1e-12, "training")
        case.expect("dense", feature, standard(plain[:n_train, k], plain[:, k]))
        case.expect("dense", feature, standard(plain[:n_train, k], out_of_fold[:, k]),
                    which="training")
    case.expect("tree", "v~count", log_count, 1e-12)
    case.expect("dense", "v~count", standard(log_count[:n_train], log_count))
    case.widths(2 + len(classes), n_hot + 3 + len(classes))


def dates(name):
    """Parts of the calendar as pandas gives them; those that do not vary in training are left out.
    Dense: standardised, and sine and cosine of 2 pi part / period; missing is 0 in these and the
    median in the others, and has an indicator."""
    n_train, n = 41, 50
    seconds = rng.integers(0, 10 ** 8, n) + 1_500_000_000
    seconds[:3] = [-86400 * 400 + 3, -1, 0]  # before 1970
    when = pd.Series(pd.to_datetime(seconds, unit="s"))
    missing = np.zeros(n, bool)
    missing[[5, 6, 45]] = True
    text = when.dt.strftime("%Y-%m-%dT%H:%M:%S").where(~missing, None)
    case = Case(name, "binary", "datetime", text, targets("binary", n), n_train)
    parts = {"days": (seconds // 86400, 0), "year": (when.dt.year, 0),
             "month": (when.dt.month, 12), "day": (when.dt.day, 31),
             "weekday": (when.dt.day_of_week, 7), "hour": (when.dt.hour, 24),
             "minute": (when.dt.minute, 60), "day_of_year": (when.dt.day_of_year, 366),
             "second_of_day": (seconds % 86400, 86400)}
    n_dense = 0
    for part, (values, period) in parts.items():
        values = np.where(missing, np.nan, np.asarray(values, float))
        known = values[:n_train][~missing[:n_train]]
        assert len(known) % 2  # an odd number: one median
        filled = np.where(missing, np.median(known), values)
        case.expect("tree", f"v.{part}", values, 0)
        case.expect("dense", f"v.{part}", standard(known, filled))
        n_dense += 1
        if period:
            angle = 2 * np.pi * values / period
            case.expect("dense", f"v.{part}.sin", np.nan_to_num(np.sin(angle)))
            case.expect("dense", f"v.{part}.cos", np.nan_to_num(np.cos(angle)))
            n_dense += 2
    case.expect("dense", "v is missing", missing, 0)
    case.widths(len(parts), n_dense + 1)


def texts(name):
    """TfidfVectorizer with sublinear_tf (1 + ln tf), smooth_idf (ln((1 + n) / (1 + df)) + 1), unit
    length and min_df = 2, over words, pairs of words, and the 3- to 5-letter pieces of words with
    a space at each end (its char_wb). Words are runs of ASCII letters and digits, '_' and bytes
    from 0x80 on, which is why its text is the UTF-8 bytes read as Latin-1. A missing text counts
    as an empty one in n. Columns are hashed, so the rows are compared by their inner products."""
    words = ("mill grain stone flour wheel water miller sack Bread RYE oats 42 7 x_y caf\u00e9 "
             "\u00c9mile na\u00efve").split()
    n_train, n = 34, 46
    values = []
    for i in range(n):
        length = int(rng.integers(1, 12))
        text = ""
        for word in rng.choice(words, length):
            text += word + str(rng.choice([" ", " ", " ", ", ", "! ", "-", "  "]))
        values.append(text.strip() or "mill")
    for row in (3, 9, 36):
        values[row] = None
    values[37:41] = ["never heard of", "...", "mill", "mill mill MILL mill, mill"]
    case = Case(name, "binary", "text", values, targets("binary", n), n_train)

    def as_bytes(text):
        return (text or "").replace("\u00c9", "\u00e9").lower().encode().decode("latin-1")

    token = r"[a-z0-9_\x80-\xff]+"
    words_of = CountVectorizer(token_pattern=token, ngram_range=(1, 2),
                               lowercase=False).build_analyzer()
    pieces_of = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5),
                                lowercase=False).build_analyzer()
    tokens_of = CountVectorizer(token_pattern=token, lowercase=False).build_analyzer()

    def analyze(text):
        text = as_bytes(text)
        return (["word " + w for w in words_of(text)] +
                ["piece " + p for p in pieces_of(" ".join(tokens_of(text)))])

    tfidf = TfidfVectorizer(analyzer=analyze, sublinear_tf=True, min_df=2)
    tfidf.fit(values[:n_train])
    rows = tfidf.transform(values)
    case.data["n_sparse"] = len(tfidf.vocabulary_)
    case.data["gram"] = {"tolerance": 1e-6,
                         "values": [round(float(v), 9)
                                    for v in np.asarray((rows @ rows.T).todense()).ravel()]}
    series = pd.Series(values)
    counts = {"length": series.str.len(), "words": series.str.split().str.len(),
              "capitals": series.str.count("[A-Z]"), "digits": series.str.count("[0-9]"),
              "punctuation": series.str.count(r"[^A-Za-z0-9\s\u0080-\U0010ffff]"),
              "spaces": series.str.count(r"\s")}
    counts["word_length"] = (counts["length"] - counts["spaces"]) / counts["words"]
    for feature, number in counts.items():
        case.expect("tree", f"v~{feature}", number.astype(float), 1e-12)


numeric("numbers, an odd number of them known", 41, 4)
numeric("numbers, an even number of them known", 40, 4)
numeric("numbers, none of them missing", 33, 0)
quantiles("skewed numbers", False)
quantiles("skewed numbers with ties", True)
for task in ["regression", "binary", "multiclass"]:
    quantiles(f"skewed numbers, straight to a {task} target", False, task, True)
    quantiles(f"skewed numbers, bent to a {task} target", True, task, False)
one_hot("few levels", "binary", [9, 7, 5, 5, 2, 1, 1])
one_hot("eight levels", "regression", [9, 8, 8, 6, 5, 4, 3, 2, 1])
target_means("many levels, two classes", "binary", [12, 9, 8, 8, 7, 5, 5, 4, 3, 2, 2, 1, 1], 1)
target_means("many levels, numbers", "regression", [14, 9, 8, 6, 6, 5, 4, 3, 2, 2, 1], 7)
target_means("many levels, three classes", "multiclass", [11, 9, 8, 8, 6, 6, 4, 3, 2, 2, 1], 2)
target_means("more levels than columns", "binary", [4] * 30 + [3] * 4 + [1] * 3, 5)
dates("dates")
texts("texts")
pathlib.Path(__file__).with_name("cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
