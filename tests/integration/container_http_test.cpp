// What answers on the socket is no container engine, or none any more: one clear sentence each. The server here is a fake,
// because no real one answers so.
#define BOOST_TEST_MODULE container_http
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>

#include <boost/test/unit_test.hpp>

#include <container/api.hpp>
#include <container/options.hpp>

#include "support.hpp"

using namespace support;
using namespace litbuild;
using container::Api;
using container::Endpoint;
using container::Unreachable;

namespace {

/// Answers every request with the same bytes, or never.
class Server {
public:
    explicit Server(std::string answer, bool is_silent = false) : answer_(std::move(answer)), is_silent_(is_silent)
    {
        path_ = (folder_.path() / "s").string();
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || ::listen(listener_, 16) != 0)
            throw std::runtime_error("listen");
        thread_ = std::thread([this] { serve(); });
    }
    ~Server()
    {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        for (const int each : kept_) ::close(each);
        ::close(listener_);
    }
    std::string address() const { return "unix://" + path_; }
    int asked() const { return asked_; }

private:
    void serve()
    {
        for (int client; (client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
            ++asked_;
            if (is_silent_) {
                kept_.push_back(client);
                continue;
            }
            char request[4096];
            (void)!::read(client, request, sizeof request);
            (void)!::write(client, answer_.data(), answer_.size());
            ::close(client);
        }
    }

    TempRoot folder_;
    std::string path_, answer_;
    bool is_silent_;
    int listener_ = -1;
    std::vector<int> kept_;
    std::atomic<int> asked_{0};
    std::thread thread_;
};

std::string http(const std::string &status, const std::string &headers, const std::string &body)
{
    return "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Said {
    Code code;
    std::string sentence;
};

Said ask(const std::string &address, std::chrono::milliseconds patience = 30s, const Call &call = Call())
{
    const Api api(Endpoint::parse(address, container::engine_kind), patience);
    try {
        api.list(call, "litbuild.uuid");
    } catch (const Error &e) {
        return {e.code(), e.what()};
    }
    return {Code::internal, "no error"};
}

}  // namespace

#define CHECK_SAID(said, expected_code, expected)                     \
    do {                                                              \
        const Said heard = said;                                      \
        BOOST_TEST(heard.sentence == (expected));                     \
        BOOST_TEST(name(heard.code) == name(expected_code));          \
    } while (false)

BOOST_AUTO_TEST_CASE(nobody_there)
{
    TempRoot folder;
    const std::string path = (folder.path() / "none").string();
    CHECK_SAID(ask("unix://" + path), Code::unavailable,
               "unix://" + path + ": there is no such socket; does the container engine run?");
    spill(path, "a file");
    CHECK_SAID(ask("unix://" + path), Code::unavailable,
               "unix://" + path + ": cannot reach the container engine: Connection refused");
    const std::string deep = (folder.path() / std::string(120, 'd') / "s").string();
    CHECK_SAID(ask("unix://" + deep), Code::unavailable,
               "unix://" + deep + ": there is no such socket; does the container engine run?");
    // A port that was free a moment ago.
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket, reinterpret_cast<sockaddr *>(&local), sizeof local);
    socklen_t size = sizeof local;
    ::getsockname(socket, reinterpret_cast<sockaddr *>(&local), &size);
    const std::string tcp = "tcp://127.0.0.1:" + std::to_string(ntohs(local.sin_port));
    ::close(socket);
    CHECK_SAID(ask(tcp), Code::unavailable, tcp + ": cannot reach the container engine: Connection refused");
}

BOOST_AUTO_TEST_CASE(no_permission)
{
    Server server(http("200 OK", "", "OK"));
    const std::string path = server.address().substr(7);
    ::chmod(path.c_str(), 0600);
    ::chmod(path.substr(0, path.rfind('/')).c_str(), 0755);
    // In a process of another user's, for root may everything.
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
        if (::geteuid() != 65534) ::chmod(path.c_str(), 0);
        const Said said = ask(server.address());
        (void)!::write(ends[1], said.sentence.data(), said.sentence.size());
        ::_exit(said.code == Code::denied ? 0 : 1);
    }
    ::close(ends[1]);
    char text[512];
    const ssize_t got = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
    BOOST_TEST(std::string(text, static_cast<size_t>(std::max<ssize_t>(got, 0))) ==
               server.address() + ": this user may not use the socket (Permission denied)");
}

BOOST_AUTO_TEST_CASE(answers_that_are_none)
{
    const std::string version = "Api-Version: 1.41\r\n";
    const struct {
        std::string answer;
        Code code;
        const char *sentence;
    } cases[] = {
        {"", Code::unavailable, "the container engine broke off in the middle of its answer"},
        {"HTTP/1.1 200 OK\r\nApi-Ver", Code::unavailable, "the container engine broke off in the middle of its answer"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Code::unavailable,
         "the container engine broke off in the middle of its answer"},
        {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Code::unavailable,
         "what answers is not the container engine: its answer is not HTTP (bad version)"},
        {std::string("\0\1\2\377garbage\r\n\r\n", 15), Code::unavailable,
         "what answers is not the container engine: its answer is not HTTP (bad version)"},
        {http("404 Not Found", "Server: nginx\r\n", "<html>none</html>"), Code::unavailable,
         "what answers is not the container engine: it names no version of its API (HTTP status 404: <html>none</html>)"},
        {http("200 OK", "Api-Version: 1.12\r\n", "OK"), Code::unsupported,
         "its API is of version 1.12; 1.30 or newer is needed"},
        {http("200 OK", "Api-Version: new\r\n", "OK"), Code::unavailable,
         "what answers is not the container engine: it names no version of its API (HTTP status 200: OK)"},
        {http("500 Internal Server Error", version, R"({"message": "the daemon's own\n sentence."})"), Code::unavailable,
         "the container engine says: the daemon's own  sentence"},
        {http("403 Forbidden", version, R"({"message": "not for you"})"), Code::denied,
         "the container engine says: not for you"},
        {http("200 OK", version, "no json"), Code::unavailable, "the container engine's answer is not JSON: syntax error"},
    };
    for (const auto &each : cases) {
        const Server server(each.answer);
        CHECK_SAID(ask(server.address()), each.code, server.address() + ": " + each.sentence);
    }
}

BOOST_AUTO_TEST_CASE(no_answer)
{
    Server server("", true);
    CHECK_SAID(ask(server.address(), 1s), Code::unavailable,
               server.address() + ": the container engine has not answered for 1 s");
    const Said said = ask(server.address(), 60s, Call::within(200ms));
    BOOST_TEST(name(said.code) == "timeout");
    BOOST_TEST(said.sentence.starts_with(server.address() + ": "), said.sentence);
    Canceller canceller;
    std::thread later([&] {
        std::this_thread::sleep_for(100ms);
        canceller.cancel();
    });
    BOOST_TEST(name(ask(server.address(), 60s, Call().cancelled_by(canceller)).code) == "cancelled");
    later.join();
}

BOOST_AUTO_TEST_CASE(an_answer_without_end_is_refused)
{
    const Server server("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 99999999999\r\n\r\n{");
    BOOST_TEST(ask(server.address()).sentence ==
               server.address() + ": the container engine's answer is too long: body limit exceeded");
    const Server headers("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'));
    BOOST_TEST(name(ask(headers.address()).code) == "unavailable");
}

BOOST_AUTO_TEST_CASE(addresses)
{
    for (const char *bad : {"", "/run/docker.sock", "unix://", "unix://run/docker.sock", "tcp://", "tcp://host",
                            "tcp://host:", "tcp://:1", "tcp://host:port", "http://host:1", "unix:///run/a b"})
        BOOST_CHECK_EXCEPTION(Endpoint::parse(bad, container::engine_kind), Error, [](const Error &e) { return e.code() == Code::invalid; });
    const Endpoint tcp = Endpoint::parse("tcp://[::1]:2376", container::engine_kind);
    BOOST_TEST(tcp.host == "::1");
    BOOST_TEST(tcp.port == "2376");
    BOOST_TEST(Endpoint::parse("unix:///run/docker.sock", container::engine_kind).path == "/run/docker.sock");
}
