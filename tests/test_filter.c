/*
 * Filters of lists: what they mean, held against a plain evaluator over random rows; what they refuse, with the column;
 * and that no text whatever gets past the parser into SQL.
 */
#include "tests/filter_support.h"

/* ------------------------------------------------------------------ the plain evaluator */

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_COMPARE, NODE_LIKE, NODE_IN };
enum { MOST_VALUES = 3, MOST_NODES = 64 };
static const char *const signs[] = {"=", "!=", "<", "<=", ">", ">="};

struct node {
    enum node_kind kind;
    int left, right;
    int field, sign, count;
    bool negated;
    struct value values[MOST_VALUES];
};

struct tree {
    struct node nodes[MOST_NODES];
    int count;
};

static bool equal(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == VALUE_NULL || (a->kind == VALUE_TEXT ? strcmp(a->text, b->text) == 0 : a->number == b->number);
}

static bool compare(const struct value *value, int sign, const struct value *to)
{
    if (sign < 2)
        return equal(value, to) == (sign == 0);
    if (value->kind != to->kind || value->kind == VALUE_NULL)
        return false;
    int order = value->kind == VALUE_TEXT ? text_order(value->text, to->text)
                                          : (value->number > to->number) - (value->number < to->number);
    return sign == 2 ? order < 0 : sign == 3 ? order <= 0 : sign == 4 ? order > 0 : order >= 0;
}

/* One UTF-8 character on. */
static const char *next_character(const char *at)
{
    do
        at++;
    while (((unsigned char)*at & 0xc0) == 0x80);
    return at;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool like(const char *text, const char *pattern)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '%')
        return like(text, pattern + 1) || (*text && like(next_character(text), pattern));
    if (*text == '\0')
        return false;
    if (*pattern == '_')
        return like(next_character(text), pattern + 1);
    return lower(*text) == lower(*pattern) && like(text + 1, pattern + 1);
}

static bool holds_for_tag(const struct node *node, const char *tag)
{
    if (node->kind == NODE_LIKE)
        return like(tag, node->values[0].text);
    for (int i = 0; i < node->count; i++)
        if (strcmp(tag, node->values[i].text) == 0)
            return true;
    return false;
}

static bool holds_for_value(const struct node *node, const struct value *value)
{
    if (node->kind == NODE_COMPARE)
        return compare(value, node->sign, &node->values[0]);
    if (node->kind == NODE_LIKE)
        return value->kind == VALUE_TEXT && like(value->text, node->values[0].text);
    for (int i = 0; i < node->count; i++)
        if (equal(value, &node->values[i]))
            return true;
    return false;
}

static bool leaf_holds(const struct node *node, const struct value *row)
{
    if (node->field != AT_TAGS)
        return holds_for_value(node, &row[node->field]) != node->negated;
    bool any = false;
    for (size_t i = 0; i < COUNT(tag_words); i++)
        any |= ((int)row[AT_TAGS].number >> i & 1) && holds_for_tag(node, tag_words[i]);
    return any != (node->negated || (node->kind == NODE_COMPARE && node->sign == 1));
}

static bool holds(const struct tree *tree, int at, const struct value *row)
{
    const struct node *node = &tree->nodes[at];
    switch (node->kind) {
    case NODE_AND:
        return holds(tree, node->left, row) && holds(tree, node->right, row);
    case NODE_OR:
        return holds(tree, node->left, row) || holds(tree, node->right, row);
    case NODE_NOT:
        return !holds(tree, node->left, row);
    default:
        return leaf_holds(node, row);
    }
}

/* ------------------------------------------------------------------ random filters, and their text */

static struct value random_operand(struct rng *rng, int field, const struct node *node)
{
    bool order = node->kind == NODE_COMPARE && node->sign >= 2;
    if (node->kind == NODE_LIKE)
        return text_value(PICK(rng, words));
    switch (fields[field].kind) {
    case FIELD_TAGS:
        return text_value(PICK(rng, tag_words));
    case FIELD_INTEGER:
        return number_value(PICK(rng, numbers));
    case FIELD_TIME:
    case FIELD_TEXT:
        if (!order && rng_below(rng, 4) == 0)
            return missing;
        return text_value(fields[field].kind == FIELD_TEXT ? PICK(rng, words) : PICK(rng, time_words));
    case FIELD_STATE:
        return text_value(PICK(rng, state_words));
    default: {
        struct value value = any_value(rng);
        return value.kind == VALUE_NULL && order ? number_value(1) : value;
    }
    }
}

static struct node random_leaf(struct rng *rng)
{
    struct node node = {.kind = NODE_COMPARE + rng_below(rng, 3), .field = (int)rng_below(rng, FIELDS), .count = 1};
    enum field_kind kind = fields[node.field].kind;
    if (node.kind == NODE_LIKE && kind == FIELD_INTEGER)
        node.kind = NODE_COMPARE;
    node.sign = (int)rng_below(rng, kind == FIELD_TAGS || kind == FIELD_STATE ? 2 : 6);
    node.negated = node.kind != NODE_COMPARE && rng_below(rng, 2);
    node.count = node.kind == NODE_IN ? 1 + (int)rng_below(rng, MOST_VALUES) : 1;
    for (int i = 0; i < node.count; i++)
        node.values[i] = random_operand(rng, node.field, &node);
    return node;
}

static int random_tree(struct rng *rng, struct tree *tree, int depth)
{
    int at = tree->count++;
    struct node node;
    if (depth == 0 || rng_below(rng, 3) == 0) {
        node = random_leaf(rng);
    } else {
        node = (struct node){.kind = rng_below(rng, 3)};
        node.left = random_tree(rng, tree, depth - 1);
        node.right = node.kind == NODE_NOT ? 0 : random_tree(rng, tree, depth - 1);
    }
    tree->nodes[at] = node;
    return at;
}

/* A keyword in random case, with spaces of several kinds around it. */
static void write_word(FILE *out, struct rng *rng, const char *word)
{
    static const char *const spaces[] = {" ", "  ", "\t", "\n "};
    fputs(PICK(rng, spaces), out);
    for (; *word; word++)
        fputc(rng_below(rng, 2) ? lower(*word) : *word, out);
    fputs(PICK(rng, spaces), out);
}

static void write_value(FILE *out, struct rng *rng, const struct value *value)
{
    if (value->kind == VALUE_NULL) {
        write_word(out, rng, "NULL");
        return;
    }
    if (value->kind == VALUE_REAL && (value->number == 0 || value->number == 1) && rng_below(rng, 4) == 0) {
        fprintf(out, value->number == 1 ? "1.0" : "0e5");
        return;
    }
    if (value->kind == VALUE_REAL) {
        fprintf(out, "%.17g", value->number);
        return;
    }
    char quote = rng_below(rng, 2) ? '\'' : '"';
    fputc(quote, out);
    for (const char *c = value->text; *c; c++) {
        fputc(*c, out);
        if (*c == quote)
            fputc(quote, out);
    }
    fputc(quote, out);
}

static void write_leaf(FILE *out, struct rng *rng, const struct node *node)
{
    fputs(fields[node->field].name, out);
    if (node->negated)
        write_word(out, rng, "NOT");
    if (node->kind == NODE_COMPARE)
        fprintf(out, rng_below(rng, 2) ? " %s " : "%s", signs[node->sign]);
    else
        write_word(out, rng, node->kind == NODE_LIKE ? "LIKE" : "IN");
    fputs(node->kind == NODE_IN ? "(" : "", out);
    for (int i = 0; i < node->count; i++) {
        fputs(i ? ", " : "", out);
        write_value(out, rng, &node->values[i]);
    }
    fputs(node->kind == NODE_IN ? ")" : "", out);
}

/* Writes no parentheses but those that are needed, and now and then one that is not. */
static void write_tree(FILE *out, struct rng *rng, const struct tree *tree, int at, enum node_kind within)
{
    const struct node *node = &tree->nodes[at];
    bool needed = node->kind == NODE_OR ? within != NODE_OR : node->kind == NODE_AND && within == NODE_NOT;
    bool enclosed = needed || rng_below(rng, 8) == 0;
    fputs(enclosed ? "(" : "", out);
    if (node->kind == NODE_NOT) {
        write_word(out, rng, "NOT");
        write_tree(out, rng, tree, node->left, NODE_NOT);
    } else if (node->kind <= NODE_OR) {
        write_tree(out, rng, tree, node->left, node->kind);
        write_word(out, rng, node->kind == NODE_AND ? "AND" : "OR");
        write_tree(out, rng, tree, node->right, node->kind);
    } else {
        write_leaf(out, rng, node);
    }
    fputs(enclosed ? ")" : "", out);
}

/* ------------------------------------------------------------------ what filters mean */

static void test_agrees_with_plain_evaluator(void **state)
{
    (void)state;
    struct rng rng;
    size_t some = 0, trees = 3000;
    rng_seed(&rng, 11, 1);
    sqlite3 *db = fill_catalog(&rng);
    for (size_t i = 0; i < trees; i++) {
        struct tree tree = {.count = 0};
        char *text = NULL, found[4 * ROWS], expected[4 * ROWS];
        size_t size;
        int root = random_tree(&rng, &tree, 1 + (int)rng_below(&rng, 4));
        FILE *out = open_memstream(&text, &size);
        write_tree(out, &rng, &tree, root, NODE_OR);
        fclose(out);
        char *to = expected;
        *to = '\0';
        for (int row = 0; row < ROWS; row++)
            if (holds(&tree, root, rows[row]))
                to += sprintf(to, "%d,", row + 1);
        wanted_ids(db, text, found);
        if (strcmp(found, expected) != 0)
            fail_msg("%s\nfinds    %s\nexpected %s", text, found, expected);
        some += *expected && strlen(expected) < 100;
        free(text);
    }
    assert_true(some > trees / 4); /* and the filters were not all trivial */
    cleanup_db(&db);
}

static void expect_ids(sqlite3 *db, const char *filter, const char *expected)
{
    char found[4 * ROWS];
    wanted_ids(db, filter, found);
    if (strcmp(found, expected) != 0)
        fail_msg("%s finds %s, not %s", filter, found, expected);
}

static void test_meanings_by_hand(void **state)
{
    (void)state;
    struct error err;
    sqlite3 *db = open_catalog();
    assert_ok(db_execute(
        db,
        "INSERT INTO job (id, name, tags, state, priority, spec, spec_hash, created_at, started_at, results) VALUES "
        "(1, 'one', '[\"demo\",\"x\"]', 'finished', 0, '{\"optimiser\":{\"learning_rate\":0.05,\"nesterov\":true},"
        "\"model\":{\"layers\":[{},{\"units\":128}]}}', 'h', '2026-01-02T03:04:05.678Z', '2026-01-02T03:04:06.000Z', "
        "'{\"test/accuracy\":0.85,\"median_scale\":{\"1.dense\":785.5}}'),"
        "(2, 'two', '[]', 'queued', 5, '{\"optimiser\":{\"learning_rate\":1,\"nesterov\":false}}', 'h', "
        "'2026-01-03T00:00:00.000Z', NULL, '{}'),"
        "(3, 'three', '[\"Demonstration\"]', 'diverged', 0, '{\"optimiser\":{\"learning_rate\":0.1}}', 'h', "
        "'2026-02-01T00:00:00.000Z', NULL, '{\"test/accuracy\":\"NaN\"}')",
        &err));
    expect_ids(db, "", "1,2,3,");
    expect_ids(db, NULL, "1,2,3,");
    expect_ids(db, " \t\n ", "1,2,3,");
    expect_ids(db, "spec./optimiser/learning_rate < 0.5", "1,3,");
    expect_ids(db, "spec./optimiser/nesterov = true", "1,");
    expect_ids(db, "spec./optimiser/nesterov != true", "2,3,");
    expect_ids(db, "spec./model/layers/1/units=128", "1,");
    expect_ids(db, "spec./model/layers/9/units = null", "1,2,3,");
    expect_ids(db, "result.test/accuracy > 0.8", "1,");
    expect_ids(db, "NOT result.test/accuracy > 0.8", "2,3,");
    expect_ids(db, "result.test/accuracy = 'NaN'", "3,");
    expect_ids(db, "result.test/accuracy = null", "2,");
    expect_ids(db, "result.median_scale/1.dense >= 785.5", "1,");
    expect_ids(db, "tags = 'demo'", "1,");
    expect_ids(db, "tags LIKE 'demo%'", "1,3,");
    expect_ids(db, "tags != 'demo'", "2,3,");
    expect_ids(db, "NOT tags LIKE '%'", "2,");
    expect_ids(db, "name LIKE 'on_'", "1,");
    expect_ids(db, "name LIKE 'on\\_' OR tags LIKE 'dem\\%' OR name LIKE 'on\\'", "");
    expect_ids(db, "tags IN ('x', 'Demonstration')", "1,3,");
    expect_ids(db, "state IN ('queued','diverged') and priority >= 5", "2,");
    expect_ids(db, "created_at >= '2026-01-03'", "2,3,");
    expect_ids(db, "created_at < '2026-01-02T03:04:05.679Z'", "1,");
    expect_ids(db, "created_at >= '2026-01-02T03:04:05Z' AND created_at <= \"2026-01-02T03:04:06\"", "1,");
    expect_ids(db, "started_at = null", "2,3,");
    expect_ids(db, "started_at < '2100-01-01'", "1,");
    expect_ids(db, "id IN (1,2) OR name = 'three' AND state = 'queued'", "1,2,");
    expect_ids(db, "(id IN (1,2) OR name = 'three') AND state = 'queued'", "2,");
    expect_ids(db, "NOT name = 'one' AND NOT name = 'two'", "3,");
    expect_ids(db, "name = 'x'' OR 1=1 --'", "");
    cleanup_db(&db);
}

/* ------------------------------------------------------------------ what is refused */

static void expect_fault(const char *text, const char *sentence)
{
    struct filter *filter = NULL;
    struct error err = {""};
    if (filter_parse(text, job_fields, &filter, &err) != STATUS_INVALID)
        fail_msg("%s is taken", text);
    if (!strstr(err.text, sentence))
        fail_msg("%s: %s\nnot: %s", text, err.text, sentence);
}

static void test_faults_name_their_column(void **state)
{
    (void)state;
    expect_fault("state", "filter, column 6: expected =, !=, <, <=, >, >=, LIKE or IN, found the end");
    expect_fault("stat = 'queued'", "column 1: there is no field stat; there are id, state, name, tags,");
    expect_fault("stat = 'queued'", "spec./POINTER, result.KEY");
    expect_fault("spec. = 1", "column 1: there is no field spec.");
    expect_fault("spec.x = 1", "column 6: spec. is followed by a JSON pointer");
    expect_fault("spec./a\x7f~2 = 1", "column 6: spec. is followed by a JSON pointer");
    expect_fault("id = 1 AND", "column 11: expected a field, found the end");
    expect_fault("id = 1 id = 2", "column 8: expected AND, OR or the end, found id");
    expect_fault("(id = 1", "column 8: expected AND, OR or a closing parenthesis, found the end");
    expect_fault("id = 1)", "column 7: expected AND, OR or the end, found )");
    expect_fault("name = ää", "column 8: expected a field, a value or an operator, found ä");
    expect_fault("name = 'äö' AND name ! 'x'", "column 22: expected a field, a value or an operator, found !");
    expect_fault("name = one", "column 8: expected a value (text goes in quotes), found one");
    expect_fault("name = 'one", "column 8: this quote is never closed");
    expect_fault("name = 5", "column 8: expected text in quotes, found 5");
    expect_fault("name = true", "column 8: expected text in quotes, found true");
    expect_fault("id = '5'", "column 6: expected a number, found '5'");
    expect_fault("id = true", "column 6: expected a number, found true");
    expect_fault("id < null", "column 6: expected a number or text in quotes");
    expect_fault("id LIKE '5'", "column 4: LIKE compares text, and id is a number");
    expect_fault("id = 5x", "column 7: this cannot follow a number");
    expect_fault("id = 1e", "column 6: an exponent has digits");
    expect_fault("id = -", "column 6: a number has digits");
    expect_fault("id = 1e999", "column 6: 1e999 is larger than any number");
    expect_fault("state = 'runing'", "column 9: expected a state: 'queued', 'running'");
    expect_fault("state < 'queued'", "column 7: state has no order");
    expect_fault("tags < 'x'", "column 6: tags has no order");
    expect_fault("tags = null", "column 8: expected a tag in quotes");
    expect_fault("created_at > '2026'", "column 14: expected a time in UTC: '2026-01-02'");
    expect_fault("created_at > '2026-01-02T03:04:05+01:00'", "column 14: expected a time in UTC");
    expect_fault("spec./batch_size < null", "column 20: expected a number or text in quotes");
    expect_fault("id IN ()", "column 8: expected a value");
    expect_fault("id IN 1", "column 7: expected a parenthesis");
    expect_fault("id IN (1 2)", "column 10: expected a comma or a closing parenthesis");
    expect_fault("id IN (1,)", "column 10: expected a value");
    expect_fault("id NOT = 1", "column 8: expected LIKE or IN");
    expect_fault("name LIKE 5", "column 11: expected a pattern in quotes");
    expect_fault("name = '\xff'", "filter must be UTF-8 text");
    expect_fault("NOT", "column 4: expected a field, found the end");
    expect_fault("\"x\" = 1", "column 1: expected a field, found \"x\"");
}

static void test_limits(void **state)
{
    (void)state;
    struct error err;
    struct rng rng;
    rng_seed(&rng, 3, 3);
    sqlite3 *db = fill_catalog(&rng);
    char text[2 * FILTER_MOST_BYTES], found[4 * ROWS];
    struct filter *filter = NULL;
    memset(text, ' ', sizeof text);
    text[FILTER_MOST_BYTES + 1] = '\0';
    assert_int_equal(filter_parse(text, job_fields, &filter, &err), STATUS_INVALID);
    assert_says(err.text, "filter has 4097 bytes, at most 4096 are taken");
    /* The deepest nesting, each level in the way that costs SQLite's parser most, within a whole page's statement. */
    for (int depth = FILTER_MOST_DEPTH; depth <= FILTER_MOST_DEPTH + 1; depth++) {
        char *to = text;
        for (int i = 0; i < depth; i++)
            to += sprintf(to, "id = 0 OR id = 0 AND (");
        to += sprintf(to, "tags IN ('x')");
        for (int i = 0; i < depth; i++)
            *to++ = ')';
        *to = '\0';
        if (depth <= FILTER_MOST_DEPTH)
            wanted_ids(db, text, found);
        else
            expect_fault(text, "nested more than 12 deep");
    }
    for (int count = FILTER_MOST_COMPARISONS; count <= FILTER_MOST_COMPARISONS + 1; count++) {
        char *to = text;
        for (int i = 0; i < count; i++)
            to += sprintf(to, "%sNOT tags='a'", i ? " OR " : "");
        if (count <= FILTER_MOST_COMPARISONS)
            wanted_ids(db, text, found);
        else
            expect_fault(text, "at most 100 comparisons");
    }
    char *to = text + sprintf(text, "id IN (0");
    while (to - text < FILTER_MOST_BYTES - 3)
        to += sprintf(to, ",1");
    sprintf(to, ")");
    expect_ids(db, text, "1,");
    cleanup_db(&db);
}

/* Bytes of all kinds, pieces of the language in any order, and true filters with a few bytes changed: whatever the
 * parser takes, SQLite takes too. */
static void test_fuzz(void **state)
{
    (void)state;
    static const char *const pieces[] = {"id",
                                         "state",
                                         "tags",
                                         "name",
                                         "spec./batch_size",
                                         "result.test/accuracy",
                                         "AND",
                                         "OR",
                                         "NOT",
                                         "IN",
                                         "LIKE",
                                         "(",
                                         ")",
                                         ",",
                                         "=",
                                         "!=",
                                         "<",
                                         ">=",
                                         "'x'",
                                         "\"y\"",
                                         "1",
                                         "-2.5",
                                         "null",
                                         "true",
                                         "';--",
                                         "'%_''%'",
                                         "ended_at",
                                         "'queued'",
                                         "spec./a/0",
                                         "'2026-01-01'"};
    struct rng rng;
    rng_seed(&rng, 5, 5);
    sqlite3 *db = fill_catalog(&rng);
    size_t taken = 0;
    for (int i = 0; i < 20000; i++) {
        char text[512] = "", found[4 * ROWS];
        size_t used = 0, count = rng_below(&rng, 12);
        for (size_t k = 0; k < count; k++) {
            if (i % 4 == 0)
                text[used++] = (char)(1 + rng_below(&rng, 255));
            else
                used += (size_t)sprintf(text + used, "%s ", PICK(&rng, pieces));
        }
        if (i % 4 == 3 && used > 0)
            text[rng_below(&rng, (uint32_t)used)] = (char)(1 + rng_below(&rng, 255));
        struct filter *filter = NULL;
        struct error err = {""};
        enum status status = filter_parse(text, job_fields, &filter, &err);
        filter_free(filter);
        if (status == STATUS_OK) {
            wanted_ids(db, text, found);
            taken++;
        } else {
            assert_int_equal(status, STATUS_INVALID);
            assert_says(err.text, "filter");
        }
    }
    assert_true(taken > 100);
    cleanup_db(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_plain_evaluator),
        cmocka_unit_test(test_meanings_by_hand),
        cmocka_unit_test(test_faults_name_their_column),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
