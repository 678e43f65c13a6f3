/* test_status.c - status names and error texts */
#include <errno.h>

#include "check.h"
#include "hostile.h"
#include "status.h"

CHECK_TEST(status, every_status_has_a_name_of_its_own)
{
    for (int status = SAVEPOINT_TRUNCATED; status <= SAVEPOINT_OK; status++) {
        const char *name = savepoint_status_name((enum savepoint_status)status);
        CHECK(strncmp(name, "SAVEPOINT_", 10) == 0);
        CHECK(strcmp(name, "SAVEPOINT_UNKNOWN") != 0);
        for (int other = SAVEPOINT_TRUNCATED; other < status; other++) {
            CHECK(strcmp(name, savepoint_status_name((enum savepoint_status)other)) != 0);
        }
    }
    CHECK_STR(savepoint_status_name(SAVEPOINT_OK), "SAVEPOINT_OK");
    CHECK_STR(savepoint_status_name(SAVEPOINT_CORRUPT), "SAVEPOINT_CORRUPT");
    CHECK_STR(savepoint_status_name(SAVEPOINT_NOT_RESUMED), "SAVEPOINT_NOT_RESUMED");
    CHECK_STR(savepoint_status_name((enum savepoint_status)1), "SAVEPOINT_UNKNOWN");
    CHECK_STR(savepoint_status_name((enum savepoint_status) - 1000), "SAVEPOINT_UNKNOWN");
}

CHECK_TEST(status, failures_fill_the_error)
{
    struct savepoint_error error;
    CHECK_STATUS(svp_status_fail(&error, SAVEPOINT_INVALID, "test", "n is %d", 7), SAVEPOINT_INVALID);
    CHECK_EQ(error.status, SAVEPOINT_INVALID);
    CHECK_EQ(error.os_code, 0);
    CHECK_EQ(error.file_offset, SVP_NO_OFFSET);
    CHECK_STR(error.operation, "test");
    CHECK_STR(error.message, "n is 7");
    CHECK_STATUS(svp_status_at(&error, SAVEPOINT_CORRUPT, 4096, "read", "x"), SAVEPOINT_CORRUPT);
    CHECK_EQ(error.file_offset, 4096);
    CHECK_STATUS(svp_status_os(&error, ENOSPC, "write", "x"), SAVEPOINT_NO_SPACE);
    CHECK_EQ(error.status, SAVEPOINT_NO_SPACE);
    CHECK_EQ(error.os_code, ENOSPC);
    CHECK_STATUS(svp_status_os(NULL, ENOMEM, "write", "x"), SAVEPOINT_NO_MEMORY);
    CHECK_STATUS(svp_status_os(NULL, EIO, "write", "x"), SAVEPOINT_IO);
    CHECK_STATUS(svp_status_fail(NULL, SAVEPOINT_BUSY, "test", "x"), SAVEPOINT_BUSY);
}

CHECK_TEST(status, a_failed_write_says_why_and_what_to_do)
{
    CHECK_STR(svp_status_of_write(ENOSPC), "no space left on device: make room");
#ifdef EDQUOT /* POSIX */
    CHECK_STR(svp_status_of_write(EDQUOT), "the disk quota is used up: make room");
#endif
    CHECK(strstr(svp_status_of_write(EFBIG), "limit") != NULL);
    CHECK_STR(svp_status_of_write(EIO), "cannot write: look at the disk");
}

CHECK_TEST(status, a_long_message_is_cut)
{
    struct savepoint_error error;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_STATUS(svp_status_fail(&error, SAVEPOINT_IO, "test", "%s", text), SAVEPOINT_IO);
    CHECK_EQ(strlen(error.message), sizeof error.message - 1);
}

CHECK_TEST(status, format_cuts_and_tells_the_whole_length)
{
    struct savepoint_error error;
    char whole[600];
    CHECK_STATUS(svp_status_os(&error, EACCES, "open", "a.svp: cannot open"), SAVEPOINT_IO);
    error.file_offset = 77;
    size_t needed = savepoint_error_format(&error, whole, sizeof whole);
    CHECK_STR(whole, "SAVEPOINT_IO: a.svp: cannot open (Permission denied) (at offset 77)");
    CHECK_EQ(needed, strlen(whole));
    for (size_t room = 0; room <= needed + 1; room++) {
        char *text = (char *)hostile_copy((const uint8_t *)whole, room); /* exactly as large as it is said to be */
        CHECK_EQ(savepoint_error_format(&error, text, room), needed);
        CHECK(room == 0 || strlen(text) == (room <= needed ? room - 1 : needed));
        CHECK(room == 0 || strncmp(text, whole, strlen(text)) == 0);
        free(text);
    }
}
