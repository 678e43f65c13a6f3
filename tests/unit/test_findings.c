/* test_findings.c - which findings a verification has told already */
#include "archive/findings.h"
#include "check.h"
#include "status.h"

static bool add(struct svp_findings *findings, uint64_t file_offset, const char *message)
{
    struct savepoint_error error = { 0 };
    svp_status_at(&error, SAVEPOINT_CORRUPT, file_offset, "verify", "%s", message);
    return svp_findings_add(findings, &error);
}

CHECK_TEST(findings, the_same_place_and_message_is_told_once)
{
    static const uint64_t places[] = { 4096, 0, 8192, SVP_NO_OFFSET, 4095, 4097 }; /* in no order */
    struct svp_findings findings = { 0 };
    for (unsigned times = 0; times < 3; times++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            CHECK_EQ(add(&findings, places[i], "bytes have changed"), times == 0);
            CHECK_EQ(add(&findings, places[i], "this seal breaks the format"), times == 0);
            CHECK_EQ(add(&findings, places[i], ""), times == 0);
        }
    }
    svp_findings_close(&findings);
    CHECK(add(&findings, 4096, "bytes have changed")); /* begins anew */
    svp_findings_close(&findings);
}

CHECK_TEST(findings, without_memory_all_are_new)
{
    struct svp_findings findings = { 0 };
    CHECK(add(&findings, 1, "a"));
    findings.told.failed = true;
    CHECK(add(&findings, 2, "b"));
    CHECK(add(&findings, 2, "b"));
    CHECK(!add(&findings, 1, "a"));
    svp_findings_close(&findings);
}
