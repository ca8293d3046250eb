/* A library for LD_PRELOAD that makes the n-th system call on files below one folder fail.
 *
 * fail_below(FOLDER, AT, ERROR, KEPT) arms it: of the calls that change that folder the AT-th (from
 * 1; 0: none) ends in ERROR, and was done all the same where KEPT is not 0. fail_count() says how
 * many there were since. Counted are write, pwrite, fsync, fdatasync, syncfs, sync_file_range,
 * open for writing, rename, truncate, ftruncate, fallocate, unlink and mkdir, in all their
 * spellings of libc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char below[PATH_MAX];
static size_t length;
static long fail_at;
static int number, kept;
static atomic_long count;

void fail_below(const char *folder, long at, int error, int was_done)
{
    snprintf(below, sizeof below, "%s", folder);
    length = strlen(below);
    fail_at = at;
    number = error;
    kept = was_done;
    atomic_store(&count, 0);
}

long fail_count(void)
{
    return atomic_load(&count);
}

static int is_below(const char *path)
{
    return length && !strncmp(path, below, length);
}

static int is_file_below(int fd)
{
    char name[64], path[PATH_MAX];
    if (!length)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(name, path, sizeof path - 1);
    if (got < 0)
        return 0;
    path[got] = 0;
    return is_below(path);
}

/* Whether this call is the one. */
static int chosen(int counts)
{
    return counts && atomic_fetch_add(&count, 1) + 1 == fail_at;
}

static int refuse(void)
{
    errno = number;
    return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP(type, name, parameters, arguments, counts)                                            \
    type name parameters                                                                           \
    {                                                                                              \
        if (!chosen(counts))                                                                       \
            return NEXT(name) arguments;                                                           \
        if (kept)                                                                                  \
            NEXT(name) arguments;                                                                  \
        return refuse();                                                                           \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), is_file_below(fd))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
     is_file_below(fd))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
     is_file_below(fd))
WRAP(int, fsync, (int fd), (fd), is_file_below(fd))
WRAP(int, fdatasync, (int fd), (fd), is_file_below(fd))
WRAP(int, syncfs, (int fd), (fd), is_file_below(fd))
WRAP(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned how), (fd, at, size, how),
     is_file_below(fd))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), is_file_below(fd))
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), is_file_below(fd))
WRAP(int, truncate, (const char *path, off_t size), (path, size), is_below(path))
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size),
     is_file_below(fd))
WRAP(int, rename, (const char *from, const char *to), (from, to), is_below(to))
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to),
     is_below(to))
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned how),
     (a, from, b, to, how), is_below(to))
WRAP(int, unlink, (const char *path), (path), is_below(path))
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags), is_below(path))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), is_below(path))

static int opens(const char *path, int flags)
{
    return is_below(path) && (flags & O_ACCMODE) != O_RDONLY;
}

#define WRAP_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                  \
        va_end(more);                                                                              \
        if (!chosen(opens(path, flags)))                                                           \
            return NEXT(name)(path, flags, mode);                                                  \
        if (kept)                                                                                  \
            close(NEXT(name)(path, flags, mode));                                                  \
        return refuse();                                                                           \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_OPENAT(name)                                                                          \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;                  \
        va_end(more);                                                                              \
        if (!chosen(opens(path, flags)))                                                           \
            return NEXT(name)(folder, path, flags, mode);                                          \
        if (kept)                                                                                  \
            close(NEXT(name)(folder, path, flags, mode));                                          \
        return refuse();                                                                           \
    }

WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
