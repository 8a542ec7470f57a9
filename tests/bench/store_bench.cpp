// What the store costs beside the least that the file system would do: the same run, in turn, medians and ratios.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <vector>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include <power/mounted.hpp>

#include "figures.hpp"

using namespace litbuild;
namespace fs = std::filesystem;
using figures::Milliseconds;
using figures::time_of;
using linux_::Descriptor;

namespace {

void must(bool good, const std::string &what) { power::must(good, what); }

void row(const char *what, const std::vector<Milliseconds> &ours, const char *floor_name, const std::vector<Milliseconds> &floor)
{
    figures::tell({.what = what, .ours = figures::median(ours), .other = floor_name, .theirs = figures::median(floor)});
}

void sync(const fs::path &path)
{
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    must(fd && ::fsync(fd.get()) == 0, "fsync " + path.string());
}

void write(const fs::path &file, std::string_view content)
{
    const Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    while (!content.empty()) {
        const ssize_t put = ::write(fd.get(), content.data(), content.size());
        must(put > 0, "write " + file.string());
        content.remove_prefix(static_cast<size_t>(put));
    }
}

void command(const std::vector<std::string> &words)
{
    std::vector<char *> argv;
    for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t child = ::vfork();
    if (child == 0) {
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    must(status == 0, words.front());
}

std::string new_uuid()
{
    static unsigned number = 0;
    char text[48];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-000000000000", ++number);
    return text;
}

const std::string events = R"({"seq":1,"time":"2026-01-01T00:00:00Z","type":"queued","state":"queued","steps":["a"]})" "\n";
const std::string document = R"({"team":"bench","created":"2026-01-01T00:00:00Z","spec":{"steps":[{"name":"a","command":["true"]}]}})";

int64_t create(BuildStore &store) { return store.create(Call(), {"bench", new_uuid(), document, {{"events.jsonl", events}}}).runid; }

/// mkdir, and fsync of what it made and of where; the least that a folder which outlives a power cut costs.
void make_folder(const fs::path &folder)
{
    must(::mkdir(folder.c_str(), 0777) == 0, "mkdir");
    sync(folder);
    sync(folder.parent_path());
}

/// The files of a new build by hand: each synced, made elsewhere and renamed.
void make_by_hand(const fs::path &folder)
{
    const fs::path draft = folder.parent_path() / ".draft";
    must(::mkdir(draft.c_str(), 0777) == 0, "mkdir");
    for (const auto &[name, content] : {std::pair("build.json", &document), std::pair("events.jsonl", &events)}) {
        write(draft / name, *content);
        sync(draft / name);
    }
    sync(draft);
    must(::rename(draft.c_str(), folder.c_str()) == 0, "rename");
    sync(folder.parent_path());
}

void rename_synced(const fs::path &from, const fs::path &to)
{
    must(::rename(from.c_str(), to.c_str()) == 0, "rename");
    sync(to.parent_path());
    sync(from.parent_path());
}

void bench_one_file_system(const fs::path &folder)
{
    const fs::path root = folder / "one", bare = folder / "bare";
    fs::create_directories(root);
    fs::create_directories(bare / "archive");
    folder::FolderStore store(std::make_unique<folder::PosixFs>(root.string()));
    std::vector<Milliseconds> created, made, by_hand, archived, restored, renamed, renamed_back;
    store.archive(Call(), {"bench", create(store)});   // the team, and its archive
    for (int i = 0; i < 201; ++i) {
        const std::string name = std::to_string(i);
        int64_t runid = 0;
        created.push_back(time_of([&] { runid = create(store); }));
        made.push_back(time_of([&] { make_folder(bare / ("empty" + name)); }));
        by_hand.push_back(time_of([&] { make_by_hand(bare / name); }));
        archived.push_back(time_of([&] { store.archive(Call(), {"bench", runid}); }));
        renamed.push_back(time_of([&] { rename_synced(bare / name, bare / "archive" / name); }));
        restored.push_back(time_of([&] { store.restore(Call(), {"bench", runid}); }));
        renamed_back.push_back(time_of([&] { rename_synced(bare / "archive" / name, bare / name); }));
    }
    row("create", created, "mkdir, fsync of it and its parent", made);
    row("create", created, "the same files by hand, synced, renamed", by_hand);
    row("archive, one file system", archived, "rename, fsync of both parents", renamed);
    row("restore, one file system", restored, "rename, fsync of both parents", renamed_back);
}

void sync_file_system(const fs::path &path)
{
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    must(fd && ::syncfs(fd.get()) == 0, "syncfs");
}

/// One build with what `fill` makes, there and back `rounds` times; beside cp -a of it, which makes and keeps a second one.
void bench_across(BuildStore &store, const fs::path &other, const char *what, int rounds, const std::function<void(const fs::path &)> &fill)
{
    const int64_t runid = create(store);
    const BuildName build{"bench", runid};
    const fs::path source = store.find(Call(), build).path, copy = other / "copy", back = source.parent_path() / ".copy";
    fill(source);
    ::sync();
    std::vector<Milliseconds> archived, restored, copied, moved, copied_back;
    for (int i = 0; i < rounds; ++i) {
        Milliseconds took = time_of([&] {
            command({"cp", "-a", source, copy});
            sync_file_system(other);
        });
        copied.push_back(took);
        took = time_of([&] {
            command({"cp", "-a", copy, back});
            sync_file_system(back);
        });
        copied_back.push_back(took);
        // What a move takes besides.
        took = time_of([&] {
            command({"rm", "-rf", back});
            sync_file_system(source);
        });
        moved.push_back(copied.back() + took);
        command({"rm", "-rf", copy});
        ::sync();
        archived.push_back(time_of([&] { store.archive(Call(), build); }));
        ::sync();
        restored.push_back(time_of([&] { store.restore(Call(), build); }));
        ::sync();
    }
    char text[80];
    const auto say = [&](const char *action, const std::vector<Milliseconds> &ours, const char *floor_name, const std::vector<Milliseconds> &floor) {
        std::snprintf(text, sizeof text, "%s, %s", action, what);
        row(text, ours, floor_name, floor);
    };
    say("archive elsewhere", archived, "cp -a, sync", copied);
    say("archive elsewhere", archived, "cp -a, sync, rm -rf of the first, sync", moved);
    say("restore from there", restored, "cp -a, sync", copied_back);
    fs::remove_all(source);
}

void bench_two_file_systems(const fs::path &folder)
{
    const std::string why = power::obstacle("ext4");
    if (!why.empty()) {
        figures::skip("archive elsewhere", why);
        return;
    }
    must(::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "own mounts");
    const fs::path root = folder / "two", archive = root / "bench/logs/archive", image = folder / "image";
    fs::create_directories(archive);
    const Descriptor file(::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    must(file && ::ftruncate(file.get(), off_t(6) << 30) == 0, "image");
    command({"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image});
    power::Mounted mounted(file.get(), "ext4", archive);
    must(mounted.failure() == 0, "mount");
    folder::FolderStore store(std::make_unique<folder::PosixFs>(root.string()));
    bench_across(store, archive, "one file of 2 GB", 3, [](const fs::path &build) {
        const Descriptor fd(::open((build / "asset").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        std::string piece(1 << 20, 'x');
        for (unsigned i = 0; i < 2048; ++i) {
            std::memcpy(piece.data(), &i, sizeof i);
            must(::write(fd.get(), piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()), "write the asset");
        }
    });
    bench_across(store, archive, "50,000 files", 3, [](const fs::path &build) {
        for (int i = 0; i < 50'000; ++i) {
            const fs::path folder_of_it = build / ("part" + std::to_string(i / 500));
            if (i % 500 == 0) fs::create_directory(folder_of_it);
            write(folder_of_it / std::to_string(i), "content of " + std::to_string(i));
        }
    });
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: litbuild-store-bench FOLDER\n");
        return 2;
    }
    const char *path = ::getenv("PATH");
    ::setenv("PATH", (std::string(path ? path : "/bin:/usr/bin") + ":/sbin:/usr/sbin").c_str(), 1);   // mkfs
    try {
        const fs::path folder = fs::absolute(argv[1]) / "store";
        fs::create_directories(folder);
        bench_one_file_system(folder);
        bench_two_file_systems(folder);
        fs::remove_all(folder);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-store-bench: %s\n", e.what());
        return 1;
    }
    return 0;
}
