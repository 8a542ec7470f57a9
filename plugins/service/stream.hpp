// A connection on which every read and write has a deadline and can be cancelled.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <litbuild/call.hpp>
#include <litbuild/linux/descriptor.hpp>

namespace service {

/// Waits until the socket is ready, the call is cancelled or its deadline has passed; throws in the last two cases.
void wait_for(const litbuild::Call &call, const std::string &object, int socket, short events);

struct Connection {
    const litbuild::Call &call;
    const std::string &object;   ///< starts the sentences of errors
    litbuild::linux_::Descriptor socket;
};

/// A SyncStream of Boost.Asio over a socket of its own. Not Asio's sockets: those are not opened close-on-exec, their
/// blocking calls know no deadline, and waiting for a foreign cancel handle would change the mode of that descriptor.
/// Throws litbuild::Error where the call is cancelled or its deadline has passed; everything else is an error_code.
class PollStream {
public:
    using executor_type = boost::asio::io_context::executor_type;
    using lowest_layer_type = PollStream;

    /// Borrows all but the socket, for its own life.
    explicit PollStream(Connection &&connection)
        : call_(connection.call), object_(connection.object), socket_(std::move(connection.socket))
    {
    }

    // What asio's TLS asks of a layer below; nothing ever runs there.
    executor_type get_executor() { return context_.get_executor(); }
    lowest_layer_type &lowest_layer() { return *this; }
    const lowest_layer_type &lowest_layer() const { return *this; }

    template <class Buffers>
    size_t read_some(const Buffers &buffers, boost::system::error_code &error)
    {
        return transfer(buffers, error, POLLIN, [&](iovec *parts, size_t count) {
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = count;
            const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (got == 0) error = boost::asio::error::eof;
            return got;
        });
    }

    template <class Buffers>
    size_t write_some(const Buffers &buffers, boost::system::error_code &error)
    {
        return transfer(buffers, error, POLLOUT, [&](iovec *parts, size_t count) {
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = count;
            return ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        });
    }

    // Beast's functions that throw are not used, but its concept asks for them.
    template <class Buffers>
    size_t read_some(const Buffers &buffers)
    {
        boost::system::error_code error;
        const size_t out = read_some(buffers, error);
        if (error) throw boost::system::system_error(error);
        return out;
    }
    template <class Buffers>
    size_t write_some(const Buffers &buffers)
    {
        boost::system::error_code error;
        const size_t out = write_some(buffers, error);
        if (error) throw boost::system::system_error(error);
        return out;
    }

private:
    template <class Buffers, class Action>
    size_t transfer(const Buffers &buffers, boost::system::error_code &error, short events, Action action)
    {
        iovec parts[16];
        size_t count = 0, wanted = 0;
        for (auto at = boost::asio::buffer_sequence_begin(buffers);
             at != boost::asio::buffer_sequence_end(buffers) && count < std::size(parts); ++at) {
            const boost::asio::const_buffer part(*at);
            parts[count++] = {const_cast<void *>(static_cast<const void *>(part.data())), part.size()};
            wanted += part.size();
        }
        error = {};
        if (wanted == 0) return 0;
        for (;;) {
            const ssize_t done = action(parts, count);
            if (done >= 0) return static_cast<size_t>(done);
            if (errno == EINTR) continue;
            if (errno != EAGAIN) {
                error.assign(errno, boost::system::system_category());
                return 0;
            }
            wait(events);
        }
    }

    void wait(short events) const { wait_for(call_, object_, socket_.get(), events); }

    const litbuild::Call &call_;
    const std::string &object_;
    litbuild::linux_::Descriptor socket_;
    boost::asio::io_context context_;
};

}  // namespace service
