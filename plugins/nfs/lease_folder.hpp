// A folder that locks lie in, as Leases sees it: of a server that is spoken to directly, or of a mount.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <litbuild/call.hpp>

#include <nfs/refusal.hpp>

namespace litbuild::nfs {

/// The folder is held: moving it meanwhile does no harm. What is told is as the server has it.
/// The functions throw Refusal for what is refused, and Error where the server does not answer within the call.
/// Threads: any.
class LeaseFolder {
public:
    struct File {
        uint64_t inode = 0;
        int64_t modified_ns = 0;   ///< on the server's clock
        bool is_regular = true;
        std::string handle{};      ///< where files have one
        std::string begin{};       ///< how its text begins, and no other's does; of a file that was made
    };
    enum class Linked { done, exists };

    virtual ~LeaseFolder() = default;

    /// Which folder it is, whatever path leads to it.
    virtual const std::string &key() const noexcept = 0;
    /// None: nothing of that name.
    virtual std::optional<File> look(const Call &call, const std::string &name) = 0;
    /// At most `most` bytes from the beginning of what has the name. Refusal: ESTALE, it is another file.
    virtual std::string read(const Call &call, const File &file, const std::string &name, uint32_t most) = 0;
    /// A new file, under a name that nobody else takes; its text can be read on all hosts. The text begins with `begin`.
    virtual File make(const Call &call, const std::string &name, std::string_view text, std::string_view begin) = 0;
    /// Whether the name is still that of a file that was made. Its inode's number alone does not tell: another file may have it
    /// once the first is gone.
    virtual bool has_name(const Call &call, const File &file, const std::string &name) = 0;
    /// Its text anew, of the same length and with the same beginning, and so its time. Refusal: it is gone; where files have no
    /// handle, it has the name no more.
    virtual void renew(const Call &call, const File &file, const std::string &name, std::string_view text) = 0;
    /// A further name of a file.
    virtual Linked link(const Call &call, const File &file, const std::string &name, const std::string &more) = 0;
    /// False: it has the name no more.
    virtual bool rename(const Call &call, const File &file, const std::string &from, const std::string &to) = 0;
    /// Nothing is done where another file has the name.
    virtual void remove(const Call &call, const File &file, const std::string &name) = 0;
    /// The same for a name that nobody else takes.
    virtual void discard(const Call &call, const File &file, const std::string &name) = 0;

    /// The time of the folder itself.
    virtual int64_t modified_ns(const Call &call) = 0;
    virtual void set_modified_ns(const Call &call, int64_t time_ns) = 0;
};

}  // namespace litbuild::nfs
