/* A whole build store in plain C11, against <litbuild/plugin.h> and POSIX alone. The test builds it outside the tree.
 *
 * Build 19 of contoso is ROOT/contoso/live/19 or ROOT/contoso/archive/19, on purpose not the layout of local-fs.
 * It keeps no lock, and so takes one call at a time and does not promise LB_STORE_SHARED. */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <litbuild/plugin.h>

enum { PATH_BYTES = 4096, TAGS_BYTES = 65536 };

struct store {
    char root[PATH_BYTES];
};

/* ------------------------------------------------------------------------------------------------------- errors */

__attribute__((format(printf, 4, 5)))
static int32_t fail(lb_error *error, int32_t code, int number, const char *format, ...)
{
    /* The host's struct may be shorter than ours: its size says where it ends. */
    if (error && error->struct_size > offsetof(lb_error, message)) {
        size_t room = error->struct_size - offsetof(lb_error, message);
        va_list words;
        va_start(words, format);
        vsnprintf(error->message, room < sizeof error->message ? room : sizeof error->message, format, words);
        va_end(words);
        error->os_errno = number;
    }
    return code;
}

static int32_t os_failure(lb_error *error, const char *path)
{
    const int number = errno;
    const int32_t code = number == ENOENT || number == ENOTDIR ? LB_NOT_FOUND
                         : number == EINVAL                    ? LB_INVALID
                         : number == ELOOP                     ? LB_CORRUPT
                         : number == EEXIST                    ? LB_EXISTS
                         : number == EACCES || number == EROFS ? LB_DENIED
                         : number == ENOSPC                    ? LB_NO_SPACE
                                                               : LB_UNAVAILABLE;
    return fail(error, code, number, "%s: %s", path, strerror(number));
}

/* -------------------------------------------------------------------------------------------------------- paths */

/* One component that leads nowhere else; every name from outside goes through here. */
static int is_safe(lb_str name)
{
    return name.size > 0 && name.size < 256 && !memchr(name.data, '/', name.size) && !memchr(name.data, 0, name.size) &&
           !(name.data[0] == '.' && (name.size == 1 || (name.size == 2 && name.data[1] == '.')));
}

__attribute__((format(printf, 2, 3)))
static int path_of(char *out, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const int size = vsnprintf(out, PATH_BYTES, format, words);
    va_end(words);
    if (size >= 0 && size < PATH_BYTES) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int folder_of(const struct store *store, lb_str team, const char *place, char *out)
{
    return path_of(out, "%s/%.*s/%s", store->root, (int)team.size, team.data, place);
}

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Teams go further than file names: what starts with a dot is the store's own. */
static int is_team(lb_str name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!is_safe(name) || name.size > 63 || strchr("._-", name.data[0])) return 0;
    for (size_t i = 0; i < name.size; ++i)
        if (!strchr(letters, name.data[i])) return 0;
    return 1;
}

/* Where the build is now: its path and LB_LIVE or LB_ARCHIVED. */
static int32_t locate(const struct store *store, const lb_build *build, char *path, uint32_t *scope, lb_error *error)
{
    if (!is_team(build->team)) return fail(error, LB_INVALID, 0, "team: not a name");
    char folder[PATH_BYTES];
    for (*scope = LB_LIVE; *scope <= LB_ARCHIVED; ++*scope) {
        if (folder_of(store, build->team, *scope == LB_LIVE ? "live" : "archive", folder) != 0 ||
            path_of(path, "%s/%" PRId64, folder, build->runid) != 0)
            return os_failure(error, folder);
        if (is_folder(path)) return LB_OK;
    }
    return fail(error, LB_NOT_FOUND, 0, "%.*s/%" PRId64 ": no such build", (int)build->team.size, build->team.data,
                build->runid);
}

static int give(lb_entries_fn fn, void *ctx, int64_t runid, uint32_t scope, const char *path)
{
    const lb_entry entry = {.struct_size = sizeof entry, .scope = scope, .runid = runid, .path = {path, strlen(path)}};
    return fn(ctx, &entry, 1);
}

/* -------------------------------------------------------------------------------------------------------- files */

static int write_file(const char *path, lb_str content)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    for (size_t at = 0; at < content.size;) {
        const ssize_t done = write(fd, content.data + at, content.size - at);
        if (done < 0) {
            close(fd);
            return -1;
        }
        at += (size_t)done;
    }
    return close(fd);
}

static int replace_file(const char *path, lb_str content)
{
    char fresh[PATH_BYTES];
    if (path_of(fresh, "%s.new", path) != 0 || write_file(fresh, content) != 0) return -1;
    return rename(fresh, path);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static int remove_tree(const char *path) { return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* --------------------------------------------------------------------------------------------- open, lists, find */

/* `config` is one flat JSON object; only "root" matters here. */
static int32_t store_open(const lb_host *host, lb_str config, void **self, lb_error *error)
{
    char text[PATH_BYTES] = "";
    if (config.size < sizeof text) memcpy(text, config.data, config.size);
    const char *at = strstr(text, "\"root\":\"");
    const char *end = at ? strchr(at + 8, '"') : NULL;
    if (!end) return fail(error, LB_INVALID, 0, "c-store: the configuration names no root");
    struct store *const store = calloc(1, sizeof *store);
    if (!store) return fail(error, LB_UNAVAILABLE, ENOMEM, "c-store: no memory");
    memcpy(store->root, at + 8, (size_t)(end - at - 8));
    if (!is_folder(store->root)) {
        const int32_t code = fail(error, LB_NOT_FOUND, ENOENT, "%s: no such folder", store->root);
        free(store);
        return code;
    }
    const lb_str line = {"open", 4};
    if (host->log) host->log(host->ctx, LB_LOG_INFO, line);
    *self = store;
    return LB_OK;
}

static void store_close(void *self) { free(self); }

static uint64_t store_capabilities(void *self)
{
    (void)self;
    return LB_STORE_LOCAL_PATH;
}

static int32_t store_teams(void *self, const lb_call *call, lb_text_fn fn, void *ctx, lb_error *error)
{
    (void)call;
    const struct store *const store = self;
    DIR *const folder = opendir(store->root);
    if (!folder) return os_failure(error, store->root);
    for (struct dirent *each; (each = readdir(folder));) {
        const lb_str team = {each->d_name, strlen(each->d_name)};
        char live[PATH_BYTES];
        if (each->d_name[0] == '.' || folder_of(store, team, "live", live) != 0 || !is_folder(live)) continue;
        if (fn(ctx, team) != 0) break;
    }
    closedir(folder);
    return LB_OK;
}

struct found {
    int64_t runid;
    uint32_t scope;
};

static int newest_first(const void *left, const void *right)
{
    const int64_t a = ((const struct found *)left)->runid, b = ((const struct found *)right)->runid;
    return (a < b) - (a > b);
}

/* Appends the builds of one place; -1 where there is no such place. */
static int collect(const char *path, uint32_t scope, int64_t before, struct found **list, size_t *count)
{
    DIR *const folder = opendir(path);
    if (!folder) return -1;
    for (struct dirent *each; (each = readdir(folder));) {
        char *end = NULL;
        const int64_t runid = strtoll(each->d_name, &end, 10);
        if (runid <= 0 || *end != 0 || (before > 0 && runid >= before)) continue;
        struct found *const grown = realloc(*list, (*count + 1) * sizeof **list);
        if (!grown) break;
        *list = grown;
        grown[(*count)++] = (struct found){runid, scope};
    }
    closedir(folder);
    return 0;
}

static int32_t store_list(void *self, const lb_call *call, const lb_query *query, lb_entries_fn fn, void *ctx,
                          lb_error *error)
{
    (void)call;
    char live[PATH_BYTES], archive[PATH_BYTES], path[PATH_BYTES];
    if (!is_team(query->team) || folder_of(self, query->team, "live", live) != 0 ||
        folder_of(self, query->team, "archive", archive) != 0)
        return fail(error, LB_INVALID, 0, "team: not a name");
    if (!is_folder(live))
        return fail(error, LB_NOT_FOUND, 0, "%.*s: no such team", (int)query->team.size, query->team.data);
    struct found *list = NULL;
    size_t count = 0;
    if (query->scope & LB_LIVE) collect(live, LB_LIVE, query->before, &list, &count);
    if (query->scope & LB_ARCHIVED) collect(archive, LB_ARCHIVED, query->before, &list, &count);
    if (count > 0) qsort(list, count, sizeof *list, newest_first);
    for (size_t i = 0; i < count && (query->limit == 0 || i < query->limit); ++i) {
        if (path_of(path, "%s/%" PRId64, list[i].scope == LB_LIVE ? live : archive, list[i].runid) != 0) continue;
        if (give(fn, ctx, list[i].runid, list[i].scope, path) != 0) break;
    }
    free(list);
    return LB_OK;
}

static int32_t store_find(void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                          lb_error *error)
{
    (void)call;
    char path[PATH_BYTES];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code == LB_OK) give(fn, ctx, build->runid, scope, path);
    return code;
}

/* ----------------------------------------------------------------------------------------------- create and move */

/* The number behind the highest that was ever used: ROOT/TEAM/used keeps it when builds are removed. */
static int64_t next_runid(const char *used)
{
    long long last = 0;
    FILE *const file = fopen(used, "re");
    if (file && fscanf(file, "%lld", &last) != 1) last = 0;
    if (file) fclose(file);
    char text[32];
    const int size = snprintf(text, sizeof text, "%lld\n", last + 1);
    return replace_file(used, (lb_str){text, (size_t)size}) == 0 ? last + 1 : -1;
}

/* The draft's files; `runid` goes in front of the document. */
static int fill_draft(const char *draft, const lb_new_build *build, int64_t runid)
{
    char path[PATH_BYTES];
    const char *file = (const char *)build->files;
    for (size_t i = 0; i < build->file_count; ++i) {
        /* Each element is as large as the first one says: the host's struct may be longer than ours. */
        const lb_file *const each = (const lb_file *)(const void *)(file + i * build->files->struct_size);
        if (!is_safe(each->name)) {
            errno = EINVAL;
            return -1;
        }
        if (path_of(path, "%s/%.*s", draft, (int)each->name.size, each->name.data) != 0) return -1;
        if (write_file(path, each->content) != 0) return -1;
    }
    if (path_of(path, "%s/.control", draft) != 0 || mkdir(path, 0777) != 0) return -1;
    if (path_of(path, "%s/build.json", draft) != 0) return -1;
    FILE *const out = fopen(path, "we");
    if (!out) return -1;
    fprintf(out, "{\"runid\":%" PRId64 "%s%.*s", runid, build->document.size > 2 ? "," : "",
            (int)build->document.size - 1, build->document.data + 1);
    return fclose(out);
}

static int32_t store_create(void *self, const lb_call *call, const lb_new_build *build, lb_entries_fn fn, void *ctx,
                            lb_error *error)
{
    (void)call;
    char team[PATH_BYTES], live[PATH_BYTES], used[PATH_BYTES], draft[PATH_BYTES], path[PATH_BYTES];
    if (!is_team(build->team) || !is_safe(build->uuid) || build->document.size < 2 || build->document.data[0] != '{')
        return fail(error, LB_INVALID, 0, "new build: its names make no sense");
    if (folder_of(self, build->team, "", team) != 0 || folder_of(self, build->team, "live", live) != 0 ||
        folder_of(self, build->team, "used", used) != 0 ||
        path_of(draft, "%s.new-%.*s", team, (int)build->uuid.size, build->uuid.data) != 0)
        return os_failure(error, team);
    mkdir(team, 0777);
    mkdir(live, 0777);
    const int64_t runid = next_runid(used);
    if (runid < 0 || mkdir(draft, 0777) != 0) return os_failure(error, team);
    /* The rename publishes it whole; a draft that fails goes away. */
    if (fill_draft(draft, build, runid) != 0 || path_of(path, "%s/%" PRId64, live, runid) != 0 ||
        rename(draft, path) != 0) {
        const int32_t code = os_failure(error, draft);
        remove_tree(draft);
        return code;
    }
    give(fn, ctx, runid, LB_LIVE, path);
    return LB_OK;
}

static int32_t move(void *self, const lb_build *build, uint32_t to, lb_entries_fn fn, void *ctx, lb_error *error)
{
    char from[PATH_BYTES], folder[PATH_BYTES], path[PATH_BYTES];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, from, &scope, error);
    if (code != LB_OK) return code;
    if (folder_of(self, build->team, to == LB_LIVE ? "live" : "archive", folder) != 0 ||
        path_of(path, "%s/%" PRId64, folder, build->runid) != 0)
        return os_failure(error, from);
    mkdir(folder, 0777);
    if (scope != to && rename(from, path) != 0) return os_failure(error, from);
    give(fn, ctx, build->runid, to, path);
    return LB_OK;
}

static int32_t store_archive(void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                             lb_error *error)
{
    (void)call;
    return move(self, build, LB_ARCHIVED, fn, ctx, error);
}

static int32_t store_restore(void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                             lb_error *error)
{
    (void)call;
    return move(self, build, LB_LIVE, fn, ctx, error);
}

/* --------------------------------------------------------------------------------------------------------- tags */

/* The file `tags` as the engine hands it to `create`: "nightly,customer-42\n". No file: no tags. */
static int32_t read_tags(void *self, const lb_build *build, char *path, char *text, lb_error *error)
{
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code != LB_OK) return code;
    if (strlen(path) + sizeof "/tags" > PATH_BYTES) return fail(error, LB_INVALID, ENAMETOOLONG, "%s: too long", path);
    strcat(path, "/tags");
    FILE *const file = fopen(path, "re");
    const size_t size = file ? fread(text, 1, TAGS_BYTES - 1, file) : 0;
    if (file) fclose(file);
    text[size] = 0;
    text[strcspn(text, "\n")] = 0;
    return LB_OK;
}

static int is_among(lb_str tag, const lb_str *list, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (list[i].size == tag.size && memcmp(list[i].data, tag.data, tag.size) == 0) return 1;
    return 0;
}

/* The next tag of "a,b,c" behind `at`, which moves on; an empty one at the end. */
static lb_str next_tag(const char **at)
{
    const lb_str tag = {*at, strcspn(*at, ",")};
    *at += tag.size + (tag.data[tag.size] != 0);
    return tag;
}

static int is_in_text(lb_str tag, const char *text)
{
    while (*text) {
        const lb_str each = next_tag(&text);
        if (is_among(tag, &each, 1)) return 1;
    }
    return 0;
}

static void append(char *out, size_t *size, lb_str tag)
{
    memcpy(out + *size, tag.data, tag.size);
    *size += tag.size;
    out[(*size)++] = ',';
    out[*size] = 0;
}

static int32_t store_tags(void *self, const lb_call *call, const lb_build *build, lb_text_fn fn, void *ctx,
                          lb_error *error)
{
    (void)call;
    char path[PATH_BYTES], text[TAGS_BYTES];
    const int32_t code = read_tags(self, build, path, text, error);
    if (code != LB_OK) return code;
    for (const char *at = text; *at;)
        if (fn(ctx, next_tag(&at)) != 0) break;
    return LB_OK;
}

static int32_t store_edit_tags(void *self, const lb_call *call, const lb_build *build, const lb_str *add,
                               size_t add_count, const lb_str *remove_list, size_t remove_count, lb_error *error)
{
    (void)call;
    char path[PATH_BYTES], text[TAGS_BYTES], out[TAGS_BYTES] = "";
    const int32_t code = read_tags(self, build, path, text, error);
    if (code != LB_OK) return code;
    size_t size = 0;
    for (const char *at = text; *at;) {
        const lb_str tag = next_tag(&at);
        if (!is_among(tag, remove_list, remove_count)) append(out, &size, tag);
    }
    for (size_t i = 0; i < add_count; ++i) {
        if (size + add[i].size + 2 > sizeof out) return fail(error, LB_NO_SPACE, 0, "%s: too many tags", path);
        if (!is_in_text(add[i], out)) append(out, &size, add[i]);
    }
    if (size > 0) out[size - 1] = '\n';
    return replace_file(path, (lb_str){out, size}) == 0 ? LB_OK : os_failure(error, path);
}

/* ------------------------------------------------------------------------------------------------ read and write */

/* Opens a file below a folder, one component after the other, so that no link leads out of it. -1: see errno. */
static int open_inside(const char *folder, lb_str name)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int last = 0; at >= 0 && !last;) {
        const char *const slash = memchr(name.data, '/', name.size);
        const lb_str part = {name.data, slash ? (size_t)(slash - name.data) : name.size};
        char text[256] = "";
        int next = -1;
        last = !slash;
        if (is_safe(part)) {
            memcpy(text, part.data, part.size);
            next = openat(at, text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY));
        } else {
            errno = EINVAL;
        }
        const int number = errno;
        close(at);
        errno = number;
        at = next;
        if (slash) name = (lb_str){slash + 1, name.size - part.size - 1};
    }
    return at;
}

static int32_t store_read(void *self, const lb_call *call, const lb_build *build, lb_str name, uint64_t offset,
                          uint64_t max, lb_text_fn fn, void *ctx, lb_error *error)
{
    char path[PATH_BYTES], piece[8192];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code != LB_OK) return code;
    const int fd = open_inside(path, name);
    if (fd < 0) return os_failure(error, path);
    int32_t result = LB_OK;
    for (uint64_t left = max ? max : UINT64_MAX; left > 0;) {
        if (call && call->cancelled && call->cancelled(call)) {
            result = fail(error, LB_CANCELLED, 0, "%s: cancelled", path);
            break;
        }
        const ssize_t size = pread(fd, piece, left < sizeof piece ? (size_t)left : sizeof piece, (off_t)offset);
        if (size < 0) result = os_failure(error, path);
        if (size <= 0 || fn(ctx, (lb_str){piece, (size_t)size}) != 0) break;
        offset += (uint64_t)size;
        left -= (uint64_t)size;
    }
    close(fd);
    return result;
}

static int32_t store_write_control(void *self, const lb_call *call, const lb_build *build, lb_str name, lb_str content,
                                   lb_error *error)
{
    (void)call;
    char folder[PATH_BYTES], path[PATH_BYTES];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, folder, &scope, error);
    if (code != LB_OK) return code;
    if (!is_safe(name)) return fail(error, LB_INVALID, 0, "%s: not the name of a control file", folder);
    if (path_of(path, "%s/.control", folder) != 0 || (mkdir(path, 0777) != 0 && errno != EEXIST) ||
        path_of(path, "%s/.control/%.*s", folder, (int)name.size, name.data) != 0 || replace_file(path, content) != 0)
        return os_failure(error, folder);
    return LB_OK;
}

static int32_t store_remove(void *self, const lb_call *call, const lb_build *build, lb_error *error)
{
    (void)call;
    char path[PATH_BYTES];
    uint32_t scope = 0;
    const int32_t code = locate(self, build, path, &scope, error);
    if (code != LB_OK) return code;
    if (scope != LB_ARCHIVED) return fail(error, LB_REFUSED, 0, "%s: is not archived", path);
    return remove_tree(path) == 0 ? LB_OK : os_failure(error, path);
}

/* The other ages of this store bring tables of their own: short_store.c, long_store.c. */
#ifndef C_STORE_BRINGS_ITS_OWN_TABLE
static const lb_store table = {
    .struct_size = sizeof table,
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
    .write_control = store_write_control,
    .remove = store_remove,
};

static const void *get(lb_str id)
{
    return id.size == strlen(LB_STORE_ID) && memcmp(id.data, LB_STORE_ID, id.size) == 0 ? &table : NULL;
}

const lb_plugin litbuild_plugin_v1 = {
    .struct_size = sizeof litbuild_plugin_v1,
    .abi = LITBUILD_ABI,
    .name = {"c-store", 7},
    .version = {"1.0.0", 5},
    .get = get,
};
#endif
