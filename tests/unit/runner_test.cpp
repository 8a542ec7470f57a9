#define BOOST_TEST_MODULE runner
#include <boost/test/unit_test.hpp>

#include <litbuild/linux/proc.hpp>
#include <litbuild/names.hpp>

#include <journal.hpp>
#include <report.hpp>

#include <fcntl.h>
#include <stdlib.h>

// The runner is a program; what is tested here is compiled in.
#include <journal.cpp>
#include <report.cpp>

using namespace runner;

BOOST_AUTO_TEST_CASE(report_lines)
{
    BOOST_TEST(*parse_report("progress 40%").progress == 0.4);
    BOOST_TEST(*parse_report("progress 0.25 half of a half").progress == 0.25);
    BOOST_TEST(parse_report("progress 0.25 half of a half").message == "half of a half");
    BOOST_TEST(*parse_report("progress 2/5").progress == 0.4);
    BOOST_TEST(*parse_report("step load the tables").part == "load the tables");
    BOOST_TEST(parse_report("just words").message == "just words");
    for (const char *no_number : {"progress", "progress x", "progress 200%", "progress -1", "progress 3/0", "progress nan", "progress inf", "progress 1e999", "progress 5/2"}) {
        BOOST_TEST(!parse_report(no_number).progress, no_number);
        BOOST_TEST(parse_report(no_number).message == no_number);
    }
    BOOST_TEST(!parse_report("step ").part);
    BOOST_TEST(!parse_report("").part);
}

BOOST_AUTO_TEST_CASE(foreign_text_becomes_utf8)
{
    BOOST_TEST(clean("a\nb\x01") == "a b ");
    BOOST_TEST(clean("caf\xc3\xa9") == "caf\xc3\xa9");
    BOOST_TEST(clean("\xff\xc3") == "\xef\xbf\xbd\xef\xbf\xbd");
    BOOST_TEST(litbuild::is_utf8(clean("\xf0\x9f\x98\xed\xa0\x80\xc0\xaf")));
    BOOST_TEST(clean(std::string(5000, 'x')).size() == 1000u);
}

BOOST_AUTO_TEST_CASE(the_name_of_a_process_may_hold_anything)
{
    using litbuild::linux_::parse_stat;
    const auto stat = parse_stat("77 (a) Z 1 (x\n) S 5 6 7 0 -1 4194560 0 0 0 0 11 12 0 0 20 0 1 0 4242 0 0");
    BOOST_REQUIRE(stat);
    BOOST_TEST(stat->name == "a) Z 1 (x\n");
    BOOST_TEST(stat->state == 'S');
    BOOST_TEST(stat->parent == 5);
    BOOST_TEST(stat->session == 7);
    BOOST_TEST(stat->start == 4242u);
    BOOST_TEST(!stat->is_ending());
    const auto ending = parse_stat("77 (a) D 5 6 7 0 -1 4194564 0 0 0 0 11 12 0 0 20 0 1 0 4242 0 0");
    BOOST_TEST((ending && ending->is_ending() && !ending->is_dead()));
    for (const char *torn : {"", "77", "77 (a", "77 (a) S 5 6", ") ("}) BOOST_TEST(!parse_stat(torn), torn);
}

BOOST_AUTO_TEST_CASE(a_torn_line_is_ended_before_the_next_event)
{
    char name[] = "/tmp/litbuild-journal-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name));
    const std::string folder = name;
    const litbuild::linux_::Descriptor fd(::open(name, O_RDONLY | O_DIRECTORY));
    BOOST_REQUIRE(::mkdirat(fd.get(), ".control", 0700) == 0);
    {
        const litbuild::linux_::Descriptor file(::openat(fd.get(), "events.jsonl", O_WRONLY | O_CREAT, 0600));
        BOOST_REQUIRE(::write(file.get(), "{\"seq\":1", 8) == 8);
    }
    Journal journal("t/1", fd.get(), "2024-06-08T16:40:31.000000Z", {"a"});
    journal.status().state = litbuild::State::running;
    journal.write("running", {}, Journal::Sync::yes);
    const std::string text = *litbuild::linux_::slurp((folder + "/events.jsonl").c_str());
    BOOST_TEST(text.starts_with("{\"seq\":1\n{\"seq\":2,"));
    const boost::json::value snapshot = boost::json::parse(*litbuild::linux_::slurp((folder + "/status.json").c_str()));
    BOOST_TEST(snapshot.at("offset").to_number<size_t>() == text.size());
    BOOST_TEST(snapshot.at("created").as_string() == "2024-06-08T16:40:31.000000Z");
    // A snapshot that cannot be written is made up for, and the event is not written again.
    BOOST_REQUIRE(::mkdirat(fd.get(), ".status.new", 0700) == 0);
    journal.status().state = litbuild::State::complete;
    BOOST_CHECK_THROW(journal.write("complete", {}, Journal::Sync::yes), litbuild::Error);
    BOOST_TEST(journal.is_behind());
    BOOST_REQUIRE(::unlinkat(fd.get(), ".status.new", AT_REMOVEDIR) == 0);
    journal.catch_up();
    BOOST_TEST(!journal.is_behind());
    const std::string last = *litbuild::linux_::slurp((folder + "/events.jsonl").c_str());
    BOOST_TEST(last.starts_with(text + "{\"seq\":3,"));
    BOOST_TEST(std::count(last.begin(), last.end(), '\n') == 3);
    BOOST_TEST(boost::json::parse(*litbuild::linux_::slurp((folder + "/status.json").c_str())).at("state").as_string() == "complete");
    BOOST_REQUIRE(::system(("rm -r " + folder).c_str()) == 0);
}
