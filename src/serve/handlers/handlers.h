/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers, for the table in router.c. */
#ifndef QN_SERVE_HANDLERS_HANDLERS_H
#define QN_SERVE_HANDLERS_HANDLERS_H

#include "serve/http/exchange.h"

/* handle_health.c */
qn_step qn_handle_live(qn_exchange *x);
qn_step qn_handle_ready(qn_exchange *x);
qn_step qn_handle_started(qn_exchange *x);
qn_step qn_handle_version(qn_exchange *x);
/* handle_index.c */
qn_step qn_handle_index(qn_exchange *x);
/* handle_openapi.c */
qn_step qn_handle_openapi(qn_exchange *x);
/* handle_docs.c */
qn_step qn_handle_docs(qn_exchange *x);
qn_step qn_handle_docs_style(qn_exchange *x);
qn_step qn_handle_docs_script(qn_exchange *x);
/* handle_metrics.c */
qn_step qn_handle_metrics(qn_exchange *x);
/* handle_models.c */
qn_step qn_handle_models(qn_exchange *x);
qn_step qn_handle_model(qn_exchange *x);
/* handle_predict.c */
qn_step qn_handle_predict(qn_exchange *x);
qn_step qn_handle_invocations(qn_exchange *x);
qn_step qn_handle_infer(qn_exchange *x);
/* handle_feedback.c */
qn_step qn_handle_feedback(qn_exchange *x);
/* handle_outcomes.c */
qn_step qn_handle_outcomes(qn_exchange *x);
/* handle_inference_protocol.c */
qn_step qn_handle_v2_server(qn_exchange *x);
qn_step qn_handle_v2_live(qn_exchange *x);
qn_step qn_handle_v2_ready(qn_exchange *x);
qn_step qn_handle_v2_model(qn_exchange *x);
qn_step qn_handle_v2_model_ready(qn_exchange *x);
qn_step qn_handle_v2_statistics(qn_exchange *x);
qn_step qn_handle_v2_model_statistics(qn_exchange *x);

/* handle_administration.c */
qn_step qn_handle_load(qn_exchange *x);
qn_step qn_handle_unload(qn_exchange *x);
qn_step qn_handle_set_alias(qn_exchange *x);
qn_step qn_handle_remove_alias(qn_exchange *x);
/* handle_routes.c */
qn_step qn_handle_routes(qn_exchange *x);
qn_step qn_handle_set_routes(qn_exchange *x);
/* handle_repository.c */
qn_step qn_handle_repository_index(qn_exchange *x);
qn_step qn_handle_repository_load(qn_exchange *x);
qn_step qn_handle_repository_unload(qn_exchange *x);

/* The model that x->params name (name, and alias or version), loaded; or NULL, with the error
 * answered. */
const qn_catalog_entry *qn_exchange_find_model(qn_exchange *x);

#endif
