/* machine_windows.c - what doctor asks of Windows: its facts, memory, files */
#define _WIN32_WINNT 0x0602
#define WIN32_LEAN_AND_MEAN
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <windows.h>

#include "outfile.h"
#include "terminal.h"
#include "wide.h"

enum { SYNC_BYTES = 4096, PIPE_BYTES = 4096 /* fit into any pipe */, ATTEMPTS = 100 };

/* ---- facts */

/* What is asked in the usual way tells the truth only to programs that name each version in their manifest. */
void machine_name(char out[MACHINE_NAME_BYTES])
{
    DWORD numbers[3] = { 0, 0, 0 };
    void(WINAPI * get_version)(DWORD *, DWORD *, DWORD *) = NULL;
    const char *(WINAPI * get_wine)(void) = NULL;
    HMODULE system = GetModuleHandleA("ntdll.dll");
    FARPROC found = GetProcAddress(system, "RtlGetNtVersionNumbers");
    memcpy(&get_version, &found, sizeof found);
    found = GetProcAddress(system, "wine_get_version");
    memcpy(&get_wine, &found, sizeof found);
    if (get_version != NULL) {
        get_version(&numbers[0], &numbers[1], &numbers[2]);
    }
    snprintf(out, MACHINE_NAME_BYTES, "Windows %" PRIu32 ".%" PRIu32 ".%" PRIu32 " x86_64%s%.60s", (uint32_t)numbers[0],
             (uint32_t)numbers[1], (uint32_t)(numbers[2] & 0xffff), get_wine != NULL ? ", Wine " : "",
             get_wine != NULL ? get_wine() : "");
}

size_t machine_page_bytes(void)
{
    SYSTEM_INFO facts;
    GetSystemInfo(&facts);
    return facts.dwPageSize;
}

uint64_t machine_mappings_most(void)
{
    return 0;
}

void machine_file_system(char out[MACHINE_NAME_BYTES], const char *folder)
{
    wchar_t path[WIDE_PATH_MAX];
    wchar_t volume[WIDE_PATH_MAX];
    wchar_t name[64] = L"";
    out[0] = '\0';
    if (wide_path(path, folder) == 0 && GetVolumePathNameW(path, volume, WIDE_PATH_MAX) &&
        GetVolumeInformationW(volume, NULL, 0, NULL, NULL, NULL, name, sizeof name / sizeof name[0])) {
        char *text = wide_to_utf8(name);
        snprintf(out, MACHINE_NAME_BYTES, "%s", text);
        free(text);
    }
}

/* ---- memory, of the kind that can be watched */

void *machine_map(size_t bytes)
{
    return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE);
}

void machine_unmap(void *memory, size_t bytes)
{
    (void)bytes;
    VirtualFree(memory, 0, MEM_RELEASE);
}

/* What is given back and taken again is no longer what was watched. */
bool machine_drop(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
    return false;
}

int machine_call_writes(void *to, const void *from, size_t bytes)
{
    HANDLE reader = NULL;
    HANDLE writer = NULL;
    if (!CreatePipe(&reader, &writer, NULL, PIPE_BYTES)) {
        return wide_error();
    }
    int code = 0;
    for (size_t done = 0; done < bytes && code == 0;) {
        DWORD part = bytes - done < PIPE_BYTES ? (DWORD)(bytes - done) : PIPE_BYTES;
        DWORD written = 0;
        DWORD got = 0;
        bool moved = WriteFile(writer, (const char *)from + done, part, &written, NULL) &&
                     ReadFile(reader, (char *)to + done, part, &got, NULL);
        code = moved && written == part && got == part ? 0 : moved ? EIO : wide_error();
        done += part;
    }
    CloseHandle(reader);
    CloseHandle(writer);
    return code;
}

/* ---- files */

static char *temporary_folder(void)
{
    wchar_t wide[WIDE_PATH_MAX];
    const char *chosen = getenv("TMPDIR");
    if (chosen == NULL || chosen[0] == '\0') {
        DWORD length = GetTempPathW(WIDE_PATH_MAX, wide);
        return wide_to_utf8(length > 0 && length < WIDE_PATH_MAX ? wide : L".");
    }
    return outfile_join(chosen, "");
}

/* A name that nobody else uses, in a folder. */
static char *name_in(const char *folder, const char *name, int attempt)
{
    char text[80];
    snprintf(text, sizeof text, "%s-%" PRIu32 "-%d", name, (uint32_t)GetCurrentProcessId(), attempt);
    return outfile_join(folder, text);
}

int machine_make_folder(char **path)
{
    wchar_t wide[WIDE_PATH_MAX];
    char *parent = temporary_folder();
    int code = EEXIST;
    for (int attempt = 0; attempt < ATTEMPTS && code == EEXIST; attempt++) {
        *path = name_in(parent, "savepoint-doctor", attempt);
        code = wide_path(wide, *path);
        code = code != 0 ? code : CreateDirectoryW(wide, NULL) ? 0 : wide_error();
        if (code != 0) {
            free(*path);
        }
    }
    free(parent);
    return code;
}

void machine_remove_folder(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    if (wide_path(wide, path) == 0) {
        RemoveDirectoryW(wide);
    }
}

int machine_sync(int descriptor)
{
    return _commit(descriptor) == 0 ? 0 : errno;
}

static int time_syncs(uint64_t *times_ns, size_t count, int descriptor)
{
    static const char content[SYNC_BYTES] = "savepoint doctor";
    for (size_t i = 0; i < count; i++) {
        uint64_t start_ns = terminal_clock_ns();
        int written = _write(descriptor, content, sizeof content);
        if (written != (int)sizeof content) {
            return written < 0 ? errno : ENOSPC;
        }
        int code = machine_sync(descriptor);
        if (code != 0) {
            return code;
        }
        times_ns[i] = terminal_clock_ns() - start_ns;
    }
    return 0;
}

int machine_time_syncs(uint64_t *times_ns, size_t count, const char *folder)
{
    wchar_t wide[WIDE_PATH_MAX];
    char *path = name_in(folder, ".savepoint-doctor", 0);
    int code = wide_path(wide, path);
    int descriptor = -1;
    if (code == 0) {
        descriptor = _wopen(wide, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE);
        code = descriptor < 0 ? errno : 0;
    }
    if (code == 0) {
        code = time_syncs(times_ns, count, descriptor);
        _close(descriptor);
        _wunlink(wide);
    }
    free(path);
    return code;
}

void machine_nap(void)
{
    Sleep(1);
}
