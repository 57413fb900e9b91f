/* SPDX-License-Identifier: Apache-2.0 */
/* The files of src/serve/page/, as they are built into the program; each ends with a zero. */
#ifndef QN_SERVE_HTTP_EMBEDDED_FILES_H
#define QN_SERVE_HTTP_EMBEDDED_FILES_H

extern const char qn_try_html[], qn_try_css[], qn_try_js[], qn_openapi_components_json[];

#endif
