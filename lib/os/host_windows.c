/* host_windows.c - time, randomness and identity on Windows, which has no fork */
#define _WIN32_WINNT 0x0602
#define WIN32_LEAN_AND_MEAN
#define _CRT_RAND_S
#include "os/host.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>

#define TICKS_TO_1970 UINT64_C(116444736000000000) /* of 100 ns, since 1601 */

uint64_t svp_host_time_ns(void)
{
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    return (((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) - TICKS_TO_1970) * 100;
}

uint64_t svp_host_monotonic_ns(void)
{
    const uint64_t ns_per_s = UINT64_C(1000000000);
    LARGE_INTEGER frequency;
    LARGE_INTEGER now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t ticks = (uint64_t)now.QuadPart;
    uint64_t per_s = (uint64_t)frequency.QuadPart;
    return ticks / per_s * ns_per_s + ticks % per_s * ns_per_s / per_s;
}

void svp_host_random(void *to, size_t bytes)
{
    uint8_t *at = to;
    unsigned number = 0;
    while (bytes > 0) {
        if (rand_s(&number) != 0) { /* fails on no system that is known */
            number = (unsigned)(svp_host_monotonic_ns() * UINT64_C(6364136223846793005) >> 32);
        }
        size_t part = bytes < sizeof number ? bytes : sizeof number;
        memcpy(at, &number, part);
        at += part;
        bytes -= part;
    }
}

uint64_t svp_host_process(void)
{
    return GetCurrentProcessId();
}

unsigned svp_host_cores(void)
{
    SYSTEM_INFO facts;
    GetSystemInfo(&facts);
    return facts.dwNumberOfProcessors;
}

void svp_host_work_behind(void)
{
    SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

const char *svp_host_abi(void)
{
#if defined(__x86_64__)
    return "windows-x86_64";
#elif defined(__aarch64__)
    return "windows-aarch64";
#else
    return "windows-other";
#endif
}

/* The identity that debuggers go by, which `-Wl,--build-id` makes: "RSDS", a GUID, an age, a name. */
enum { CODE_VIEW_TYPE = 2, CODE_VIEW_GUID_AT = 4, CODE_VIEW_GUID_BYTES = 16 };

size_t svp_host_build_id(uint8_t *to, size_t capacity)
{
    const unsigned char *image = (const unsigned char *)GetModuleHandleW(NULL);
    IMAGE_DOS_HEADER dos;
    IMAGE_NT_HEADERS headers;
    memcpy(&dos, image, sizeof dos);
    memcpy(&headers, image + dos.e_lfanew, sizeof headers);
    const IMAGE_DATA_DIRECTORY *debug = &headers.OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_DEBUG];
    for (DWORD at = 0; at + sizeof(IMAGE_DEBUG_DIRECTORY) <= debug->Size; at += sizeof(IMAGE_DEBUG_DIRECTORY)) {
        IMAGE_DEBUG_DIRECTORY entry;
        memcpy(&entry, image + debug->VirtualAddress + at, sizeof entry);
        const unsigned char *data = image + entry.AddressOfRawData;
        if (entry.Type == CODE_VIEW_TYPE && entry.SizeOfData >= CODE_VIEW_GUID_AT + CODE_VIEW_GUID_BYTES &&
            memcmp(data, "RSDS", CODE_VIEW_GUID_AT) == 0 && capacity >= CODE_VIEW_GUID_BYTES) {
            memcpy(to, data + CODE_VIEW_GUID_AT, CODE_VIEW_GUID_BYTES);
            return CODE_VIEW_GUID_BYTES;
        }
    }
    return 0;
}

int svp_host_at_fork(void (*hook)(void *item), void *item)
{
    (void)hook;
    (void)item;
    return 0;
}

void svp_host_at_fork_end(void *item)
{
    (void)item;
}
