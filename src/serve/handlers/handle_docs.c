/* SPDX-License-Identifier: Apache-2.0 */
/* GET /docs: a page to try models by. It holds nothing of this server, so anybody may load it; what
 * it asks for by script needs the same credentials as everything else. */
#include "serve/handlers/handlers.h"
#include "serve/http/embedded_files.h"

/* Nothing but its own style and script, no frame around it. */
static const char page_lines[] =
    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "referrer-policy: no-referrer\r\n";

qn_step qn_handle_docs(qn_exchange *x)
{
    qn_reply_text(&x->reply, 200, "text/html; charset=utf-8", page_lines, qn_try_html);
    return QN_STEP_DONE;
}

qn_step qn_handle_docs_style(qn_exchange *x)
{
    qn_reply_text(&x->reply, 200, "text/css; charset=utf-8", NULL, qn_try_css);
    return QN_STEP_DONE;
}

qn_step qn_handle_docs_script(qn_exchange *x)
{
    qn_reply_text(&x->reply, 200, "text/javascript; charset=utf-8", NULL, qn_try_js);
    return QN_STEP_DONE;
}
