/* The C store as it was before `write_control` and `remove` were added to the contract: its table ends behind `read`.
 * What stands behind it in memory is none of the engine's business; here it is a trap. */
#define C_STORE_BRINGS_ITS_OWN_TABLE
#include "c_store.c"

static void trap(void)
{
    (void)store_write_control, (void)store_remove;
    abort();
}

/* The plugin's own copy of the old declaration, as an old header would have had it. */
struct old_store {
    uint32_t struct_size, threads;
    int32_t (*open)(const lb_host *, lb_str, void **, lb_error *);
    void (*close)(void *);
    uint64_t (*capabilities)(void *);
    int32_t (*teams)(void *, const lb_call *, lb_text_fn, void *, lb_error *);
    int32_t (*list)(void *, const lb_call *, const lb_query *, lb_entries_fn, void *, lb_error *);
    int32_t (*find)(void *, const lb_call *, const lb_build *, lb_entries_fn, void *, lb_error *);
    int32_t (*create)(void *, const lb_call *, const lb_new_build *, lb_entries_fn, void *, lb_error *);
    int32_t (*archive)(void *, const lb_call *, const lb_build *, lb_entries_fn, void *, lb_error *);
    int32_t (*restore)(void *, const lb_call *, const lb_build *, lb_entries_fn, void *, lb_error *);
    int32_t (*tags)(void *, const lb_call *, const lb_build *, lb_text_fn, void *, lb_error *);
    int32_t (*edit_tags)(void *, const lb_call *, const lb_build *, const lb_str *, size_t, const lb_str *, size_t,
                         lb_error *);
    int32_t (*read)(void *, const lb_call *, const lb_build *, lb_str, uint64_t, uint64_t, lb_text_fn, void *,
                    lb_error *);
};

static const struct {
    struct old_store table;
    void (*behind[4])(void);
} memory = {
    {
        .struct_size = sizeof memory.table,
        .threads = LB_SERIAL,
        .open = store_open,
        .close = store_close,
        .capabilities = store_capabilities,
        .teams = store_teams,
        .list = store_list,
        .find = store_find,
        .create = store_create,
        .archive = store_archive,
        .restore = store_restore,
        .tags = store_tags,
        .edit_tags = store_edit_tags,
        .read = store_read,
    },
    {trap, trap, trap, trap},
};

static const void *get(lb_str id)
{
    return id.size == strlen(LB_STORE_ID) && memcmp(id.data, LB_STORE_ID, id.size) == 0 ? &memory.table : NULL;
}

const lb_plugin litbuild_plugin_v1 = {sizeof litbuild_plugin_v1, LITBUILD_ABI, {"short-store", 11}, {"0.9.0", 5}, get};
