/* test_check.c - the check layer's own good path (its bad paths: tests/meta/check_traps.sh) */
#include "check.h"

CHECK_TEST(check, equal_values_pass)
{
    const char text[] = "savepoint";
    int evaluated = 0;
    CHECK(text[0] == 's');
    CHECK_MSG(text[1] == 'a', "second letter is %c", text[1]);
    CHECK_EQ(++evaluated, 1);
    CHECK_EQ(-1, (int64_t)-1);
    CHECK_EQ(UINT64_MAX, UINT64_MAX);
    CHECK_EQ(text, &text[0]);
    CHECK_STR(text, "savepoint");
    CHECK_STR(NULL, NULL);
    CHECK_MEM(text, "savepoint", sizeof text);
    CHECK_STATUS(SAVEPOINT_CORRUPT, SAVEPOINT_CORRUPT);
    CHECK_OK(SAVEPOINT_OK);
}

CHECK_TEST(check, values_are_evaluated_once)
{
    int evaluated = 0;
    CHECK(++evaluated > 0);
    CHECK_EQ(evaluated, 1);
    CHECK_MEM("abc", "abd", (size_t)(++evaluated == 2 ? 2 : 3));
    CHECK_EQ(evaluated, 2);
}
