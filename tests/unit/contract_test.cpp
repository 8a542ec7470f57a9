#define BOOST_TEST_MODULE contract
#include <boost/test/unit_test.hpp>

#include <litbuild/export.hpp>

#include "plugins.hpp"

// What minor versions 1.1 to 1.4 added, over the edge and back: the class behind its C table behind the engine's adapter.

using namespace litbuild;

namespace {

struct Told : BuildStore {
    Told(const Host &, std::string_view) {}

    std::vector<std::string> teams(const Call &) override { return {}; }
    void list(const Call &, const Query &, const EntrySink &) override {}
    Entry find(const Call &, const BuildName &build) override { return {build.runid, false, "/nowhere"}; }
    void read(const Call &, const BuildName &, std::string_view, uint64_t, uint64_t, const TextSink &) override {}
    Entry archive(const Call &call, const BuildName &build) override
    {
        call.tell(0, 7);
        call.at_most(std::chrono::hours(1)).tell(UINT64_MAX, 0);
        return {build.runid, true, "/nowhere"};
    }
    void examine(const Call &, const std::string &team, Repair repair, const FindingSink &each) override
    {
        const bool repaired = repair == Repair::yes;
        if (!each({repaired ? Finding::State::repaired : Finding::State::repairable, 0, "stale-lock", team + ": a", "b"}))
            return;
        each({Finding::State::left, 19, "torn-log", team + "/19: c", "d"});
    }
    void watch(const Call &, const std::string &, const ChangeSink &each) override
    {
        for (const Change &change : {Change{Change::Kind::watching, 0, std::chrono::seconds(2)},
                                     Change{static_cast<Change::Kind>(99), 5, {}},
                                     Change{Change::Kind::created, 0, {}},
                                     Change{Change::Kind::removed, 19, {}},
                                     Change{Change::Kind::created, 20, {}}})
            if (!each(change)) return;
        throw Error(Code::not_found, "nobody had enough");
    }
    std::chrono::nanoseconds age(const Call &, const BuildName &, std::string_view name) override
    {
        if (name != ".control/beat") throw Error(Code::denied, "told: cannot be written to");
        return std::chrono::milliseconds(1500);
    }
    std::chrono::milliseconds as_of() const override { return std::chrono::milliseconds(250); }
    std::string version(const Call &, const std::string &team) override { return team + " 1"; }
    std::vector<std::string> notes(const Call &, const std::string &) override { return {"a", "b", "c"}; }
    void read_note(const Call &, const std::string &, std::string_view name, const TextSink &sink) override
    {
        if (name != "a") throw Error(Code::not_found, "there is no note");
        if (sink("one ")) sink("two");
    }
    void write_note(const Call &, const std::string &, std::string_view name, std::string_view content, Durable durable) override
    {
        written = std::string(name) + "=" + std::string(content) + (durable == Durable::yes ? " durable" : "");
    }
    bool swap_note(const Call &, const std::string &, std::string_view, std::string_view before, std::string_view, Durable) override
    {
        return before == "mine";
    }
    void remove_note(const Call &, const std::string &, std::string_view name) override { written = "no " + std::string(name); }
    static inline std::string written;
};

struct Holding : ProcessController {
    Holding(const Host &, std::string_view) {}

    std::string launch(const Call &, const LaunchSpec &) override { return "token"; }
    Probe probe(const Call &, const std::string &) override { return {}; }
    StopReport stop(const Call &, const std::string &, const std::string &, std::span<const StopStep>) override { return {}; }
    Probe wait(const Call &, const std::string &) override { return {}; }
    void held(const Call &, const std::string &team, const HeldSink &each) override
    {
        for (const Held &held : {Held{{"../etc", 1}, "", "", Life::gone, "", "", true},
                                 Held{{team, 0}, "", "", Life::gone, "", "", true},
                                 Held{{team, 19}, "u", "t", Life::gone, "its box is left", "a", true},
                                 Held{{team, 20}, "v", "s", static_cast<Life>(77), "b", "c", false}})
            if (!each(held)) return;
    }
    void forget(const Call &, const std::string &token) override
    {
        if (token != "t") throw Error(Code::refused, "box " + token + ": is alive");
    }
};

std::shared_ptr<BuildStore> imported(const lb_store &table)
{
    return detail::import_store(&table, {.plugin = "told", .config = "{}"}, {});
}

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

}  // namespace

BOOST_AUTO_TEST_CASE(progress_comes_home)
{
    std::string seen;
    const Call call = Call().on_progress([&](uint64_t done, uint64_t total) {
        seen += std::to_string(done) + "/" + std::to_string(total) + " ";
        throw 7;
    });
    BOOST_TEST(imported(StoreOf<Told>::table)->archive(call, {"contoso", 1}).archived);
    BOOST_TEST(seen == "0/7 18446744073709551615/0 ");
    BOOST_TEST(imported(StoreOf<Told>::table)->archive(Call(), {"contoso", 1}).archived);
}

BOOST_AUTO_TEST_CASE(a_caller_of_contract_1_0_is_told_nothing)
{
    lb_call older{};
    older.struct_size = offsetof(lb_call, progress);
    older.progress = [](const lb_call *, uint64_t, uint64_t) { BOOST_ERROR("what lies behind the struct was called"); };
    Call(&older).tell(1, 2);
    lb_call none{};
    none.struct_size = sizeof none;
    Call(&none).tell(1, 2);
}

BOOST_AUTO_TEST_CASE(findings_come_home)
{
    const auto store = imported(StoreOf<Told>::table);
    for (const Repair repair : {Repair::no, Repair::yes}) {
        std::vector<Finding> found;
        store->examine(Call(), "contoso", repair, [&](const Finding &finding) {
            found.push_back(finding);
            return true;
        });
        BOOST_REQUIRE(found.size() == 2u);
        BOOST_TEST((found[0].state == (repair == Repair::yes ? Finding::State::repaired : Finding::State::repairable)));
        BOOST_TEST(found[0].runid == 0);
        BOOST_TEST(found[0].kind == "stale-lock");
        BOOST_TEST(found[1].text == "contoso/19: c");
        BOOST_TEST(found[1].action == "d");
        BOOST_TEST((found[1].state == Finding::State::left));
    }
    int count = 0;
    store->examine(Call(), "contoso", Repair::no, [&](const Finding &) { return ++count < 1; });
    BOOST_TEST(count == 1);
}

BOOST_AUTO_TEST_CASE(notes_come_home)
{
    const auto store = imported(StoreOf<Told>::table);
    BOOST_TEST(store->version(Call(), "contoso") == "contoso 1");
    BOOST_TEST((store->notes(Call(), "contoso") == std::vector<std::string>{"a", "b", "c"}));
    std::string text;
    store->read_note(Call(), "contoso", "a", [&](std::string_view piece) {
        text += piece;
        return true;
    });
    BOOST_TEST(text == "one two");
    BOOST_TEST(failure([&] { store->read_note(Call(), "contoso", "b", [](std::string_view) { return true; }); }) ==
               "not_found; there is no note");
    store->write_note(Call(), "contoso", "b", "x", Durable::yes);
    BOOST_TEST(Told::written == "b=x durable");
    BOOST_TEST(store->swap_note(Call(), "contoso", "b", "mine", "y", Durable::no));
    BOOST_TEST(!store->swap_note(Call(), "contoso", "b", "yours", "y", Durable::yes));
    store->remove_note(Call(), "contoso", "b");
    BOOST_TEST(Told::written == "no b");

    // A table that knows of none: the engine does without.
    lb_store older = StoreOf<Told>::table;
    older.struct_size = offsetof(lb_store, version);
    BOOST_TEST(failure([&] { imported(older)->notes(Call(), "contoso"); }).starts_with("unsupported; "));
}

BOOST_AUTO_TEST_CASE(changes_come_home)
{
    const auto store = imported(StoreOf<Told>::table);
    std::vector<Change> seen;
    store->watch(Call(), "contoso", [&](const Change &change) {
        seen.push_back(change);
        return seen.size() < 2;
    });
    BOOST_REQUIRE(seen.size() == 2u);
    BOOST_TEST((seen[0].kind == Change::Kind::watching && seen[0].delay == std::chrono::seconds(2)));
    BOOST_TEST((seen[1].kind == Change::Kind::removed && seen[1].runid == 19));
    BOOST_TEST(failure([&] { store->watch(Call(), "contoso", [](const Change &) { return true; }); }) ==
               "not_found; nobody had enough");
}

BOOST_AUTO_TEST_CASE(who_takes_one_call_at_a_time_is_not_asked_to_watch)
{
    const auto store = imported(StoreOf<Told, LB_SERIAL>::table);
    BOOST_TEST(failure([&] { store->watch(Call(), "contoso", [](const Change &) { return true; }); }) ==
               "unsupported; plugin told: 'watch' is not supported");
}

BOOST_AUTO_TEST_CASE(an_older_table_has_neither)
{
    lb_store older = StoreOf<Told>::table;
    older.struct_size = offsetof(lb_store, examine);
    const auto store = imported(older);
    BOOST_TEST(failure([&] { store->examine(Call(), "contoso", Repair::no, [](const Finding &) { return true; }); }) ==
               "unsupported; plugin told: 'examine' is not supported");
    BOOST_TEST(failure([&] { store->watch(Call(), "contoso", [](const Change &) { return true; }); }) ==
               "unsupported; plugin told: 'watch' is not supported");
}

BOOST_AUTO_TEST_CASE(ages_come_home)
{
    const auto store = imported(StoreOf<Told>::table);
    BOOST_TEST((store->age(Call(), {"contoso", 1}, ".control/beat") == std::chrono::milliseconds(1500)));
    BOOST_TEST(failure([&] { store->age(Call(), {"contoso", 1}, "other"); }) == "denied; told: cannot be written to");
    BOOST_TEST((store->as_of() == std::chrono::milliseconds(250)));
}

BOOST_AUTO_TEST_CASE(a_table_of_1_1_has_no_ages)
{
    lb_store older = StoreOf<Told>::table;
    older.struct_size = offsetof(lb_store, age);
    const auto store = imported(older);
    BOOST_TEST(failure([&] { store->age(Call(), {"contoso", 1}, ".control/beat"); }) ==
               "unsupported; plugin told: 'age' is not supported");
    BOOST_TEST(store->as_of().count() == 0);
}

BOOST_AUTO_TEST_CASE(what_is_held_comes_home)
{
    const auto processes = detail::import_process(&ProcessOf<Holding>::table, {.plugin = "holding", .config = "{}"}, {});
    std::vector<Held> seen;
    processes->held(Call(), "contoso", [&](const Held &held) {
        seen.push_back(held);
        return true;
    });
    // What can be no build's is not told.
    BOOST_REQUIRE(seen.size() == 2u);
    BOOST_TEST(to_string(seen[0].build) == "contoso/19");
    BOOST_TEST((seen[0].uuid == "u" && seen[0].token == "t" && seen[0].life == Life::gone && seen[0].due));
    BOOST_TEST((seen[0].text == "its box is left" && seen[0].action == "a"));
    BOOST_TEST((seen[1].life == Life::unknown && !seen[1].due));
    processes->forget(Call(), "t");
    BOOST_TEST(failure([&] { processes->forget(Call(), "s"); }) == "refused; box s: is alive");

    lb_process_controller older = ProcessOf<Holding>::table;
    older.struct_size = offsetof(lb_process_controller, held);
    const auto earlier = detail::import_process(&older, {.plugin = "earlier", .config = "{}"}, {});
    BOOST_TEST(failure([&] { earlier->forget(Call(), "t"); }) == "unsupported; plugin earlier: 'forget' is not supported");
}
