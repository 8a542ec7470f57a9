// A store on a real folder that goes away with the test.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include <folder-store/deadline_fs.hpp>

#include <nfs/mounted_fs.hpp>

#ifdef LITBUILD_TEST_NFS
#include <nfs/nfs_fs.hpp>

#include <nfs/ganesha.hpp>
#endif

namespace fixture {

namespace fs = std::filesystem;
using namespace litbuild;
using folder::FolderStore;
using folder::Fs;
using folder::PosixFs;
using folder::Resolve;

/// Where the folders of tests are made: LITBUILD_TEST_BASE, so that they can be run on another file system.
inline fs::path base()
{
    const char *named = ::getenv("LITBUILD_TEST_BASE");
    return named && *named ? fs::path(named) : fs::temp_directory_path();
}

/// Whether the store is that of plugin nfs by a mount, which LITBUILD_TEST_BASE lies on: LITBUILD_TEST_MOUNTED.
inline bool is_mounted()
{
    const char *said = ::getenv("LITBUILD_TEST_MOUNTED");
    return said && *said;
}

/// For what does not ask how a disk behaves: in memory, where there is such a place.
inline fs::path fast_place() { return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path(); }

// The same cases are compiled a second time, for a store that speaks to a server of its own. They look at the exported folder.
#ifdef LITBUILD_TEST_NFS
constexpr bool over_nfs = true;

inline nfs_fixture::Ganesha &server()
{
    static nfs_fixture::Ganesha one(fast_place());
    return one;
}
inline fs::path place() { return server().exported; }
inline fs::path memory() { return server().exported; }
inline std::unique_ptr<Fs> open_fs(const std::string &root, Resolve = Resolve::automatic)
{
    nfs::Options options;
    options.address = nfs::parse_address(server().url(root));
    // They change things behind its back and want to see it at once.
    options.fresh = std::chrono::milliseconds(0);
    return std::make_unique<nfs::NfsFs>(options);
}
#else
constexpr bool over_nfs = false;

inline fs::path place() { return base(); }
inline fs::path memory() { return ::getenv("LITBUILD_TEST_BASE") ? base() : fast_place(); }
inline std::unique_ptr<Fs> open_fs(const std::string &root, Resolve way = Resolve::automatic)
{
    if (!is_mounted()) return std::make_unique<PosixFs>(root, way);
    return std::make_unique<folder::DeadlineFs>(
        root, LB_STORE_DURABLE | LB_STORE_LOCAL_PATH | LB_STORE_SHARED,
        [root, way] { return std::make_unique<nfs::MountedFs>(root, nfs::default_lease, way); });
}
#endif

/// What PosixFs leaves beside what it has locked.
inline const char *const next_lock = over_nfs || is_mounted() ? "" : " .next.lock";
/// Where every step is gone through: each so-manieth over a server, but in the full form.
inline int stride()
{
    const char *full = std::getenv("LITBUILD_TEST_LONG");
    return over_nfs && !(full && *full) ? 7 : 1;
}

class TempFolder {
public:
    explicit TempFolder(const fs::path &where = place())
    {
        std::string name = (where / "litbuild-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        path = name;
    }
    ~TempFolder()
    {
        std::error_code error;
        fs::remove_all(path, error);
    }
    TempFolder(const TempFolder &) = delete;
    TempFolder &operator=(const TempFolder &) = delete;

    fs::path path;
};

inline std::string slurp(const fs::path &file)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

inline void spill(const fs::path &file, const std::string &content)
{
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

inline std::string uuid(int number)
{
    char text[48];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-%012x", number, static_cast<unsigned>(::getpid()));
    return text;
}

inline NewBuild new_build(const std::string &team, int number)
{
    return {team, uuid(number), "{\"uuid\":\"" + uuid(number) + "\"}", {{"events.jsonl", "{}\n"}}};
}

inline std::string text_of(BuildStore &store, const BuildName &build, std::string_view name, uint64_t offset = 0,
                           uint64_t max = 0)
{
    std::string text;
    store.read(Call(), build, name, offset, max, [&](std::string_view piece) {
        text += piece;
        return true;
    });
    return text;
}

/// "21 20 a19": the ids of a list, archived ones marked.
inline std::string listed(BuildStore &store, const Query &query)
{
    std::string text;
    store.list(Call(), query, [&](const Entry &entry) {
        text += (text.empty() ? "" : " ") + std::string(entry.archived ? "a" : "") + std::to_string(entry.runid);
        return true;
    });
    return text;
}

/// The code and the sentence of what the body throws.
template <class Body>
std::string failure(Body body)
{
    try {
        body();
    } catch (const Error &error) {
        return std::string(name(error.code())) + "; " + error.what();
    }
    return "nothing thrown";
}

/// Runs the body in `count` processes at once; the number of those that failed.
template <class Body>
int in_processes(int count, Body body)
{
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            int code = 1;
            try {
                body(i);
                code = 0;
            } catch (const std::exception &e) {
                (void)!::write(2, e.what(), std::strlen(e.what()));
                (void)!::write(2, "\n", 1);
            }
            ::_exit(code);
        }
        children.push_back(child);
    }
    int failed = 0;
    for (const pid_t child : children) {
        int status = 0;
        if (::waitpid(child, &status, 0) != child || status != 0) ++failed;
    }
    return failed;
}

/// What has a name in the folder, in order, without the builds.
inline std::string dotted(const fs::path &folder)
{
    std::vector<std::string> names;
    for (const auto &item : fs::directory_iterator(folder))
        if (!parse_runid(item.path().filename().string())) names.push_back(item.path().filename());
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string &name : names) text += (text.empty() ? "" : " ") + name;
    return text;
}

/// Inside of in_processes(), where BOOST_TEST counts for nothing.
inline void expect(bool good, const std::string &what)
{
    if (!good) throw std::runtime_error(what);
}

/// Mounts that only this process and its children see; they go with it.
inline void own_mounts()
{
    expect(::unshare(CLONE_NEWNS) == 0, "unshare");
    expect(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
}
inline void mount_small_disk(const fs::path &at, const char *options)
{
    expect(::mount("none", at.c_str(), "tmpfs", 0, options) == 0, "mount tmpfs");
}
inline void make_read_only(const fs::path &at)
{
    expect(::mount(at.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind");
    expect(::mount(nullptr, at.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0, "remount");
}
/// Says so where not: nobody is to believe that what was left out has passed.
inline bool can_mount(const char *test)
{
    // What is mounted here is not on the server.
    if (over_nfs) return false;
    const bool can = ::geteuid() == 0 && in_processes(1, [](int) {
        own_mounts();
        mount_small_disk("/tmp", "size=64k");
    }) == 0;
    if (!can) std::fprintf(stderr, "SKIPPED %s: this process may not mount\n", test);
    return can;
}

struct Store : TempFolder, FolderStore {
    explicit Store(Resolve resolve = Resolve::automatic)
        : FolderStore(open_fs(path.string(), resolve)), logs(path / "contoso" / "logs")
    {
    }
    BuildName create_one(int number = 1)
    {
        return {"contoso", create(Call(), new_build("contoso", number)).runid};
    }
    std::string all() { return listed(*this, {"contoso", Scope::all, 0, 0}); }
    fs::path logs;
};

// Passes everything on, but what a test has put in the way.
struct Faulty : Fs {
    explicit Faulty(const std::string &root, Resolve way = Resolve::automatic) : opened(open_fs(root, way)), inner(*opened)
    {
    }
    uint64_t capabilities() const override { return inner.capabilities() | (is_shared ? LB_STORE_SHARED : 0); }
    const std::string &root() const override { return inner.root(); }
    bool read_dir(const Call &c, const folder::Path &p, const folder::NameSink &each) override
    {
        if (on_read_dir) on_read_dir(p.text());
        return inner.read_dir(c, p, each);
    }
    folder::Info look(const Call &c, const folder::Path &p) override
    {
        if (on_look) on_look(p.text());
        folder::Info found = inner.look(c, p);
        if (frozen_ns != 0) found.modified_ns = frozen_ns;
        return found;
    }
    folder::Read read(const Call &c, const folder::Path &p, uint64_t o, uint64_t m, const TextSink &s) override
    {
        if (on_read) on_read(p.text());
        return inner.read(c, p, o, m, s);
    }
    bool make_dir(const Call &c, const folder::Path &p) override
    {
        change("make_dir", p);
        return inner.make_dir(c, p);
    }
    void write_file(const Call &c, const folder::Path &p, std::string_view t, folder::Durable d) override
    {
        change("write_file", p);
        inner.write_file(c, p, t, d);
    }
    void replace_file(const Call &c, const folder::Path &p, std::string_view t, folder::Durable d) override
    {
        change("replace_file", p);
        if (on_replace) on_replace(p.text());
        inner.replace_file(c, p, t, d);
    }
    void edit_file(const Call &c, const folder::Path &p, folder::Durable d, const folder::Change &f) override
    {
        change("edit_file", p);
        if (no_locks) throw Error(Code::unsupported, "lock: none here", ENOLCK);
        inner.edit_file(c, p, d, f);
    }
    folder::Renamed rename(const Call &c, const folder::Path &from, const folder::Path &to) override
    {
        change("rename", to);
        if (on_rename) on_rename(to.text());
        if (two_disks && (from.parent().name() == "archive") != (to.parent().name() == "archive"))
            return folder::Renamed::other_file_system;
        const folder::Renamed result = inner.rename(c, from, to);
        if (lost_reply) throw Error(Code::unavailable, "reply: lost", EIO);
        return result;
    }
    void sync_dir(const Call &c, const folder::Path &p) override
    {
        change("sync_dir", p);
        if (on_sync) on_sync(p.text());
        inner.sync_dir(c, p);
    }
    bool remove_file(const Call &c, const folder::Path &p) override
    {
        change("remove_file", p);
        return inner.remove_file(c, p);
    }
    void remove_tree(const Call &c, const folder::Path &p) override
    {
        change("remove_tree", p);
        inner.remove_tree(c, p);
    }
    std::unique_ptr<folder::Lock> lock(const Call &c, const folder::Path &p) override
    {
        change("lock", p);
        if (no_locks) throw Error(Code::unsupported, "lock: none here", ENOLCK);
        return std::make_unique<Watched>(*this, inner.lock(c, p));
    }
    folder::TreeSize measure(const Call &c, const folder::Path &p) override { return inner.measure(c, p); }
    bool copy_tree(const Call &c, const folder::Path &from, const folder::Path &to, const folder::Told &t) override
    {
        change("copy_tree", to);
        const bool is_whole = inner.copy_tree(c, from, to, t);
        if (on_copied) on_copied();
        return is_whole && gone_while_copied-- <= 0;
    }
    bool same_tree(const Call &c, const folder::Path &a, const folder::Path &b, folder::Compare w,
                   const folder::Told &t) override
    {
        return inner.same_tree(c, a, b, w, t);
    }

    void change(const char *what, const folder::Path &p)
    {
        if (on_change) on_change(what, p.text());
    }

    // A lock that a test may take away.
    struct Watched : folder::Lock {
        Watched(Faulty &of, std::unique_ptr<folder::Lock> lock) : faults(of), held(std::move(lock)) {}
        bool is_held(const Call &c) override
        {
            if (faults.on_held) faults.on_held();
            return !faults.is_taken_away && held->is_held(c);
        }
        Faulty &faults;
        std::unique_ptr<folder::Lock> held;
    };

    std::unique_ptr<Fs> opened;
    Fs &inner;
    bool is_taken_away = false;   // each lock
    bool two_disks = false;   // the archive is one of its own
    bool is_shared = false;   // hosts share it
    std::function<void(const char *what, const std::string &path)> on_change;   // before each
    bool no_locks = false;
    bool lost_reply = false;
    int64_t frozen_ns = 0;   // the file system's clock stands still
    std::function<void(const std::string &)> on_look, on_read_dir, on_read, on_rename, on_sync, on_replace;
    std::function<void()> on_copied, on_held;
    int gone_while_copied = 0;   ///< in so many copies a part of the source goes away
};

struct FaultyStore : TempFolder {
    FaultyStore()
        : TempFolder(memory()), faults(new Faulty(path.string())), store(std::unique_ptr<Fs>(faults)),
          logs(path / "contoso/logs")
    {
    }
    Faulty *faults;
    FolderStore store;
    fs::path logs;
};

// One case over both ways of resolving a path.
#ifdef LITBUILD_TEST_NFS
#define BOTH_WAYS(name)                                                                                                \
    static void name(Resolve way);                                                                                     \
    BOOST_AUTO_TEST_CASE(name##_over_nfs) { name(Resolve::automatic); }                                                \
    static void name(Resolve way)
#else
#define BOTH_WAYS(name)                                                                                                \
    static void name(Resolve way);                                                                                     \
    BOOST_AUTO_TEST_CASE(name##_at_once) { name(Resolve::automatic); }                                                 \
    BOOST_AUTO_TEST_CASE(name##_by_walk) { name(Resolve::walk); }                                                      \
    static void name(Resolve way)
#endif

}  // namespace fixture
