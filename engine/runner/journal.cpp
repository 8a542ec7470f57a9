#include "journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace runner {

using boost::json::object;
using boost::json::value;
using litbuild::Status;
using litbuild::Step;
using litbuild::Timestamp;

namespace {

constexpr const char *reserve = ".control/.reserve";
// What a store gives up for a request to stop: see FolderStore::write_control.
constexpr const char *room = ".control/.room";
constexpr const char *room_file = ".control/.room/room";

void fill(int folder, const char *name, off_t size)
{
    const litbuild::linux_::Descriptor file(::openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (file) (void)!::posix_fallocate(file.get(), 0, size);
}

value text_of(Timestamp time)
{
    if (time == 0) return nullptr;
    return value(litbuild::to_rfc3339(time));
}

value or_null(const std::string &text) { return text.empty() ? value(nullptr) : value(text); }
value or_null(int signal) { return signal == 0 ? value(nullptr) : value(signal); }
template <class Number>
value or_null(const std::optional<Number> &number)
{
    return number ? value(*number) : value(nullptr);
}

void write_all(const std::string &object, int fd, const std::string &text)
{
    size_t done = 0;
    while (done < text.size()) {
        const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw litbuild::os_error(object, "write its status", errno);
        done += static_cast<size_t>(put);
    }
}

}  // namespace

std::string clean(std::string_view text, size_t most)
{
    std::string out;
    size_t at = 0;
    while (at < text.size() && out.size() < most) {
        size_t size = 1;
        while (size < 4 && at + size < text.size() && (static_cast<unsigned char>(text[at + size]) & 0xc0) == 0x80)
            ++size;
        const std::string_view character = text.substr(at, size);
        if (!litbuild::is_utf8(character)) {
            out += "\xef\xbf\xbd";
            ++at;
            continue;
        }
        const bool control = size == 1 && (static_cast<unsigned char>(text[at]) < 0x20 || text[at] == 0x7f);
        out += control ? std::string_view(" ") : character;
        at += size;
    }
    return out;
}

Journal::Journal(std::string object, int folder, std::string created, const std::vector<std::string> &steps)
    : object_(std::move(object)), created_(std::move(created)), folder_(folder)
{
    events_.reset(::openat(folder, "events.jsonl", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!events_) throw litbuild::os_error(object_, "open its events.jsonl", errno);
    struct stat info{};
    if (::fstat(events_.get(), &info) != 0 || !S_ISREG(info.st_mode))
        throw litbuild::Error(litbuild::Code::corrupt, object_ + ": events.jsonl is not a regular file");
    offset_ = static_cast<uint64_t>(info.st_size);
    // The launching engine wrote one event, `queued`; a line that it could not finish is ended here.
    seq_ = 1;
    char last = '\n';
    if (offset_ > 0 && ::pread(events_.get(), &last, 1, info.st_size - 1) == 1 && last != '\n') {
        write_all(object_, events_.get(), "\n");
        ++offset_;
    }
    for (const std::string &name : steps) {
        Step step;
        step.name = name;
        status_.steps.push_back(step);
    }
}

void Journal::write(const char *type, object members, Sync sync)
{
    const Timestamp time = litbuild::now();
    status_.time = time;
    if (status_.state == litbuild::State::running && status_.started == 0) status_.started = time;
    if (litbuild::is_terminal(status_.state)) status_.ended = time;
    if (const value *index = members.if_contains("step")) {
        Step &step = status_.steps[index->to_number<size_t>()];
        if (std::string_view(type) == "step_started") step.started = time;
        if (std::string_view(type) == "step_ended") step.ended = time;
    }
    object event;
    event["seq"] = seq_ + 1;
    event["time"] = text_of(time);
    event["type"] = type;
    event["state"] = litbuild::name(status_.state);
    for (auto &member : members) event.insert_or_assign(member.key(), std::move(member.value()));
    const std::string line = boost::json::serialize(event) + "\n";
    is_behind_ = false;
    append(line);
    // What failed once is not tried again by a second sync; the line is written anew. Not every file can be synced.
    if (sync == Sync::yes && ::fdatasync(events_.get()) != 0 && errno != EINVAL && errno != ENOSYS) {
        const int number = errno;
        (void)!::ftruncate(events_.get(), static_cast<off_t>(offset_));
        throw litbuild::os_error(object_, "write its events.jsonl", number);
    }
    ++seq_;
    offset_ += line.size();
    is_behind_ = true;
    catch_up();
}

void Journal::catch_up()
{
    if (!is_behind_) return;
    try {
        write_snapshot();
    } catch (const litbuild::Error &e) {
        if (!make_room(e)) throw;
        write_snapshot();
    }
    is_behind_ = false;
}

void Journal::append(const std::string &line)
{
    const auto put = [&] {
        try {
            write_all(object_, events_.get(), line);
        } catch (...) {
            // Half a line would spoil the next one.
            (void)!::ftruncate(events_.get(), static_cast<off_t>(offset_));
            throw;
        }
    };
    try {
        put();
    } catch (const litbuild::Error &e) {
        if (!make_room(e)) throw;
        put();
    }
}

void Journal::reserve_room()
{
    fill(folder_, reserve, 65536);
    ::mkdirat(folder_, room, 0777);
    fill(folder_, room_file, 16384);
}

bool Journal::make_room(const litbuild::Error &error)
{
    return error.code() == litbuild::Code::no_space && ::unlinkat(folder_, reserve, 0) == 0;
}

void Journal::release_room()
{
    ::unlinkat(folder_, reserve, 0);
    ::unlinkat(folder_, room_file, 0);
    ::unlinkat(folder_, room, AT_REMOVEDIR);
}

bool Journal::is_removed() const noexcept
{
    return ::faccessat(folder_, ".control", F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

void Journal::write_snapshot()
{
    if (is_removed()) return;
    boost::json::array steps;
    for (const Step &step : status_.steps)
        steps.push_back({{"name", step.name},
                         {"state", litbuild::name(step.state)},
                         {"parent", step.parent},
                         {"exit", or_null(step.exit_code)},
                         {"signal", or_null(step.signal)},
                         {"started", text_of(step.started)},
                         {"ended", text_of(step.ended)},
                         {"progress", or_null(step.progress)}});
    const object snapshot = {{"seq", seq_},
                             {"offset", offset_},
                             {"state", litbuild::name(status_.state)},
                             {"time", text_of(status_.time)},
                             {"created", created_},
                             {"started", text_of(status_.started)},
                             {"ended", text_of(status_.ended)},
                             {"current_step", or_null(status_.current_step)},
                             {"exit", or_null(status_.exit_code)},
                             {"signal", or_null(status_.signal)},
                             {"progress", or_null(status_.progress)},
                             {"message", or_null(status_.message)},
                             {"error", or_null(status_.error)},
                             {"stopped_by", or_null(status_.stopped_by)},
                             {"reason", or_null(status_.reason)},
                             {"steps", std::move(steps)},
                             {"detail", detail_}};
    {
        litbuild::linux_::Descriptor file(
            ::openat(folder_, ".status.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
        if (!file) throw litbuild::os_error(object_, "write its status.json", errno);
        write_all(object_, file.get(), boost::json::serialize(snapshot) + "\n");
        // A file server may tell only now that it is full.
        if (::close(file.release()) != 0 && errno != EINTR) throw litbuild::os_error(object_, "write its status.json", errno);
    }
    if (::renameat(folder_, ".status.new", folder_, "status.json") != 0)
        throw litbuild::os_error(object_, "write its status.json", errno);
}

}  // namespace runner
