/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of additive models written by hand, whose means are known. */
#include "explain/shapes.h"

#include "bundle/shapes_text.h"
#include "model/additive_model.h"

#include "tables.h"

enum { N_ROWS = 60 };

struct world {
    table table;
    qn_predictor predictor;
    qn_recipe *recipes[3];
    qn_member members[3];
};

static void *copy(const void *values, size_t bytes)
{
    void *out = qn_alloc_array((int64_t)bytes, 1);
    CHECK(out != NULL);
    memcpy(out, values, bytes);
    return out;
}

#define COPY(...) copy((__VA_ARGS__), sizeof(__VA_ARGS__)) /* of a compound literal of an array */

/* Features: x with one edge, and a category of two levels; terms: both, and their pair if asked.
 * Scores are `scale` times round numbers. */
static qn_estimator *make_model(double edge, double scale, bool pair, bool shares)
{
    const double s = scale;
    qn_additive_parts p = {.link = QN_LINK_LOGISTIC, .n_outputs = 1, .n_features = 2};
    qn_estimator *out = NULL;
    qn_error err = {0};
    p.n_terms = pair ? 3 : 2;
    p.n_levels = COPY((int32_t[]){0, 2});
    p.edge_starts = COPY((int64_t[]){0, 1, 1});
    p.edges = COPY((double[]){edge});
    p.bin_starts = COPY((int64_t[]){0, 3, 6});
    p.n_coarse = COPY((int32_t[]){3, 3});
    p.coarse = COPY((int32_t[]){0, 1, 2, 0, 1, 2});
    p.term_features = COPY((int32_t[]){0, -1, 1, -1, 0, 1});
    p.term_starts = COPY((int64_t[]){0, 3, 6, 15});
    p.scores = COPY((double[]){0, -s, s, 0, 2 * s, -2 * s, 0, 0, 0, 0, s, -s, 0, -s, s});
    p.shares =
        shares ? COPY((double[]){0, 0.5, 0.5, 0, 0.75, 0.25, 0, 0, 0, 0, 0.4, 0.1, 0, 0.35, 0.15})
               : NULL;
    p.intercepts = COPY((double[]){s / 2});
    CHECK_OK(qn_additive_create(&p, &out, &err));
    return out;
}

static void begin(struct world *w, int n_models)
{
    qn_str csv = {0};
    qn_error err = {0};
    *w = (struct world){0};
    qn_str_add(&csv, "x,colour,y\n");
    for (int i = 0; i < N_ROWS; i++) {
        qn_str_addf(&csv, "%d.5,%s,%d\n", i, i % 4 ? "red" : "\"blue, dark\"", i % 3 == 0);
    }
    const char *const kinds[] = {"x=numeric", "colour=categorical", NULL};
    w->table = table_from_csv(csv.text, "y", "binary", kinds);
    qn_str_release(&csv);
    w->predictor = (qn_predictor){.schema = w->table.schema,
                                  .n_outputs = 1,
                                  .n_recipes = n_models,
                                  .recipes = w->recipes,
                                  .n_members = n_models,
                                  .members = w->members};
    for (int m = 0; m < n_models; m++) {
        const qn_recipe_request request = {.frame = w->table.frame,
                                           .schema = w->table.schema,
                                           .rows = w->table.rows,
                                           .n_rows = N_ROWS,
                                           .target = w->table.target};
        CHECK_OK(qn_recipe_fit(&request, &w->recipes[m], NULL, &err));
        w->members[m] = (qn_member){.name = "ebm_1", .recipe = m, .weight = 1.0 / n_models};
    }
}

static void end(struct world *w)
{
    for (int m = 0; m < w->predictor.n_members; m++) {
        qn_estimator_free(w->members[m].estimator);
        qn_recipe_free(w->recipes[m]);
    }
    table_release(&w->table);
}

static const qn_shape *find(const qn_shapes *shapes, const char *title)
{
    for (int64_t i = 0; i < shapes->n; i++) {
        qn_str text = {0};
        qn_shape_title(&shapes->items[i], &text);
        const bool same = strcmp(text.text, title) == 0;
        qn_str_release(&text);
        if (same) return &shapes->items[i];
    }
    fail_msg("no shape '%s'", title);
    return NULL;
}

static void one_model_is_shown_as_it_is(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes;
    qn_error err = {0};
    begin(&w, 1);
    w.members[0].estimator = make_model(30, 1, true, true);
    CHECK_OK(qn_shapes_create(&w.predictor, &shapes, &err));
    CHECK_TEXT(shapes.candidate, "ebm_1");
    CHECK_INT(shapes.n, 3);
    CHECK_NEAR(shapes.intercepts[0], 0.5, 0);
    const qn_shape *colour = &shapes.items[0]; /* the most important: mean size 2 */
    CHECK_TEXT(colour->axes[0].name, "colour");
    CHECK(colour->axes[0].levels[0] == NULL);
    CHECK_TEXT(colour->axes[0].levels[1], "red");
    CHECK_TEXT(colour->axes[0].levels[2], "blue, dark");
    CHECK_NEAR(colour->importance, 2, 1e-15);
    const qn_shape *x = find(&shapes, "x");
    CHECK_INT(x->axes[0].n_cells, 3);
    CHECK_NEAR(x->axes[0].edges[0], 30, 0);
    CHECK_NEAR(x->scores[1], -1, 0);
    CHECK(isnan(x->errors[1]));
    const qn_shape *pair = find(&shapes, "x × colour");
    CHECK_INT(pair->n_cells, 9);
    CHECK_NEAR(pair->scores[4], 1, 0);
    CHECK_NEAR(pair->shares[8], 0.15, 0);
    CHECK_NEAR(pair->importance, 1, 1e-15);
    qn_shapes_release(&shapes);
    end(&w);
}

/* Edges at 30, 40 and 20: on the first one's cells the middles say where others stand. */
static void models_are_averaged_on_the_cells_of_the_first(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes;
    qn_error err = {0};
    begin(&w, 3);
    w.members[0].estimator = make_model(30, 1, true, true);
    w.members[1].estimator = make_model(40, 3, false, true);
    w.members[2].estimator = make_model(20, 2, false, true);
    CHECK_OK(qn_shapes_create(&w.predictor, &shapes, &err));
    CHECK_INT(shapes.n_models, 3);
    CHECK_NEAR(shapes.intercepts[0], (0.5 + 1.5 + 1) / 3, 1e-15);
    const qn_shape *x = find(&shapes, "x");
    CHECK_NEAR(x->scores[1], (-1 - 3 + 2) / 3.0, 1e-15); /* 30 is beyond the third one's edge */
    CHECK_NEAR(x->scores[2], (1 - 3 + 2) / 3.0, 1e-15);  /* and just above it below the second's */
    const double mean = (-1 - 3 + 2) / 3.0;
    CHECK_NEAR(
        x->errors[1],
        sqrt(((-1 - mean) * (-1 - mean) + (-3 - mean) * (-3 - mean) + (2 - mean) * (2 - mean)) / 2),
        1e-14);
    const qn_shape *colour = find(&shapes, "colour");
    CHECK_NEAR(colour->scores[1], 4, 1e-15);
    const qn_shape *pair = find(&shapes, "x × colour"); /* which two models do not have */
    CHECK_NEAR(pair->scores[4], 1 / 3.0, 1e-15);
    qn_shapes_release(&shapes);
    end(&w);
}

static void models_without_shares_weigh_cells_alike(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes;
    qn_error err = {0};
    begin(&w, 1);
    w.members[0].estimator = make_model(30, 3, false, false);
    CHECK_OK(qn_shapes_create(&w.predictor, &shapes, &err));
    CHECK(isnan(find(&shapes, "x")->shares[1]));
    CHECK_NEAR(find(&shapes, "x")->importance, 2, 1e-15);
    qn_shapes_release(&shapes);
    end(&w);
}

/* A model of either format reads back; that without shares is the older one. */
static void both_formats_read_back(void **state)
{
    (void)state;
    for (int shares = 0; shares < 2; shares++) {
        qn_estimator *model = make_model(30, 1, true, shares == 1), *back = NULL;
        qn_writer writer = {0}, again = {0};
        qn_error err = {0};
        model->family->write(model, &writer);
        qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
        CHECK_OK(qn_family_additive.read(&reader, 2, &back, &err));
        back->family = &qn_family_additive;
        CHECK((qn_additive_parts_of(back)->shares != NULL) == (shares == 1));
        back->family->write(back, &again);
        CHECK_INT(writer.bytes, again.bytes);
        CHECK(memcmp(writer.data, again.data, writer.bytes) == 0);
        qn_estimator_free(back);
        qn_estimator_free(model);
        qn_writer_release(&writer);
        qn_writer_release(&again);
    }
}

static void predictors_without_additive_models_have_none(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes;
    qn_error err = {0};
    begin(&w, 1);
    const double half = 0.5;
    CHECK_OK(qn_constant_create(&half, 1, &w.members[0].estimator, &err));
    CHECK_OK(qn_shapes_create(&w.predictor, &shapes, &err));
    CHECK_INT(shapes.n, 0);
    CHECK(shapes.candidate == NULL);
    qn_shapes_release(&shapes);
    end(&w);
}

static void texts_hold_every_cell(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes;
    qn_str csv = {0}, text = {0};
    qn_json_writer json = {.out = &text};
    qn_error err = {0};
    begin(&w, 1);
    w.members[0].estimator = make_model(30, 1, true, true);
    CHECK_OK(qn_shapes_create(&w.predictor, &shapes, &err));
    qn_shapes_write_csv(&shapes, w.table.schema, &csv);
    int n_lines = 0;
    for (const char *at = csv.text; *at; at++) {
        n_lines += *at == '\n';
    }
    CHECK_INT(n_lines, 1 + 3 + 3 + 9);
    CHECK_CONTAINS(csv.text, "\nx,1,x,,30,,,,,,-1,,0.5\nx,1,x,30,,,,,,,1,,0.5\n");
    CHECK_CONTAINS(csv.text, "\ncolour,1,colour,,,\"blue, dark\",,,,,-2,,0.25\n");
    CHECK_CONTAINS(csv.text, "\nx × colour,1,x,30,,,colour,,,red,-1,,0.35\n");
    qn_shapes_write_json(&shapes, w.table.schema, &json);
    CHECK_CONTAINS(text.text, "\"levels\":[null,\"red\",\"blue, dark\"]");
    CHECK_CONTAINS(text.text, "\"edges\":[30]");
    qn_str_release(&csv);
    qn_str_release(&text);
    qn_shapes_release(&shapes);
    end(&w);
}

static void making_shapes_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    qn_shapes shapes = {0};
    begin(&w, 2);
    w.members[0].estimator = make_model(30, 1, true, true);
    w.members[1].estimator = make_model(40, 2, true, true);
    CHECK_SURVIVES_NO_MEMORY(qn_shapes_create(&w.predictor, &shapes, NULL));
    CHECK_INT(shapes.n, 3);
    qn_shapes_release(&shapes);
    end(&w);
}

RUN_TESTS(TEST(one_model_is_shown_as_it_is), TEST(models_are_averaged_on_the_cells_of_the_first),
          TEST(models_without_shares_weigh_cells_alike), TEST(both_formats_read_back),
          TEST(predictors_without_additive_models_have_none), TEST(texts_hold_every_cell),
          TEST(making_shapes_survives_running_out_of_memory))
