#define BOOST_TEST_MODULE names
#include <boost/test/unit_test.hpp>

#include <litbuild/names.hpp>

using namespace litbuild;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(teams)
{
    for (const char *good : {"contoso", "a", "A9", "team-1", "x.y_z", "7"}) BOOST_TEST(is_team(good), good);
    BOOST_TEST(is_team(std::string(63, 'a')));
    for (const char *bad : {"", ".", "..", "../etc", "a/b", ".hidden", "-x", "a b", "a\n", "\xff\xfe", "caf\xc3\xa9"})
        BOOST_TEST(!is_team(bad), bad);
    BOOST_TEST(!is_team(std::string(64, 'a')));
    BOOST_TEST(!is_team(std::string(300, 'a')));
    BOOST_TEST(!is_team(std::string_view("a\0b", 3)));
}

BOOST_AUTO_TEST_CASE(run_ids)
{
    BOOST_TEST(parse_runid("1").value() == 1);
    BOOST_TEST(parse_runid("9223372036854775807").value() == 9223372036854775807);
    for (const char *bad : {"", "0", "-1", "+1", "007", "19x", " 1", "1 ", "1.0", "99999999999999999999", "9223372036854775808"})
        BOOST_TEST(!parse_runid(bad), bad);
}

BOOST_AUTO_TEST_CASE(durations)
{
    BOOST_TEST((parse_duration("500ms").value() == 500ms));
    BOOST_TEST((parse_duration("10s").value() == 10s));
    BOOST_TEST((parse_duration("2m").value() == 2min));
    BOOST_TEST((parse_duration("90d").value() == 2160h));
    BOOST_TEST((parse_duration("0s").value() == 0s));
    for (const char *bad : {"", "10", "s", "-1s", "1.5s", "10 s", "1S", "99999999999d", "99999999999999999999s"})
        BOOST_TEST(!parse_duration(bad), bad);
}

BOOST_AUTO_TEST_CASE(tags)
{
    for (const char *good : {"release", "x y", "caf\xc3\xa9", "a:b", "100%"}) BOOST_CHECK_NO_THROW(check_tag(good));
    for (const char *bad : {"", "a,b", "a\nb", " a", "a ", "\xff", "a\tb"}) BOOST_CHECK_THROW(check_tag(bad), Error);
    BOOST_CHECK_THROW(check_tag(std::string(129, 'a')), Error);
}

BOOST_AUTO_TEST_CASE(utf8)
{
    for (const char *good : {"", "abc", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
        BOOST_TEST(is_utf8(good));
    for (const char *bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc2", "\xe0\xa0", "\xff"})
        BOOST_TEST(!is_utf8(bad));
}

BOOST_AUTO_TEST_CASE(quotes_make_foreign_text_printable)
{
    BOOST_TEST(quote("a\n\xff") == "'a\\x0a\\xff'");
    BOOST_TEST(quote(std::string(100, 'x')) == "'" + std::string(80, 'x') + "...'");
}
