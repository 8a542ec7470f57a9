// What plugin nfs remembers of a server: how much, and for how long.
#define BOOST_TEST_MODULE nfs_memory
#include <boost/test/unit_test.hpp>

#include <thread>

#include <nfs/memory.hpp>

using namespace std::chrono_literals;
using namespace litbuild;
using namespace litbuild::nfs;
using folder::Path;

namespace {

const Path logs = Path() / "contoso" / "logs";

Item build(int runid, int64_t changed_ns)
{
    Item item{std::to_string(runid), {}, "handle " + std::to_string(runid)};
    item.is.type = Type::folder;
    item.is.changed_ns = changed_ns;
    return item;
}

Memory::Known quiet(int runid, int64_t changed_ns)
{
    return {"handle " + std::to_string(runid), changed_ns, true, false, {}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_read_counts_while_the_folder_is_as_it_was)
{
    Memory memory(1min);
    memory.listed(logs, {build(1, 10), build(2, 10)}, Clock::now());
    memory.read(logs / "1", quiet(1, 10), "status.json", "complete");
    memory.read(logs / "2", quiet(2, 10), "events.jsonl", "is appended to");
    memory.listed(logs, {build(1, 10), build(2, 10)}, Clock::now());
    const auto known = memory.known(logs / "1", "status.json");
    BOOST_TEST((known && known->has_file && known->content == "complete"));
    BOOST_TEST(!memory.known(logs / "2", "events.jsonl")->has_file);
    memory.listed(logs, {build(1, 11)}, Clock::now());
    BOOST_TEST(!memory.known(logs / "1", "status.json")->has_file);
    BOOST_TEST(!memory.known(logs / "2", "status.json"));
    BOOST_TEST(memory.bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_not_quiet_is_not_kept)
{
    Memory memory(1min);
    memory.listed(logs, {build(1, 10)}, Clock::now());
    const auto known = memory.known(logs / "1", "status.json");
    BOOST_TEST((known && !known->is_quiet));
    memory.read(logs / "1", *known, "status.json", "running");
    BOOST_TEST(!memory.known(logs / "1", "status.json")->has_file);
}

BOOST_AUTO_TEST_CASE(a_listing_is_as_old_as_its_question)
{
    Memory memory(1s);
    memory.listed(logs, {build(1, 10)}, Clock::now() - 8s);
    BOOST_TEST((memory.listing(logs / "1") == Memory::Listing::none));
    BOOST_TEST(!memory.known(logs / "1", "status.json"));
    const Clock::time_point begun = Clock::now();
    memory.forget();
    memory.listed(logs, {build(1, 10)}, begun);
    BOOST_TEST(!memory.known(logs / "1", "status.json"));
    memory.listed(logs, {build(1, 10)}, Clock::now());
    BOOST_TEST(memory.known(logs / "1", "status.json").has_value());
}

BOOST_AUTO_TEST_CASE(handles_of_what_is_gone_are_not_kept)
{
    Memory memory(1min);
    memory.found(logs, "old");
    memory.forget();
    BOOST_TEST((memory.handle(logs) == "old"));
    memory.forget_all();
    BOOST_TEST(!memory.handle(logs));
}

// For weeks: the same builds, again and again with something new in them.
BOOST_AUTO_TEST_CASE(what_is_kept_does_not_grow)
{
    constexpr int builds = 20;
    const std::string text(16 * 1024, 'x');
    Memory memory(1min);
    for (int round = 1; round <= 1000; ++round) {
        std::vector<Item> items;
        for (int i = 1; i <= builds; ++i) items.push_back(build(i, round));
        memory.listed(logs, items, Clock::now());
        for (int i = 1; i <= builds; ++i) {
            memory.read(logs / std::to_string(i), quiet(i, round), "status.json", text);
            memory.read(logs / std::to_string(i), quiet(i, round), "status.json", text);
        }
    }
    BOOST_TEST(memory.bytes() < builds * (text.size() + 1000));
    BOOST_TEST(memory.known(logs / "7", "status.json")->has_file);
}

BOOST_AUTO_TEST_CASE(what_is_read_ahead_is_told_once_and_does_not_stay)
{
    Memory memory(1s);
    memory.listed(logs, {build(1, 10)}, Clock::now());
    const Memory::Next next{logs / "1", quiet(1, 10)};
    memory.read_ahead(next, "status.json", "running");
    BOOST_TEST((memory.known(logs / "1", "status.json")->content == "running"));
    BOOST_TEST(!memory.known(logs / "1", "status.json")->has_file);
    for (int i = 0; i < 1000; ++i) memory.read_ahead(next, "artifact " + std::to_string(i), std::nullopt);
    BOOST_TEST(memory.bytes() > 0u);
    std::this_thread::sleep_for(1100ms);
    memory.listed(logs, {build(1, 10)}, Clock::now());
    BOOST_TEST(memory.bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(there_is_an_end_to_it)
{
    const std::string text(16 * 1024, 'x');
    Memory memory(1min);
    std::vector<Item> items;
    for (int i = 1; i <= 5000; ++i) items.push_back(build(i, 1));
    memory.listed(logs, items, Clock::now());
    for (int i = 1; i <= 5000; ++i) memory.read(logs / std::to_string(i), quiet(i, 1), "status.json", text);
    BOOST_TEST(memory.bytes() <= 64u * 1024 * 1024);
    BOOST_TEST(memory.known(logs / "1", "status.json")->has_file);
    BOOST_TEST(!memory.known(logs / "5000", "status.json")->has_file);
}
