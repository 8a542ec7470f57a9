// The build's status on disk, and its only writer: `events.jsonl`, one event a line, is the truth; `status.json` is the sum
// of the events so far, replaced whole, for those who only want to know how it stands.
//
// An event is written before the snapshot that includes it, so that a snapshot is at worst behind; it says up to which byte
// of the events it goes. The last event is synced to disk before anybody is told of the end; the snapshot never is.
#pragma once

#include <boost/json.hpp>

#include <litbuild/linux/descriptor.hpp>
#include <litbuild/status.hpp>

namespace runner {

class Journal {
public:
    /// Opens the folder's events behind those that the launching engine wrote. Throws litbuild::Error.
    Journal(std::string object, int folder, std::string created, const std::vector<std::string> &steps);

    litbuild::Status &status() noexcept { return status_; }

    enum class Sync { no, yes };
    /// Writes one event: the members given, behind seq, time, type and the state of status(). Then the snapshot.
    /// Throws litbuild::Error, e.g. where the disk is full.
    void write(const char *type, boost::json::object members, Sync sync);
    /// Whether what write() last failed to write is only the snapshot: the event is there.
    bool is_behind() const noexcept { return is_behind_; }
    /// Writes the snapshot that write() could not. Throws litbuild::Error.
    void catch_up();
    /// Members that stand in `detail` of the snapshot from here on.
    boost::json::object &detail() noexcept { return detail_; }

    /// Keeps some disk space, so that requests and the last word can be written on a full disk; and gives it back.
    void reserve_room();
    void release_room();

    /// Somebody is removing the folder, or has: there is no way left to ask for a stop, nor a place for an asset. What is
    /// written then goes to the events only, which may be gone, too; nothing is made anew under the remover's hands.
    bool is_removed() const noexcept;

private:
    void append(const std::string &line);
    void write_snapshot();
    bool make_room(const litbuild::Error &error);

    std::string object_;
    std::string created_;
    int folder_;
    litbuild::linux_::Descriptor events_;
    uint64_t offset_ = 0;
    uint64_t seq_ = 0;
    bool is_behind_ = false;
    litbuild::Status status_;
    boost::json::object detail_;
};

/// Text of foreign origin as UTF-8: what is not becomes U+FFFD, control characters become spaces, cut to `most` bytes.
std::string clean(std::string_view text, size_t most = 1000);

}  // namespace runner
