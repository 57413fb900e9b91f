#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every learner against scikit-learn's solvers for the same optimum: the same matrix, two threads
each, runs in turn, medians. Of several solvers, and of dense and sparse matrices, the quickest counts
that comes within 1e-5 of the least objective, or of the most variance explained (where there is one).
One JSON line per phase, with seconds on the clock and of processors; --table makes the table in
README.md beside it of such lines.
usage: speed.py [--rounds 3] [--threads 2] [--only WHAT,…] FIT_MATRIX DATA_FOLDER [TABLE …] > FIGURES
       speed.py --table < FIGURES"""
import os
import sys

THREADS = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 2
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(THREADS)

import argparse  # noqa: E402  (threads are set first)
import dataclasses  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import re  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import joblib  # noqa: E402
import numpy as np  # noqa: E402
from scipy import special  # noqa: E402

warnings.simplefilter("ignore")
SLOWEST_S = 8  # a candidate that takes more processor time is the last that is tried
BRIEF_S, MOST_ROUNDS = 0.1, 9  # of short runs there are more
WARM_S = 1
SPIN_S = 0.06  # OpenBLAS's threads keep processors busy for some 30 ms after their last product


@dataclasses.dataclass
class Row:
    what: str    # name of the row
    own: str     # WHAT of fit_matrix
    params: str
    peers: list  # of candidates: functions of a part that return an unfitted model
    view: str = "dense"
    target: str = "class"  # "class", "two", "many" classes, "number"
    rows_max: int = 10 ** 9
    objective: object = None  # (x, y, coefficients, intercepts) -> the least is best
    sparse: bool = False      # the peer may be given the matrix as a sparse one
    text: bool = False        # takes text too
    result: object = None     # of the peer's fitted model and the part, where not its predictions
    most: bool = False        # the greatest result is the optimum
    predicts: bool = True
    score: object = None      # method of the peer that predicts


def margins(x, w, b):
    return x @ w.T + b


def sum_of_squares(w):
    return float((w ** 2).sum())


def logistic_loss(x, y, w, b):
    m = margins(x, w, b)
    if m.shape[1] == 1:
        return np.logaddexp(0, -(2 * y - 1) * m.ravel()).sum()
    return (special.logsumexp(m, axis=1) - m[np.arange(len(y)), y.astype(int)]).sum()


def hinge(power):
    def value(x, y, w, b):
        excess = np.maximum(0, 1 - (2 * y - 1) * margins(x, w, b).ravel())
        return (sum_of_squares(w) + sum_of_squares(b)) / 2 + HINGE_C[power] * (
            excess ** power).sum()
    return value


def squares(x, y, w, b):
    return ((y - margins(x, w, b).ravel()) ** 2).sum() / 2


def mean_squares(alpha):
    return lambda x, y, w, b: squares(x, y, w, b) / len(y) + alpha * np.abs(w).sum()


def poisson(x, y, w, b):
    m = margins(x, w, b).ravel()
    return (np.exp(m) - y * m).mean() + 0.01 * sum_of_squares(w) / 2


def quantile(x, y, w, b):
    return np.abs(y - margins(x, w, b).ravel()).mean() / 2 + 0.001 * np.abs(w).sum()


def gamma_of(part):
    return float(1 / (part.train.shape[1] * part.train.var()))


HINGE_C = {1: 0.1, 2: 1.0}


def rows():
    """Imported here, so that --table needs no scikit-learn."""
    from sklearn import (calibration, cluster, decomposition, ensemble, gaussian_process,
                         linear_model, naive_bayes, neighbors, neural_network, svm, tree)
    kernels = gaussian_process.kernels

    def logistic(solvers):
        return [lambda part, s=s, t=t: linear_model.LogisticRegression(
            C=1.0, solver=s, tol=t, max_iter=10000) for s, t in solvers]

    def lasso_logistic(solver, tol):
        return lambda part: linear_model.LogisticRegression(
            C=1 / (0.001 * len(part.y)), l1_ratio=1, solver=solver, tol=tol, max_iter=5000,
            intercept_scaling=1000)

    def machine(part):
        return calibration.CalibratedClassifierCV(
            svm.SVC(gamma=gamma_of(part)), cv=3, ensemble=False, n_jobs=THREADS)

    def forest(kind):
        return [lambda part: kind(n_estimators=50, n_jobs=THREADS, random_state=1)]

    def neighbours(part):
        return neighbors.KNeighborsClassifier(15, algorithm="brute", n_jobs=THREADS)

    def process(part):
        kernel = kernels.ConstantKernel() * kernels.RBF(3.0) + kernels.WhiteKernel(0.1)
        return gaussian_process.GaussianProcessRegressor(kernel, normalize_y=True)

    grown = "n_estimators=50,min_data_in_leaf=1"
    network = ("n_layers=3,hidden=256,dropout=0,batch_size=512,numeric_embedding=none,clip=0,"
               "schedule=constant,learning_rate=0.001,averaging=0,weight_decay=0.0001,epochs=3")
    return [
        Row("linear", "linear", "-", [lambda part: linear_model.LinearRegression()],
            target="number", sparse=True, objective=squares),
        Row("ridge", "ridge", "alpha=1,tol=1e-6",
            [lambda part, s=s, t=t: linear_model.Ridge(1.0, solver=s, tol=t) for s, t in
             (("cholesky", 1e-4), ("lsqr", 1e-8), ("sparse_cg", 1e-4))], target="number",
            sparse=True, text=True, objective=lambda x, y, w, b: squares(x, y, w, b) + sum_of_squares(w) / 2),
        Row("lasso", "elastic_net", "alpha=0.001,l1_ratio=1",
            [lambda part, t=t: linear_model.Lasso(0.001, tol=t, max_iter=100000)
             for t in (1e-4, 1e-6)], target="number", sparse=True, text=True, objective=mean_squares(0.001)),
        Row("poisson", "glm", "loss=poisson,alpha=0.01",
            [lambda part, s=s: linear_model.PoissonRegressor(alpha=0.01, solver=s, tol=1e-6,
                                                             max_iter=10000)
             for s in ("newton-cholesky", "lbfgs")], target="number", sparse=True, text=True,
            objective=poisson),
        Row("quantile", "glm", "loss=quantile,alpha=0.001",
            [lambda part: linear_model.QuantileRegressor(alpha=0.001, solver="highs")],
            target="number", rows_max=3000, objective=quantile),
        Row("logistic", "logistic", "C=1", logistic(
            [("newton-cholesky", 1e-6), ("lbfgs", 1e-5), ("newton-cg", 1e-5)]), target="two",
            sparse=True, text=True,
            objective=lambda x, y, w, b: logistic_loss(x, y, w, b) + sum_of_squares(w) / 2),
        Row("multinomial", "logistic", "C=1,max_iter=10000", logistic(
            [("newton-cholesky", 1e-6), ("lbfgs", 1e-5), ("newton-cg", 1e-5)]), target="many",
            rows_max=6250, sparse=True,
            objective=lambda x, y, w, b: logistic_loss(x, y, w, b) + sum_of_squares(w) / 2),
        Row("lasso_logistic", "elastic_net", "alpha=0.001,l1_ratio=1",
            [lasso_logistic("liblinear", 1e-4), lasso_logistic("liblinear", 1e-5),
             lasso_logistic("saga", 1e-5)], target="two", sparse=True, text=True,
            objective=lambda x, y, w, b: (logistic_loss(x, y, w, b) / len(y)
                                          + 0.001 * np.abs(w).sum())),
        Row("squared_hinge", "squared_hinge", "C=1",
            [lambda part, d=d, t=t: svm.LinearSVC(dual=d, C=1.0, tol=t, max_iter=20000) for d, t in
             ((False, 1e-4), (True, 1e-4), (False, 1e-6))], target="two", sparse=True, text=True,
            predicts=False, objective=hinge(2)),
        Row("hinge", "hinge", "C=0.1",
            [lambda part, t=t: svm.LinearSVC(loss="hinge", C=0.1, tol=t, max_iter=20000)
             for t in (1e-2, 1e-4)], target="two", sparse=True, text=True, predicts=False,
            objective=hinge(1)),
        Row("svm", "svm", "gamma", [machine], rows_max=8000),
        Row("svm_numbers", "svm", "gamma", [lambda part: svm.SVR(gamma=gamma_of(part))],
            target="number", rows_max=8000),
        Row("gaussian_process", "gaussian_process",
            "kernel=rbf,ard=false,n_restarts=0,max_rows=500,search_rows=500", [process],
            target="number", rows_max=625),
        Row("naive_bayes", "naive_bayes", "-", [lambda part: naive_bayes.MultinomialNB(alpha=1)
            if part.words.shape[1] else naive_bayes.GaussianNB()], sparse=True, text=True,
            score="predict_proba"),
        Row("knn", "knn", "n_neighbors=15,algorithm=exact", [neighbours], rows_max=20000,
            score="predict_proba"),
        Row("mlp", "mlp", network, [
            lambda part: neural_network.MLPClassifier(
                (256, 256, 256), batch_size=512, max_iter=3, random_state=1), torch_network]),
        Row("decision_tree", "decision_tree", "min_data_in_leaf=1",
            [lambda part: tree.DecisionTreeClassifier(random_state=1)], view="trees"),
        Row("random_forest", "random_forest", grown,
            forest(ensemble.RandomForestClassifier), view="trees"),
        Row("extra_trees", "extra_trees", grown, forest(ensemble.ExtraTreesClassifier),
            view="trees"),
        Row("gbdt", "gbdt", "n_estimators=50,learning_rate=0.1",
            [lambda part: ensemble.HistGradientBoostingClassifier(
                max_iter=50, early_stopping=False, random_state=1)], view="trees"),
        Row("isolation_forest", "isolation_forest", "-",
            [lambda part: ensemble.IsolationForest(n_jobs=THREADS, random_state=1)],
            view="trees", score="score_samples"),
        Row("kmeans", "kmeans", "k=8", [lambda part: cluster.KMeans(8, n_init=10)],
            predicts=False, result=lambda model, part: model.inertia_),
        Row("mini_batch", "mini_batch", "k=8", [lambda part: cluster.MiniBatchKMeans(8, n_init=10)],
            predicts=False, result=lambda model, part: model.inertia_),
        Row("pca", "pca", "n_components=10",
            [lambda part, s=s: decomposition.PCA(10, svd_solver=s)
             for s in ("covariance_eigh", "auto")], predicts=False, most=True,
            result=lambda model, part: model.explained_variance_ratio_.sum()),
        Row("svd", "svd", "n_components=10",
            [lambda part, s=s: decomposition.TruncatedSVD(10, algorithm=s)
             for s in ("randomized", "arpack")], sparse=True, text=True, predicts=False, most=True,
            result=lambda model, part: model.explained_variance_ratio_.sum()),
    ]


def torch_network(part):
    """The same network by PyTorch's AdamW; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(THREADS)

    class Network:
        def fit(self, x, y):
            x, y = torch.from_numpy(np.asarray(x, np.float32)), torch.from_numpy(y.astype(int))
            widths, layers = [x.shape[1], 256, 256, 256], []
            for a, b in zip(widths, widths[1:]):
                layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
            self.net = torch.nn.Sequential(*layers, torch.nn.Linear(256, part.n_classes))
            steps = torch.optim.AdamW(self.net.parameters(), lr=0.001, weight_decay=0.0001)
            for _ in range(3):
                order = torch.randperm(len(y))
                for first in range(0, len(y), 512):
                    batch = order[first:first + 512]
                    steps.zero_grad()
                    torch.nn.functional.cross_entropy(self.net(x[batch]), y[batch]).backward()
                    steps.step()

        def predict(self, x):
            with torch.no_grad():
                return self.net(torch.from_numpy(np.asarray(x, np.float32))).argmax(1).numpy()

    Network.__name__ = "PyTorch"
    return Network()


def laps(function, *args):
    """Seconds on the clock and of processors."""
    clock, processor = time.perf_counter(), time.process_time()
    result = function(*args)
    return [time.perf_counter() - clock, time.process_time() - processor], result


class Peer:
    """One way to do the row with scikit-learn."""

    def __init__(self, row, part, make, is_sparse):
        self.row, self.part, self.make = row, part, make
        self.x = part.both() if is_sparse else part.train
        self.asked = part.both(test=True) if part.words.shape[1] else part.test
        if row.view == "trees":
            self.x, self.asked = self.x.astype(np.float32), self.asked.astype(np.float32)
        if row.own == "isolation_forest":
            self.asked = self.x

    def run(self):
        """Seconds of the phases; the result that counts."""
        row, part = self.row, self.part
        model = self.make(part)
        self.name = getattr(model, "solver", None) or type(model).__name__
        with joblib.parallel_config(backend="threading"):  # processes would not be counted
            fit_s, _ = laps(model.fit, self.x, part.y)
            seconds = {"fit": fit_s}
            if row.predicts:
                seconds["predict"], out = laps(getattr(model, row.score or "predict"), self.asked)
        if row.objective:
            value = row.objective(self.x, part.y, np.atleast_2d(model.coef_),
                                  np.ravel(model.intercept_))
        elif row.result:
            value = row.result(model, part)
        else:
            value = quality(row, part, out)
        return seconds, float(value)


def quality(row, part, out):
    """Accuracy, R² of numbers, nothing without a target."""
    if row.own == "isolation_forest":
        return np.nan
    if part.n_classes == 0:
        return 1 - ((out - part.test_y) ** 2).sum() / ((part.test_y - part.test_y.mean()) ** 2).sum()
    if out.ndim == 2:
        out = out.argmax(1)
    return (out == part.test_y).mean()


def peers_of(row, part):
    is_dense = part.words.shape[1] == 0
    for make in row.peers:
        if make(part) is None:
            continue
        if is_dense:
            yield Peer(row, part, make, False)
        if row.sparse and (row.objective or row.most or not is_dense):
            yield Peer(row, part, make, True)


def quickest(row, part):
    """The candidate that is quickest at the optimum, and its run."""
    tried = []
    for peer in peers_of(row, part):
        if "cholesky" in str(getattr(peer.make(part), "solver", "")) and peer.x.shape[1] > 2000:
            continue  # its matrix would not fit memory
        try:
            seconds, value = peer.run()
        except (ValueError, TypeError):
            continue  # a solver that does not take this kind of matrix
        tried.append((value, seconds["fit"][0], peer, (seconds, value)))
        if seconds["fit"][1] > SLOWEST_S:
            break
    if row.objective or row.most:
        best = (max if row.most else min)(t[0] for t in tried)
        tried = [t for t in tried if abs(t[0] - best) <= 1e-5 * abs(best)]
    return min(tried, key=lambda t: t[1])[2:]


class Own:
    """fit_matrix at work on a part."""

    def __init__(self, program, row, part, scratch):
        self.row, self.part, self.out = row, part, f"{scratch}/out"
        write_matrix(f"{scratch}/matrix", part)
        self.process = subprocess.Popen([program, f"{scratch}/matrix", str(THREADS)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self):
        row, part = self.row, self.part
        params = row.params
        if params == "gamma":
            params = f"gamma={gamma_of(part)!r}"
        print(row.own, params, self.out, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        seconds = {"fit": answer["fit_s"]}
        if row.predicts:
            seconds["predict"] = answer["predict_s"]
        out = np.fromfile(self.out)
        if row.objective:
            k = part.n_classes if part.n_classes > 2 else 1
            x = part.both() if part.words.shape[1] else part.train
            return seconds, float(row.objective(x, part.y, out[:-k].reshape(k, -1), out[-k:]))
        if row.result:
            return seconds, float(out[0])
        if part.n_classes > 0 and row.own != "isolation_forest":
            out = out > 0.5 if part.n_classes == 2 else out.reshape(-1, part.n_classes)
        return seconds, float(quality(row, part, out))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def applies(row, table):
    if len(table.words.indices) and not row.text:
        return False
    return {"class": True, "number": True, "two": table.n_classes == 2,
            "many": table.n_classes > 2}[row.target]


def compare(program, table, row, rounds):
    part = part_of(table, row.view, row.target == "number", row.rows_max)
    if row.own == "svm" and row.target == "number":
        part.test_y = (part.test_y - part.y.mean()) / part.y.std()
        part.y = (part.y - part.y.mean()) / part.y.std()
    with tempfile.TemporaryDirectory() as scratch:
        own = Own(program, row, part, scratch)
        mine, (peer, run) = [own.run()], quickest(row, part)
        theirs = [run]
        if run[0]["fit"][0] < WARM_S:  # the first runs only warm up
            mine, theirs = [], []
        while len(mine) < rounds or (len(mine) < MOST_ROUNDS and
                                     run[0]["fit"][0] < BRIEF_S):
            time.sleep(SPIN_S)
            mine.append(own.run())
            time.sleep(SPIN_S)
            theirs.append(peer.run())
        own.close()
    for phase in mine[0][0]:
        a, a_processor, b, b_processor = (
            statistics.median(seconds[phase][i] for seconds, _ in runs)
            for runs in (mine, theirs) for i in (0, 1))
        print(json.dumps({"figure": f"{table.name} {row.what} {phase}", "value": a, "unit": "s",
                          "peer": peer.name, "peer_value": b, "ratio": b / a,
                          "processor_s": a_processor, "peer_processor_s": b_processor,
                          "result": statistics.mean(m[1] for m in mine),
                          "peer_result": statistics.mean(t[1] for t in theirs),
                          "rows": len(part.y), "threads": THREADS, "rounds": len(mine)}),
              flush=True)


BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def write_table(lines):
    head = ("| table | learner | rows | | Quern s | its s | of scikit-learn | times as fast | "
            "by processors | result | its result |\n" + "|---" * 11 + "|\n")
    body, threads, rounds = [], set(), set()
    for f in map(json.loads, lines):
        threads.add(f["threads"])
        rounds.add(f["rounds"])
        table, what, phase = f["figure"].split()
        results = " | ".join("" if np.isnan(f[r]) else f"{f[r]:.7g}"
                             for r in ("result", "peer_result"))
        body.append(f"| {table} | {what} | {f['rows']:,} | {phase} | {f['value']:.3g} | "
                    f"{f['peer_value']:.3g} | {f['peer']} | {f['ratio']:.1f} | "
                    f"{f['peer_processor_s'] / max(f['processor_s'], 1e-6):.1f} | {results} |")
    readme = pathlib.Path(__file__).with_name("README.md")
    caption = (f"Threads: {', '.join(map(str, sorted(threads)))}; medians of {min(rounds)} to "
               f"{max(rounds)} rounds.\n\n")
    text = f"{BEGIN}\n{caption}{head}" + "\n".join(body) + f"\n{END}"
    readme.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: text, readme.read_text(), flags=re.S))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only")
    parser.add_argument("program", nargs="?")
    parser.add_argument("data", nargs="?", type=pathlib.Path)
    parser.add_argument("tables", nargs="*")
    asked = parser.parse_args()
    if asked.table:
        write_table(sys.stdin)
        return
    for name in asked.tables or FILES:
        table = load(asked.data, name)
        for row in rows():
            if applies(row, table) and (not asked.only or row.what in asked.only.split(",")):
                compare(asked.program, table, row, asked.rounds)


if __name__ == "__main__":
    from speed_tables import FILES, load, part_of, write as write_matrix
    main()
