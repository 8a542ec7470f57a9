/* A store that breaks the contract, each build in its own way. See `find`, `list` and `read`. */
#include <string.h>

#include <litbuild/plugin.h>

static int32_t say(lb_error *error, int32_t code, const char *sentence)
{
    if (error && sentence) strncpy(error->message, sentence, sizeof error->message - 1);
    return code;
}

static int32_t open_store(const lb_host *host, lb_str config, void **self, lb_error *error)
{
    (void)host, (void)error;
    *self = NULL; /* which is fine: an instance may need no memory */
    return memchr(config.data, '!', config.size) ? 77 : LB_OK;
}

static int32_t find(void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                    lb_error *error)
{
    (void)self, (void)call;
    lb_entry entry = {sizeof entry, LB_LIVE, build->runid, {"/nowhere", 8}};
    switch (build->runid) {
    case 1: return LB_OK; /* the receiver was never called */
    case 2: return 99;    /* no code of the contract, and no word */
    case 3: return say(error, -5, "rude/3: a sentence with a wrong code");
    case 4: return LB_NOT_FOUND; /* a good code, and no word */
    case 5: /* a message without an end */
        memset(error->message, 'x', sizeof error->message);
        return LB_INTERNAL;
    case 6: fn(ctx, NULL, 1); return LB_OK;
    case 7: fn(ctx, &entry, 0); return LB_OK;
    case 8: entry.path = (lb_str){NULL, 8}; break; /* a text that is not there */
    default: break;
    }
    fn(ctx, &entry, 1);
    return LB_OK;
}

/* Gives more than `max`, goes on after "enough", and calls that an error in the end. */
static int32_t read_file(void *self, const lb_call *call, const lb_build *build, lb_str name, uint64_t offset,
                         uint64_t max, lb_text_fn fn, void *ctx, lb_error *error)
{
    (void)self, (void)call, (void)build, (void)offset, (void)max;
    int enough = 0;
    for (int i = 0; i < 10; ++i) enough |= fn(ctx, name);
    return enough ? say(error, LB_INTERNAL, "rude: somebody had enough") : LB_OK;
}

static int32_t teams(void *self, const lb_call *call, lb_text_fn fn, void *ctx, lb_error *error)
{
    (void)self, (void)call, (void)error;
    const char *const names[] = {"good", "../evil", "", "a/b", ".hidden"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) fn(ctx, (lb_str){names[i], strlen(names[i])});
    fn(ctx, (lb_str){NULL, 0});
    return LB_OK;
}

/* Elements that claim to be of no size at all. */
static int32_t list(void *self, const lb_call *call, const lb_query *query, lb_entries_fn fn, void *ctx,
                    lb_error *error)
{
    (void)self, (void)call, (void)query, (void)error;
    const lb_entry entries[3] = {{0, LB_LIVE, 3, {NULL, 0}}, {0, LB_LIVE, 2, {NULL, 0}}, {0, LB_LIVE, 1, {NULL, 0}}};
    fn(ctx, entries, 3);
    return LB_OK;
}

static const lb_store table = {
    .struct_size = sizeof table,
    .threads = 12345, /* no such kind: the careful one is meant */
    .open = open_store,
    .teams = teams,
    .list = list,
    .find = find,
    .read = read_file,
};

static const void *get(lb_str id)
{
    return id.size == strlen(LB_STORE_ID) && memcmp(id.data, LB_STORE_ID, id.size) == 0 ? &table : NULL;
}

const lb_plugin litbuild_plugin_v1 = {sizeof litbuild_plugin_v1, LITBUILD_ABI, {"rude-store", 10}, {"1.0.0", 5}, get};
