/* What the parts of zonectl-entry share: its conversation with the worker, and how the worker's texts are read. */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MAGIC = 0x5a4f4e45,
    FORMAT = 2,
    NOT_EXECUTED = 125,
    MOST_TEXT = 4096,
    MOST_DESCRIPTORS = 64, /* of one message: BATCH of runtime/handshake.py */
    OPENING_ATTEMPTS = 128,
};

/* conversation.c: what is said, and what is heard. */

extern int channel;
extern const char *step;

void say(const char *text, const int *fds, size_t count);
_Noreturn void fail(const char *kind, int number, ...);
_Noreturn void call_failed(const char *call, const char *subject);
_Noreturn void call_failed_about(const char *call, const char *before, const char *between, const char *after);
void check(bool failed, const char *call, const char *subject);
_Noreturn void program_failed(const char *name, int number);
_Noreturn void refuse(const char *kind, const char *message);
size_t expect_many(const char *word, int *fds, size_t room);
int expect(const char *word);

/* document.c: an order, or a script, in memory that the worker has made. */

bool document_ended(void);
void *take(size_t length);
uint32_t take_u32(void);
uint64_t take_u64(void);
char *take_text(void);
char *take_text_or_null(void);
void map_document(int fd);
const char *document_mark(void);

/* places.c: paths in a root that is not trusted. */

int try_open_below(int folder, const char *path, uint64_t flags, uint64_t resolve);
int open_below(int folder, const char *path, uint64_t flags, uint64_t resolve);
int open_in_root(int root, const char *path, uint64_t flags);
int place_folder(int root, const char *path, bool plain);
int try_place_file(int root, const char *path, mode_t mode, const char **call);

/* streams.c: standard streams and a terminal. */

/* Flags of STREAMS: the first three are those of 0, 1 and 2 that are the zone's /dev/null. */
enum { OWN_SESSION = 1 << 3, CLOSED_AT_FIRST = 1 << 4 };

int take_streams(int root, unsigned streams, unsigned short rows, unsigned short columns);

/* mounts.c: mounts, and where they are locked. */

void enter_scaffold(void);
void lock_mounts(void);
bool mount_at(
    const char *source, const char *target, const char *fstype, uint64_t flags, const char *data, bool tolerant);
void unmount_at(const char *name, int flags);
int begin_filesystem(const char *fstype);
void set_option(int context, const char *key, const char *value);
int end_filesystem(int context, const char *fstype, uint32_t attributes, uint64_t magic);
int clone_tree(int folder, const char *path);
void move_tree(int from, int to, const char *path);
void make_read_only(int place);

/* netlink.c: requests to the kernel's networking. */

void ask_kernel(const char *call, const char *subject, char *request, size_t length);

/* assembly.c: a zone's root, and all else that init makes before it is the program. */

void assemble(int fd);

#endif
