/* The C store with one fault at a time; the configuration says which: {"fault": "leaks"}. For each there is a check of the
 * conformance kit that must fail, by its name: see tests/integration/conformance_test.cpp. */
#define _DEFAULT_SOURCE
#define C_STORE_BRINGS_ITS_OWN_TABLE
#include "c_store.c"

#include <locale.h>
#include <signal.h>
#include <sys/wait.h>

static char fault[32];
static int has(const char *name) { return strcmp(fault, name) == 0; }

static int32_t bad_open(const lb_host *host, lb_str config, void **self, lb_error *error)
{
    char text[PATH_BYTES] = "";
    if (config.size < sizeof text) memcpy(text, config.data, config.size);
    const char *const at = strstr(text, "\"fault\":\"");
    if (at) snprintf(fault, sizeof fault, "%.*s", (int)strcspn(at + 9, "\""), at + 9);
    if (has("ignores-pipes")) signal(SIGPIPE, SIG_IGN);
    if (has("sets-umask")) umask(0);
    if (has("sets-locale")) setlocale(LC_ALL, "C.UTF-8");
    if (has("sets-environment")) setenv("BAD_STORE", "1", 1);
    if (has("inherited")) (void)!open("/dev/null", O_RDONLY);
    return store_open(host, config, self, error);
}

static uint64_t bad_capabilities(void *self)
{
    if (has("says-durable")) return LB_STORE_LOCAL_PATH | LB_STORE_DURABLE;
    if (has("says-shared")) return LB_STORE_LOCAL_PATH | LB_STORE_SHARED;
    return store_capabilities(self);
}

static int32_t bad_find(void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx, lb_error *error)
{
    if (has("crashes")) raise(SIGSEGV);
    if (has("ends")) exit(3);
    if (has("prints")) puts("looking for a build");
    if (has("tells-progress") && call && call->progress) call->progress(call, 1, 2);
    const int32_t code = store_find(self, call, build, fn, ctx, error);
    if (has("fills-errors") && code != LB_OK && error) memset(error, 'x', sizeof *error);
    if (has("no-words") && code != LB_OK && error) error->message[0] = 0;
    if (has("own-codes") && code != LB_OK) return -ENOENT;
    return code;
}

/* Every entry once more: as when the two places of a build are read one after the other. */
struct again {
    lb_entries_fn fn;
    void *ctx;
};
static int twice(void *ctx, const lb_entry *entries, size_t count)
{
    const struct again *const again = ctx;
    const int enough = again->fn(again->ctx, entries, count);
    return again->fn(again->ctx, entries, count) | enough;
}
static int deaf(void *ctx, const lb_entry *entries, size_t count)
{
    const struct again *const again = ctx;
    again->fn(again->ctx, entries, count);
    return 0;
}
/* The lowest first, as folders are often read. */
struct kept {
    size_t count;
    int64_t runids[1000];
    uint32_t scopes[1000];
};
static int keep_all(void *ctx, const lb_entry *entries, size_t count)
{
    struct kept *const kept = ctx;
    for (size_t i = 0; i < count && kept->count < 1000; ++i, ++kept->count) {
        kept->runids[kept->count] = entries[i].runid;
        kept->scopes[kept->count] = entries[i].scope;
    }
    return 0;
}

static int32_t bad_list(void *self, const lb_call *call, const lb_query *query, lb_entries_fn fn, void *ctx, lb_error *error)
{
    struct again again = {fn, ctx};
    if (has("changes-directory")) (void)!chdir("/");
    if (has("lists-twice")) return store_list(self, call, query, twice, &again, error);
    if (has("goes-on")) return store_list(self, call, query, deaf, &again, error);
    if (!has("lowest-first")) return store_list(self, call, query, fn, ctx, error);
    static struct kept kept;
    kept.count = 0;
    const int32_t code = store_list(self, call, query, keep_all, &kept, error);
    for (size_t i = kept.count; i-- > 0;)
        if (give(fn, ctx, kept.runids[i], kept.scopes[i], "/nowhere") != 0) break;
    return code;
}

/* Each process counts for itself. */
static int by_own_count(void *ctx, const lb_entry *entries, size_t count)
{
    static int64_t made;
    const struct again *const again = ctx;
    (void)count;
    lb_entry own = entries[0];
    own.runid = ++made;
    return again->fn(again->ctx, &own, 1);
}

static int32_t bad_create(void *self, const lb_call *call, const lb_new_build *build, lb_entries_fn fn, void *ctx,
                          lb_error *error)
{
    char used[PATH_BYTES];
    /* The hint goes away, and the highest that is there counts. */
    if (has("reuses-ids") && folder_of(self, build->team, "used", used) == 0) {
        struct kept kept = {0};
        lb_query query = {.struct_size = sizeof query, .scope = LB_ALL, .team = build->team};
        if (store_list(self, call, &query, keep_all, &kept, NULL) == LB_OK) {
            char text[32];
            snprintf(text, sizeof text, "%lld\n", kept.count > 0 ? (long long)kept.runids[0] : 0LL);
            replace_file(used, (lb_str){text, strlen(text)});
        }
    }
    const struct again told = {fn, ctx};
    if (has("says-shared")) return store_create(self, call, build, by_own_count, (void *)&told, error);
    const int32_t code = store_create(self, call, build, fn, ctx, error);
    if (has("tells-twice") && code == LB_OK) give(fn, ctx, 1, LB_LIVE, "/nowhere");
    return code;
}

static int32_t bad_tags(void *self, const lb_call *call, const lb_build *build, lb_text_fn fn, void *ctx, lb_error *error);

/* An edit that waits in memory until somebody asks, or `close` comes. */
static struct {
    int waits;
    int64_t runid;
    char team[64], tag[64];
} pending;
static void apply_pending(void *self)
{
    if (!pending.waits) return;
    pending.waits = 0;
    const lb_build build = {.struct_size = sizeof build, .team = {pending.team, strlen(pending.team)}, .runid = pending.runid};
    const lb_str tag = {pending.tag, strlen(pending.tag)};
    store_edit_tags(self, NULL, &build, &tag, 1, NULL, 0, NULL);
}

static int32_t bad_edit_tags(void *self, const lb_call *call, const lb_build *build, const lb_str *add, size_t add_count,
                             const lb_str *remove_list, size_t remove_count, lb_error *error)
{
    if (has("loses-commits") && add_count == 1 && remove_count == 0) {
        pending.waits = 1;
        pending.runid = build->runid;
        snprintf(pending.team, sizeof pending.team, "%.*s", (int)build->team.size, build->team.data);
        snprintf(pending.tag, sizeof pending.tag, "%.*s", (int)add->size, add->data);
        return LB_OK;
    }
    if (!has("loses-edits")) return store_edit_tags(self, call, build, add, add_count, remove_list, remove_count, error);
    /* Reads, thinks, writes: what another thread wrote meanwhile is gone. */
    char path[PATH_BYTES], text[TAGS_BYTES];
    const int32_t code = read_tags(self, build, path, text, error);
    if (code != LB_OK || add_count == 0) return code;
    usleep(3000);
    size_t size = strlen(text);
    if (size > 0) text[size++] = ',';
    memcpy(text + size, add[0].data, add[0].size);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    (void)!write(fd, text, size + add[0].size);
    close(fd);
    return LB_OK;
}

static int32_t bad_tags(void *self, const lb_call *call, const lb_build *build, lb_text_fn fn, void *ctx, lb_error *error)
{
    while (has("hangs")) pause();
    apply_pending(self);
    return store_tags(self, call, build, fn, ctx, error);
}

static void bad_close(void *self)
{
    apply_pending(self);
    store_close(self);
}

static int32_t bad_read(void *self, const lb_call *call, const lb_build *build, lb_str name, uint64_t offset, uint64_t max,
                        lb_text_fn fn, void *ctx, lb_error *error)
{
    if (has("leaks")) (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (has("reaps")) waitpid(-1, NULL, WNOHANG);
    if (has("trusts-zero-bytes") && strlen(name.data) != name.size) return LB_INTERNAL;
    if (!has("follows")) return store_read(self, call, build, name, offset, max, fn, ctx, error);
    char path[PATH_BYTES], text[8192];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code != LB_OK) return code;
    snprintf(path + strlen(path), sizeof path - strlen(path), "/%.*s", (int)name.size, name.data);
    FILE *const file = fopen(path, "re");
    if (!file) return os_failure(error, path);
    const size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    fn(ctx, (lb_str){text, size});
    return LB_OK;
}

static int32_t bad_write_control(void *self, const lb_call *call, const lb_build *build, lb_str name, lb_str content,
                                 lb_error *error)
{
    if (!has("writes-in-place")) return store_write_control(self, call, build, name, content, error);
    char path[PATH_BYTES];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code != LB_OK) return code;
    snprintf(path + strlen(path), sizeof path - strlen(path), "/.control/%.*s", (int)name.size, name.data);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    usleep(5000);
    (void)!write(fd, content.data, content.size);
    close(fd);
    return LB_OK;
}

#ifndef TABLE_BYTES
#define TABLE_BYTES sizeof(lb_store)
#endif
#ifndef THREADS
#define THREADS LB_SERIAL
#endif

static const lb_store table = {
    .struct_size = TABLE_BYTES,
    .threads = THREADS,
    .open = bad_open,
    .close = bad_close,
    .capabilities = bad_capabilities,
    .teams = store_teams,
    .list = bad_list,
    .find = bad_find,
    .create = bad_create,
    .archive = store_archive,
    .restore = store_restore,
    .tags = bad_tags,
    .edit_tags = bad_edit_tags,
    .read = bad_read,
    .write_control = bad_write_control,
    .remove = store_remove,
};

static const void *get(lb_str id)
{
#ifdef COMPARES_TERMINATED
    return strcmp(id.data, LB_STORE_ID) == 0 ? &table : NULL;
#else
    return id.size == strlen(LB_STORE_ID) && memcmp(id.data, LB_STORE_ID, id.size) == 0 ? &table : NULL;
#endif
}

#ifdef LOUD_START
__attribute__((constructor)) static void start(void) { puts("hello"); }
#endif
#ifdef MORE_SYMBOLS
int helper_that_everybody_sees;
#endif

#ifndef NO_SYMBOL
const lb_plugin litbuild_plugin_v1 = {sizeof litbuild_plugin_v1, LITBUILD_ABI, {"bad-store", 9}, {"1.0.0", 5}, get};
#else
const void *(*const not_a_plugin)(lb_str) = get;
#endif
