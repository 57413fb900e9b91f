/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rows/rows.h"

#include "served.h"

static char folder[] = "/tmp/quern-rows-XXXXXX";
static char model_path[128];
static qn_served_model *model;

static int open_model(void **state)
{
    (void)state;
    qn_error err = {0};
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    CHECK_OK(qn_served_model_open("m", "1", model_path, &model, &err));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    qn_served_model_unref(model);
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

enum { OUTPUTS_MAX = 1000 };

typedef struct predicted {
    qn_status status;
    qn_rows_form form;
    int64_t n, bad_row;
    char bad_field[32];
    double outputs[OUTPUTS_MAX];
    qn_error err;
} predicted;

typedef qn_status (*opener)(qn_rows *rows, const char *body, size_t bytes, qn_error *err);

static bool known_only; /* of the rows that predict() reads */

/* `json_bytes` 0: no binary data follow. */
static predicted predict_bytes(opener open, const char *body, size_t bytes, size_t json_bytes)
{
    predicted p = {0};
    qn_arena memory = {0};
    qn_rows rows = {.model = model,
                    .memory = &memory,
                    .n_rows_max = 600,
                    .known_only = known_only,
                    .json_bytes = json_bytes};
    const int64_t n_cells = model->n_inputs * QN_BLOCK_ROWS;
    qn_rows_block block = {.cells = qn_alloc_array(n_cells, sizeof(qn_cell))};
    qn_cell *turned = qn_alloc_array(n_cells, sizeof *turned);
    void *scratch =
        qn_alloc_aligned((int64_t)qn_predictor_scratch_bytes(model->predictor, QN_BLOCK_ROWS), 1);
    CHECK(block.cells && turned && scratch);
    p.status = open(&rows, body, bytes, &p.err);
    block.n_rows = QN_BLOCK_ROWS;
    while (p.status == QN_OK && block.n_rows == QN_BLOCK_ROWS) {
        p.status = qn_rows_next(&rows, &block, &p.err);
        if (p.status != QN_OK) break;
        qn_rows_predict(&rows, &block, turned, p.outputs + p.n, scratch);
        p.n += block.n_rows;
    }
    p.form = rows.form;
    p.bad_row = rows.bad_row;
    snprintf(p.bad_field, sizeof p.bad_field, "%s", rows.bad_field ? rows.bad_field : "");
    qn_rows_release(&rows);
    qn_arena_release(&memory);
    qn_free(block.cells);
    qn_free(turned);
    qn_free(scratch);
    return p;
}

static predicted predict(opener open, const char *body)
{
    return predict_bytes(open, body, strlen(body), 0);
}

static predicted predict_json(const char *body)
{
    return predict(qn_rows_open_json, body);
}

static double one(const char *size, const char *colour, const char *shop, const char *when,
                  const char *open)
{
    char body[512];
    snprintf(body, sizeof body, "{\"size\":%s,\"colour\":%s,\"shop\":%s,\"when\":%s,\"open\":%s}",
             size, colour, shop, when, open);
    const predicted p = predict_json(body);
    if (p.status != QN_OK) fail_msg("%s: %s", body, p.err.message);
    CHECK_INT(p.n, 1);
    CHECK_INT(p.form, QN_FORM_ROW);
    return p.outputs[0];
}

/* The same row through the public call. */
static double by_library(qn_cell size, const char *colour, const char *shop, const char *when,
                         const char *open)
{
    qn_error err = {0};
    double output;
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model->model) + 63) / 64 * 64);
    const char *texts[] = {NULL, colour, shop, when, open};
    qn_cell cells[5] = {size};
    for (int i = 1; i < 5; i++) {
        cells[i] = (qn_cell){QN_NA, texts[i], texts[i] ? strlen(texts[i]) : 0};
    }
    CHECK_OK(qn_model_predict_row(model->model, cells, &output, scratch, &err));
    free(scratch);
    return output;
}

static void a_row_gives_what_the_library_gives(void **state)
{
    (void)state;
    const qn_cell size = {.number = 31.5}, none = {.number = QN_NA};
    CHECK(one("31.5", "\"red\"", "101", "\"2020-03-04\"", "true") ==
          by_library(size, "red", "101", "2020-03-04", "true"));
    CHECK(one("null", "null", "null", "null", "null") == by_library(none, NULL, NULL, NULL, NULL));
    CHECK(one("31.5", "\"r\\u0065d\"", "\"101\"", "\"2020-03-04\"", "1") ==
          by_library(size, "red", "101", "2020-03-04", "true"));
    CHECK(one("\" 31.5 \"", "\"unseen\"", "9007199254740993", "\"2020-03-04\"", "false") ==
          by_library(size, "unseen", "9007199254740993", "2020-03-04", "false"));
    CHECK(one("31.5", "\"red\"", "101.0", "\"2020-03-04\"", "0") ==
          by_library(size, "red", "101", "2020-03-04", "false"));
}

#define ROW_1 "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":\"2020-01-02\",\"open\":true}"
#define ROW_2 \
    "{\"open\":null,\"extra\":[1,{}],\"size\":49,\"shop\":102,\"colour\":null,\"when\":null}"

/* Two rows, however they are written. */
static void every_form_gives_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        qn_rows_form form;
    } forms[] = {
        {"[" ROW_1 ", " ROW_2 "]", QN_FORM_LIST},
        {"[[1.5,\"red\",100,\"2020-01-02\",true],[49,null,102,null,null]]", QN_FORM_LIST},
        {"{\"instances\":[" ROW_1 "," ROW_2 "]}", QN_FORM_INSTANCES},
        {"{\"signature_name\":\"x\",\"instances\":[" ROW_1 "," ROW_2 "],\"p\":{\"a\":[]}}",
         QN_FORM_INSTANCES},
        {"{\"columns\":{\"size\":[1.5,49],\"colour\":[\"red\",null],\"shop\":[100,102],"
         "\"when\":[\"2020-01-02\",null],\"x\":[],\"open\":[true,null]}}",
         QN_FORM_LIST},
        {"{\"inputs\":{\"size\":[[1.5],[49]],\"colour\":[\"red\",null],\"shop\":[100,102],"
         "\"when\":[\"2020-01-02\",null],\"open\":[true,null]}}",
         QN_FORM_INPUTS},
        {"{\"data\":[[true,\"x\",1.5,\"red\",100,\"2020-01-02\"],[null,{},49,null,102,null]],"
         "\"columns\":[\"open\",\"other\",\"size\",\"colour\",\"shop\",\"when\"]}",
         QN_FORM_LIST},
        {" { \"data\" : [ [ true , 1.5 , \"red\" , 100 , \"2020-01-02\" ] ,\n"
         "[null, 49, null, 102, null ] ] , \"columns\" :\t[ \"open\" , \"size\" , \"colour\" , "
         "\"shop\" , \"when\" ] } ",
         QN_FORM_LIST},
        {" { \"inputs\" : { \"size\" : [ [ 1.5 ] , [ 49 ] ] , \"colour\" : [ \"red\" , null ] , "
         "\"shop\" :[ 100,102 ], \"when\" : [\"2020-01-02\",null], \"open\": [true, null]} }",
         QN_FORM_INPUTS},
        {"{\"dataframe_records\":[" ROW_1 "," ROW_2 "]}", QN_FORM_LIST},
        {"{\"dataframe_split\": "
         "{\"index\":[0,1],\"columns\":[\"open\",\"size\",\"colour\",\"shop\","
         "\"when\"],\"data\":[[true,1.5,\"red\",100,\"2020-01-02\"],[null,49,null,102,null]]}}",
         QN_FORM_LIST}};
    const double first = predict_json(ROW_1).outputs[0], second = predict_json(ROW_2).outputs[0];
    CHECK(first != second);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const predicted p = predict_json(forms[i].body);
        if (p.status != QN_OK) fail_msg("%s: %s", forms[i].body, p.err.message);
        CHECK_INT(p.n, 2);
        CHECK_INT(p.form, forms[i].form);
        if (p.outputs[0] != first || p.outputs[1] != second)
            fail_msg("%s: %g %g, not %g %g", forms[i].body, p.outputs[0], p.outputs[1], first,
                     second);
    }
    const predicted lines = predict(qn_rows_open_lines, ROW_1 "\n\n" ROW_2 "\n");
    CHECK(lines.n == 2 && lines.outputs[0] == first && lines.outputs[1] == second);
    const predicted csv = predict(qn_rows_open_csv, "open,size,colour,shop,when\n"
                                                    "true,1.5,red,100,2020-01-02\n,49,,102,\n");
    CHECK(csv.n == 2 && csv.outputs[0] == first && csv.outputs[1] == second);
}

/* Blocks of QN_BLOCK_ROWS rows: exactly one, one more, several. */
static void blocks_join(void **state)
{
    (void)state;
    static const int counts[] = {1, 127, 128, 129, 256, 600};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        qn_str list = {0}, lines = {0}, columns = {0};
        qn_str_add_char(&list, '[');
        qn_str_add(&columns, "{\"columns\":{\"size\":[");
        for (int i = 0; i < counts[c]; i++) {
            qn_str_addf(&list,
                        "%s{\"size\":%d,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":"
                        "\"\\u0074rue\"}",
                        i ? "," : "", i % 50);
            qn_str_addf(
                &lines,
                "{\"size\":%d,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true}\n",
                i % 50);
            qn_str_addf(&columns, "%s%d", i ? "," : "", i % 50);
        }
        qn_str_add_char(&list, ']');
        static const struct {
            const char *name, *value;
        } rest[] = {{"colour", "\"red\""}, {"shop", "100"}, {"when", "null"}, {"open", "true"}};
        for (int r = 0; r < 4; r++) {
            qn_str_addf(&columns, "],\"%s\":[", rest[r].name);
            for (int i = 0; i < counts[c]; i++) {
                qn_str_addf(&columns, "%s%s", i ? "," : "", rest[r].value);
            }
        }
        qn_str_add(&columns, "]}}");
        const predicted p = predict_json(list.text), q = predict(qn_rows_open_lines, lines.text),
                        r = predict_json(columns.text);
        if (p.status != QN_OK) fail_msg("%s", p.err.message);
        CHECK_INT(p.n, counts[c]);
        CHECK_INT(q.n, counts[c]);
        CHECK_INT(r.n, counts[c]);
        for (int i = 0; i < counts[c]; i++) {
            char size[16];
            snprintf(size, sizeof size, "%d", i % 50);
            const double alone = one(size, "\"red\"", "100", "null", "true");
            CHECK(p.outputs[i] == alone && q.outputs[i] == alone && r.outputs[i] == alone);
        }
        qn_str_release(&list);
        qn_str_release(&lines);
        qn_str_release(&columns);
    }
}

static void refuses(const char *body, qn_status status, const char *part, int64_t row,
                    const char *field)
{
    const predicted p = predict_json(body);
    if (p.status != status) fail_msg("%s: status %d, %s", body, p.status, p.err.message);
    if (!strstr(p.err.message, part))
        fail_msg("%s: \"%s\" lacks \"%s\"", body, p.err.message, part);
    CHECK_INT(p.bad_row, row);
    CHECK_TEXT(p.bad_field, field);
}

/* Each way to write a row, behind and before each other way, is what it is alone. */
static void rows_may_be_written_differently(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true}",
        "{ \"size\" : -3e1 , \"colour\" : null , \"shop\" : 102 , \"when\" : null , \"open\" : "
        "false }",
        "{\"colour\":\"blue\",\"size\":null,\"open\":true,\"shop\":101,\"when\":\"2020-01-02\"}",
        "{\"x\":[1,{}],\"size\":49,\"colour\":\"red\",\"y\":0,\"shop\":100,\"when\":null,\"open\":"
        "null,"
        "\"z\":1}",
        "{\"s\\u0069ze\":7,\"colour\":\"red\", \"shop\":1e2,\"when\":\"\",\"open\":\"true\"}"};
    static const char *const wrong[] = {
        "{,\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true}",
        "{\"size\":1.5\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true}",
        "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true",
        "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true,}",
        "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null}",
        "{\"size\":1.5,\"colour\":\"red\",\"shop\":100,\"when\":null,\"open\":true,\"size\":2}"};
    enum { N_WAYS = sizeof ways / sizeof *ways, N_WRONG = sizeof wrong / sizeof *wrong };
    double alone[N_WAYS];
    for (int i = 0; i < N_WAYS; i++) {
        const predicted p = predict_json(ways[i]);
        if (p.status != QN_OK) fail_msg("%s: %s", ways[i], p.err.message);
        alone[i] = p.outputs[0];
    }
    for (int i = 0; i < N_WAYS; i++) {
        for (int j = 0; j < N_WAYS; j++) {
            char list[1024], lines[1024];
            snprintf(list, sizeof list, "[%s,%s , %s]", ways[i], ways[j], ways[i]);
            snprintf(lines, sizeof lines, "%s\n%s\n%s\n", ways[i], ways[j], ways[i]);
            const predicted p = predict_json(list), q = predict(qn_rows_open_lines, lines);
            if (p.status != QN_OK) fail_msg("%s: %s", list, p.err.message);
            CHECK(p.n == 3 && q.n == 3);
            CHECK(p.outputs[0] == alone[i] && q.outputs[0] == alone[i]);
            CHECK(p.outputs[1] == alone[j] && q.outputs[1] == alone[j]);
            CHECK(p.outputs[2] == alone[i] && q.outputs[2] == alone[i]);
        }
        for (int j = 0; j < N_WRONG; j++) {
            char list[1024];
            snprintf(list, sizeof list, "[%s,%s]", ways[i], wrong[j]);
            if (predict_json(list).status == QN_OK) fail_msg("%s is accepted", list);
        }
    }
}

static void rows_that_the_model_cannot_take_are_named(void **state)
{
    (void)state;
#define REST ",\"shop\":1,\"when\":null,\"open\":null}"
    refuses("{\"size\":1,\"colour\":null,\"shop\":1,\"when\":null}", QN_ERR_DATA,
            "row 1: column 'open' is missing", 1, "open");
    refuses("[" ROW_1 ",{\"size\":\"big\",\"colour\":null" REST "]", QN_ERR_DATA,
            "row 2: column 'size' has 'big', expected a number", 2, "size");
    refuses("{\"size\":1,\"colour\":null,\"shop\":1,\"when\":\"noon\",\"open\":1}", QN_ERR_DATA,
            "has 'noon', expected a date", 1, "when");
    refuses("{\"size\":1e400,\"colour\":null" REST, QN_ERR_DATA, "has 1e400, beyond", 1, "size");
    refuses("{\"size\":1,\"size\":2,\"colour\":null" REST, QN_ERR_DATA, "is given twice", 1,
            "size");
    refuses("[{\"size\":[1],\"colour\":null" REST "]", QN_ERR_DATA, "has a list, expected a number",
            1, "size");
    refuses("[[1,null,1,null]]", QN_ERR_DATA, "the list has 4 values, expected 5", 1, "");
    refuses("[[1,null,1,null,null,6]]", QN_ERR_DATA, "the list has more than 5 values", 1, "");
    refuses("[1]", QN_ERR_DATA, "row 1: expected an object or a list", 1, "");
    refuses("{\"columns\":{\"size\":[1],\"colour\":[null]"
            ",\"shop\":[1],\"when\":[null]}}",
            QN_ERR_DATA, "column 'open' is missing", 0, "open");
    refuses("{\"columns\":{\"size\":[1,2],\"colour\":[null],\"shop\":[1],\"when\":[null],\"open\":["
            "1]}}",
            QN_ERR_DATA, "column 'colour' has fewer values than column 'size'", 2, "colour");
    refuses("{\"columns\":{\"size\":[1],\"colour\":[null,null],\"shop\":[1],\"when\":[null],"
            "\"open\":[1]}}",
            QN_ERR_DATA, "column 'colour' has more values than column 'size'", 2, "colour");
    refuses("{\"columns\":[\"size\",\"size\"],\"data\":[]}", QN_ERR_DATA, "is given twice", 0,
            "size");
    refuses("{\"columns\":[\"size\"],\"data\":[]}", QN_ERR_DATA, "column 'colour' is missing", 0,
            "colour");
}

/* In every way to write rows, in a later block, too; only where it is asked for. */
static void categories_that_training_never_saw_can_be_refused(void **state)
{
    (void)state;
    const char *const good = "[[1,\"red\",101,null,true],[1,null,null,null,null]]";
    const char *const pink = "[[1,\"red\",101,null,true],[1,\"pink\",101,null,true]]";
    CHECK_INT(predict_json(pink).n, 2);
    known_only = true;
    CHECK_INT(predict_json(good).n, 2);
    CHECK_INT(predict_json(good).status, QN_OK);
    refuses(pink, QN_ERR_DATA, "row 2: column 'colour' has 'pink', a category that training never",
            2, "colour");
    refuses("[[1,\"re\",101,null,true]]", QN_ERR_DATA, "has 're',", 1, "colour");
    refuses("{\"size\":1,\"colour\":null,\"shop\":7,\"when\":null,\"open\":null}", QN_ERR_DATA,
            "row 1: column 'shop' has '7',", 1, "shop");
    refuses("{\"columns\":{\"size\":[1],\"colour\":[\"pink\"],\"shop\":[101],\"when\":[null],"
            "\"open\":[1]}}",
            QN_ERR_DATA, "row 1: column 'colour' has 'pink'", 1, "colour");
    const predicted tensors = predict(
        qn_rows_open_tensors, "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,5],\"datatype\":\"BYTES\","
                              "\"data\":[1,\"pink\",101,null,1]}]}");
    CHECK_INT(tensors.status, QN_ERR_DATA);
    CHECK_CONTAINS(tensors.err.message, "has 'pink'");
    qn_str table = {0};
    qn_str_add(&table, "size,colour,shop,when,open\n");
    for (int i = 1; i <= 200; i++) {
        qn_str_addf(&table, "1,%s,101,,true\n", i == 150 ? "pink" : "blue");
    }
    const predicted csv = predict(qn_rows_open_csv, table.text);
    qn_str_release(&table);
    CHECK_INT(csv.status, QN_ERR_DATA);
    CHECK_INT(csv.bad_row, 150);
    CHECK_TEXT(csv.bad_field, "colour");
    known_only = false;
}

static void bodies_that_are_no_rows_are_refused(void **state)
{
    (void)state;
    refuses("", QN_ERR_ARG, "the body is empty", 0, "");
    refuses("1", QN_ERR_ARG, "body:1:1: expected an object or a list", 0, "");
    refuses("[" ROW_1 ",]", QN_ERR_ARG, "a comma stands before the closing bracket", 0, "");
    refuses("[" ROW_1 "] 1", QN_ERR_ARG, "expected the end", 0, "");
    refuses(ROW_1 ROW_1, QN_ERR_ARG, "expected the end", 0, "");
    refuses("{\"size\":NaN}", QN_ERR_ARG, "body:1:9: expected a value", 0, "");
    refuses("{\"size\":{}}", QN_ERR_DATA, "has an object, expected a number", 1, "size");
    refuses("{\"data\":[]}", QN_ERR_ARG, "\"data\" comes with a list of \"columns\"", 0, "");
    refuses("{\"instances\":[],\"inputs\":[]}", QN_ERR_ARG, "expected one of", 0, "");
    refuses("{\"instances\":[],\"instances\":[]}", QN_ERR_ARG, "a key is given twice", 0, "");
    refuses("{\"columns\":[\"size\"]}", QN_ERR_ARG, "comes with a list of \"data\"", 0, "");
    refuses("{\"dataframe_split\":[]}", QN_ERR_ARG, "expected an object of", 0, "");
    refuses("{\"dataframe_split\":{\"columns\":1}}", QN_ERR_ARG, "expected a list of", 0, "");
    refuses("{\"dataframe_split\":{\"columns\":[]}}", QN_ERR_ARG, "comes with a list", 0, "");
    refuses("{\"instances\":{\"a\":1}}", QN_ERR_ARG, "expected a list of rows", 0, "");
    CHECK_INT(predict(qn_rows_open_lines, "[1]").status, QN_ERR_ARG);
    CHECK_INT(predict(qn_rows_open_csv, "size,colour\n1,red\n").status, QN_ERR_DATA);
}

#define TENSOR(name, shape, type, data) \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data "}"
#define OTHERS                                                                             \
    TENSOR("colour", "[2]", "BYTES", "[\"red\",null]")                                     \
    "," TENSOR("shop", "[2,1]", "INT64", "[[100],[102]]") "," TENSOR(                      \
        "when", "[2]", "BYTES", "[\"2020-01-02\",null]") "," TENSOR("open", "[2]", "BOOL", \
                                                                    "[true,null]")

static void tensors_give_the_same(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"inputs\":[" TENSOR("size", "[2]", "FP64", "[1.5,49]") "," OTHERS "]}",
        "{\"id\":\"x\",\"parameters\":{},\"inputs\":[" TENSOR(
            "other", "[9]", "FP64", "[]") "," OTHERS
                                          "," TENSOR("size", "[2,1]", "FP32",
                                                     "[ [1.5] , [49] ]") "],\"outputs\":[]}",
        "{\"inputs\":[" TENSOR(
            "all", "[2,5]", "BYTES",
            "[[1.5,\"red\",100,\"2020-01-02\",true],[49,null,102,null,null]]") "]}",
        "{\"inputs\":[" TENSOR("all", "[2,5]", "BYTES",
                               "[1.5,\"red\",100,\"2020-01-02\",true,49,null,102,null,null]") "]}"};
    const double first = predict_json(ROW_1).outputs[0], second = predict_json(ROW_2).outputs[0];
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const predicted p = predict(qn_rows_open_tensors, bodies[i]);
        if (p.status != QN_OK) fail_msg("%s: %s", bodies[i], p.err.message);
        CHECK_INT(p.n, 2);
        CHECK(p.outputs[0] == first && p.outputs[1] == second);
    }
}

static void tensors_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"[]", "expected an object"},
        {"{}", "\"inputs\" are missing"},
        {"{\"inputs\":{}}", "expected a list"},
        {"{\"inputs\":[1]}", "expected a tensor"},
        {"{\"inputs\":[]} 1", "column 'size' is missing"},
        {"{\"inputs\":[{\"name\":\"size\"}]}", "a tensor has a name, a shape"},
        {"{\"inputs\":[" TENSOR("size", "[-1]", "FP64", "[]") "]}", "the size of a dimension"},
        {"{\"inputs\":[" TENSOR("size", "[9223372036854775807]", "FP64", "[]") "]}", "the size of"},
        {"{\"inputs\":[" TENSOR("size", "[1.5]", "FP64", "[]") "]}", "the size of a dimension"},
        {"{\"inputs\":[" TENSOR("size", "[]", "FP64", "[]") "]}", "the shape is empty"},
        {"{\"inputs\":[" TENSOR("size", "[1,1,1]", "FP64", "[]") "]}", "one or two dimensions"},
        {"{\"inputs\":[" TENSOR("size", "[1]", "FP65", "[]") "]}", "datatype is unknown"},
        {"{\"inputs\":[" TENSOR("size", "[1,2]", "FP64", "[]") "]}", "several columns"},
        {"{\"inputs\":[" TENSOR("x", "[1,4]", "FP64", "[]") "]}",
         "nor a tensor of shape [rows, 5]"},
        {"{\"inputs\":[" TENSOR("x", "[601,5]", "FP64", "[]") "]}", "more than 600 rows"},
        {"{\"inputs\":[" TENSOR("x", "[1,5]", "FP64", "[1,null,1]") "]}",
         "fewer values than its shape"},
        {"{\"inputs\":[" TENSOR("x", "[1,5]", "FP64", "[1,null,1,null,1,1]") "]}",
         "more values than"},
        {"{\"inputs\":[" TENSOR("x", "[1,5]", "FP64", "[[[1]]]") "]}", "has a list"},
        {"{\"inputs\":[" TENSOR("size", "[3]", "FP64", "[1,2,3]") "," OTHERS "]}",
         "those before have 3"},
        {"{\"inputs\":[" OTHERS "," OTHERS "]}", "is given twice"},
        {"{\"inputs\":[" OTHERS "]}", "column 'size' is missing"},
        {"{\"inputs\":[" TENSOR("x", "[0,5]", "FP64", "[]") "],\"inputs\":[]}", "given twice"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const predicted p = predict(qn_rows_open_tensors, cases[i].body);
        if (p.status == QN_OK || !strstr(p.err.message, cases[i].part)) {
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].body, p.err.message, cases[i].part);
        }
    }
}

/* Binary tensors. */

typedef struct binary_request {
    char body[2048];
    size_t json_bytes, bytes;
} binary_request;

static binary_request begin_binary(const char *json)
{
    binary_request r = {.json_bytes = strlen(json), .bytes = strlen(json)};
    memcpy(r.body, json, r.bytes);
    return r;
}

static void add_raw(binary_request *r, const void *data, size_t bytes)
{
    memcpy(r->body + r->bytes, data, bytes);
    r->bytes += bytes;
}

static void add_raw_text(binary_request *r, const char *text)
{
    const unsigned char length[] = {(unsigned char)strlen(text), 0, 0, 0};
    add_raw(r, length, 4);
    add_raw(r, text, strlen(text));
}

static predicted predict_binary(const binary_request *r)
{
    /* At the very end of its memory: a byte read beyond it is found. */
    char *body = malloc(r->bytes);
    CHECK(body != NULL);
    memcpy(body, r->body, r->bytes);
    const predicted p = predict_bytes(qn_rows_open_tensors, body, r->bytes, r->json_bytes);
    free(body);
    return p;
}

#define BINARY(name, shape, type, bytes)                              \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type \
    "\",\"parameters\":{\"other\":[1],\"binary_data_size\":" bytes "}}"

/* ROW_1 and ROW_2, the columns in several datatypes, one of them as JSON between the others, and
 * one that the model does not know. */
static binary_request mixed_request(void)
{
    static const double sizes[] = {1.5, 49};
    static const int16_t shops[] = {100, 102};
    binary_request r = begin_binary(
        "{\"inputs\":[" BINARY("size", "[2]", "FP64", "16") "," BINARY(
            "colour", "[2,1]", "BYTES", "11") "," TENSOR("when", "[2]", "BYTES",
                                                         "[\"2020-01-02\",null]") "," //
        BINARY("unknown", "[3]", "UINT8", "3") "," BINARY("shop", "[2]", "INT16", "4") "," TENSOR(
            "open", "[2]", "BOOL", "[true,null]") "]}");
    add_raw(&r, sizes, sizeof sizes);
    add_raw_text(&r, "red");
    add_raw_text(&r, "");
    add_raw(&r, "abc", 3);
    add_raw(&r, shops, sizeof shops);
    return r;
}

static void binary_tensors_give_the_same(void **state)
{
    (void)state;
    const binary_request r = mixed_request();
    const predicted p = predict_binary(&r);
    if (p.status != QN_OK) fail_msg("%s", p.err.message);
    CHECK_INT(p.n, 2);
    CHECK_INT(p.form, QN_FORM_TENSORS);
    CHECK(p.outputs[0] == predict_json(ROW_1).outputs[0]);
    CHECK(p.outputs[1] == predict_json(ROW_2).outputs[0]);
}

/* The row of `size` alone, by its bytes in one datatype. */
static double by_bytes(const char *type, const void *data, size_t bytes)
{
    char json[700];
    snprintf(json, sizeof json,
             "{\"inputs\":[{\"name\":\"size\",\"shape\":[1],\"datatype\":\"%s\",\"parameters\":"
             "{\"binary_data_size\":%zu}}," TENSOR("colour", "[1]", "BYTES", "[\"red\"]") "," //
             TENSOR("shop", "[1]", "INT64", "[101]") "," TENSOR(
                 "when", "[1]", "BYTES", "[null]") "," TENSOR("open", "[1]", "BOOL", "[true]") "]}",
             type, bytes);
    binary_request r = begin_binary(json);
    add_raw(&r, data, bytes);
    const predicted p = predict_binary(&r);
    if (p.status != QN_OK) fail_msg("%s: %s", type, p.err.message);
    return p.outputs[0];
}

static void every_datatype_is_its_value(void **state)
{
    (void)state;
    for (int value = 1; value < 50; value += 3) {
        char size[16];
        snprintf(size, sizeof size, "%d", value);
        const double expected = one(size, "\"red\"", "101", "null", "true");
        const double fp64 = value;
        const float fp32 = (float)value;
        CHECK(by_bytes("FP64", &fp64, 8) == expected);
        CHECK(by_bytes("FP32", &fp32, 4) == expected);
        CHECK(by_bytes("INT8", &(int8_t){(int8_t)value}, 1) == expected);
        CHECK(by_bytes("INT16", &(int16_t){(int16_t)value}, 2) == expected);
        CHECK(by_bytes("INT32", &(int32_t){value}, 4) == expected);
        CHECK(by_bytes("INT64", &(int64_t){value}, 8) == expected);
        CHECK(by_bytes("UINT8", &(uint8_t){(uint8_t)value}, 1) == expected);
        CHECK(by_bytes("UINT16", &(uint16_t){(uint16_t)value}, 2) == expected);
        CHECK(by_bytes("UINT32", &(uint32_t){(uint32_t)value}, 4) == expected);
        CHECK(by_bytes("UINT64", &(uint64_t){(uint64_t)value}, 8) == expected);
    }
    /* binary16: 1.5, 49, the largest, a subnormal, -2, NaN */
    CHECK(by_bytes("FP16", "\x00\x3e", 2) == one("1.5", "\"red\"", "101", "null", "true"));
    CHECK(by_bytes("FP16", "\x20\x52", 2) == one("49", "\"red\"", "101", "null", "true"));
    CHECK(by_bytes("FP16", "\xff\x7b", 2) == one("65504", "\"red\"", "101", "null", "true"));
    CHECK(by_bytes("FP16", "\x01\x00", 2) ==
          one("5.960464477539063e-08", "\"red\"", "101", "null", "true"));
    CHECK(by_bytes("FP16", "\x00\xc0", 2) == one("-2", "\"red\"", "101", "null", "true"));
    const double missing = one("null", "\"red\"", "101", "null", "true");
    CHECK(by_bytes("FP16", "\x01\x7e", 2) == missing);
    CHECK(by_bytes("FP32", "\x00\x00\xc0\x7f", 4) == missing);
    CHECK(by_bytes("FP64", "\x01\x00\x00\x00\x00\x00\xf8\xff", 8) == missing);
    CHECK(by_bytes("INT8", "\xfe", 1) == one("-2", "\"red\"", "101", "null", "true"));
    CHECK(by_bytes("BYTES",
                   "\x04\0\0\0"
                   "31.5",
                   8) == one("31.5", "\"red\"", "101", "null", "true"));
}

static void binary_tensors_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *data;
        size_t given, bytes; /* of data; with zeros behind them */
        const char *part;
    } cases[] = {
        {BINARY("x", "[1,5]", "FP64", "39"), "", 0, 39, "its shape says 40"},
        {BINARY("x", "[1,5]", "FP64", "40"), "", 0, 39, "only 39 bytes came"},
        {BINARY("x", "[1,5]", "FP64", "40"), "", 0, 41, "1 bytes follow that belong to no tensor"},
        {BINARY("x", "[1,5]", "FP64", "-1"), "", 0, 0, "expected a number of bytes"},
        {BINARY("x", "[2147483647,2147483647]", "FP64", "8"), "", 0, 8, "its shape says 92233720"},
        {BINARY("x", "[0,5]", "FP64", "0"), "", 0, 1, "1 bytes follow"},
        {BINARY("x", "[1,5]", "BYTES", "3"), "", 0, 3, "fewer values than its shape"},
        {BINARY("x", "[1,5]", "BYTES", "4"), "\x01", 1, 4, "of 1 bytes, of which 0 came"},
        {BINARY("x", "[1,5]", "BYTES", "6"),
         "\xff\xff\xff\xff"
         "ab",
         6, 6, "of 4294967295 bytes"},
        {BINARY("x", "[1,5]", "BYTES", "5"), "\x01\0\0\0\xff", 5, 5, "is not UTF-8"},
        {BINARY("x", "[1,5]", "BYTES", "5"), "\x01", 1, 5, "is not UTF-8"},
        {BINARY("x", "[0,5]", "BYTES", "4"), "", 0, 4, "more values than its shape"},
        {BINARY("x", "[1,5]", "FP64", "40"), "\0\0\0\0\0\0\xf0\x7f", 8, 40, "an infinite number"},
        {"{\"name\":\"x\",\"shape\":[1,5],\"datatype\":\"FP64\",\"data\":[1],"
         "\"parameters\":{\"binary_data_size\":40}}",
         "", 0, 40, "either data or a binary_data_size"},
        {"{\"name\":\"x\",\"parameters\":{\"shared_memory_region\":\"r\"}}", "", 0, 0,
         "shared memory is not offered"},
        {"{\"name\":\"x\",\"parameters\":1}", "", 0, 0, "expected an object"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512], data[64] = {0};
        snprintf(json, sizeof json, "{\"inputs\":[%s]}", cases[i].json);
        binary_request r = begin_binary(json);
        memcpy(data, cases[i].data, cases[i].given);
        add_raw(&r, data, cases[i].bytes);
        const predicted p = predict_binary(&r);
        if (p.status == QN_OK || !strstr(p.err.message, cases[i].part)) {
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].json, p.err.message, cases[i].part);
        }
    }
    const predicted p = predict_bytes(qn_rows_open_tensors, "{}", 2, 3);
    CHECK_INT(p.status, QN_ERR_ARG);
    CHECK_CONTAINS(p.err.message, "but the body has 2 bytes");
}

/* Every request cut short anywhere is refused, none is read beyond. */
static void binary_tensors_cut_short_are_refused(void **state)
{
    (void)state;
    const binary_request whole = mixed_request();
    for (size_t bytes = 1; bytes < whole.bytes; bytes++) {
        binary_request cut = whole;
        cut.bytes = bytes;
        if (cut.json_bytes > bytes) cut.json_bytes = bytes;
        CHECK(predict_binary(&cut).status != QN_OK);
    }
}

static void outputs_can_be_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        qn_rows_form form;
        bool wanted[QN_TENSOR_OUTPUTS], binary[QN_TENSOR_OUTPUTS];
    } cases[] = {
        {"", QN_FORM_TENSORS, {true, true}, {false, false}},
        {",\"outputs\":[]", QN_FORM_TENSORS, {true, true}, {false, false}},
        {",\"outputs\":[{\"name\":\"probabilities\"}]", QN_FORM_TENSORS, {false, true}, {0}},
        {",\"outputs\":[{\"name\":\"prediction\",\"parameters\":{\"binary_data\":true}},"
         "{\"name\":\"probabilities\"}]",
         QN_FORM_BINARY_TENSORS,
         {true, true},
         {true, false}},
        {",\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"parameters\":"
         "{\"binary_data\":false},\"name\":\"prediction\"},{\"name\":\"probabilities\"}]",
         QN_FORM_BINARY_TENSORS,
         {true, true},
         {false, true}},
        {",\"parameters\":{\"binary_data_output\":true}",
         QN_FORM_BINARY_TENSORS,
         {true, true},
         {true, true}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        qn_error err = {0};
        qn_arena memory = {0};
        qn_rows rows = {.model = model, .memory = &memory, .n_rows_max = 10};
        snprintf(body, sizeof body, "{\"inputs\":[" TENSOR("x", "[0,5]", "FP64", "[]") "]%s}",
                 cases[i].members);
        CHECK_OK(qn_rows_open_tensors(&rows, body, strlen(body), &err));
        CHECK_INT(rows.form, cases[i].form);
        for (int k = 0; k < QN_TENSOR_OUTPUTS; k++) {
            CHECK_INT(rows.outputs[k].wanted, cases[i].wanted[k]);
            CHECK_INT(rows.outputs[k].binary == QN_CHOICE_YES, cases[i].binary[k]);
        }
        qn_rows_release(&rows);
        qn_arena_release(&memory);
    }
    static const char *const bad[] = {"{\"outputs\":[{\"name\":\"x\"}]}",
                                      "{\"outputs\":[{}]}",
                                      "{\"outputs\":{}}",
                                      "{\"outputs\":[1]}",
                                      "{\"outputs\":[{\"parameters\":{\"binary_data\":1}}]}",
                                      "{\"parameters\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(predict(qn_rows_open_tensors, bad[i]).status, QN_ERR_ARG);
    }
}

static void rows_are_counted(void **state)
{
    (void)state;
    qn_str list = {0};
    qn_str_add_char(&list, '[');
    for (int i = 0; i < 601; i++) {
        qn_str_add(&list, i ? "," ROW_1 : ROW_1);
    }
    qn_str_add_char(&list, ']');
    refuses(list.text, QN_ERR_BUDGET, "more than 600 rows", 0, "");
    qn_str_release(&list);
    CHECK_INT(predict_json("[]").n, 0);
    CHECK_INT(predict_json("{\"instances\":[]}").n, 0);
}

static qn_status predict_status(opener open, const char *body)
{
    qn_arena memory = {0};
    qn_rows rows = {.model = model, .memory = &memory, .n_rows_max = 10};
    qn_cell cells[5 * QN_BLOCK_ROWS];
    qn_rows_block block = {.cells = cells};
    qn_status status = open(&rows, body, strlen(body), NULL);
    if (status == QN_OK) status = qn_rows_next(&rows, &block, NULL);
    qn_rows_release(&rows);
    qn_arena_release(&memory);
    return status;
}

static qn_status open_again(void)
{
    qn_served_model *again = NULL;
    const qn_status status = qn_served_model_open("m", "1", model_path, &again, NULL);
    qn_served_model_unref(again);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(predict_status(
        qn_rows_open_json, "[[1,\"r\\u0065d\",101.0,null,true],[1,\"\\n\",1,null,true]]"));
    CHECK_SURVIVES_NO_MEMORY(predict_status(qn_rows_open_json,
                                            "{\"columns\":{\"size\":[1],\"colour\":[\"\\n\"],"
                                            "\"shop\":[1],\"when\":[null],\"open\":[1]}}"));
    CHECK_SURVIVES_NO_MEMORY(predict_status(
        qn_rows_open_tensors,
        "{\"id\":\"\\n\",\"inputs\":[" TENSOR("x", "[1,5]", "FP64", "[1,\"\\n\",1,null,1]") "]}"));
    CHECK_SURVIVES_NO_MEMORY_RELEASING(
        predict_status(qn_rows_open_csv, "size,colour,shop,when,open\n1,red,100,,true\n"), (void)0);
    CHECK_SURVIVES_NO_MEMORY(open_again());
}

static void names_are_checked(void **state)
{
    (void)state;
    CHECK(qn_served_name_is_valid("credit-2.1_b"));
    static const char *const bad[] = {"",    ".",     "..",       ".hidden", "a/b",
                                      "a b", "a\r\n", "\xc3\xa9", "a:b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!qn_served_name_is_valid(bad[i]));
    }
    char longest[QN_MODEL_NAME_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[QN_MODEL_NAME_BYTES_MAX + 1] = '\0';
    CHECK(!qn_served_name_is_valid(longest));
    CHECK(qn_served_name_is_valid(longest + 1));
}

/* The file may be cut short in place: a mapping would end the process. */
static void a_served_model_does_not_need_its_file(void **state)
{
    (void)state;
    char path[320];
    qn_error err = {0};
    qn_served_model *own = NULL;
    snprintf(path, sizeof path, "cp %s %s/copy.quern", model_path, folder);
    CHECK_INT(system(path), 0);
    snprintf(path, sizeof path, "%s/copy.quern", folder);
    CHECK_OK(qn_served_model_open("m", "2", path, &own, &err));
    CHECK_INT(truncate(path, 10), 0);
    qn_served_model *kept = model;
    model = own;
    const double output = predict_json(ROW_1).outputs[0];
    model = kept;
    CHECK(output == predict_json(ROW_1).outputs[0]);
    CHECK_TEXT(own->hash, model->hash);
    qn_served_model_unref(own);
    CHECK_FAILS(QN_ERR_DATA, qn_served_model_open("m", "2", path, &own, &err));
    CHECK(own == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_row_gives_what_the_library_gives),
                                       TEST(every_form_gives_the_same),
                                       TEST(blocks_join),
                                       TEST(rows_may_be_written_differently),
                                       TEST(rows_that_the_model_cannot_take_are_named),
                                       TEST(categories_that_training_never_saw_can_be_refused),
                                       TEST(bodies_that_are_no_rows_are_refused),
                                       TEST(tensors_give_the_same),
                                       TEST(tensors_that_make_no_sense_are_refused),
                                       TEST(binary_tensors_give_the_same),
                                       TEST(every_datatype_is_its_value),
                                       TEST(binary_tensors_that_make_no_sense_are_refused),
                                       TEST(binary_tensors_cut_short_are_refused),
                                       TEST(outputs_can_be_chosen),
                                       TEST(rows_are_counted),
                                       TEST(reading_survives_running_out_of_memory),
                                       TEST(names_are_checked),
                                       TEST(a_served_model_does_not_need_its_file)};
    return cmocka_run_group_tests(tests, open_model, close_model);
}
