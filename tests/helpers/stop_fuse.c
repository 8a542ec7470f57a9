// stop_fuse FOLDER: mounts a file system there that answers everything but an open(): who opens its file "hang" waits where
// no signal reaches it, until this server ends. Once somebody does, there is a file FOLDER.asked.
#include <errno.h>
#include <linux/fuse.h>
#include <sys/mount.h>

#include "stop_common.h"

static int device;

static void answer(const struct fuse_in_header *to, int error, const void *body, size_t size)
{
    char out[1024];
    const struct fuse_out_header head = {(unsigned)(sizeof head + size), error, to->unique};
    memcpy(out, &head, sizeof head);
    if (size > 0) memcpy(out + sizeof head, body, size);
    if (write(device, out, sizeof head + size) < 0 && errno != ENOENT) _exit(1);
}

static struct fuse_attr attributes(uint64_t node)
{
    return (struct fuse_attr){.ino = node, .size = 4096, .mode = node == 1 ? 040755 : 0100755, .nlink = 1, .blksize = 4096};
}

int main(int argc, char **argv)
{
    static char in[1 << 18];
    char options[128], asked[4096];
    if (argc != 2) return 2;
    snprintf(asked, sizeof asked, "%s.asked", argv[1]);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0) return 3;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("litbuild-test", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0) return 4;
    for (;;) {
        if (read(device, in, sizeof in) < 0) {
            if (errno == EINTR || errno == EAGAIN || errno == ENOENT) continue;
            return 5;
        }
        const struct fuse_in_header *const head = (const struct fuse_in_header *)in;
        if (head->opcode == FUSE_INIT) {
            const struct fuse_init_out out = {.major = 7, .minor = 31, .max_write = 65536};
            answer(head, 0, &out, sizeof out);
        } else if (head->opcode == FUSE_LOOKUP) {
            const struct fuse_entry_out out = {.nodeid = 2, .entry_valid = 3600, .attr_valid = 3600, .attr = attributes(2)};
            answer(head, 0, &out, sizeof out);
        } else if (head->opcode == FUSE_GETATTR) {
            const struct fuse_attr_out out = {.attr_valid = 3600, .attr = attributes(head->nodeid)};
            answer(head, 0, &out, sizeof out);
        } else if (head->opcode == FUSE_OPEN) {
            make(asked);
        } else if (head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET &&
                   head->opcode != FUSE_INTERRUPT) {
            answer(head, -ENOSYS, NULL, 0);
        }
    }
}
