// A file system whose calls may never come back, as those of a hard NFS mount do while its server is away: no signal ends
// them, so each is made by a thread of its own, and left alone where it is not back at the deadline of its call.
//
// The threads that are left alone are the probe: while one of them is out, and no other call has come back since, the server
// is taken for away, and calls fail at once, with how long it has not answered; when they come back, work goes on. So there
// are never more of them than calls were under way when the server went, and never more than a fixed number. Calls on other
// file systems take no part in it.
#pragma once

#include <memory>

#include <folder-store/fs.hpp>

namespace litbuild::folder {

/// Receivers are called in another thread than the call was made in, which waits meanwhile; never after it has returned.
/// A call without a deadline ends, too, where nothing of the file system has answered for a minute.
/// Code::timeout: it was not back by then. Code::unavailable: the server is away.
class DeadlineFs final : public Fs {
public:
    /// Makes the file system that it stands before; called in a thread of its own, again until it succeeds.
    using Make = std::function<std::unique_ptr<Fs>()>;

    /// `root` is what the made one will say, and starts the errors. Waits for `make` up to `opening`; where it is not back by
    /// then, that is no error, and its calls wait for it. Throws what `make` throws in time.
    DeadlineFs(std::string root, uint64_t capabilities, Make make,
               Clock::duration opening = std::chrono::seconds(1));
    /// Waits for nobody.
    ~DeadlineFs() override;

    uint64_t capabilities() const override { return capabilities_; }
    const std::string &root() const override { return root_; }
    std::chrono::milliseconds as_of() const override;

    bool read_dir(const Call &call, const Path &dir, const NameSink &each) override;
    Info look(const Call &call, const Path &path) override;
    Read read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink) override;
    bool make_dir(const Call &call, const Path &path) override;
    bool make_dir_alike(const Call &call, const Path &path) override;
    void write_file(const Call &call, const Path &path, std::string_view content, Durable durable) override;
    void replace_file(const Call &call, const Path &path, std::string_view content, Durable durable) override;
    void edit_file(const Call &call, const Path &path, Durable durable, const Change &change) override;
    Renamed rename(const Call &call, const Path &from, const Path &to) override;
    void sync_dir(const Call &call, const Path &dir) override;
    bool remove_file(const Call &call, const Path &path) override;
    void remove_tree(const Call &call, const Path &path) override;
    std::unique_ptr<Lock> lock(const Call &call, const Path &path) override;
    TreeSize measure(const Call &call, const Path &tree) override;
    bool copy_tree(const Call &call, const Path &from, const Path &to, const Told &told) override;
    bool same_tree(const Call &call, const Path &tree, const Path &copy, Compare what, const Told &told) override;

private:
    class Errands;
    template <class Result, class Body>
    Result send(const Call &call, Body body);

    std::string root_;
    uint64_t capabilities_;
    std::shared_ptr<Errands> errands_;
};

}  // namespace litbuild::folder
