/* A block device that remembers: one file, served through FUSE (the kernel's protocol, no library),
 * for a loop device to stand on.
 *
 *   block_disk FOLDER IMAGE LOG    record: each write, flush and note goes to LOG, in order
 *   block_disk FOLDER IMAGE -      play: what is written goes to memory, a note takes it back
 *
 * FOLDER then holds two files: "disk", as large as IMAGE, and "note", which is written only. A note
 * stands in the log between the writes that were answered before it and those that came after it.
 * LOG is a row of (u32 kind, u32 length, u64 offset, length octets), little-endian as the machine
 * is. One request is answered before the next is read, so the order of the log is that of the
 * disk. It ends when FOLDER is unmounted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KIND_WRITE = 1, KIND_FLUSH = 2, KIND_NOTE = 3 };
enum { ROOT = FUSE_ROOT_ID, DISK = 2, NOTE = 3 };
enum { MOST = 1 << 20, ROOM = MOST + 4096 };

struct record {
    uint32_t kind, length;
    uint64_t offset;
};

static int device, log_fd = -1;
static unsigned char *map;
static uint64_t size;
static char in[ROOM] __attribute__((aligned(4096)));

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void answer(uint64_t unique, int error, const void *data, size_t length)
{
    struct fuse_out_header head = {sizeof head + (error ? 0 : length), -error, unique};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (writev(device, parts, error || !length ? 1 : 2) < 0 && errno != ENOENT)
        die("answer");
}

static void keep(uint32_t kind, uint64_t offset, const void *data, uint32_t length)
{
    struct record head = {kind, length, offset};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (log_fd >= 0 && writev(log_fd, parts, 2) != (ssize_t)(sizeof head + length))
        die("log");
}

static struct fuse_attr about(uint64_t node)
{
    struct fuse_attr found = {0};
    found.ino = node;
    found.nlink = 1;
    found.blksize = 4096;
    found.mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600;
    found.size = node == DISK ? size : 0;
    found.blocks = found.size / 512;
    return found;
}

static void begin(uint64_t unique, const struct fuse_init_in *asked)
{
    struct fuse_init_out out = {0};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = FUSE_KERNEL_MINOR_VERSION;
    out.max_readahead = asked->max_readahead;
    out.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
    out.max_pages = MOST / 4096;
    out.max_write = MOST;
    out.max_background = 16;
    out.congestion_threshold = 12;
    answer(unique, 0, &out, sizeof out);
}

static void look_up(uint64_t unique, const char *name)
{
    struct fuse_entry_out out = {0};
    out.nodeid = !strcmp(name, "disk") ? DISK : !strcmp(name, "note") ? NOTE : 0;
    if (!out.nodeid) {
        answer(unique, ENOENT, NULL, 0);
        return;
    }
    out.attr = about(out.nodeid);
    out.entry_valid = out.attr_valid = 3600;
    answer(unique, 0, &out, sizeof out);
}

static void read_at(uint64_t unique, uint64_t node, const struct fuse_read_in *asked)
{
    uint64_t from = asked->offset;
    uint64_t length = asked->size;
    if (node != DISK || from >= size)
        length = 0;
    else if (length > size - from)
        length = size - from;
    answer(unique, 0, map + from, length);
}

static void write_at(uint64_t unique, uint64_t node, const struct fuse_write_in *asked)
{
    const char *data = (const char *)(asked + 1);
    struct fuse_write_out out = {asked->size, 0};
    if (node == NOTE) {
        keep(KIND_NOTE, 0, data, asked->size);
        if (log_fd < 0 && madvise(map, size, MADV_DONTNEED))
            die("madvise");
    } else if (asked->offset > size || asked->size > size - asked->offset) {
        answer(unique, ENOSPC, NULL, 0);
        return;
    } else {
        keep(KIND_WRITE, asked->offset, data, asked->size);
        memcpy(map + asked->offset, data, asked->size);
    }
    answer(unique, 0, &out, sizeof out);
}

static int serve(const struct fuse_in_header *head, const void *body)
{
    switch (head->opcode) {
    case FUSE_INIT:
        begin(head->unique, body);
        break;
    case FUSE_LOOKUP:
        look_up(head->unique, body);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
        struct fuse_attr_out out = {3600, 0, 0, about(head->nodeid)};
        answer(head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {head->nodeid, FOPEN_DIRECT_IO, 0};
        answer(head->unique, 0, &out, sizeof out);
        break;
    }
    case FUSE_READ:
        read_at(head->unique, head->nodeid, body);
        break;
    case FUSE_WRITE:
        write_at(head->unique, head->nodeid, body);
        break;
    case FUSE_FSYNC:
        keep(KIND_FLUSH, 0, NULL, 0);
        answer(head->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        answer(head->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    case FUSE_DESTROY:
        answer(head->unique, 0, NULL, 0);
        return 0;
    case FUSE_FALLOCATE: /* the block layer then writes its zeros itself, and discards nothing */
        answer(head->unique, EOPNOTSUPP, NULL, 0);
        break;
    default:
        answer(head->unique, ENOSYS, NULL, 0);
    }
    return 1;
}

static void open_image(const char *path, int playing)
{
    struct stat found;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found))
        die(path);
    size = (uint64_t)found.st_size;
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, playing ? MAP_PRIVATE : MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
}

int main(int count, char **words)
{
    char options[128];
    if (count != 4) {
        fputs("usage: block_disk FOLDER IMAGE LOG|-\n", stderr);
        return 2;
    }
    int playing = !strcmp(words[3], "-");
    open_image(words[2], playing);
    if (!playing) {
        log_fd = open(words[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (log_fd < 0)
            die(words[3]);
    }
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        die("/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    if (mount("block_disk", words[1], "fuse", MS_NOSUID | MS_NODEV, options))
        die("mount");
    /* What is mounted on the loop device is in nobody's namespace but the caller's: were it also in
     * ours, its unmounting at our end would wait for us. And our end comes with the caller's. */
    if (unshare(CLONE_NEWNS) || umount2(words[1], MNT_DETACH) || prctl(PR_SET_PDEATHSIG, SIGKILL))
        die("unshare");
    puts("ready");
    fflush(stdout);
    for (;;) {
        ssize_t got = read(device, in, sizeof in);
        if (got < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (got < (ssize_t)sizeof(struct fuse_in_header))
            return errno == ENODEV ? 0 : 1;
        const struct fuse_in_header *head = (const void *)in;
        if (!serve(head, head + 1))
            return 0;
    }
}
