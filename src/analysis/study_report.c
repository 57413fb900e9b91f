/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a study: its sections, in order. */
#include "analysis/study_sections.h"
#include "base/file.h"
#include "report/page.h"

static void write_page(qn_study_view *view, qn_str *out)
{
    qn_page_begin(out, view->title);
    qn_study_headline(view, out);
    qn_study_fronts(view, out);
    qn_study_best_trials(view, out);
    qn_study_progress(view, out);
    qn_study_curves(view, out);
    qn_study_importance_bars(view, out);
    qn_study_slices(view, out);
    qn_study_pairs(view, out);
    qn_study_parallel(view, out);
    qn_study_failures(view, out);
    qn_study_space_table(view, out);
    qn_page_end(out);
}

qn_status qn_study_report(qn_study *study, const char *title, const char *path, qn_error *err)
{
    qn_study_view view;
    qn_str page = {0};
    qn_study_lock(study);
    qn_status status = qn_study_view_init(study, title ? title : "study", &view, err);
    if (status == QN_OK) {
        write_page(&view, &page);
        qn_study_view_release(&view);
    }
    qn_study_unlock(study);
    if (status == QN_OK && page.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the report of the study");
    }
    if (status == QN_OK) status = qn_file_write(path, page.text, page.bytes, err);
    qn_str_release(&page);
    return status;
}
