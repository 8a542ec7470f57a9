#define BOOST_TEST_MODULE folder_watch
#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "folder_fixture.hpp"

using namespace fixture;

namespace {

std::string text(const Change &change)
{
    static constexpr const char *names[] = {"", "watching", "created", "changed", "archived", "restored", "removed"};
    std::string out = names[static_cast<size_t>(change.kind)];
    out += change.kind == Change::Kind::watching ? " " + std::to_string(change.delay.count())
                                                 : " " + std::to_string(change.runid);
    return out;
}

// A file system whose happenings are told for so many folders; negative: for none.
struct Quiet : Faulty {
    Quiet(const std::string &root, int most) : Faulty(root), most_(most) {}
    std::unique_ptr<folder::Notices> notices() override
    {
        std::unique_ptr<folder::Notices> all = inner.notices();
        if (most_ < 0 || !all) return nullptr;
        struct Few : folder::Notices {
            Few(std::unique_ptr<folder::Notices> all, int &most) : inner(std::move(all)), left(most) {}
            bool add(const folder::Path &p, int64_t key) override { return left-- > 0 && inner->add(p, key); }
            void forget(int64_t key) override { inner->forget(key); }
            bool wait(const Call &c, std::chrono::milliseconds most, const Sink &each) override
            {
                return inner->wait(c, most, each);
            }
            std::unique_ptr<folder::Notices> inner;
            int &left;
        };
        return std::make_unique<Few>(std::move(all), most_);
    }

private:
    int most_;
};

// Watches in a thread, until it is over.
struct Watching {
    explicit Watching(BuildStore &store) : watcher([this, &store] { run(store); })
    {
        BOOST_TEST(next().starts_with("watching "));
    }
    ~Watching()
    {
        canceller.cancel();
        watcher.join();
    }
    void run(BuildStore &store)
    {
        why = failure([&] {
            store.watch(Call().cancelled_by(canceller), "contoso", [&](const Change &change) {
                const std::lock_guard<std::mutex> hold(mutex);
                seen.push_back(text(change));
                more.notify_all();
                return true;
            });
        });
    }
    std::string next()
    {
        std::unique_lock<std::mutex> hold(mutex);
        if (!more.wait_for(hold, std::chrono::seconds(60), [&] { return at < seen.size(); })) return "nothing came";
        return seen[at++];
    }

    Canceller canceller;
    std::mutex mutex;
    std::condition_variable more;
    std::vector<std::string> seen;
    size_t at = 0;
    std::string why;
    std::thread watcher;
};

void live_a_life(BuildStore &store, const fs::path &logs)
{
    Watching watching(store);
    const std::string name = std::to_string(store.create(Call(), new_build("contoso", 20)).runid);
    const BuildName build{"contoso", std::stol(name)};
    BOOST_TEST(watching.next() == "created " + name);
    spill(logs / name / ".tmp-x", "{}");
    fs::rename(logs / name / ".tmp-x", logs / name / "status.json");
    BOOST_TEST(watching.next() == "changed " + name);
    const std::string tag = "gold";
    store.edit_tags(Call(), build, {&tag, 1}, {});
    BOOST_TEST(watching.next() == "changed " + name);
    store.write_control(Call(), build, "stopped", "{}");
    BOOST_TEST(watching.next() == "changed " + name);
    store.archive(Call(), build);
    BOOST_TEST(watching.next() == "archived " + name);
    store.edit_tags(Call(), build, {}, {&tag, 1});
    BOOST_TEST(watching.next() == "changed " + name);
    store.restore(Call(), build);
    BOOST_TEST(watching.next() == "restored " + name);
    store.archive(Call(), build);
    BOOST_TEST(watching.next() == "archived " + name);
    store.remove(Call(), build);
    BOOST_TEST(watching.next() == "removed " + name);
}

struct QuietStore : TempFolder {
    explicit QuietStore(int most)
        : quiet(new Quiet(path.string(), most)), store(std::unique_ptr<Fs>(quiet)), logs(path / "contoso/logs")
    {
        for (int i = 1; i <= 3; ++i) store.create(Call(), new_build("contoso", i));
    }
    Quiet *quiet;
    FolderStore store;
    fs::path logs;
};

std::string first_words(BuildStore &store)
{
    std::string words;
    store.watch(Call(), "contoso", [&](const Change &change) {
        words = text(change);
        return false;
    });
    return words;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_life_is_told_as_it_happens)
{
    QuietStore f(1000);
    BOOST_TEST(first_words(f.store) == (is_mounted() ? "watching 2000" : "watching 0"));
    live_a_life(f.store, f.logs);
}

BOOST_AUTO_TEST_CASE(a_life_on_two_disks)
{
    QuietStore f(1000);
    f.quiet->two_disks = true;
    live_a_life(f.store, f.logs);
}

BOOST_AUTO_TEST_CASE(without_notices_it_is_looked_at)
{
    QuietStore f(-1);
    BOOST_TEST(first_words(f.store) == "watching 2000");
    live_a_life(f.store, f.logs);
}

BOOST_AUTO_TEST_CASE(with_few_notices_the_rest_is_looked_at)
{
    QuietStore f(4);
    BOOST_TEST(first_words(f.store) == "watching 2000");
    live_a_life(f.store, f.logs);
}

BOOST_AUTO_TEST_CASE(what_people_do_by_hand_is_told)
{
    QuietStore f(1000);
    Watching watching(f.store);
    fs::create_directories(f.logs / "12");
    BOOST_TEST(watching.next() == "created 12");
    // At once: who looks between the making of a file and the writing of it may tell of both.
    spill(f.logs / "tags", "gold\n");
    fs::rename(f.logs / "tags", f.logs / "12/tags");
    BOOST_TEST(watching.next() == "changed 12");
    fs::create_directories(f.logs / "archive");
    fs::rename(f.logs / "2", f.logs / "archive/2");
    BOOST_TEST(watching.next() == "archived 2");
    fs::remove_all(f.logs / "1");
    BOOST_TEST(watching.next() == "removed 1");
    // What is no build is not told.
    fs::create_directories(f.logs / "007");
    spill(f.logs / "note", "");
    spill(f.logs / "3/asset", "x");
    fs::create_directories(f.logs / "13");
    BOOST_TEST(watching.next() == "created 13");
}

// The kernel keeps 16384 notices by default; more than that happens while nobody reads them.
BOOST_AUTO_TEST_CASE(nothing_is_missed_where_notices_get_lost)
{
    QuietStore f(1000);
    bool begun = false;
    std::string told;
    std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
    int most = 16384;
    limit >> most;
    // Over a mount no notices are asked for, and as many changes take minutes.
    if (is_mounted()) most = 100;
    f.store.watch(Call::within(std::chrono::seconds(120)), "contoso", [&](const Change &change) {
        if (!begun) {
            begun = true;
            for (int i = 0; i <= most; ++i) {
                const fs::path name = f.logs / ("x" + std::to_string(i % 2));
                fs::create_directory(name);
                fs::remove(name);
            }
            fs::create_directory(f.logs / "50");
            fs::remove_all(f.logs / "2");
            spill(f.logs / "3/tags", "gold\n");
            return true;
        }
        told += text(change) + "; ";
        return told.find("created 50") == told.npos;
    });
    BOOST_TEST(told == "removed 2; changed 3; created 50; ");
}

BOOST_AUTO_TEST_CASE(a_watch_ends)
{
    QuietStore f(1000);
    int told = 0;
    // A file server has to be asked first.
    const std::chrono::milliseconds enough(is_mounted() ? 5000 : 2000);
    f.store.watch(Call::within(enough), "contoso", [&](const Change &) { return ++told > 0; });
    BOOST_TEST(told == 1);
    Canceller canceller;
    std::thread other([&] { canceller.cancel(); });
    BOOST_TEST(failure([&] {
                   f.store.watch(Call().cancelled_by(canceller), "contoso", [](const Change &) { return true; });
               }) == "cancelled; contoso: cancelled");
    other.join();
    BOOST_TEST(failure([&] { first_words(f.store); f.store.watch(Call(), "fabrikam", [](const Change &) { return true; }); }) ==
               "not_found; fabrikam: no such team");
}

BOOST_AUTO_TEST_CASE(links_in_the_way_end_nothing)
{
    QuietStore f(1000);
    fs::remove_all(f.logs / "1/.control");
    fs::create_directory_symlink("/", f.logs / "1/.control");
    Watching watching(f.store);
    spill(f.logs / "1/tags", "gold\n");
    spill(f.logs / "2/tags", "gold\n");
    std::string told = watching.next();
    if (told == "changed 1") told = watching.next();
    BOOST_TEST(told == "changed 2");
}
