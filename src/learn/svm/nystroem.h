/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines on many rows by the method of Nyström (Williams & Seeger 2001): only some
 * rows, the landmarks z, may have a coefficient. With K_zz = L L' the kernel of rows a and b is
 * replaced by φ(a)'φ(b), φ(a) = L⁻¹ k(z, a), which is the best that the landmarks' kernels can say
 * of it, and the machine becomes a linear one on φ, solved by dual coordinate descent
 * (learn/linear/dual.h). Its weights w mean coefficients L⁻ᵀ w of the landmarks, so that the model
 * is one of few vectors.
 *
 * Landmarks are rows at equal steps, by class: see bench/learn/README.md for others.
 *
 * Threads: one problem at a time; the pool is used inside. The same bytes on any number of
 * threads. */
#ifndef QN_LEARN_SVM_NYSTROEM_H
#define QN_LEARN_SVM_NYSTROEM_H

#include "base/pool.h"
#include "learn/svm/smo.h"

typedef struct qn_nystroem_request {
    const qn_smo_request *problem; /* as for qn_smo_solve(); rows of one class stand together. The
                                      bias is part of what is kept small; the cache is not used */
    double share;                  /* of the rows of a class that become landmarks */
    int64_t least;                 /* landmarks of a class, where it has so many rows */
    uint64_t seed;                 /* of the order of coordinate descent */
    qn_pool *pool;
} qn_nystroem_request;

/* beta is 0 but for landmarks, which are rows learnt from; the objective is left 0. Takes 8 bytes ×
 * rows × landmarks. Fails with QN_ERR_NOMEM, QN_ERR_DATA (the kernel is far from positive
 * definite), QN_ERR_INTERRUPTED (stopped before the first pass). */
QN_MUST_CHECK
qn_status qn_nystroem_solve(const qn_nystroem_request *request, qn_smo_result *result,
                            qn_error *err);

#endif
