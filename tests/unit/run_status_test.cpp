#define BOOST_TEST_MODULE run_status
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <limits>
#include <thread>

#include <sys/stat.h>

#include <folder-store/fields.hpp>
#include <folder-store/run_status.hpp>

#include "folder_fixture.hpp"

using namespace fixture;
using folder::FolderStore;
using folder::RunStatus;
using std::chrono::milliseconds;

namespace {

const BuildName build{"contoso", 1};

// A build of two steps, as launch.cpp and the runner wrote it; the first step told of two parts, the second one failed.
const std::string events[] = {
    R"({"seq":1,"time":"2026-11-23T04:34:00.000000Z","type":"queued","state":"queued","uuid":"0","steps":["a","b"]})",
    R"({"seq":2,"time":"2026-11-23T04:34:01.345571Z","type":"running","state":"running","detail":{}})",
    R"({"seq":3,"time":"2026-11-23T04:34:01.345683Z","type":"step_started","state":"running","step":0})",
    R"({"seq":4,"time":"2026-11-23T04:34:01.474759Z","type":"progress","state":"running","step":0,"progress":5E-1,)"
    R"("message":"half"})",
    R"({"seq":5,"time":"2026-11-23T04:34:02.183520Z","type":"step_started","state":"running","step":2,"name":"p1",)"
    R"("parent":0})",
    R"({"seq":6,"time":"2026-11-23T04:34:02.490745Z","type":"step_ended","state":"running","step":2,)"
    R"("state_of_step":"complete"})",
    R"({"seq":7,"time":"2026-11-23T04:34:02.701777Z","type":"step_ended","state":"running","step":0,)"
    R"("state_of_step":"complete","exit":0})",
    R"({"seq":8,"time":"2026-11-23T04:34:02.701808Z","type":"step_started","state":"running","step":1})",
    R"({"seq":9,"time":"2026-11-23T04:34:02.710286Z","type":"step_ended","state":"running","step":1,)"
    R"("state_of_step":"failed","exit":3})",
    R"({"seq":10,"time":"2026-11-23T04:34:02.710373Z","type":"failed","state":"failed","detail":{"usage":{"cpu":1}},)"
    R"("exit":3,"error":"step 'b' exited with 3"})",
};

/// The lines of the first `count` events.
std::string lines(size_t count)
{
    std::string text;
    for (size_t i = 0; i < count; ++i) text += events[i] + "\n";
    return text;
}

// The snapshot that launch.cpp writes, of the first event.
std::string first_snapshot()
{
    return R"({"seq":1,"offset":)" + std::to_string(lines(1).size()) +
           R"(,"state":"queued","time":"2026-11-23T04:34:00.000000Z","created":"2026-11-23T04:34:00.000000Z",)"
           R"("current_step":null,"steps":[{"name":"a","state":"queued","parent":-1},)"
           R"({"name":"b","state":"queued","parent":-1}]})"
           "\n";
}

// The runner's, of the fifth.
std::string running_snapshot()
{
    return R"({"seq":5,"offset":)" + std::to_string(lines(5).size()) +
           R"(,"state":"running","time":"2026-11-23T04:34:02.183520Z","created":"2026-11-23T04:34:00.000000Z",)"
           R"("started":"2026-11-23T04:34:01.345571Z","ended":null,"current_step":0,"exit":null,"signal":null,)"
           R"("progress":2.5E-1,"message":"half","error":null,"stopped_by":null,"reason":null,"steps":[)"
           R"({"name":"a","state":"running","parent":-1,"exit":null,"signal":null,)"
           R"("started":"2026-11-23T04:34:01.345683Z","ended":null,"progress":5E-1},)"
           R"({"name":"b","state":"queued","parent":-1,"exit":null,"signal":null,"started":null,"ended":null,)"
           R"("progress":null},{"name":"p1","state":"running","parent":0,"exit":null,"signal":null,)"
           R"("started":"2026-11-23T04:34:02.183520Z","ended":null,"progress":null}],"detail":{}})"
           "\n";
}

// The runner's, of the last.
std::string last_snapshot()
{
    return R"({"seq":10,"offset":)" + std::to_string(lines(10).size()) +
           R"(,"state":"failed","time":"2026-11-23T04:34:02.710373Z","created":"2026-11-23T04:34:00.000000Z",)"
           R"("started":"2026-11-23T04:34:01.345571Z","ended":"2026-11-23T04:34:02.710373Z","current_step":null,)"
           R"("exit":3,"signal":null,"progress":5E-1,"message":null,"error":"step 'b' exited with 3",)"
           R"("stopped_by":null,"reason":null,"steps":[{"name":"a","state":"complete","parent":-1,"exit":0,)"
           R"("signal":null,"started":"2026-11-23T04:34:01.345683Z","ended":"2026-11-23T04:34:02.701777Z",)"
           R"("progress":1E0},{"name":"b","state":"failed","parent":-1,"exit":3,"signal":null,)"
           R"("started":"2026-11-23T04:34:02.701808Z","ended":"2026-11-23T04:34:02.710286Z","progress":null},)"
           R"({"name":"p1","state":"complete","parent":0,"exit":null,"signal":null,)"
           R"("started":"2026-11-23T04:34:02.183520Z","ended":"2026-11-23T04:34:02.490745Z","progress":1E0}],)"
           R"("detail":{"usage":{"cpu":1}}})"
           "\n";
}

std::string clock_text(Timestamp time)
{
    if (time == 0) return "-";
    // All of these times are within one hour.
    const Timestamp hour = folder::parse_time("2026-11-23T04:00:00Z");
    return std::to_string((time - hour) / 1000);
}

template <class Number>
std::string text(const std::optional<Number> &number)
{
    std::ostringstream out;
    if (number) out << *number;
    return number ? out.str() : "-";
}

/// All that a status says, and what its steps say.
std::string show(const Status &status)
{
    std::string out = std::string(name(status.state)) + " time=" + clock_text(status.time) +
                      " created=" + clock_text(status.created) + " started=" + clock_text(status.started) +
                      " ended=" + clock_text(status.ended) + " cursor=" + std::to_string(status.cursor) +
                      " step=" + status.step().value_or("-") + " exit=" + text(status.exit_code) +
                      " signal=" + std::to_string(status.signal) + " progress=" + text(status.progress) +
                      " message=" + status.message + " error=" + status.error + " by=" + status.stopped_by +
                      " why=" + status.reason + " detail=" + status.detail;
    for (const Step &step : status.steps)
        out += "\n" + step.name + " " + name(step.state) + " parent=" + std::to_string(step.parent) +
               " exit=" + text(step.exit_code) + " signal=" + std::to_string(step.signal) +
               " started=" + clock_text(step.started) + " ended=" + clock_text(step.ended) +
               " progress=" + text(step.progress);
    return out;
}

struct BuildFolder : TempFolder {
    BuildFolder() : folder(path / "contoso/logs/1"), store(open_fs((make(), path.string()))),
              source([this](const Call &call, const BuildName &of, std::string_view file, uint64_t offset, uint64_t max,
                            const TextSink &sink) {
                  reads += (reads.empty() ? "" : " ") + std::string(file);
                  store.read(call, of, file, offset, max, sink);
              })
    {
    }
    void make() const { fs::create_directories(folder); }
    void write(const char *file, const std::string &content) const { spill(folder / file, content); }
    void append(const std::string &content) const
    {
        std::ofstream(folder / "events.jsonl", std::ios::binary | std::ios::app) << content;
    }
    void verdict(const std::string &content) const { write(".control/stopped", content); }

    Status status()
    {
        reads.clear();
        return source.status(Call(), build);
    }
    State state() { return status().state; }
    /// "queued:LENGTH ...": the events behind `cursor`.
    std::string polled(uint64_t cursor = 0, Call call = Call::within(milliseconds(500)))
    {
        std::string out;
        source.poll(call, build, cursor, [&](const Event &event) {
            out += (out.empty() ? "" : " ") + event.type + ":" + std::to_string(event.cursor);
            return true;
        });
        return out;
    }

    const fs::path folder;
    FolderStore store;
    std::string reads;
    RunStatus source;
};

bool is_quick(const std::function<void()> &body)
{
    const auto begin = Clock::now();
    body();
    return Clock::now() - begin < std::chrono::seconds(5);
}

}  // namespace

// ------------------------------------------------------------------------------------------- what the runner wrote

BOOST_AUTO_TEST_CASE(a_finished_build_costs_one_read)
{
    BuildFolder b;
    b.write("events.jsonl", lines(10));
    b.write("status.json", last_snapshot());
    b.verdict(R"({"state":"stopped","by":"late"})");
    const Status status = b.status();
    BOOST_TEST(b.reads == "status.json");
    BOOST_TEST(show(status) ==
               "failed time=2042710373 created=2040000000 started=2041345571 ended=2042710373 cursor=" +
                   std::to_string(lines(10).size()) +
                   " step=- exit=3 signal=0 progress=0.5 message= error=step 'b' exited with 3 by= why= "
                   "detail={\"usage\":{\"cpu\":1}}"
                   "\na complete parent=-1 exit=0 signal=0 started=2041345683 ended=2042701777 progress=1"
                   "\nb failed parent=-1 exit=3 signal=0 started=2042701808 ended=2042710286 progress=-"
                   "\np1 complete parent=0 exit=- signal=0 started=2042183520 ended=2042490745 progress=1");
}

BOOST_AUTO_TEST_CASE(a_running_build_is_read)
{
    BuildFolder b;
    b.write("events.jsonl", lines(5));
    b.write("status.json", running_snapshot());
    BOOST_TEST(show(b.status()) ==
               "running time=2042183520 created=2040000000 started=2041345571 ended=- cursor=" +
                   std::to_string(lines(5).size()) +
                   " step=a exit=- signal=0 progress=0.25 message=half error= by= why= detail={}"
                   "\na running parent=-1 exit=- signal=0 started=2041345683 ended=- progress=0.5"
                   "\nb queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
                   "\np1 running parent=0 exit=- signal=0 started=2042183520 ended=- progress=-");
    BOOST_TEST(b.reads == "status.json events.jsonl .control/stopped");
}

BOOST_AUTO_TEST_CASE(a_new_build_is_queued)
{
    BuildFolder b;
    b.write("events.jsonl", lines(1));
    b.write("status.json", first_snapshot());
    BOOST_TEST(show(b.status()) == "queued time=2040000000 created=2040000000 started=- ended=- cursor=" +
                                       std::to_string(lines(1).size()) +
                                       " step=- exit=- signal=0 progress=- message= error= by= why= detail="
                                       "\na queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
                                       "\nb queued parent=-1 exit=- signal=0 started=- ended=- progress=-");
}

BOOST_AUTO_TEST_CASE(snapshot_and_events_say_the_same)
{
    const std::pair<size_t, std::string> moments[] = {
        {1, first_snapshot()}, {5, running_snapshot()}, {10, last_snapshot()}};
    for (const auto &[count, snapshot] : moments) {
        BuildFolder with, without;
        with.write("events.jsonl", lines(count));
        with.write("status.json", snapshot);
        without.write("events.jsonl", lines(count));
        BOOST_TEST(show(with.status()) == show(without.status()));
    }
    // What came behind the snapshot is folded into it.
    for (size_t count = 5; count <= std::size(events); ++count) {
        BuildFolder from_first, from_fifth, from_none;
        for (BuildFolder *each : {&from_first, &from_fifth, &from_none}) each->write("events.jsonl", lines(count));
        from_first.write("status.json", first_snapshot());
        from_fifth.write("status.json", running_snapshot());
        const std::string expected = show(from_none.status());
        BOOST_TEST(show(from_first.status()) == expected);
        BOOST_TEST(show(from_fifth.status()) == expected);
    }
}

BOOST_AUTO_TEST_CASE(progress_is_worked_out_from_the_steps)
{
    BuildFolder b;
    const double expected[] = {-1, 0, 0, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5};
    for (size_t count = 1; count <= std::size(events); ++count) {
        b.write("events.jsonl", lines(count));
        BOOST_TEST(b.status().progress.value_or(-1) == expected[count - 1], count);
    }
    // What the build says of the whole counts more.
    b.write("events.jsonl",
            lines(3) + R"({"type":"progress","state":"running","progress":0.9})" + "\n" + events[6] + "\n");
    BOOST_TEST(b.status().progress.value_or(-1) == 0.9);
    b.append(R"({"type":"complete","state":"complete","exit":0})" "\n");
    BOOST_TEST(b.status().progress.value_or(-1) == 1.0);
}

BOOST_AUTO_TEST_CASE(a_stopped_build_tells_who_and_why)
{
    BuildFolder b;
    b.write("events.jsonl", lines(3) +
                                R"({"time":"2026-11-23T04:35:00Z","type":"stopping","state":"stopping",)"
                                R"("stopped_by":"ann","reason":"wrong data"})" "\n");
    Status status = b.status();
    BOOST_TEST((status.state == State::stopping));
    BOOST_TEST(status.stopped_by + " " + status.reason == "ann wrong data");
    BOOST_TEST(status.step().value_or("") == "a");
    const std::string before = show(status);
    // A stop that cannot finish changes nothing but the time.
    b.append(R"({"time":"2026-11-23T04:35:00Z","type":"stop_incomplete","state":"stopping","survivors":)"
             R"([{"pid":7,"command":"x","state":"D","where":"nfs"}]})" "\n");
    status = b.status();
    const std::string after = show(status);
    BOOST_TEST(after.substr(after.find(" step=")) == before.substr(before.find(" step=")));
    BOOST_TEST((status.state == State::stopping));
    b.append(R"({"time":"2026-11-23T04:36:00Z","type":"stopped","state":"stopped","signal":15,)"
             R"("detail":{"stop":{"killed":2}}})" "\n");
    status = b.status();
    BOOST_TEST((status.state == State::stopped));
    BOOST_TEST(status.stopped_by + " " + status.reason == "ann wrong data");
    BOOST_TEST(status.signal == 15);
    BOOST_TEST(!status.step());
    BOOST_TEST(status.detail == R"({"stop":{"killed":2}})");
    BOOST_TEST(name(status.steps[0].state) == "stopped");
    BOOST_TEST(name(status.steps[1].state) == "queued");
    BOOST_TEST(status.ended == folder::parse_time("2026-11-23T04:36:00Z"));
}

BOOST_AUTO_TEST_CASE(a_build_is_read_wherever_it_is)
{
    BuildFolder b;
    b.write("status.json", last_snapshot());
    b.store.archive(Call(), build);
    BOOST_TEST((b.state() == State::failed));
    BOOST_TEST((b.source.status(Call(), {"contoso", 2}).state == State::unknown));
    BOOST_TEST((b.source.status(Call(), {"fabrikam", 1}).state == State::unknown));
}

// -------------------------------------------------------------------------------------------- the engine's verdict

BOOST_AUTO_TEST_CASE(a_verdict_ends_a_build_that_cannot_speak)
{
    BuildFolder b;
    b.write("events.jsonl", lines(5));
    b.write("status.json", running_snapshot());
    b.verdict(R"({"time":"2026-11-23T04:40:00.000000Z","state":"stopped","by":"ann@x","reason":"why",)"
              R"("message":"gone"})");
    BOOST_TEST(show(b.status()) ==
               "stopped time=2400000000 created=2040000000 started=2041345571 ended=2400000000 cursor=" +
                   std::to_string(lines(5).size()) +
                   " step=- exit=- signal=0 progress=0.25 message= error=gone by=ann@x why=why detail={}"
                   "\na stopped parent=-1 exit=- signal=0 started=2041345683 ended=2400000000 progress=0.5"
                   "\nb queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
                   "\np1 stopped parent=0 exit=- signal=0 started=2042183520 ended=2400000000 progress=-");
    b.verdict(R"({"time":"2026-11-23T04:40:00.000000Z","by":"ann@x"})");
    BOOST_TEST((b.state() == State::stopped));
    b.verdict(R"({"state":"complete"})");
    BOOST_TEST((b.state() == State::stopped));
}

BOOST_AUTO_TEST_CASE(a_verdict_tells_what_could_not_be_started)
{
    BuildFolder b;
    b.write("events.jsonl", lines(1));
    b.write("status.json", first_snapshot());
    b.verdict(R"({"time":"2026-11-23T04:40:00Z","state":"error","message":"could not be started: no cgroup"})");
    BOOST_TEST(show(b.status()) == "error time=2400000000 created=2040000000 started=- ended=2400000000 cursor=" +
                                       std::to_string(lines(1).size()) +
                                       " step=- exit=- signal=0 progress=0 message= "
                                       "error=could not be started: no cgroup by= why= detail="
                                       "\na queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
                                       "\nb queued parent=-1 exit=- signal=0 started=- ended=- progress=-");
}

BOOST_AUTO_TEST_CASE(a_last_word_counts_more_than_a_verdict)
{
    BuildFolder b;
    b.write("events.jsonl", lines(10));
    b.write("status.json", running_snapshot());
    b.verdict(R"({"state":"stopped"})");
    BOOST_TEST((b.state() == State::failed));
    // One that cannot be read is none.
    b.write("events.jsonl", lines(5));
    for (const char *text : {"", "{", "[]", "null", "\"stopped\"", "{\"state\":"}) {
        b.verdict(text);
        BOOST_TEST((b.state() == State::running), text);
    }
    // Where nothing else can be read it is what is known.
    b.write("status.json", "");
    b.write("events.jsonl", "rubbish\n");
    b.verdict(R"({"state":"stopped","by":"ann"})");
    BOOST_TEST((b.state() == State::stopped));
}

// ------------------------------------------------------------------------------------------------------ damage

BOOST_AUTO_TEST_CASE(nothing_to_read_is_unknown)
{
    BuildFolder b;
    Status status = b.status();
    BOOST_TEST((status.state == State::unknown));
    BOOST_TEST(status.error == "");
    b.write("asset.bin", "data");
    b.write("events.jsonl", "");
    status = b.status();
    BOOST_TEST((status.state == State::unknown));
    BOOST_TEST(status.error == "");
    BOOST_TEST(!status.progress);
}

BOOST_AUTO_TEST_CASE(a_torn_event_is_not_there_yet)
{
    BuildFolder b;
    const std::string whole = lines(10);
    const size_t before = lines(9).size();
    for (size_t size = before; size < whole.size(); ++size) {
        b.write("events.jsonl", whole.substr(0, size));
        const Status status = b.status();
        BOOST_TEST((status.state == State::running), size);
        BOOST_TEST(status.cursor == before, size);
    }
    BOOST_TEST(b.polled(before) == "");
    b.write("events.jsonl", whole);
    BOOST_TEST((b.state() == State::failed));
    BOOST_TEST(b.polled(before) == "failed:" + std::to_string(whole.size()));
}

BOOST_AUTO_TEST_CASE(lines_that_are_no_events_are_passed_over)
{
    BuildFolder b;
    b.write("events.jsonl", "\n\nrubbish\n[1]\n{}\n" + lines(3) + "\x00\xff\n" + "{\"state\":\"running\"}\n" +
                                "{\"type\":\"x\",\"state\":\"lost\"}\n" + std::string(3'000'000, 'x') + "\n" +
                                events[9] + "\n");
    BOOST_TEST((b.state() == State::failed));
    const std::string polled = b.polled();
    BOOST_TEST(polled.starts_with("queued:"), polled);
    BOOST_TEST(std::count(polled.begin(), polled.end(), ':') == 4);
}

BOOST_AUTO_TEST_CASE(a_damaged_snapshot_is_made_good_by_the_events)
{
    BuildFolder b;
    b.write("events.jsonl", lines(10));
    const std::string whole = last_snapshot();
    for (size_t size = 0; size < whole.size() - 2; size += 7) {
        b.write("status.json", whole.substr(0, size));
        BOOST_TEST((b.state() == State::failed), size);
    }
    fs::remove(b.folder / "status.json");
    fs::create_directory(b.folder / "status.json");
    BOOST_TEST((b.state() == State::failed));
    fs::remove(b.folder / "status.json");
    fs::create_symlink("/etc/passwd", b.folder / "status.json");
    BOOST_TEST((b.state() == State::failed));
    fs::remove(b.folder / "status.json");
    BOOST_REQUIRE(::mkfifo((b.folder / "status.json").c_str(), 0666) == 0);
    BOOST_TEST(is_quick([&] { BOOST_TEST((b.state() == State::failed)); }));
    // And the other way round.
    fs::remove(b.folder / "status.json");
    fs::remove(b.folder / "events.jsonl");
    b.write("status.json", running_snapshot());
    BOOST_TEST((b.state() == State::running));
    BOOST_REQUIRE(::mkfifo((b.folder / "events.jsonl").c_str(), 0666) == 0);
    BOOST_TEST(is_quick([&] { BOOST_TEST((b.state() == State::running)); }));
}

BOOST_AUTO_TEST_CASE(damage_is_named)
{
    BuildFolder b;
    b.write("events.jsonl", "rubbish\n");
    BOOST_TEST(b.status().error == "contoso/1: events.jsonl is damaged");
    b.write("status.json", "{");
    BOOST_TEST(b.status().error == "contoso/1: status.json is damaged");
    BOOST_TEST((b.state() == State::unknown));
}

BOOST_AUTO_TEST_CASE(hostile_json_does_no_harm)
{
    std::string deep(100'000, '[');
    const std::string hostile[] = {
        deep,
        "{\"state\":" + deep,
        R"({"state":"running","offset":0,"detail":)" + std::string(40, '{'),
        R"({"state":"running","offset":-1})",
        R"({"state":"running","offset":1e400})",
        R"({"state":"running","offset":99999999999999999999999999})",
        R"({"state":"running","offset":"0"})",
        R"({"state":"running","offset":0.5})",
        R"({"state":"lost","offset":0})",
        R"({"state":7,"offset":0})",
        R"({"state":"running","offset":0,"message":")" "\xff\xfe" R"("})",
        R"({"state":"running","offset":0,"message":"\ud800"})",
        "{\"state\":\"running\",\"offset\":0}{}",
        std::string("{\"state\":\"running\",\"offset\":0,\"x\":\"\0\"}", 37),
        "\xef\xbb\xbf{}",
    };
    BuildFolder b;
    for (const std::string &content : hostile) {
        b.write("status.json", content);
        b.write("events.jsonl", content + "\n");
        b.verdict(content);
        const Status status = b.status();
        BOOST_TEST((status.state == State::unknown || content.find("\"lost\"") != content.npos ||
                    content.find("\"offset\"") != content.npos),
                   content.substr(0, 60));
        fs::remove_all(b.folder / ".control");
        BOOST_TEST((b.state() == State::unknown), content.substr(0, 60));
        BOOST_TEST(b.polled(0, Call::within(milliseconds(1))) == "", content.substr(0, 60));
    }
}

BOOST_AUTO_TEST_CASE(members_of_wrong_types_are_not_told)
{
    BuildFolder b;
    b.write("status.json",
            R"({"state":"failed","offset":9223372036854775807,"time":"9999-99-99T99:99:99Z","created":5,)"
            R"("started":"2026-02-30T00:00:00Z","ended":[],"current_step":99,"exit":-5,"signal":99999999999,)"
            R"("progress":1e308,"message":{},"error":7,"stopped_by":[1],"reason":true,"detail":"x","steps":[)"
            R"(7,null,{"name":5,"state":"flying","parent":7,"exit":"0","progress":-3},{"parent":3},)"
            R"({"name":"part","parent":2}]})");
    BOOST_TEST(show(b.status()) ==
               "failed time=- created=- started=- ended=- cursor=9223372036854775807 step=- exit=- signal=0 progress=1 "
               "message= error= by= why= detail="
               "\n queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
               "\n queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
               "\n queued parent=-1 exit=- signal=0 started=- ended=- progress=0"
               "\n queued parent=-1 exit=- signal=0 started=- ended=- progress=-"
               "\npart queued parent=2 exit=- signal=0 started=- ended=- progress=-");
    b.write("status.json", R"({"state":"running","offset":0,"steps":{"a":1},"current_step":0})");
    b.write("events.jsonl", R"({"type":"step_started","state":"running","step":-1})" "\n"
                            R"({"type":"step_started","state":"running","step":1000000000000})" "\n"
                            R"({"type":"step_ended","state":"running","step":0})" "\n"
                            R"({"type":"progress","state":"running","step":"0","progress":"x"})" "\n"
                            R"({"type":"queued","state":"running","steps":[1,{},"a"]})" "\n");
    BOOST_TEST(b.status().steps.size() == 3u);
    BOOST_TEST(b.status().steps[2].name == "a");
    std::string many = R"({"type":"queued","state":"queued","steps":["x")";
    for (int i = 0; i < 20'000; ++i) many += ",\"x\"";
    b.write("events.jsonl", many + "]}\n" R"({"type":"step_started","state":"running","step":10000})" "\n");
    BOOST_TEST(b.status().steps.size() == 10'000u);
}

BOOST_AUTO_TEST_CASE(events_behind_the_end_are_none)
{
    BuildFolder b;
    b.write("events.jsonl", lines(2));
    b.write("status.json", running_snapshot());
    BOOST_TEST((b.state() == State::running));
    BOOST_TEST(b.polled(std::numeric_limits<uint64_t>::max()) == "");
    // Into the middle of a line: the rest of it is no event.
    b.write("events.jsonl", lines(10));
    BOOST_TEST(b.polled(lines(9).size() - 5) == "failed:" + std::to_string(lines(10).size()));
}

BOOST_AUTO_TEST_CASE(times_are_read)
{
    using folder::parse_time;
    BOOST_TEST(parse_time("1970-01-01T00:00:01Z") == 1'000'000'000);
    BOOST_TEST(parse_time("2026-11-23T03:37:12.123456Z") == 1795405032123456000);
    BOOST_TEST(parse_time("2026-11-23T05:37:12.123456+02:00") == 1795405032123456000);
    BOOST_TEST(parse_time("2026-11-23t03:37:12.1234567891234z") == 1795405032123456789);
    for (const char *bad : {"", "2026", "2026-11-23", "2026-11-23T03:37:12", "2026-13-23T03:37:12Z",
                            "2026-11-23T24:00:00Z", "2026-11-23T03:37:12.Z", "2026-11-23T03:37:12Zx",
                            "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z", "-026-11-23T03:37:12Z"})
        BOOST_TEST(parse_time(bad) == 0, bad);
}

// -------------------------------------------------------------------------------------------------------- poll

BOOST_AUTO_TEST_CASE(events_are_given_from_a_cursor_on)
{
    BuildFolder b;
    b.write("events.jsonl", lines(3));
    const std::string one = std::to_string(lines(1).size()), two = std::to_string(lines(2).size()),
                      three = std::to_string(lines(3).size());
    BOOST_TEST(b.polled() == "queued:" + one + " running:" + two + " step_started:" + three);
    BOOST_TEST(b.polled(lines(2).size()) == "step_started:" + three);
    int seen = 0;
    b.source.poll(Call(), build, 0, [&](const Event &event) {
        BOOST_TEST(event.json == events[seen]);
        BOOST_TEST((event.time == folder::parse_time("2026-11-23T04:34:00Z")) == (seen == 0));
        BOOST_TEST((event.state == (seen == 0 ? State::queued : State::running)));
        return ++seen < 2;
    });
    BOOST_TEST(seen == 2);
    struct Own {};
    BOOST_CHECK_THROW(b.source.poll(Call(), build, 0, [](const Event &) -> bool { throw Own(); }), Own);
    BOOST_CHECK_THROW(b.source.poll(Call(), build, 0,
                                    [](const Event &) -> bool { throw Error(Code::not_found, "mine"); }),
                      Error);
}

BOOST_AUTO_TEST_CASE(a_poll_waits_for_an_event)
{
    BuildFolder b;
    b.write("events.jsonl", lines(2));
    std::thread runner([&] {
        std::this_thread::sleep_for(milliseconds(50));
        b.append(events[2].substr(0, 10));
        std::this_thread::sleep_for(milliseconds(50));
        b.append(events[2].substr(10) + "\n");
    });
    BOOST_TEST(b.polled(lines(2).size(), Call::within(std::chrono::seconds(10))) ==
               "step_started:" + std::to_string(lines(3).size()));
    runner.join();
}

BOOST_AUTO_TEST_CASE(a_poll_ends_at_its_deadline)
{
    BuildFolder b;
    b.write("events.jsonl", lines(2));
    b.write("status.json", first_snapshot());
    const auto begin = Clock::now();
    BOOST_TEST(b.polled(lines(2).size(), Call::within(milliseconds(100))) == "");
    const auto took = Clock::now() - begin;
    BOOST_TEST((took >= milliseconds(100) && took < std::chrono::seconds(5)));
    BOOST_TEST(b.polled(lines(2).size(), Call::until(Clock::now())) == "");
    Canceller canceller;
    std::thread other([&] {
        std::this_thread::sleep_for(milliseconds(50));
        canceller.cancel();
    });
    BOOST_TEST(failure([&] { b.polled(lines(2).size(), Call().cancelled_by(canceller)); }).starts_with("cancelled;"));
    other.join();
    BOOST_TEST(failure([&] { b.source.status(Call::until(Clock::now()), build); }).starts_with("timeout;"));
    BOOST_TEST(failure([&] { b.source.status(Call().cancelled_by(canceller), build); }).starts_with("cancelled;"));
}

BOOST_AUTO_TEST_CASE(an_ended_build_is_not_waited_for)
{
    const auto returns_at_once = [](BuildFolder &b, size_t count) {
        const Call call = Call::within(std::chrono::seconds(60));
        BOOST_TEST(is_quick([&] { BOOST_TEST(b.polled(lines(count).size(), call) == ""); }));
    };
    BuildFolder finished;
    finished.write("events.jsonl", lines(10));
    finished.write("status.json", last_snapshot());
    returns_at_once(finished, 10);
    BuildFolder stopped;
    stopped.write("events.jsonl", lines(5));
    stopped.write("status.json", running_snapshot());
    stopped.verdict(R"({"state":"stopped"})");
    returns_at_once(stopped, 5);
    BOOST_TEST(stopped.polled(lines(4).size()) == "step_started:" + std::to_string(lines(5).size()));
    BuildFolder never_started;
    never_started.write("events.jsonl", lines(1));
    never_started.write("status.json", first_snapshot());
    never_started.verdict(R"({"state":"error","message":"could not be started"})");
    returns_at_once(never_started, 1);
}

BOOST_AUTO_TEST_CASE(the_last_event_is_not_missed)
{
    // The event and its snapshot arrive between the look at the events and the look at the state.
    BuildFolder b;
    b.write("events.jsonl", lines(9));
    b.write("status.json", running_snapshot());
    RunStatus source([&](const Call &call, const BuildName &of, std::string_view file, uint64_t offset, uint64_t max,
                         const TextSink &sink) {
        if (file == "status.json") {
            b.write("events.jsonl", lines(10));
            b.write("status.json", last_snapshot());
        }
        b.store.read(call, of, file, offset, max, sink);
    });
    std::string types;
    source.poll(Call::within(std::chrono::seconds(10)), build, lines(9).size(), [&](const Event &event) {
        types += event.type;
        return true;
    });
    BOOST_TEST(types == "failed");
}

BOOST_AUTO_TEST_CASE(a_status_is_whole_while_it_is_replaced)
{
    BuildFolder b;
    b.write("events.jsonl", lines(10));
    b.write("status.json", running_snapshot());
    std::atomic<bool> enough{false};
    std::thread runner([&] {
        for (int i = 0; !enough; ++i) {
            b.write(".status.new", i % 2 ? running_snapshot() : last_snapshot());
            fs::rename(b.folder / ".status.new", b.folder / "status.json");
        }
    });
    for (int i = 0; i < 500; ++i) BOOST_TEST((b.state() == State::failed));
    enough = true;
    runner.join();
}

BOOST_AUTO_TEST_CASE(errors_of_the_store_are_passed_on)
{
    RunStatus source([](const Call &, const BuildName &, std::string_view, uint64_t, uint64_t, const TextSink &) {
        throw Error(Code::unavailable, "server: does not answer");
    });
    BOOST_TEST(failure([&] { source.status(Call(), build); }) == "unavailable; server: does not answer");
    BOOST_TEST(failure([&] { source.poll(Call(), build, 0, [](const Event &) { return true; }); }) ==
               "unavailable; server: does not answer");
}
