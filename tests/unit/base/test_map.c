/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "check.h"

static void keys_are_found_in_order_of_insertion(void **state)
{
    (void)state;
    qn_map *map = qn_map_create(0);
    char key[32];
    for (int i = 0; i < 5000; i++) {
        const int bytes = snprintf(key, sizeof key, "key %d", i * 7919);
        CHECK(qn_map_set(map, key, (size_t)bytes, i));
    }
    CHECK_INT(qn_map_n(map), 5000);
    for (int i = 0; i < 5000; i++) {
        const int bytes = snprintf(key, sizeof key, "key %d", i * 7919);
        CHECK_INT(qn_map_get(map, key, (size_t)bytes, -1), i);
        CHECK_TEXT(qn_map_key(map, i, NULL), key);
        CHECK_INT(qn_map_value(map, i), i);
    }
    CHECK_INT(qn_map_get(map, "absent", 6, -1), -1);
    qn_map_free(map);
}

static void empty_keys_and_zero_bytes_are_keys_like_others(void **state)
{
    (void)state;
    qn_map *map = qn_map_create(4);
    CHECK(qn_map_set(map, "", 0, 1));
    CHECK(qn_map_set(map, "a\0b", 3, 2));
    CHECK(qn_map_set(map, "a\0c", 3, 3));
    CHECK_INT(qn_map_get(map, "", 0, -1), 1);
    CHECK_INT(qn_map_get(map, "a\0b", 3, -1), 2);
    CHECK_INT(qn_map_get(map, "a", 1, -1), -1);
    qn_map_free(map);
}

static void a_slot_keeps_what_was_there(void **state)
{
    (void)state;
    qn_map *map = qn_map_create(4);
    (*qn_map_slot(map, "x", 1, 10))++;
    (*qn_map_slot(map, "x", 1, 10))++;
    CHECK_INT(qn_map_get(map, "x", 1, -1), 12);
    CHECK_INT(qn_map_n(map), 1);
    qn_map_free(map);
}

static qn_status fill(void)
{
    qn_map *map = qn_map_create(0);
    if (!map) return QN_ERR_NOMEM;
    bool complete = true;
    for (int i = 0; i < 100 && complete; i++) {
        char key[16];
        complete = qn_map_set(map, key, (size_t)snprintf(key, sizeof key, "%d", i), i);
    }
    qn_map_free(map);
    return complete ? QN_OK : QN_ERR_NOMEM;
}

static void a_map_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(fill());
}

RUN_TESTS(TEST(keys_are_found_in_order_of_insertion),
          TEST(empty_keys_and_zero_bytes_are_keys_like_others), TEST(a_slot_keeps_what_was_there),
          TEST(a_map_survives_running_out_of_memory))
