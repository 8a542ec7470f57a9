#include "http.hpp"

#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "connect.hpp"
#include "stream.hpp"

namespace service {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using litbuild::Call;
using litbuild::Code;
using litbuild::Error;

namespace {

http::verb verb_of(Verb verb)
{
    switch (verb) {
    case Verb::post: return http::verb::post;
    case Verb::remove: return http::verb::delete_;
    case Verb::get: break;
    }
    return http::verb::get;
}

[[noreturn]] void fail(const Endpoint &endpoint, const error_code &error)
{
    const std::string object = endpoint.text + ": ", name = endpoint.kind->name;
    if (error == http::error::end_of_stream || error == http::error::partial_message || error == boost::asio::error::eof ||
        error == ssl::error::stream_truncated || error == boost::system::errc::connection_reset ||
        error == boost::system::errc::broken_pipe)
        throw Unreachable(Code::unavailable, object + name + " broke off in the middle of its answer");
    if (error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow)
        throw Unreachable(Code::unavailable, object + name + "'s answer is too long: " + error.message());
    if (error.category() == make_error_code(http::error::bad_version).category())
        throw Unreachable(Code::unavailable,
                          object + "what answers is not " + name + ": its answer is not HTTP (" + error.message() + ")");
    throw Unreachable(Code::unavailable, object + "cannot talk to " + name + ": " + error.message());
}

template <class Stream>
Answer exchange(Stream &stream, const Endpoint &endpoint, const http::request<http::string_body> &request, uint64_t most_answer)
{
    error_code error;
    http::write(stream, request, error);
    // A service that refuses a request early answers before it has read it all.
    if (error && error != boost::system::errc::broken_pipe && error != boost::system::errc::connection_reset)
        fail(endpoint, error);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(most_answer);
    http::read(stream, buffer, parser, error);
    if (error) fail(endpoint, error);
    http::response<http::string_body> answer = parser.release();
    return {answer.result_int(), std::move(answer.body()), std::string(answer["Api-Version"]), std::string(answer["Server"])};
}

}  // namespace

struct Http::Secure {
    ssl::context context{ssl::context::tls_client};
};

Http::Http(Endpoint endpoint, uint64_t most_answer) : endpoint_(std::move(endpoint)), most_answer_(most_answer)
{
    if (!endpoint_.is_secure) return;
    secure_ = std::make_unique<Secure>();
    ssl::context &context = secure_->context;
    const Tls &tls = endpoint_.tls;
    const auto take = [&](const std::string &file, const error_code &error) {
        if (error) throw Error(Code::invalid, file + ": cannot be used for TLS: " + error.message());
    };
    error_code error;
    context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
    context.set_verify_mode(ssl::verify_peer, error);
    if (tls.ca.empty()) context.set_default_verify_paths(error);
    else take(tls.ca, context.load_verify_file(tls.ca, error));
    if (tls.cert.empty()) return;
    take(tls.cert, context.use_certificate_chain_file(tls.cert, error));
    take(tls.key, context.use_private_key_file(tls.key, ssl::context::pem, error));
}

Http::~Http() = default;

Answer Http::ask(const Call &call, Verb verb, const std::string &target, const std::string &body,
                 const Headers &headers) const
{
    http::request<http::string_body> request(verb_of(verb), target, 11);
    request.set(http::field::host, endpoint_.path.empty() ? endpoint_.host : "localhost");
    for (const auto &[name, value] : headers) request.set(name, value);
    request.set(http::field::user_agent, "litbuild");
    request.set(http::field::connection, "close");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();

    Connection connection{call, object(), connect(call, endpoint_)};
    if (!secure_) {
        PollStream stream(std::move(connection));
        return exchange(stream, endpoint_, request, most_answer_);
    }
    ssl::stream<PollStream> stream(std::move(connection), secure_->context);
    ::SSL_set_tlsext_host_name(stream.native_handle(), endpoint_.host.c_str());
    error_code error;
    stream.set_verify_callback(ssl::host_name_verification(endpoint_.host), error);
    stream.handshake(ssl::stream_base::client, error);
    if (error)
        throw Unreachable(Code::unavailable,
                          object() + ": no secure connection to " + endpoint_.kind->name + ": " + error.message());
    return exchange(stream, endpoint_, request, most_answer_);
}

}  // namespace service
